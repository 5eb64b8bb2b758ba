// SPDX-License-Identifier: Apache-2.0
#pragma once
// The contract of ports/record_changes.hpp, run on every adapter: an adapter's test instantiates
// the suite with a type that has `RecordStore& records()` and `std::unique_ptr<RecordChanges>
// changes()`, each of which is another process's.
#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "memory/memory_bus.hpp"
#include "ports/record_changes.hpp"
#include "ports/record_store.hpp"
#include "support/run.hpp"
#include "sync/record_capture.hpp"

namespace netbuild::test {

inline constexpr Field parcel_fields[] = {
    {.name = "domainId", .required = true},
    {.name = "state", .required = true},
    {.name = "content"},
    {.name = "number", .type = FieldType::integer},
    {.name = "executionId"},
};
inline constexpr Collection parcels{
    .name = "contract_parcels", .holds = "a parcel", .fields = parcel_fields};
inline constexpr Collection letters{
    .name = "contract_letters", .holds = "a log of states", .fields = parcel_fields};
inline constexpr Collection secrets{
    .name = "contract_secrets", .holds = "nobody's business", .fields = parcel_fields};
inline constexpr std::string_view parcel_told[] = {"state", "executionId"};
inline constexpr RecordEvents parcel_events[] = {
    {.collection = &parcels, .subject = "parcel", .fields = parcel_told},
    {.collection = &letters, .subject = "letter", .fields = parcel_told, .state_number = "number"},
};

/// A process that dies at one of its calls: before it takes effect, or after.
class MortalChanges final : public RecordChanges {
public:
    MortalChanges(RecordChanges& changes, int fatal, bool after)
        : changes_(changes), fatal_(fatal), after_(after) {}
    [[nodiscard]] bool died() const { return calls_ > fatal_; }

    awaitable<result<void>> open(Position published) override {
        return mortal(changes_.open(published));
    }
    awaitable<result<RecordChangeBatch>> next(Clock::duration wait) override {
        return mortal(changes_.next(wait));
    }
    awaitable<result<void>> confirm() override { return mortal(changes_.confirm()); }

private:
    template <class T>
    awaitable<result<T>> mortal(awaitable<result<T>> call) {
        const int number = calls_++;
        if (number < fatal_) co_return co_await std::move(call);
        if (number == fatal_ && after_) (void)co_await std::move(call);
        co_return fail(ErrorCode::unavailable, "the process is dead");
    }

    RecordChanges& changes_;
    int fatal_;
    bool after_;
    int calls_ = 0;
};

template <class Adapter>
class RecordChangesContract : public testing::Test {
protected:
    static constexpr Collection all[] = {parcels, letters, secrets};
    static constexpr Clock::duration soon = std::chrono::seconds(10);

    RecordChangesContract() {
        for (auto& change : must(context, adapter.records().schema_changes(all)))
            must(context, adapter.records().apply(change, {}));
    }
    static Object parcel(std::string state, Object more = {}) {
        Object body{{"domainId", "acme"}, {"state", std::move(state)}, {"content", "a ring"}};
        for (auto& member : more)
            body.set(member.key, std::move(member.value));
        return body;
    }
    void commit(std::vector<RecordWrite> writes) {
        must(context, adapter.records().commit(std::move(writes)));
    }
    void insert(std::string id, std::string state = "packed") {
        commit({RecordWrite::insert(parcels, std::move(id), parcel(std::move(state)))});
    }
    std::unique_ptr<RecordChanges> opened(Position published = latest) {
        auto changes = adapter.changes();
        must(context, changes->open(published));
        return changes;
    }
    /// As many as come until there are `count`, or until nothing comes for a moment.
    std::vector<RecordChange> take(RecordChanges& changes, std::size_t count) {
        std::vector<RecordChange> taken;
        while (taken.size() < count) {
            auto batch = must(context, changes.next(soon));
            if (batch.changes.empty()) break;
            for (auto& change : batch.changes)
                taken.push_back(std::move(change));
        }
        return taken;
    }
    bool silent(RecordChanges& changes) {
        return must(context, changes.next(std::chrono::milliseconds(100))).changes.empty();
    }
    static std::vector<std::string> texts(const std::vector<RecordChange>& changes) {
        std::vector<std::string> found;
        for (const auto& change : changes) {
            const auto event = change.event();
            found.push_back(event->type + " " +
                            std::string(change.record.find("_id")->string_or()) + " " +
                            std::string(change.record.find("state")->string_or()));
        }
        return found;
    }
    static std::vector<Position> positions(const std::vector<RecordChange>& changes) {
        std::vector<Position> found;
        for (const auto& change : changes)
            found.push_back(change.position);
        return found;
    }
    std::vector<StreamEventPtr> streamed() {
        return must(context, bus.read({}, 1000, Clock::duration::zero()));
    }

