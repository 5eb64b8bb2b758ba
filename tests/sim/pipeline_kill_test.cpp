// SPDX-License-Identifier: Apache-2.0
// The pipeline is killed at every await, one run each, with the operation not begun, done in part
// or done and its answer lost; then a new process goes on. Content, events and the confirmed
// Position must be those of a run that was never disturbed.
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "data/snapshot_records.hpp"
#include "memory/memory_bus.hpp"
#include "memory/memory_store.hpp"
#include "model/collections.hpp"
#include "simulator/simulator_source.hpp"
#include "snapshots/task_snapshots.hpp"
#include "snapshots/verify_snapshots.hpp"
#include "sqlite/sqlite_records.hpp"
#include "support/forwarding_ports.hpp"
#include "support/run.hpp"
#include "support/temporary_folder.hpp"
#include "sync/content_hash.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::test {
namespace {

enum class Death { before, half, after };

/// Counts the awaits of one life; at the fatal one everything ends.
class Life {
public:
    Life(int fatal, Death death) : left_(fatal), death_(death) {}
    /// How the next operation goes: nullopt normally.
    std::optional<Death> next() {
        if (dead_) return Death::before;
        if (left_-- != 0) return std::nullopt;
        dead_ = true;
        return death_;
    }
    [[nodiscard]] bool dead() const { return dead_; }

    /// All of it stands still from that await on, until it is woken: SIGSTOP, SIGCONT.
    void stop_at(int operation) { stop_at_ = operation; }
    awaitable<void> pass() {
        if (stop_at_ >= 0 && stop_at_-- == 0) {
            stop_at_ = -2;
            connection_lost_ = true; // the server does not wait that long
            stopped_.emplace(co_await asio::this_coro::executor,
                             asio::steady_timer::time_point::max());
        }
        if (stopped_) (void)co_await stopped_->async_wait(asio::as_tuple(asio::use_awaitable));
    }
    [[nodiscard]] bool stopped() const { return stopped_.has_value(); }
    [[nodiscard]] bool was_stopped() const { return stop_at_ < -1; }
    void wake() { stopped_.reset(); }
    [[nodiscard]] bool connection_lost() const { return connection_lost_; }
    void connected() { connection_lost_ = false; }

private:
    int stop_at_ = -1;
    std::optional<asio::steady_timer> stopped_;
    bool connection_lost_ = false;
    int left_;
    Death death_;
    bool dead_ = false;
};

/// Every other one, so that of some instances a part is there and of others not.
void halve(std::vector<DocumentWrite>& writes) {
    std::vector<DocumentWrite> kept;
    for (std::size_t i = 0; i < writes.size(); i += 2)
        kept.push_back(std::move(writes[i]));
    writes = std::move(kept);
}

Error killed() { return fail(ErrorCode::cancelled, "killed"); }

template <class T, class Operation>
awaitable<result<T>> whole_or_nothing(Life& life, Operation operation) {
    co_await life.pass();
    const auto death = life.next();
    if (death && *death != Death::after) co_return killed();
    auto outcome = co_await operation();
    if (death) co_return killed();
    co_return outcome;
}

/// What lives longer than a process: the history, what was confirmed of it.
struct History {
    std::vector<Transaction> transactions;
    Position confirmed;
};

class FakeSource final : public ChangeSource {
public:
    FakeSource(History& history, Life& life) : history_(history), life_(life) {}
    awaitable<result<SourceIdentity>> identify() override {
        co_return co_await whole_or_nothing<SourceIdentity>(life_, [this] { return identity(); });
    }
    awaitable<result<Lsn>> end_of_history() override {
        co_return co_await whole_or_nothing<Lsn>(life_, [this] { return end(); });
    }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override {
        // A slot gives what was not confirmed, whatever it is asked for.
        life_.connected();
        // As the real one after a takeover: first the slot is in use, later it does not go back to
        // where this worker was.
        if (life_.was_stopped() && start.after.value_or(Position{}) < history_.confirmed) {
            co_return fail(start.after ? ErrorCode::not_found : ErrorCode::slot_in_use,
                           "confirmed past the checkpoint");
        }
        from_ = std::max(start.after.value_or(Position{}), history_.confirmed);
        EXPECT_GE(start.after.value_or(Position{}), history_.confirmed)
            << "confirmed before it was durable";
        next_ = 0;
        co_return co_await whole_or_nothing<std::unique_ptr<EngineSnapshot>>(
            life_, [this] { return no_snapshot(); });
    }
    awaitable<result<ChangeBatch>> next() override {
        if (life_.connection_lost()) co_return fail(ErrorCode::unavailable, "connection lost");
        co_return co_await whole_or_nothing<ChangeBatch>(life_, [this] { return batch(); });
    }
    void confirm(Position durable) override {
        if (!life_.dead() && !life_.connection_lost())
            history_.confirmed = std::max(history_.confirmed, durable);
    }
    awaitable<void> close() override { co_return; }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken) override {
        co_return std::unique_ptr<EngineSnapshot>();
    }

private:
    static constexpr std::size_t batch_transactions = 7;
    awaitable<result<SourceIdentity>> identity() { co_return SourceIdentity{"wal", "1", 1}; }
    awaitable<result<Lsn>> end() { co_return history_.transactions.back().position.lsn(); }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> no_snapshot() {
        co_return std::unique_ptr<EngineSnapshot>();
    }
    awaitable<result<ChangeBatch>> batch() {
        ChangeBatch batch;
        for (;
             next_ < history_.transactions.size() && batch.transactions.size() < batch_transactions;
             ++next_) {
            const Transaction& one = history_.transactions[next_];
            if (one.position <= from_) continue;
            Transaction copy;
            copy.position = one.position;
            copy.committed_at_us = one.committed_at_us;
            for (std::size_t i = 0; i < one.size(); ++i) {
                copy.add(one.row(i).table, one.row(i).operation, one.row(i).cells);
            }
            batch.upto = one.position;
            batch.transactions.push_back(std::move(copy));
        }
        batch.upto = std::max(batch.upto, from_);
        batch.end = next_ == history_.transactions.size();
        co_return batch;
    }

