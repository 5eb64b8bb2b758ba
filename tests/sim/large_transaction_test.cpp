// SPDX-License-Identifier: Apache-2.0
// Transactions too large for memory: whatever the limits of parts and pieces, documents and events
// are those of the transaction projected whole; also if it is killed at any await.
#include <map>

#include <gtest/gtest.h>

#include "memory/memory_bus.hpp"
#include "memory/memory_spill.hpp"
#include "memory/memory_store.hpp"
#include "model/collections.hpp"
#include "recording/recording_source.hpp"
#include "simulator/simulator_source.hpp"
#include "support/forwarding_ports.hpp"
#include "support/run.hpp"
#include "sync/content_hash.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::test {
namespace {

constexpr int never = -1;
enum class Death { before, after };

/// Counts the awaits of one life; at the fatal one everything ends.
struct Life {
    int left = never;
    Death death = Death::before;
    bool dead = false;

    /// How the next operation goes: nullopt normally.
    std::optional<Death> next() {
        if (dead) return Death::before;
        if (left-- != 0) return std::nullopt;
        dead = true;
        return death;
    }
};

template <class T, class Operation>
awaitable<result<T>> mortal(Life& life, Operation operation) {
    const auto death = life.next();
    if (death == Death::before) co_return fail(ErrorCode::cancelled, "killed");
    auto outcome = co_await operation();
    if (death) co_return fail(ErrorCode::cancelled, "killed");
    co_return outcome;
}

struct History {
    std::vector<Transaction> transactions;
    Position confirmed;
};

void copy_rows(const Transaction& from, std::size_t first, std::size_t count, Transaction& to) {
    for (std::size_t i = first; i < std::min(first + count, from.size()); ++i)
        to.add(from.row(i).table, from.row(i).operation, from.row(i).cells);
}

/// Gives a transaction of more than `part_rows` rows out in parts.
class PartingSource final : public ChangeSource {
public:
    PartingSource(History& history, Life& life, std::size_t part_rows)
        : history_(history), life_(life), part_rows_(part_rows) {}
    awaitable<result<SourceIdentity>> identify() override {
        co_return SourceIdentity{"wal", "1", 1};
    }
    awaitable<result<Lsn>> end_of_history() override {
        co_return history_.transactions.back().position.lsn();
    }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override {
        EXPECT_GE(start.after.value_or(Position{}), history_.confirmed)
            << "confirmed before it was durable";
        from_ = std::max(start.after.value_or(Position{}), history_.confirmed);
        next_ = next_row_ = 0;
        co_return std::unique_ptr<EngineSnapshot>();
    }
    awaitable<result<ChangeBatch>> next() override {
        return mortal<ChangeBatch>(life_, [this] { return batch(); });
    }
    void confirm(Position durable) override {
        if (!life_.dead) history_.confirmed = std::max(history_.confirmed, durable);
    }
    awaitable<void> close() override { co_return; }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken) override {
        co_return std::unique_ptr<EngineSnapshot>();
    }

private:
    awaitable<result<ChangeBatch>> batch() {
        ChangeBatch batch;
        batch.upto = from_;
        while (next_ < history_.transactions.size() && batch.transactions.size() < 3) {
            const Transaction& one = history_.transactions[next_];
            if (one.position <= from_) {
                ++next_;
                continue;
            }
            Transaction copy;
            copy.position = one.position;
            copy.committed_at_us = one.committed_at_us;
            const bool last = next_row_ + part_rows_ >= one.size();
            copy.extent = !last ? Extent::part : next_row_ > 0 ? Extent::last : Extent::whole;
            copy_rows(one, next_row_, part_rows_, copy);
            next_row_ = last ? 0 : next_row_ + part_rows_;
            if (last) {
                ++next_;
                from_ = batch.upto = one.position;
            }
            batch.transactions.push_back(std::move(copy));
        }
        batch.end = next_ == history_.transactions.size();
        co_return batch;
    }

    History& history_;
    Life& life_;
    const std::size_t part_rows_;
    Position from_;
    std::size_t next_ = 0, next_row_ = 0;
};

