// SPDX-License-Identifier: Apache-2.0
#pragma once
// The contract of ports/event_bus.hpp, run on every adapter.
#include <gtest/gtest.h>

#include "ports/event_bus.hpp"
#include "support/run.hpp"

namespace netbuild::test {

inline StreamEventPtr stream_event(std::uint64_t number, std::uint32_t ordinal,
                                   std::string type = "process:started") {
    auto event = std::make_shared<StreamEvent>();
    event->position = {number, ordinal};
    event->type = std::move(type);
    event->domain_id = "acme";
    event->process_instance_id = "p1";
    event->payload = R"({"n":1})";
    return event;
}

template <class Adapter>
class EventBusContract : public testing::Test {
protected:
    EventBus& bus() { return adapter.bus(); }
    Position append(std::vector<StreamEventPtr> events, AppendTerms terms = {}) {
        return must(context, bus().append(std::move(events), terms));
    }
    std::vector<Position> positions() {
        std::vector<Position> found;
        for (const auto& event : read({}))
            found.push_back(event->position);
        return found;
    }
    std::vector<StreamEventPtr> read(Position after, std::size_t count = 100,
                                     Clock::duration wait = Clock::duration::zero()) {
        return must(context, bus().read(after, count, wait));
    }
    asio::io_context context;
    Adapter adapter{context};
};
TYPED_TEST_SUITE_P(EventBusContract);

TYPED_TEST_P(EventBusContract, events_come_back_in_order_and_whole) {
    EXPECT_TRUE(must(this->context, this->bus().last()).is_zero());
    EXPECT_TRUE(must(this->context, this->bus().first()).is_zero());
    EXPECT_EQ(
        this->append({stream_event(5, 0), stream_event(5, 1, "task:created"), stream_event(9, 0)}),
        (Position{9, 0}));
    const auto events = this->read({});
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[1]->position, (Position{5, 1}));
    EXPECT_EQ(events[1]->type, "task:created");
    EXPECT_EQ(events[1]->domain_id, "acme");
    EXPECT_EQ(events[1]->execution_id, "");
    EXPECT_EQ(events[1]->process_instance_id, "p1");
    EXPECT_EQ(events[1]->payload, R"({"n":1})");
    EXPECT_EQ(must(this->context, this->bus().first()), (Position{5, 0}));
    EXPECT_EQ(must(this->context, this->bus().last()), (Position{9, 0}));
    EXPECT_EQ(this->read({5, 0}, 1).front()->position, (Position{5, 1}));
    EXPECT_TRUE(this->read({9, 0}).empty());
}

TYPED_TEST_P(EventBusContract, a_replayed_batch_adds_nothing_twice) {
    const auto batch = [] { return std::vector{stream_event(5, 0), stream_event(6, 0)}; };
    this->append(batch());
    EXPECT_EQ(this->append(batch()), (Position{6, 0}));
    EXPECT_EQ(this->append({stream_event(6, 0), stream_event(7, 0)}), (Position{7, 0}));
    EXPECT_EQ(this->append({stream_event(1, 0)}), (Position{7, 0})) << "an older one is refused";
    EXPECT_EQ(this->read({}).size(), 3u);
}

TYPED_TEST_P(EventBusContract, positions_up_to_the_largest_keep_their_order) {
    const std::uint64_t large = (std::uint64_t{3} << 48) + 9'007'199'254'740'993u;
    this->append({stream_event(large, 4'000'000'000u), stream_event(large + 1, 0)});
    EXPECT_EQ(this->append({stream_event(large, 4'000'000'000u)}), (Position{large + 1, 0}));
    EXPECT_EQ(this->read({large, 4'000'000'000u}).front()->position, (Position{large + 1, 0}));
}

TYPED_TEST_P(EventBusContract, a_reader_waits_for_the_first_event_and_old_ones_can_be_dropped) {
    this->append({stream_event(5, 0), stream_event(6, 0)});
    EXPECT_TRUE(this->read({6, 0}, 10, std::chrono::milliseconds(5)).empty());
    must(this->context, this->bus().trim_before({6, 0}));
    EXPECT_EQ(must(this->context, this->bus().first()), (Position{6, 0}));
    EXPECT_EQ(this->read({}).size(), 1u);
}

TYPED_TEST_P(EventBusContract, a_stream_that_lost_its_newest_entries_takes_nothing_until_refilled) {
    this->append({stream_event(5, 0), stream_event(6, 0), stream_event(7, 0)});
    this->adapter.lose_after({5, 0});
    EXPECT_EQ(this->append({stream_event(8, 0)}, {.last = {7, 0}}), (Position{5, 0}));
    EXPECT_EQ(this->append({}, {.last = {7, 0}}), (Position{5, 0})) << "asked without an event";
    EXPECT_EQ(this->positions(), (std::vector{Position{5, 0}})) << "no hole was made";
    // What the pipeline does: the lost ones again, then what was refused.
    EXPECT_EQ(this->append({stream_event(6, 0), stream_event(7, 0)}, {.last = {5, 0}}),
              (Position{7, 0}));
    EXPECT_EQ(this->append({stream_event(8, 0)}, {.last = {7, 0}}), (Position{8, 0}));
    EXPECT_EQ(this->positions(),
              (std::vector{Position{5, 0}, Position{6, 0}, Position{7, 0}, Position{8, 0}}));
}

TYPED_TEST_P(EventBusContract, a_stream_that_lost_everything_can_be_filled_again) {
    this->append({stream_event(5, 0), stream_event(6, 0)});
    this->adapter.lose_after({});
    EXPECT_TRUE(must(this->context, this->bus().last()).is_zero());
    EXPECT_TRUE(this->append({stream_event(7, 0)}, {.last = {6, 0}}).is_zero());
    EXPECT_TRUE(this->positions().empty());
    EXPECT_EQ(this->append({stream_event(5, 0), stream_event(6, 0), stream_event(7, 0)}),
              (Position{7, 0}));
    EXPECT_EQ(this->positions().size(), 3u);
}

TYPED_TEST_P(EventBusContract, channels_get_what_was_appended_and_nothing_that_they_may_have_had) {
    const auto event = [&](std::uint64_t number) {
        auto one = std::make_shared<StreamEvent>(*stream_event(number, 0, this->adapter.channel()));
        one->payload = std::to_string(number);
        return StreamEventPtr(std::move(one));
    };
    this->append({event(5), event(6)});
    this->append({event(5), event(6)});
    EXPECT_EQ(this->adapter.announced(), (std::vector<std::string>{"5", "6"}));
    this->adapter.lose_after({});
    this->append({event(5), event(6), event(7)}, {.announced = {6, 0}});
    EXPECT_EQ(this->adapter.announced(), (std::vector<std::string>{"7"}));
    EXPECT_EQ(this->positions().size(), 3u);
}

REGISTER_TYPED_TEST_SUITE_P(EventBusContract, events_come_back_in_order_and_whole,
                            a_stream_that_lost_its_newest_entries_takes_nothing_until_refilled,
                            a_stream_that_lost_everything_can_be_filled_again,
                            channels_get_what_was_appended_and_nothing_that_they_may_have_had,
                            a_replayed_batch_adds_nothing_twice,
                            positions_up_to_the_largest_keep_their_order,
                            a_reader_waits_for_the_first_event_and_old_ones_can_be_dropped);

} // namespace netbuild::test