    History& history_;
    Life& life_;
    Position from_;
    std::size_t next_ = 0;
};

class MortalStore final : public ForwardingStore {
public:
    MortalStore(MemoryStore& store, Life& life) : ForwardingStore(store), life_(life) {}
    awaitable<result<void>> prepare(std::span<const CollectionSpec> specs) override {
        co_return co_await whole_or_nothing<void>(life_, [&] { return store_.prepare(specs); });
    }
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override {
        co_await life_.pass();
        const auto death = life_.next();
        if (death == Death::before) co_return killed();
        if (death == Death::half) {
            // A store without transactions: a member half, what stands before it whole.
            auto part = std::make_shared<ApplyBatch>(*batch);
            part->checkpoint.reset();
            const auto stage = batch->checkpoint->position.number / 8 % 3;
            if (stage == 0) part->events.resize(part->events.size() / 2);
            if (stage == 0) part->parts.clear();
            if (stage == 1) halve(part->parts);
            if (stage < 2) part->documents.clear();
            if (stage == 2) halve(part->documents);
            CO_TRY_VOID(co_await store_.apply(part));
            co_return killed();
        }
        CO_TRY_VOID(co_await store_.apply(batch));
        if (death) co_return killed();
        co_return result<void>{};
    }
    awaitable<result<std::uint64_t>> claim(std::string engine) override {
        co_return co_await whole_or_nothing<std::uint64_t>(life_,
                                                           [&] { return store_.claim(engine); });
    }
    awaitable<result<std::optional<Checkpoint>>> checkpoint(std::string engine) override {
        co_return co_await whole_or_nothing<std::optional<Checkpoint>>(
            life_, [&] { return store_.checkpoint(engine); });
    }
    awaitable<result<void>> erase_checkpoint(std::string engine) override {
        return store_.erase_checkpoint(engine);
    }
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                 std::vector<std::string> ids) override {
        co_return co_await whole_or_nothing<std::vector<ValuePtr>>(
            life_, [&] { return store_.get(collection, ids); });
    }
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override {
        co_return co_await whole_or_nothing<std::vector<ValuePtr>>(
            life_, [&] { return store_.find(query); });
    }

private:
    Life& life_;
};