class MortalStore final : public ForwardingStore {
public:
    MortalStore(MemoryStore& store, Life& life) : ForwardingStore(store), life_(life) {}
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override {
        const auto death = life_.next();
        if (death == Death::before) { // its first half is done: events, and every other part
            auto half = std::make_shared<ApplyBatch>();
            half->events = batch->events;
            for (std::size_t i = 0; i < batch->parts.size(); i += 2)
                half->parts.push_back(batch->parts[i]);
            if (!life_was_over_) CO_TRY_VOID(co_await store_.apply(half));
            life_was_over_ = true;
        } else {
            CO_TRY_VOID(co_await store_.apply(batch));
        }
        if (death) co_return fail(ErrorCode::cancelled, "killed");
        co_return result<void>{};
    }
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                 std::vector<std::string> ids) override {
        co_return co_await mortal<std::vector<ValuePtr>>(
            life_, [&] { return store_.get(collection, ids); });
    }
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override {
        co_return co_await mortal<std::vector<ValuePtr>>(life_, [&] { return store_.find(query); });
    }

private:
    Life& life_;
    bool life_was_over_ = false;
};

class MortalBus final : public ForwardingBus {
public:
    MortalBus(MemoryBus& bus, Life& life) : ForwardingBus(bus), life_(life) {}
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override {
        EXPECT_TRUE(std::is_sorted(events.begin(), events.end(), [](auto& left, auto& right) {
            return left->position < right->position;
        })) << "events of one call must ascend";
        co_return co_await mortal<Position>(life_, [&] { return bus_.append(events, terms); });
    }

private:
    Life& life_;
};

class MortalFile final : public SpillFile {
public:
    MortalFile(std::unique_ptr<SpillFile> file, Life& life) : file_(std::move(file)), life_(life) {}
    awaitable<result<void>> append(std::string_view bytes) override {
        co_return co_await mortal<void>(life_, [&] { return file_->append(bytes); });
    }
    awaitable<result<std::string>> read(std::uint64_t offset, std::size_t size) override {
        co_return co_await mortal<std::string>(life_, [&] { return file_->read(offset, size); });
    }

private:
    std::unique_ptr<SpillFile> file_;
    Life& life_;
};

class MortalSpill final : public SpillArea {
public:
    MortalSpill(MemorySpill& area, Life& life) : area_(area), life_(life) {}
    awaitable<result<std::unique_ptr<SpillFile>>> create() override {
        CO_TRY(auto file, co_await area_.create());
        co_return std::unique_ptr<SpillFile>(std::make_unique<MortalFile>(std::move(file), life_));
    }

private:
    MemorySpill& area_;
    Life& life_;
};

/// `transactions` with each `count` of them made one, at the last one's Position.
std::vector<Transaction> merged(const std::vector<Transaction>& transactions, std::size_t count) {
    std::vector<Transaction> large;
    for (std::size_t i = 0; i < transactions.size(); ++i) {
        if (i % count == 0) large.emplace_back();
        copy_rows(transactions[i], 0, transactions[i].size(), large.back());
        large.back().position = transactions[i].position;
        large.back().committed_at_us = transactions[i].committed_at_us;
    }
    return large;
}

std::string_view order_of(const Transaction& transaction) {
    using camunda::Table;
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        std::string_view id;
        if (row.table == Table::hi_procinst) id = row.text(camunda::hi_procinst::id);
        if (row.table == Table::hi_actinst) id = row.text(camunda::hi_actinst::proc_inst_id);
        if (row.table == Table::hi_taskinst) id = row.text(camunda::hi_taskinst::proc_inst_id);
        if (row.table == Table::hi_varinst) id = row.text(camunda::hi_varinst::proc_inst_id);
        if (row.table == Table::hi_job_log) id = row.text(camunda::hi_job_log::process_instance_id);
        if (row.table == Table::hi_detail) id = row.text(camunda::hi_detail::proc_inst_id);
        if (!id.empty()) return id;
    }
    return {};
}

/// As an engine's batch does it: a large transaction has one step of each process instance, the
/// first one the deployments. Step by step what happened, but for the order between instances.
std::vector<Transaction> steps_of_all(const std::vector<Transaction>& transactions) {
    std::map<std::string_view, std::size_t> steps;
    std::vector<Transaction> large(1);
    for (const Transaction& one : transactions) {
        const std::string_view order = order_of(one);
        const std::size_t step = order.empty() ? 0 : ++steps[order];
        if (step >= large.size()) large.resize(step + 1);
        copy_rows(one, 0, one.size(), large[step]);
    }
    for (std::size_t i = 0; i < large.size(); ++i) {
        large[i].position = Position::at(0, Lsn{1000 * (i + 1)});
        large[i].committed_at_us = 1'700'000'000'000'000 + 1'000'000 * static_cast<std::int64_t>(i);
    }
    return large;
}

