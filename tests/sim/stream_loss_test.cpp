// SPDX-License-Identifier: Apache-2.0
// The event stream's server loses everything, or its newest entries, between any two calls; the
// stream ends with every stored event, each once and in order, and no channel had one twice.
#include <gtest/gtest.h>

#include <map>

#include "memory/memory_bus.hpp"
#include "memory/memory_store.hpp"
#include "model/collections.hpp"
#include "ports/stored_events.hpp"
#include "simulator/simulator_source.hpp"
#include "support/run.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::test {
namespace {

/// Loses what came after the middle of the stream, or all, before the calls that `when` picks.
class LossyBus final : public EventBus {
public:
    LossyBus(MemoryBus& bus, std::function<bool(int)> when, bool all)
        : bus_(bus), when_(std::move(when)), all_(all) {}
    awaitable<result<void>> ping() override { return bus_.ping(); }
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override {
        CO_TRY_VOID(co_await maybe_lose());
        co_return co_await bus_.append(std::move(events), terms);
    }
    awaitable<result<Position>> last() override {
        CO_TRY_VOID(co_await maybe_lose());
        co_return co_await bus_.last();
    }
    awaitable<result<Position>> first() override { return bus_.first(); }
    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) override {
        return bus_.read(after, count, wait);
    }
    awaitable<result<void>> trim_before(Position position) override {
        return bus_.trim_before(position);
    }
    [[nodiscard]] int calls() const { return calls_; }
    [[nodiscard]] int losses() const { return losses_; }

private:
    awaitable<result<void>> maybe_lose() {
        if (!when_(calls_++)) co_return result<void>{};
        CO_TRY(const auto events, co_await bus_.read({}, 1'000'000, {}));
        losses_ += !events.empty();
        bus_.lose_after(all_ || events.empty() ? Position{} : events[events.size() / 2]->position);
        co_return result<void>{};
    }
    MemoryBus& bus_;
    std::function<bool(int)> when_;
    bool all_;
    int calls_ = 0, losses_ = 0;
};

struct World {
    /// How many losses there were; the pipeline runs to the end of its source.
    LossyBus live(std::function<bool(int)> when, bool all) {
        LossyBus lossy(bus, std::move(when), all);
        SimulatorSource source(
            {.seed = 5, .instances = 8, .tenants = 2, .start_at_us = 1'700'000'000'000'000}, clock);
        Random random(1);
        sync::Progress progress(context.get_executor(), clock);
        sync::PipelineOptions options;
        options.batch_documents_max = 12;
        options.publish_events_max = 5;
        sync::Pipeline pipeline(
            options, {source, store, lossy, clock, random, context.get_executor()}, progress);
        must(context, pipeline.run());
        refilled = progress.refilled_events;
        return lossy;
    }
    std::vector<std::string> published() {
        std::vector<std::string> events;
        for (const auto& event : must(context, bus.read({}, 1'000'000, {})))
            events.push_back(to_string(event->position) + " " + event->payload);
        return events;
    }
    std::vector<std::string> stored() {
        Query query;
        query.collection = collections::events;
        query.sort = {{"lsn", false}, {"ordinal", false}};
        query.limit = 1'000'000;
        std::vector<std::string> events;
        for (const auto& document : must(context, store.find(query))) {
            for (const auto& event : stream_events(*document))
                events.push_back(to_string(event->position) + " " + event->payload);
        }
        return events;
    }
    asio::io_context context;
    SystemClock clock;
    MemoryStore store;
    std::map<Position, int> announced;
    MemoryBus bus{context.get_executor(),
                  clock,
                  {.events_max = 1'000'000,
                   .announce = [this](const StreamEvent& event) { ++announced[event.position]; }}};
    std::uint64_t refilled = 0;
};

/// A loss after the last call shows in the next look at the idle stream; here the source has ended,
/// so the last call is the one that must not be followed by a loss.
TEST(StreamLoss, a_stream_that_loses_entries_before_any_call_ends_with_every_stored_event_once) {
    World undisturbed;
    const int calls = undisturbed.live([](int) { return false; }, true).calls();
    ASSERT_GT(calls, 20);
    ASSERT_GT(undisturbed.published().size(), 100u);
    EXPECT_EQ(undisturbed.refilled, 0u);
    for (const bool all : {true, false}) {
        for (int at = 1; at < calls; ++at) {
            World world;
            const auto bus = world.live([at](int call) { return call == at; }, all);
            ASSERT_EQ(world.stored(), undisturbed.stored()) << "lost before call " << at;
            ASSERT_EQ(world.published(), world.stored()) << "lost before call " << at;
            ASSERT_TRUE(bus.losses() == 0 || world.refilled > 0);
            for (const auto& [position, times] : world.announced)
                ASSERT_EQ(times, 1) << to_string(position) << ", lost before call " << at;
            ASSERT_EQ(world.announced.size(), world.stored().size());
        }
    }
}

TEST(StreamLoss, losses_during_the_refill_of_an_earlier_loss_leave_no_hole_and_double_nothing) {
    for (const bool all : {true, false}) {
        World world;
        // In bursts, with pauses that let a refill of everything come to its end.
        const auto bus = world.live(
            [](int call) { return call % 200 == 20 || call % 200 == 22 || call % 200 == 27; }, all);
        EXPECT_GT(bus.losses(), 2);
        EXPECT_EQ(world.published(), world.stored());
        EXPECT_EQ(world.announced.size(), world.stored().size());
        for (const auto& [position, times] : world.announced)
            ASSERT_EQ(times, 1) << to_string(position);
    }
}

} // namespace
} // namespace netbuild::test