class MortalBus final : public ForwardingBus {
public:
    MortalBus(MemoryBus& bus, Life& life) : ForwardingBus(bus), life_(life) {}
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override {
        co_await life_.pass();
        const auto death = life_.next();
        if (death == Death::before) co_return killed();
        if (death == Death::half) events.resize(events.size() / 2);
        CO_TRY(const Position last, co_await bus_.append(std::move(events), terms));
        if (death) co_return killed();
        co_return last;
    }
    awaitable<result<Position>> last() override {
        co_return co_await whole_or_nothing<Position>(life_, [&] { return bus_.last(); });
    }

private:
    Life& life_;
};

/// What survives a process, and one process after the other over it.
class World {
public:
    explicit World(std::uint64_t seed) {
        SimulatorSource simulator(
            {.seed = seed, .instances = 6, .tenants = 2, .start_at_us = 1'700'000'000'000'000},
            clock);
        must(context, simulator.open({}));
        for (bool end = false; !end;) {
            auto batch = must(context, simulator.next());
            end = batch.end;
            for (auto& one : batch.transactions)
                history.transactions.push_back(std::move(one));
        }
    }
    /// One process over what survives it.
    struct Worker {
        Worker(World& world, int fatal, Death death)
            : life(fatal, death),
              source(world.history, life),
              store(world.store, life),
              bus(world.bus, life),
              progress(world.context.get_executor(), world.clock),
              pipeline(world.options(),
                       {source, store, bus, world.clock, random, world.context.get_executor()},
                       progress) {}
        Life life;
        FakeSource source;
        MortalStore store;
        MortalBus bus;
        Random random{1};
        sync::Progress progress;
        sync::Pipeline pipeline;
    };
    [[nodiscard]] sync::PipelineOptions options() const {
        sync::PipelineOptions options;
        options.batch_documents_max = batch_documents_max;
        options.cache_documents_max = cache_documents_max;
        options.publish_events_max = 5;
        options.projection.retention = retention;
        options.retry_first = options.retry_max = std::chrono::milliseconds(1);
        options.standby_interval = std::chrono::milliseconds(1);
        return options;
    }
    /// True if it lived to the end.
    bool live(int fatal, Death death) {
        Worker worker(*this, fatal, death);
        const auto outcome = run(context, worker.pipeline.run());
        if (outcome) {
            EXPECT_EQ(worker.progress.applied, history.transactions.back().position);
            EXPECT_EQ(history.confirmed, history.transactions.back().position);
            return true;
        }
        EXPECT_TRUE(worker.life.dead()) << outcome.error().message();
        return false;
    }
    /// One is stopped at that await, another one takes over and ends all, the first one is woken.
    /// False if it ended before that await.
    bool stop_and_wake(int operation) {
        Worker first(*this, -1, Death::before);
        first.life.stop_at(operation);
        std::optional<result<void>> outcome;
        asio::co_spawn(context, first.pipeline.run(),
                       [&](std::exception_ptr, result<void> value) { outcome = std::move(value); });
        context.restart();
        while (!outcome && !first.life.stopped())
            context.run_one();
        if (outcome) return false;
        EXPECT_TRUE(live(-1, Death::before));
        const auto documents = content();
        const auto stream = published();
        first.life.wake();
        context.restart();
        while (!outcome)
            context.run_one();
        EXPECT_TRUE(*outcome) << outcome->error().message();
        EXPECT_EQ(content(), documents) << "woken at await " << operation;
        EXPECT_EQ(published(), stream) << "woken at await " << operation;
        return true;
    }
    std::string content() { return must(context, sync::content_hash(store)).sha256; }
    std::vector<std::string> published() {
        std::vector<std::string> events;
        for (const auto& event : must(context, bus.read({}, 1'000'000, {}))) {
            events.push_back(to_string(event->position) + " " + event->type + " " + event->payload);
        }
        return events;
    }
    std::vector<std::string> stored() {
        Query query;
        query.collection = collections::events;
        query.sort = {{"lsn", false}, {"ordinal", false}};
        query.limit = 1'000'000;
        std::vector<std::string> events;
        for (const auto& document : must(context, store.find(query))) {
            for (const auto& event : stream_events(*document)) {
                events.push_back(to_string(event->position) + " " + event->type + " " +
                                 event->payload);
            }
        }
        return events;
    }

    asio::io_context context;
    SystemClock clock;
    History history;
    MemoryStore store;
    MemoryBus bus{context.get_executor(), clock, {.events_max = 1'000'000}};
    sync::Retention retention = sync::Retention::keep;
    std::size_t batch_documents_max = 12; // many batches, and back pressure
    std::size_t cache_documents_max = 8;  // documents come back from the store
};

constexpr int never = -1;

/// The first difference of two lists, or empty.
std::string difference(const std::vector<std::string>& found,
                       const std::vector<std::string>& expected) {
    for (std::size_t i = 0; i < std::max(found.size(), expected.size()); ++i) {
        const std::string one = i < found.size() ? found[i] : "nothing";
        const std::string other = i < expected.size() ? expected[i] : "nothing";
        if (one != other)
            return "at " + std::to_string(i) + ":\n  found    " + one + "\n  expected " + other;
    }
    return {};
}

TEST(Pipeline, a_kill_at_every_await_ends_in_the_same_documents_and_events) {
    World undisturbed(7);
    ASSERT_TRUE(undisturbed.live(never, Death::before));
    const auto content = undisturbed.content();
    const auto events = undisturbed.published();
    ASSERT_GT(events.size(), 100u);
    EXPECT_EQ(difference(undisturbed.stored(), events), "");
    for (const Death death : {Death::before, Death::half, Death::after}) {
        for (int fatal = 0;; ++fatal) {
            World world(7);
            if (world.live(fatal, death)) {
                EXPECT_GT(fatal, 30) << "the run has more awaits than that";
                break;
            }
            ASSERT_TRUE(world.live(never, Death::before));
            ASSERT_EQ(world.content(), content) << "killed at await " << fatal;
            ASSERT_EQ(difference(world.published(), events), "") << "killed at await " << fatal;
            ASSERT_EQ(difference(world.stored(), events), "") << "killed at await " << fatal;
        }
    }
}

/// What takes snapshots beside the pipeline, on a store that outlives the worlds.
class Taker {
public:
    Taker() {
        static constexpr Collection both[] = {data::task_snapshots, data::snapshot_heads};
        for (auto& change : must(context_, records_.schema_changes(both)))
            must(context_, records_.apply(std::move(change), {}));
    }
    /// All that the world's processes wrote down and made durable.
    void take(World& world) {
        snapshots::TaskSnapshots service({records_, world.store, world.clock, random_});
        while (must(context_, service.take_completed()) > 0) {
        }
    }
    /// Every link, and the store is empty again.
    std::vector<std::string> links() {
        static constexpr Collection open{.name = data::task_snapshots.name,
                                         .fields = data::task_snapshot_fields,
                                         .indexes = data::task_snapshot_indexes};
        const auto report = must(context_, snapshots::verify_snapshots(records_, {}, {}));
        EXPECT_FALSE(report.first) << report.first->what;
        std::vector<std::string> links;
        std::vector<RecordWrite> erased;
        RecordQuery all{.collection = &open, .sort = {"sequence"}, .limit = 99};
        for (const ValuePtr& record : must(context_, records_.find(all)).items) {
            links.push_back(record_id(*record) + " " +
                            std::string(record->at_path("hash")->string_or()));
            erased.push_back(RecordWrite::erase(open, record_id(*record), 1));
        }
        for (const ValuePtr& head : must(context_, records_.get(data::snapshot_heads, {"head"})))
            if (head)
                erased.push_back(
                    RecordWrite::erase(data::snapshot_heads, "head", record_version(*head)));
        must(context_, records_.commit(std::move(erased)));
        return links;
    }

private:
    asio::io_context context_;
    TemporaryFolder folder_;
    SqliteRecords records_{{.path = folder_.file("records.sqlite")}};
    Random random_{1};
};

TEST(Pipeline, a_kill_at_every_await_loses_no_snapshot_and_takes_none_twice) {
    Taker taker;
    World undisturbed(7);
    ASSERT_TRUE(undisturbed.live(never, Death::before));
    taker.take(undisturbed);
    const auto expected = taker.links();
    const auto events = undisturbed.stored();
    const auto completed = std::count_if(events.begin(), events.end(), [](const auto& event) {
        return event.find(" task:completed ") != std::string::npos;
    });
    EXPECT_EQ(static_cast<std::ptrdiff_t>(expected.size()), completed);
    ASSERT_GT(completed, 5);
    for (const Death death : {Death::before, Death::half, Death::after}) {
        for (int fatal = 0;; ++fatal) {
            World world(7);
            const bool lived = world.live(fatal, death);
            if (fatal % 2 == 0) taker.take(world); // or it died as well
            if (!lived) ASSERT_TRUE(world.live(never, Death::before));
            taker.take(world);
            ASSERT_EQ(difference(taker.links(), expected), "") << "killed at await " << fatal;
            if (lived) break;
        }
    }
    // What was taken is written down again by a replay of all, and taken no second time.
    World again(7);
    ASSERT_TRUE(again.live(never, Death::before));
    taker.take(again);
    must(again.context, again.store.erase_checkpoint("engine"));
    again.history.confirmed = {};
    ASSERT_TRUE(again.live(never, Death::before));
    taker.take(again);
    EXPECT_EQ(difference(taker.links(), expected), "");
}

TEST(Pipeline, many_kills_in_a_row_end_in_the_same_documents_and_events) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        World undisturbed(seed);
        ASSERT_TRUE(undisturbed.live(never, Death::before));
        World world(seed);
        Random random(seed);
        int lives = 0;
        while (!world.live(static_cast<int>(5 + random.below(40)),
                           static_cast<Death>(random.below(3)))) {
            if (++lives > 200) break;
        }
        if (lives > 200) ASSERT_TRUE(world.live(never, Death::before));
        EXPECT_GT(lives, 0);
        EXPECT_EQ(world.content(), undisturbed.content()) << "seed " << seed;
        EXPECT_EQ(difference(world.published(), undisturbed.published()), "") << "seed " << seed;
    }
}