std::vector<Transaction> read_all(asio::io_context& context, ChangeSource& source) {
    must(context, source.open({}));
    std::vector<Transaction> transactions;
    for (bool end = false; !end;) {
        auto batch = must(context, source.next());
        end = batch.end;
        for (auto& one : batch.transactions)
            transactions.push_back(std::move(one));
    }
    return transactions;
}

std::vector<Transaction> simulated(std::uint64_t seed, std::uint64_t instances) {
    asio::io_context context;
    SystemClock clock;
    SimulatorSource simulator(
        {.seed = seed, .instances = instances, .tenants = 2, .start_at_us = 1'700'000'000'000'000},
        clock);
    return read_all(context, simulator);
}

std::vector<Transaction> recorded() {
    asio::io_context context;
    RecordingSource recording({.path = NETBUILD_DEMO_RECORDING});
    return read_all(context, recording);
}

struct Limits {
    std::size_t part_rows = SIZE_MAX;
    std::size_t piece_documents = 512;
    std::size_t piece_bytes = 4 * 1024 * 1024;
    std::size_t cache_documents = 4000;
    std::size_t batch_documents = 40;
    sync::Retention retention = sync::Retention::keep;
    sync::Poison poison = sync::Poison::stop;
};

/// What survives a process, and one process after the other over it.
class World {
public:
    explicit World(std::vector<Transaction> transactions) {
        history.transactions = std::move(transactions);
    }
    result<void> run(const Limits& limits, Life& life) {
        PartingSource source(history, life, limits.part_rows);
        MortalStore mortal_store(store, life);
        MortalBus mortal_bus(bus, life);
        MortalSpill mortal_spill(spill, life);
        Random random(1);
        sync::PipelineOptions options;
        options.batch_documents_max = limits.batch_documents;
        options.cache_documents_max = limits.cache_documents;
        options.publish_events_max = 50;
        options.piece_bytes_max = limits.piece_bytes;
        options.piece_documents_max = limits.piece_documents;
        options.projection.retention = limits.retention;
        options.poison = limits.poison;
        options.retry_first = options.retry_max = std::chrono::milliseconds(1);
        options.letters_interval = std::chrono::milliseconds(1);
        sync::Pipeline pipeline(options,
                                {source, mortal_store, mortal_bus, clock, random,
                                 context.get_executor(), &mortal_spill},
                                progress);
        auto outcome = test::run(context, pipeline.run());
        EXPECT_EQ(spill.bytes(), 0u) << "a spill file was left";
        return outcome;
    }
    void live(const Limits& limits) {
        Life life;
        const auto outcome = run(limits, life);
        ASSERT_TRUE(outcome) << outcome.error().message();
        EXPECT_EQ(progress.applied, history.transactions.back().position);
        EXPECT_EQ(history.confirmed, history.transactions.back().position);
    }
    std::string content() { return must(context, sync::content_hash(store)).sha256; }
    std::vector<std::string> published() {
        std::vector<std::string> events;
        for (const auto& event : must(context, bus.read({}, 1'000'000, {})))
            events.push_back(to_string(event->position) + " " + event->type + " " + event->payload);
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
    MemorySpill spill;
    sync::Progress progress{context.get_executor(), clock};
};

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

void expect_same(World& found, World& expected, const std::string& what) {
    EXPECT_EQ(found.content(), expected.content()) << what;
    EXPECT_EQ(difference(found.published(), expected.published()), "") << what;
    EXPECT_EQ(difference(found.stored(), expected.stored()), "") << what;
}

template <class Make>
void any_limit_gives_the_same(Make make, std::initializer_list<std::size_t> merges) {
    for (const std::size_t merge : merges) {
        for (const auto retention : {sync::Retention::keep, sync::Retention::follow}) {
            World whole(merged(make(), merge));
            whole.live({.retention = retention});
            ASSERT_EQ(whole.spill.written_bytes(), 0u);
            ASSERT_GT(whole.published().size(), 100u);
            for (const std::size_t part_rows : {1u, 7u, 60u}) {
                for (const std::size_t documents : {1u, 6u, 100u}) {
                    World parted(merged(make(), merge));
                    parted.live({.part_rows = part_rows,
                                 .piece_documents = documents,
                                 .piece_bytes = documents * 2000,
                                 .cache_documents = documents,
                                 .retention = retention});
                    EXPECT_GT(parted.progress.large_transactions, 0u);
                    EXPECT_EQ(parted.progress.row_changes, whole.progress.row_changes);
                    EXPECT_EQ(parted.progress.transactions, whole.progress.transactions);
                    expect_same(parted, whole,
                                "parts of " + std::to_string(part_rows) + " rows, pieces of " +
                                    std::to_string(documents) + " documents, " +
                                    std::to_string(merge) + " merged");
                    if (::testing::Test::HasFailure()) return;
                }
            }
        }
    }
}

TEST(LargeTransaction, any_spill_limit_gives_the_same_documents_and_events_over_simulated_orders) {
    any_limit_gives_the_same([] { return simulated(7, 12); }, {1, 5, 30, 1000});
}

TEST(LargeTransaction, any_spill_limit_gives_the_same_over_the_recording_of_a_real_camunda) {
    any_limit_gives_the_same(recorded, {1, 3, 10, 25});
}

TEST(LargeTransaction, a_kill_at_every_await_ends_in_the_same_documents_and_events) {
    const auto make = [] { return steps_of_all(simulated(3, 5)); };
    const Limits tiny{.part_rows = 10, .piece_documents = 5, .cache_documents = 4};
    World whole(make());
    whole.live({});
    for (const Death death : {Death::before, Death::after}) {
        for (int fatal = 0;; ++fatal) {
            World world(make());
            Life life{fatal, death};
            if (world.run(tiny, life)) {
                EXPECT_GT(fatal, 100) << "the run has more awaits than that";
                break;
            }
            ASSERT_TRUE(life.dead);
            // The next process may have other limits: pieces are cut elsewhere then.
            world.live(fatal % 3 == 0   ? tiny
                       : fatal % 3 == 1 ? Limits{.part_rows = 16, .piece_documents = 9}
                                        : Limits{});
            expect_same(world, whole, "killed at await " + std::to_string(fatal));
            if (HasFailure()) return;
        }
    }
}

TEST(LargeTransaction, a_full_disk_is_waited_for_and_named_and_nothing_is_confirmed_meanwhile) {
    World whole(merged(simulated(5, 6), 40));
    whole.live({});
    World world(merged(simulated(5, 6), 40));
    world.spill.set_bytes_max(6'000);
    Life life;
    bool seen = false;
    asio::co_spawn(
        world.context,
        [](World& world, bool& seen) -> awaitable<void> {
            while (world.progress.spill_trouble.empty())
                (void)co_await world.progress.wait_change(std::chrono::seconds(10));
            seen = true;
            EXPECT_NE(world.progress.spill_trouble.find("no space left"), std::string::npos)
                << world.progress.spill_trouble;
            EXPECT_TRUE(world.history.confirmed.is_zero());
            EXPECT_TRUE(world.progress.applied.is_zero());
            world.spill.set_bytes_max(SIZE_MAX);
        }(world, seen),
        [](const std::exception_ptr& escaped) {
            if (escaped) std::rethrow_exception(escaped);
        });
    ASSERT_TRUE(world.run({.part_rows = 20, .piece_documents = 10}, life));
    EXPECT_TRUE(seen);
    EXPECT_TRUE(world.progress.spill_trouble.empty());
    expect_same(world, whole, "after the disk was full");
}

TEST(LargeTransaction, a_transaction_in_parts_is_not_applied_before_its_last_piece_is_durable) {
    World world(merged(simulated(9, 8), 1000));
    ASSERT_EQ(world.history.transactions.size(), 1u);
    Life life;
    std::uint64_t documents_before = 0;
    asio::co_spawn(
        world.context,
        [](World& world, std::uint64_t& documents_before) -> awaitable<void> {
            while (world.progress.applied.is_zero()) {
                documents_before = world.progress.documents;
                EXPECT_TRUE(world.progress.confirmed.is_zero());
                if (!co_await world.progress.wait_change(std::chrono::seconds(10))) co_return;
            }
        }(world, documents_before),
        [](const std::exception_ptr& escaped) {
            if (escaped) std::rethrow_exception(escaped);
        });
    ASSERT_TRUE(world.run({.part_rows = 10, .piece_documents = 6, .batch_documents = 6}, life));
    EXPECT_GT(documents_before, 0u) << "pieces were durable before the whole was";
    EXPECT_EQ(world.progress.applied, world.history.transactions.back().position);
}

} // namespace
} // namespace netbuild::test