    static constexpr Position latest{UINT64_MAX, 0};
    asio::io_context context;
    SystemClock clock;
    Adapter adapter;
    Random random{7};
    MemoryBus bus{context.get_executor(), clock, {}};
};
TYPED_TEST_SUITE_P(RecordChangesContract);

TYPED_TEST_P(RecordChangesContract, inserts_and_updates_come_in_the_order_of_their_commits) {
    const auto changes = this->opened();
    this->insert("a");
    this->insert("b");
    this->commit({RecordWrite::replace(parcels, "a", 1, this->parcel("sent"))});
    this->insert("c");
    const auto taken = this->take(*changes, 4);
    EXPECT_EQ(this->texts(taken),
              (std::vector<std::string>{"parcel:created a packed", "parcel:created b packed",
                                        "parcel:updated a sent", "parcel:created c packed"}));
    const auto positions = this->positions(taken);
    for (std::size_t i = 1; i < positions.size(); ++i)
        EXPECT_LT(positions[i - 1], positions[i]);
}

TYPED_TEST_P(RecordChangesContract, an_event_has_ids_and_states_and_not_the_content) {
    const auto changes = this->opened();
    this->commit({RecordWrite::insert(
        parcels, "a",
        this->parcel("packed", {{"executionId", std::string("order-7")}, {"number", 5}}))});
    const auto taken = this->take(*changes, 1);
    ASSERT_EQ(taken.size(), 1u);
    const auto event = taken[0].event();
    EXPECT_EQ(event->domain_id, "acme");
    EXPECT_EQ(event->execution_id, "order-7");
    EXPECT_EQ(event->position, taken[0].position);
    EXPECT_NE(event->payload.find(R"("domainId":"acme","id":"a","version":1,"state":"packed")"),
              std::string::npos)
        << event->payload;
    EXPECT_EQ(event->payload.find("a ring"), std::string::npos) << event->payload;
    EXPECT_GT(taken[0].at_ms, this->clock.utc_us() / 1000 - 60'000);
    EXPECT_LT(taken[0].at_ms, this->clock.utc_us() / 1000 + 60'000);
}

TYPED_TEST_P(RecordChangesContract, a_commit_has_one_number_and_its_changes_count) {
    const auto changes = this->opened();
    this->commit({RecordWrite::insert(parcels, "a", this->parcel("packed")),
                  RecordWrite::insert(secrets, "s", this->parcel("hidden")),
                  RecordWrite::insert(letters, "l", this->parcel("written", {{"number", 1}})),
                  RecordWrite::insert(parcels, "b", this->parcel("packed"))});
    const auto taken = this->take(*changes, 3);
    EXPECT_EQ(this->texts(taken),
              (std::vector<std::string>{"parcel:created a packed", "letter:created l written",
                                        "parcel:created b packed"}));
    const auto positions = this->positions(taken);
    ASSERT_EQ(positions.size(), 3u);
    for (std::uint32_t i = 0; i < 3; ++i)
        EXPECT_EQ(positions[i], (Position{positions[0].number, i}));
}

TYPED_TEST_P(RecordChangesContract, a_later_state_in_a_log_is_an_update) {
    const auto changes = this->opened();
    this->commit({RecordWrite::insert(letters, "l", this->parcel("written", {{"number", 1}}))});
    this->commit({RecordWrite::insert(letters, "l2", this->parcel("edited", {{"number", 2}}))});
    EXPECT_EQ(this->texts(this->take(*changes, 2)),
              (std::vector<std::string>{"letter:created l written", "letter:updated l2 edited"}));
}

TYPED_TEST_P(RecordChangesContract, other_collections_and_refused_writes_are_not_told) {
    const auto changes = this->opened();
    this->commit({RecordWrite::insert(secrets, "s", this->parcel("hidden"))});
    this->insert("a");
    EXPECT_FALSE(run(this->context, this->adapter.records().commit(
                                        {RecordWrite::insert(parcels, "b", this->parcel("packed")),
                                         RecordWrite::insert(parcels, "a", this->parcel("x"))})));
    this->insert("c");
    EXPECT_EQ(this->texts(this->take(*changes, 2)),
              (std::vector<std::string>{"parcel:created a packed", "parcel:created c packed"}));
}

TYPED_TEST_P(RecordChangesContract, what_was_not_confirmed_comes_again_at_the_same_positions) {
    auto changes = this->opened();
    this->insert("a");
    this->commit({RecordWrite::insert(parcels, "b", this->parcel("packed")),
                  RecordWrite::insert(parcels, "c", this->parcel("packed"))});
    const auto first = this->take(*changes, 3);
    ASSERT_EQ(first.size(), 3u);
    changes = this->opened();
    const auto again = this->take(*changes, 3);
    EXPECT_EQ(this->positions(again), this->positions(first));
    EXPECT_EQ(this->texts(again), this->texts(first));
    must(this->context, changes->confirm());
    changes = this->opened();
    EXPECT_TRUE(this->silent(*changes));
    this->insert("d");
    EXPECT_EQ(this->texts(this->take(*changes, 1)),
              (std::vector<std::string>{"parcel:created d packed"}));
}

TYPED_TEST_P(RecordChangesContract, what_was_written_while_nobody_captured_comes) {
    this->opened();
    this->insert("a");
    this->insert("b");
    EXPECT_EQ(this->take(*this->opened(), 2).size(), 2u);
}

TYPED_TEST_P(RecordChangesContract, a_worker_that_wakes_up_late_sets_nothing_back) {
    const auto late = this->opened();
    this->insert("a");
    ASSERT_EQ(this->take(*late, 1).size(), 1u);
    const auto other = this->opened();
    this->insert("b");
    ASSERT_EQ(this->take(*other, 2).size(), 2u);
    must(this->context, other->confirm());
    must(this->context, late->confirm());
    EXPECT_TRUE(this->silent(*this->opened()));
}

TYPED_TEST_P(RecordChangesContract, a_reader_that_waits_is_woken_by_a_write) {
    using namespace asio::experimental::awaitable_operators;
    const auto changes = this->opened();
    const auto began = this->clock.monotonic();
    auto [batch, written] =
        run(this->context,
            [](auto both) -> awaitable<result<std::pair<RecordChangeBatch, bool>>> {
                auto [next, commit] = co_await std::move(both);
                if (!next) co_return std::move(next).error();
                co_return std::pair(std::move(*next), commit.has_value());
            }(changes->next(std::chrono::seconds(60)) &&
                          this->adapter.records().commit(
                              RecordWrite::insert(parcels, "a", this->parcel("packed")))))
            .value();
    EXPECT_TRUE(written);
    EXPECT_EQ(batch.changes.size(), 1u);
    EXPECT_LT(this->clock.monotonic() - began, std::chrono::seconds(30));
}

TYPED_TEST_P(RecordChangesContract, more_than_a_batch_comes_in_several) {
    const auto changes = this->opened();
    const std::size_t count = RecordChanges::changes_max + 7;
    for (std::size_t i = 0; i < count;) {
        std::vector<RecordWrite> writes;
        for (; writes.size() < RecordStore::writes_max && i < count; ++i)
            writes.push_back(
                RecordWrite::insert(parcels, std::to_string(i), this->parcel("packed")));
        this->commit(std::move(writes));
    }
    const auto taken = this->take(*changes, count);
    ASSERT_EQ(taken.size(), count);
    for (std::size_t i = 0; i < count; ++i)
        EXPECT_EQ(taken[i].record.find("_id")->string_or(), std::to_string(i));
}

/// Killed at every call, before and after it took effect; the next process goes on with the stream
/// that is there. Between publish and confirm is one of them.
TYPED_TEST_P(RecordChangesContract, a_kill_at_every_call_loses_no_event_and_doubles_none) {
    {
        const auto first = this->opened();
    }
    int kills = 0, id = 0;
    std::vector<std::string> told;
    for (const bool after : {false, true}) {
        for (int fatal = 0;; ++fatal) {
            const auto changes = this->adapter.changes();
            MortalChanges mortal(*changes, fatal, after);
            sync::RecordProgress progress;
            sync::RecordCapture capture(
                {mortal, this->bus, this->clock, this->random, [] { return true; }}, progress);
            for (int steps = 0; steps < 2; ++steps) {
                told.push_back("n" + std::to_string(id++));
                this->insert(told.back());
                const auto done = run(this->context, capture.step(this->soon));
                if (!done) break;
            }
            if (!mortal.died()) break;
            ++kills;
        }
    }
    EXPECT_GE(kills, 10);
    const auto changes = this->adapter.changes();
    sync::RecordProgress progress;
    sync::RecordCapture capture(
        {*changes, this->bus, this->clock, this->random, [] { return true; }}, progress);
    while (must(this->context, capture.step(std::chrono::milliseconds(100))) > 0) {
    }
    std::vector<std::string> found;
    for (const auto& event : this->streamed()) {
        const auto at = event->payload.find("\"id\":\"") + 6;
        found.push_back(event->payload.substr(at, event->payload.find('"', at) - at));
    }
    EXPECT_EQ(found, told);
    EXPECT_EQ(progress.gaps, 0u);
}

REGISTER_TYPED_TEST_SUITE_P(
    RecordChangesContract, inserts_and_updates_come_in_the_order_of_their_commits,
    an_event_has_ids_and_states_and_not_the_content, a_commit_has_one_number_and_its_changes_count,
    a_later_state_in_a_log_is_an_update, other_collections_and_refused_writes_are_not_told,
    what_was_not_confirmed_comes_again_at_the_same_positions,
    what_was_written_while_nobody_captured_comes, a_worker_that_wakes_up_late_sets_nothing_back,
    a_reader_that_waits_is_woken_by_a_write, more_than_a_batch_comes_in_several,
    a_kill_at_every_call_loses_no_event_and_doubles_none);

} // namespace netbuild::test