TEST(Pipeline, a_worker_that_was_stopped_and_wakes_after_a_takeover_changes_nothing) {
    for (const auto retention : {sync::Retention::keep, sync::Retention::follow}) {
        World undisturbed(7);
        undisturbed.retention = retention;
        ASSERT_TRUE(undisturbed.live(never, Death::before));
        for (int operation = 0;; ++operation) {
            World world(7);
            world.retention = retention;
            if (!world.stop_and_wake(operation)) {
                EXPECT_GT(operation, 30) << "the run has more awaits than that";
                break;
            }
            ASSERT_EQ(world.content(), undisturbed.content()) << "stopped at await " << operation;
            ASSERT_EQ(difference(world.published(), undisturbed.published()), "");
            ASSERT_EQ(difference(world.stored(), undisturbed.published()), "");
        }
    }
}

TEST(Pipeline, a_replay_of_all_that_was_not_confirmed_changes_nothing) {
    World world(3);
    ASSERT_TRUE(world.live(never, Death::before));
    const auto content = world.content();
    const auto events = world.published();
    must(world.context, world.store.erase_checkpoint("engine"));
    world.history.confirmed = {};
    ASSERT_TRUE(world.live(never, Death::before));
    EXPECT_EQ(world.content(), content);
    EXPECT_EQ(difference(world.published(), events), "");
}

TEST(Pipeline, any_batching_gives_the_same_documents_and_events) {
    for (const auto retention : {sync::Retention::keep, sync::Retention::follow}) {
        World one(11);
        one.retention = retention;
        ASSERT_TRUE(one.live(never, Death::before));
        for (const std::size_t batch : {1u, 3u, 40u, 100'000u}) {
            for (const std::size_t cache : {1u, 30u, 100'000u}) {
                World other(11);
                other.retention = retention;
                other.batch_documents_max = batch;
                other.cache_documents_max = cache;
                ASSERT_TRUE(other.live(never, Death::before));
                EXPECT_EQ(other.content(), one.content())
                    << "batch " << batch << " cache " << cache;
                EXPECT_EQ(difference(other.published(), one.published()), "");
            }
        }
    }
}

} // namespace
} // namespace netbuild::test
