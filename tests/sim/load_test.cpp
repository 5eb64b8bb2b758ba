// SPDX-License-Identifier: Apache-2.0
// Loads from the engine's tables while transactions stream. The tables are those of a simulated
// history, so a snapshot at any Position is a copy of the rows; the measure is a run that has
// streamed everything from the beginning.
#include <map>
#include <regex>
#include <set>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "memory/memory_bus.hpp"
#include "memory/memory_store.hpp"
#include "model/collections.hpp"
#include "simulator/simulator_source.hpp"
#include "support/forwarding_ports.hpp"
#include "support/run.hpp"
#include "sync/content_hash.hpp"
#include "sync/load_request.hpp"
#include "sync/pipeline.hpp"
#include "wire/json.hpp"

namespace netbuild::test {
namespace {

using camunda::Table;

/// Time passes by sleeping only.
class SimulatedClock final : public Clock {
public:
    explicit SimulatedClock(asio::any_io_executor executor) : executor_(std::move(executor)) {}
    [[nodiscard]] duration monotonic() const override { return now_; }
    [[nodiscard]] std::int64_t utc_us() const override {
        return 1'800'000'000'000'000 + now_.count() / 1000;
    }
    awaitable<result<void>> sleep(duration time) override {
        now_ += time;
        co_await asio::post(executor_, asio::use_awaitable);
        co_return result<void>{};
    }

private:
    asio::any_io_executor executor_;
    duration now_{};
};

enum class Death { before, half, after };
constexpr int never = -1;

/// Counts the awaits of one process; at the fatal one everything ends.
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

private:
    int left_;
    Death death_;
    bool dead_ = false;
};

Error killed() { return fail(ErrorCode::cancelled, "killed"); }

void append(Transaction& to, const Transaction& from) {
    for (std::size_t i = 0; i < from.size(); ++i)
        to.add(from.row(i).table, from.row(i).operation, from.row(i).cells);
}

/// The engine's tables after some of its transactions.
class Tables {
public:
    void apply(const Transaction& transaction) {
        for (std::size_t i = 0; i < transaction.size(); ++i) {
            const Row row = transaction.row(i);
            const std::string id(row.cells[0].text);
            if (row.operation == RowOperation::erase) {
                rows_[row.table].erase(id);
                continue;
            }
            Fields& fields = rows_[row.table][id];
            fields.resize(row.cells.size());
            for (std::size_t column = 0; column < row.cells.size(); ++column) {
                const Cell& cell = row.cells[column];
                if (cell.kind == Cell::Kind::unchanged) continue;
                fields[column] = cell.kind == Cell::Kind::text
                                     ? std::optional(std::string(cell.text))
                                     : std::nullopt;
            }
        }
    }

    std::vector<std::string> instances() {
        std::vector<std::string> ids;
        for (const auto& [id, fields] : rows_[Table::hi_procinst])
            ids.push_back(id);
        return ids;
    }
    void definitions(Transaction& to) {
        for (const Table table : {Table::re_procdef, Table::ge_bytearray, Table::ru_jobdef}) {
            for (const auto& [id, fields] : rows_[table]) {
                if (table != Table::ge_bytearray ||
                    text(fields, camunda::ge_bytearray::deployment_id))
                    add(to, table, fields);
            }
        }
    }
    /// All rows of a process instance, of those that the PostgreSQL adapter reads; with `instance`
    /// nullopt those of one task without a process.
    void owned(Transaction& to, const std::optional<std::string>& instance,
               const std::string& task = {}) {
        const auto is_owned = [&](const Fields& fields, auto owner, auto own_task) {
            return instance ? text(fields, owner) == instance
                            : !text(fields, owner) && text(fields, own_task) == task;
        };
        std::set<std::string> tasks, bytes;
        if (instance)
            rows_of(to, Table::hi_procinst, camunda::hi_procinst::proc_inst_id, *instance);
        for (const auto& [id, fields] : rows_[Table::hi_taskinst]) {
            if (!is_owned(fields, camunda::hi_taskinst::proc_inst_id, camunda::hi_taskinst::id))
                continue;
            tasks.insert(id);
            add(to, Table::hi_taskinst, fields);
        }
        for (const auto& [id, fields] : rows_[Table::hi_varinst]) {
            if (text(fields, camunda::hi_varinst::state) == "DELETED") continue;
            if (!is_owned(fields, camunda::hi_varinst::proc_inst_id, camunda::hi_varinst::task_id))
                continue;
            add(to, Table::hi_varinst, fields);
            if (const auto array = text(fields, camunda::hi_varinst::bytearray_id))
                bytes.insert(*array);
        }
        for (const std::string& id : bytes)
            if (rows_[Table::ge_bytearray].contains(id))
                add(to, Table::ge_bytearray, rows_[Table::ge_bytearray][id]);
        std::map<std::vector<std::string>, const Fields*> links; // in the adapter's order
        for (const auto& [id, fields] : rows_[Table::hi_identitylink]) {
            using Column = camunda::hi_identitylink;
            if (text(fields, Column::type) == "candidate" &&
                tasks.contains(text(fields, Column::task_id).value_or("")))
                links[{text(fields, Column::timestamp).value_or(""),
                       text(fields, Column::operation_type).value_or(""), id}] = &fields;
        }
        for (const auto& [order, fields] : links)
            add(to, Table::hi_identitylink, *fields);
        for (const auto& [id, fields] : rows_[Table::ru_task])
            if (is_owned(fields, camunda::ru_task::proc_inst_id, camunda::ru_task::id))
                add(to, Table::ru_task, fields);
        if (!instance) return;
        for (const auto& [id, fields] : rows_[Table::hi_actinst])
            if (text(fields, camunda::hi_actinst::proc_inst_id) == instance &&
                !text(fields, camunda::hi_actinst::end_time))
                add(to, Table::hi_actinst, fields);
        for (const auto& [id, fields] : rows_[Table::hi_incident])
            if (text(fields, camunda::hi_incident::proc_inst_id) == instance &&
                text(fields, camunda::hi_incident::incident_state) == "0")
                add(to, Table::hi_incident, fields);
        rows_of(to, Table::ru_job, camunda::ru_job::process_instance_id, *instance);
    }
    std::vector<std::string> standalone_tasks() {
        std::vector<std::string> ids;
        for (const auto& [id, fields] : rows_[Table::hi_taskinst])
            if (!text(fields, camunda::hi_taskinst::proc_inst_id)) ids.push_back(id);
        return ids;
    }
    std::optional<std::string> owner_of(const std::string& task) {
        const auto found = rows_[Table::hi_taskinst].find(task);
        if (found == rows_[Table::hi_taskinst].end()) return std::nullopt;
        return text(found->second, camunda::hi_taskinst::proc_inst_id);
    }

private:
    using Fields = std::vector<std::optional<std::string>>;

    template <class Column>
    static std::optional<std::string> text(const Fields& fields, Column column) {
        return fields[static_cast<std::size_t>(column)];
    }
    template <class Column>
    void rows_of(Transaction& to, Table table, Column column, const std::string& value) {
        for (const auto& [id, fields] : rows_[table])
            if (text(fields, column) == value) add(to, table, fields);
    }
    static void add(Transaction& to, Table table, const Fields& fields) {
        std::vector<Cell> cells;
        for (const auto& field : fields)
            cells.push_back(field ? Cell{Cell::Kind::text, *field} : Cell{Cell::Kind::null, {}});
        to.add(table, RowOperation::insert, cells);
    }

    std::map<Table, std::map<std::string, Fields>> rows_;
};

/// The database server: what outlives every process.
struct Engine {
    std::vector<Transaction> history; // Positions of epoch 0
    std::size_t committed = 0;        // so many are visible
    Position confirmed;
    bool slot = false;
    bool has_tables = true;

    // What a test looks at.
    std::vector<std::string> read_by_next;
    int snapshots = 0;
    Position snapshot; // the newest one's
    /// The connection of a snapshot is lost at its call of this number, counted over all; once.
    int lose_snapshot_at = never;
    std::size_t rows_read = 0;

    [[nodiscard]] Position position(std::uint32_t epoch, std::size_t count) const {
        return count == 0 ? Position::at(epoch, Lsn{8})
                          : Position::at(epoch, history[count - 1].position.lsn());
    }
};

class FakeSnapshot final : public EngineSnapshot {
public:
    static constexpr std::size_t chunk_instances = 2;
    FakeSnapshot(Engine& engine, Life& life, Random& random, asio::any_io_executor executor,
                 Position position)
        : engine_(engine),
          life_(life),
          random_(random),
          executor_(std::move(executor)),
          position_(position) {
        for (std::size_t i = 0; i < engine.committed; ++i)
            tables_.apply(engine.history[i]);
        ids_ = tables_.instances();
    }
    [[nodiscard]] Position position() const override { return position_; }
    [[nodiscard]] std::uint64_t instances_estimate() const override { return ids_.size(); }
    void start_after(std::string id) override {
        while (at_ < ids_.size() && ids_[at_] <= id)
            ++at_;
    }
    awaitable<result<std::optional<EngineChunk>>> next() override {
        CO_TRY_VOID(co_await call());
        EngineChunk chunk;
        stamp(chunk.rows);
        if (!std::exchange(definitions_read_, true)) {
            tables_.definitions(chunk.rows);
        } else if (at_ < ids_.size()) {
            for (; at_ < ids_.size() && chunk.instances < chunk_instances; ++at_) {
                tables_.owned(chunk.rows, ids_[at_]);
                ++chunk.instances;
                chunk.upto = ids_[at_];
                engine_.read_by_next.push_back(ids_[at_]);
            }
        } else if (!std::exchange(standalone_read_, true)) {
            for (const std::string& task : tables_.standalone_tasks())
                tables_.owned(chunk.rows, std::nullopt, task);
        } else {
            co_return std::optional<EngineChunk>();
        }
        engine_.rows_read += chunk.rows.size();
        co_return std::optional(std::move(chunk));
    }
    awaitable<result<Transaction>> read(InstanceSelection selection) override {
        CO_TRY_VOID(co_await call());
        EXPECT_LE(selection.instances.size(), InstanceSelection::ids_max);
        EXPECT_LE(selection.tasks.size(), InstanceSelection::ids_max);
        Transaction rows;
        stamp(rows);
        std::set<std::string> instances(selection.instances.begin(), selection.instances.end());
        std::set<std::string> tasks;
        for (const std::string& task : selection.tasks) {
            const auto owner = tables_.owner_of(task);
            if (owner) instances.insert(*owner);
            if (!owner) tasks.insert(task);
        }
        for (const std::string& id : instances)
            tables_.owned(rows, id);
        if (selection.standalone_tasks)
            for (const std::string& task : tables_.standalone_tasks())
                tasks.insert(task);
        for (const std::string& task : tasks)
            tables_.owned(rows, std::nullopt, task);
        co_return std::move(rows);
    }

private:
    awaitable<result<void>> call() {
        for (auto turns = random_.below(4); turns > 0; --turns)
            co_await asio::post(executor_, asio::use_awaitable);
        if (life_.next()) co_return killed();
        if (engine_.lose_snapshot_at >= 0 && engine_.lose_snapshot_at-- == 0) lost_ = true;
        if (lost_) co_return fail(ErrorCode::unavailable, "the snapshot's connection");
        co_return result<void>{};
    }
    void stamp(Transaction& rows) const {
        rows.position = position_;
        rows.committed_at_us = 1'800'000'000'000'000;
    }

    Engine& engine_;
    Life& life_;
    Random& random_;
    asio::any_io_executor executor_;
    Position position_;
    Tables tables_;
    std::vector<std::string> ids_;
    std::size_t at_ = 0;
    bool definitions_read_ = false, standalone_read_ = false, lost_ = false;
};

class FakeSource final : public ChangeSource {
public:
    FakeSource(Engine& engine, Life& life, Random& random, asio::any_io_executor executor,
               const sync::Progress& progress, MemoryStore& store)
        : engine_(engine),
          life_(life),
          random_(random),
          executor_(std::move(executor)),
          progress_(progress),
          store_(store) {}

    awaitable<result<SourceIdentity>> identify() override {
        CO_TRY_VOID(co_await call());
        co_return SourceIdentity{"wal", "1", 1};
    }
    awaitable<result<Lsn>> end_of_history() override {
        CO_TRY_VOID(co_await call());
        co_return engine_.position(0, engine_.committed).lsn();
    }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override {
        CO_TRY_VOID(co_await call());
        epoch_ = start.epoch;
        std::unique_ptr<EngineSnapshot> snapshot;
        if (start.after) {
            if (!engine_.slot) co_return fail(ErrorCode::not_found, "the slot");
            EXPECT_GE(*start.after, engine_.confirmed) << "confirmed before it was durable";
            from_ = start.after->lsn();
        } else {
            engine_.slot = true;
            from_ = Lsn{8};
            if (engine_.has_tables) snapshot = make_snapshot();
            if (snapshot) from_ = snapshot->position().lsn();
            engine_.confirmed = Position::at(epoch_, from_);
        }
        next_ = 0;
        co_return std::move(snapshot);
    }
    awaitable<result<ChangeBatch>> next() override {
        CO_TRY_VOID(co_await call());
        CO_TRY(bool due, co_await load_is_due());
        while (due && next_ == engine_.history.size() && !life_.dead()) {
            co_await asio::post(executor_, asio::use_awaitable);
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none) co_return killed();
            CO_TRY(due, co_await load_is_due());
        }
        engine_.committed = std::min(engine_.committed + random_.below(4), engine_.history.size());
        ChangeBatch batch;
        for (; next_ < engine_.committed && batch.transactions.size() < 5; ++next_) {
            const Transaction& one = engine_.history[next_];
            if (one.position.lsn() <= from_) continue;
            Transaction copy;
            copy.position = Position::at(epoch_, one.position.lsn());
            copy.committed_at_us = one.committed_at_us;
            copy.requests = one.requests;
            append(copy, one);
            batch.transactions.push_back(std::move(copy));
        }
        batch.upto = std::max(Position::at(epoch_, from_), engine_.position(epoch_, next_));
        batch.end = next_ == engine_.history.size() && batch.transactions.empty() && !due;
        co_return batch;
    }
    void confirm(Position durable) override {
        if (!life_.dead()) engine_.confirmed = std::max(engine_.confirmed, durable);
    }
    awaitable<void> close() override { co_return; }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) override {
        CO_TRY_VOID(co_await call());
        auto snapshot = make_snapshot();
        if (!taken(snapshot->position())) co_return fail(ErrorCode::overloaded, "passed");
        CO_TRY_VOID(co_await call());
        co_return std::move(snapshot);
    }

private:
    awaitable<result<void>> call() {
        for (auto turns = random_.below(4); turns > 0; --turns)
            co_await asio::post(executor_, asio::use_awaitable);
        if (life_.next()) co_return killed();
        co_return result<void>{};
    }
    /// A stream may not end before it: a slot's never does.
    awaitable<result<bool>> load_is_due() {
        CO_TRY(const auto durable, co_await store_.checkpoint("engine"));
        co_return !progress_.load_id.empty() || !progress_.model_complete ||
            (durable && !durable->loads.empty());
    }
    std::unique_ptr<EngineSnapshot> make_snapshot() {
        const Position position = engine_.position(epoch_, engine_.committed);
        ++engine_.snapshots;
        engine_.snapshot = position;
        return std::make_unique<FakeSnapshot>(engine_, life_, random_, executor_, position);
    }

    Engine& engine_;
    Life& life_;
    Random& random_;
    asio::any_io_executor executor_;
    const sync::Progress& progress_;
    MemoryStore& store_;
    std::uint32_t epoch_ = 0;
    Lsn from_{};
    std::size_t next_ = 0;
};

class MortalStore final : public ForwardingStore {
public:
    MortalStore(MemoryStore& store, Life& life) : ForwardingStore(store), life_(life) {}
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override {
        const auto death = life_.next();
        if (death == Death::before) co_return killed();
        if (death == Death::half) { // all parts and half of the documents: no transaction
            auto part = std::make_shared<ApplyBatch>(*batch);
            part->checkpoint.reset();
            part->documents.resize(part->documents.size() / 2);
            CO_TRY_VOID(co_await store_.apply(part));
            co_return killed();
        }
        CO_TRY_VOID(co_await store_.apply(batch));
        if (death) co_return killed();
        co_return result<void>{};
    }
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                 std::vector<std::string> ids) override {
        if (life_.next()) co_return killed();
        co_return co_await store_.get(collection, std::move(ids));
    }
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override {
        if (life_.next()) co_return killed();
        co_return co_await store_.find(std::move(query));
    }
    awaitable<result<std::uint64_t>> erase(std::string_view collection, Filter filter) override {
        const auto death = life_.next();
        if (death == Death::before) co_return killed();
        CO_TRY(const auto erased, co_await store_.erase(collection, std::move(filter)));
        if (death) co_return killed();
        co_return erased;
    }

private:
    Life& life_;
};

/// What survives a process, and one process after the other over it.
class World {
public:
    explicit World(std::uint64_t seed, std::uint64_t instances = 5) : seed_(seed) {
        SimulatorSource simulator({.seed = seed,
                                   .instances = instances,
                                   .tenants = 2,
                                   .start_at_us = 1'700'000'000'000'000},
                                  clock);
        must(context, simulator.open({}));
        for (bool end = false; !end;) {
            auto batch = must(context, simulator.next());
            end = batch.end;
            for (auto& one : batch.transactions)
                engine.history.push_back(std::move(one));
        }
    }
    /// True if it lived to the end.
    bool live(int fatal = never, Death death = Death::before) {
        Life life(fatal, death);
        Random random(seed_ * 7919 + static_cast<std::uint64_t>(++lives_));
        sync::Progress progress(context.get_executor(), clock);
        FakeSource source(engine, life, random, context.get_executor(), progress, store);
        MortalStore mortal(store, life);
        sync::Pipeline pipeline(
            options, {source, mortal, bus, clock, random, context.get_executor()}, progress);
        const auto outcome = run(context, pipeline.run());
        orphan_rows = progress.orphan_rows;
        if (outcome) {
            EXPECT_TRUE(progress.model_complete);
            EXPECT_EQ(progress.applied.lsn(), engine.history.back().position.lsn());
            return true;
        }
        EXPECT_TRUE(life.dead()) << outcome.error().message();
        return false;
    }
    std::string content() { return must(context, sync::content_hash(store)).sha256; }
    /// Of transactions past the first snapshot.
    std::vector<std::string> events(Position after) {
        Query query;
        query.collection = collections::events;
        query.sort = {{"lsn", false}, {"ordinal", false}};
        query.limit = 1'000'000;
        std::vector<std::string> found;
        for (const auto& document : must(context, store.find(query))) {
            for (const auto& event : stream_events(*document))
                if (event->position.lsn() > after.lsn())
                    found.push_back(to_string(event->position) + " " + event->type + " " +
                                    event->payload);
        }
        return found;
    }
    std::optional<Checkpoint> checkpoint() { return must(context, store.checkpoint("engine")); }
    /// Where a first half of the history lies, with a delete after it.
    void populate(std::size_t count) { engine.committed = count; }

    asio::io_context context;
    SimulatedClock clock{context.get_executor()};
    Engine engine;
    MemoryStore store;
    MemoryBus bus{context.get_executor(), clock, {.events_max = 1'000'000}};
    sync::PipelineOptions options = [] {
        sync::PipelineOptions chosen;
        chosen.batch_documents_max = 12; // many batches, and back pressure
        chosen.cache_documents_max = 8;  // documents come back from the store
        chosen.projection.retention = sync::Retention::follow;
        return chosen;
    }();
    std::uint64_t orphan_rows = 0;

private:
    std::uint64_t seed_;
    int lives_ = 0;
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

/// An entry of activeTasks has a `sync` of its own.
const std::regex own_sync(R"(,"sync":\{"lsn":[0-9]+\})");

/// The documents of the read model, one line each, without `sync`.
std::map<std::string, std::string> documents(World& world) {
    std::map<std::string, std::string> found;
    for (const std::string_view collection :
         {collections::workflow_executions, collections::task_executions, collections::tasks,
          collections::process_definitions}) {
        Query query;
        query.collection = collection;
        query.limit = 100'000;
        query.without = {"sync"};
        for (const ValuePtr& document : must(world.context, world.store.find(query))) {
            found[std::string(collection) + "/" +
                  std::string(document->at_path("_id")->string_or())] =
                std::regex_replace(to_json(*document), own_sync, "");
        }
    }
    return found;
}

std::string difference(const std::map<std::string, std::string>& found,
                       const std::map<std::string, std::string>& expected) {
    const auto lines = [](const std::map<std::string, std::string>& documents) {
        std::vector<std::string> all;
        for (const auto& [id, document] : documents)
            all.push_back(id + " " + document);
        return all;
    };
    return difference(lines(found), lines(expected));
}

std::string difference(World& found, World& expected) {
    return difference(documents(found), documents(expected));
}

/// Everything streamed from the beginning.
std::unique_ptr<World> streamed(std::uint64_t seed, std::uint64_t instances = 5,
                                sync::Retention retention = sync::Retention::follow) {
    auto world = std::make_unique<World>(seed, instances);
    world->options.projection.retention = retention;
    world->engine.has_tables = false;
    EXPECT_TRUE(world->live());
    return world;
}

TEST(Load, while_transactions_stream_ends_in_the_documents_and_events_of_a_stream_from_the_start) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        const auto expected = streamed(seed);
        const std::size_t total = expected->engine.history.size();
        for (const std::size_t populated : {std::size_t{1}, total / 4, total / 2, 3 * total / 4}) {
            World world(seed);
            world.populate(populated);
            ASSERT_TRUE(world.live());
            EXPECT_FALSE(world.engine.read_by_next.empty() && populated > total / 4);
            const Position snapshot = world.engine.snapshot;
            ASSERT_EQ(difference(world, *expected), "") << "seed " << seed << " " << populated;
            ASSERT_EQ(world.content(), expected->content());
            ASSERT_EQ(difference(world.events(snapshot), expected->events(snapshot)), "")
                << "seed " << seed << ", " << populated << " of " << total;
            ASSERT_EQ(world.events({}), world.events(snapshot)) << "the load emits no events";
        }
    }
}

TEST(Load, a_kill_at_every_await_ends_in_the_same_documents_and_reads_nothing_durable_again) {
    const auto expected = streamed(5, 4);
    const std::size_t total = expected->engine.history.size();
    for (const Death death : {Death::before, Death::half, Death::after}) {
        for (int fatal = 0;; ++fatal) {
            World world(5, 4);
            world.populate(2 * total / 3);
            if (world.live(fatal, death)) {
                EXPECT_GT(fatal, 30) << "the run has more awaits than that";
                break;
            }
            const auto left = world.checkpoint();
            world.engine.read_by_next.clear();
            ASSERT_TRUE(world.live());
            if (left && !left->loads.empty()) {
                for (const std::string& id : world.engine.read_by_next)
                    ASSERT_GT(id, left->loads.front().after) << "killed at await " << fatal;
            } else if (left) {
                ASSERT_TRUE(world.engine.read_by_next.empty()) << "killed at await " << fatal;
            }
            ASSERT_EQ(difference(world, *expected), "") << "killed at await " << fatal;
            const Position snapshot = world.engine.snapshot;
            ASSERT_EQ(difference(world.events(snapshot), expected->events(snapshot)), "")
                << "killed at await " << fatal;
        }
    }
}

TEST(Load, a_snapshot_that_is_lost_anywhere_is_followed_by_a_later_one) {
    const auto expected = streamed(6);
    const std::size_t total = expected->engine.history.size();
    for (int call = 0;; ++call) {
        World world(6);
        world.populate(total / 2);
        world.engine.lose_snapshot_at = call;
        ASSERT_TRUE(world.live());
        ASSERT_EQ(difference(world, *expected), "") << "lost at call " << call;
        const Position snapshot = world.engine.snapshot;
        ASSERT_EQ(difference(world.events(snapshot), expected->events(snapshot)), "")
            << "lost at call " << call;
        if (world.engine.lose_snapshot_at >= 0) { // it has fewer calls
            EXPECT_GT(call, 3);
            break;
        }
        EXPECT_EQ(world.engine.snapshots, 2);
    }
}

/// A transaction after all others, of one row.
Transaction standalone(std::vector<Transaction>& history, RowOperation operation, Table table,
                       std::map<std::size_t, std::string> fields) {
    Transaction one;
    one.position = {history.back().position.number + 800, 0};
    one.committed_at_us = history.back().committed_at_us + 1000;
    std::vector<Cell> cells(camunda::info(table).columns.size(), Cell{Cell::Kind::null, {}});
    for (const auto& [column, text] : fields)
        cells[column] = {Cell::Kind::text, text};
    one.add(table, operation, cells);
    return one;
}

TEST(Load, a_standalone_task_that_changes_before_its_turn_is_loaded_first) {
    const auto add = [](std::vector<Transaction>& history) {
        using Task = camunda::hi_taskinst;
        using Variable = camunda::hi_varinst;
        const auto at = [](auto column) { return static_cast<std::size_t>(column); };
        history.push_back(standalone(history, RowOperation::insert, Table::hi_taskinst,
                                     {{at(Task::id), "alone"},
                                      {at(Task::name), "first"},
                                      {at(Task::start_time), "2026-11-23 07:18:13.14"},
                                      {at(Task::priority), "50"}}));
        history.push_back(standalone(history, RowOperation::insert, Table::hi_varinst,
                                     {{at(Variable::id), "v"},
                                      {at(Variable::task_id), "alone"},
                                      {at(Variable::name), "note"},
                                      {at(Variable::var_type), "string"},
                                      {at(Variable::text), "kept"},
                                      {at(Variable::state), "CREATED"}}));
        const std::size_t populated = history.size();
        history.push_back(standalone(history, RowOperation::update, Table::hi_taskinst,
                                     {{at(Task::id), "alone"},
                                      {at(Task::name), "second"},
                                      {at(Task::start_time), "2026-11-23 07:18:13.14"},
                                      {at(Task::priority), "50"}}));
        return populated;
    };
    World expected(9);
    add(expected.engine.history);
    expected.engine.has_tables = false;
    ASSERT_TRUE(expected.live());
    World world(9);
    world.populate(add(world.engine.history));
    ASSERT_TRUE(world.live());
    EXPECT_EQ(difference(world, expected), "");
}

TEST(Load, keeps_what_history_clean_up_removes_during_it) {
    // Removed when nothing else is left to come: the load has only begun.
    const auto add = [](World& world) {
        auto& history = world.engine.history;
        const std::size_t populated = history.size();
        Tables tables;
        for (const Transaction& one : history)
            tables.apply(one);
        const auto instances = tables.instances();
        for (std::size_t i = 0; i < instances.size(); i += 2)
            history.push_back(
                standalone(history, RowOperation::erase, Table::hi_procinst, {{0, instances[i]}}));
        world.populate(populated);
        return instances.size();
    };
    for (const auto retention : {sync::Retention::keep, sync::Retention::follow}) {
        World expected(3, 12);
        expected.options.projection.retention = retention;
        ASSERT_GE(add(expected), 6u);
        expected.populate(0);
        expected.engine.has_tables = false;
        ASSERT_TRUE(expected.live());
        World world(3, 12);
        world.options.projection.retention = retention;
        add(world);
        ASSERT_TRUE(world.live());
        EXPECT_EQ(difference(world, expected), "");
        bool kept = false;
        for (const auto& [id, document] : documents(world))
            kept |= document.find("\"retainedAt\"") != std::string::npos;
        EXPECT_EQ(kept, retention == sync::Retention::keep);
        const Position snapshot = world.engine.snapshot;
        EXPECT_EQ(difference(world.events(snapshot), expected.events(snapshot)), "");
    }
}

// --- planted differences

/// Puts `body` in place of the document, at the same Position; null removes it.
void plant(World& world, std::string_view collection, const std::string& id, Value body) {
    must(world.context,
         world.store.erase(collection, {.all = {{"_id", Condition::Operator::equal, Value(id)}}}));
    if (body.get_if<Object>() == nullptr) return;
    auto batch = std::make_shared<ApplyBatch>();
    DocumentWrite write;
    write.collection = collection;
    write.id = id;
    const Value* lsn = body.at_path("sync.lsn");
    write.lsn = lsn ? static_cast<std::uint64_t>(*lsn->get_if<std::int64_t>()) : 1;
    write.body = std::make_shared<const Value>(std::move(body));
    batch->parts.push_back(std::move(write));
    must(world.context, world.store.apply(batch));
}

Value document(World& world, std::string_view collection, const std::string& id) {
    const auto found = must(world.context, world.store.get(collection, {id}));
    return found.front() ? *found.front() : Value();
}

void plant_field(World& world, std::string_view collection, const std::string& id,
                 std::string_view key) {
    Value body = document(world, collection, id);
    ASSERT_NE(body.get_if<Object>(), nullptr) << id;
    body.get_if<Object>()->set(key, Value("planted"));
    plant(world, collection, id, std::move(body));
}

Value ghost(const std::string& id) {
    return Object{{"_id", id},
                  {"processInstanceId", id},
                  {"sync", Object{{"lsn", std::int64_t{1}}, {"at", Date{0}}}}};
}

TEST(Load, a_reconcile_replaces_all_of_an_older_epoch_and_erases_what_is_not_there) {
    const auto expected = streamed(8);
    World world(8);
    const std::size_t total = world.engine.history.size();
    world.populate(total / 2);
    ASSERT_TRUE(world.live());
    const auto ids = documents(world);
    std::string instance;
    for (const auto& [id, body] : ids)
        if (id.starts_with("workflow_executions/")) instance = id.substr(id.find('/') + 1);
    ASSERT_FALSE(instance.empty());
    plant_field(world, collections::workflow_executions, instance, "status");
    plant(world, collections::task_executions, instance, Value());
    plant(world, collections::workflow_executions, "ghost", ghost("ghost"));
    Value kept = ghost("kept");
    kept.get_if<Object>()->set("retainedAt", Date{5});
    plant(world, collections::workflow_executions, "kept", std::move(kept));
    world.engine.slot = false; // lost: what comes after is another epoch
    ASSERT_TRUE(world.live());
    EXPECT_EQ(world.checkpoint()->position.epoch(), 1u);
    EXPECT_NE(document(world, collections::workflow_executions, "kept").get_if<Object>(), nullptr);
    plant(world, collections::workflow_executions, "kept", Value());
    EXPECT_EQ(difference(world, *expected), "");
    EXPECT_EQ(world.content(), expected->content());
}

/// A request as the last transaction, for process instances.
void request(World& world, const std::string& id, std::vector<std::string> instances) {
    sync::LoadRequest asked;
    asked.slot = world.options.slot;
    asked.load.id = id;
    asked.load.all = false;
    asked.load.scope = std::move(instances);
    auto& history = world.engine.history;
    Transaction one;
    one.position = {history.back().position.number + 800, 0};
    one.committed_at_us = history.back().committed_at_us + 1000;
    one.requests.push_back(to_text(asked));
    history.push_back(std::move(one));
}

/// Process instances that the engine still has, and a task of each.
std::map<std::string, std::string> living(World& world) {
    std::map<std::string, std::string> found;
    Query query;
    query.collection = collections::tasks;
    query.limit = 100'000;
    for (const ValuePtr& task : must(world.context, world.store.find(query)))
        found[std::string(task->at_path("processInstanceId")->string_or())] =
            std::string(task->at_path("_id")->string_or());
    return found;
}

/// A world that has lived, without its last transactions: process instances are still there.
std::unique_ptr<World> half_way(std::uint64_t seed) {
    auto world = std::make_unique<World>(seed);
    world->engine.history.resize(world->engine.history.size() / 2);
    world->populate(world->engine.history.size() / 2);
    EXPECT_TRUE(world->live());
    return world;
}

TEST(Load, of_everything_keeps_what_outlived_its_history_with_its_tasks) {
    for (const auto retention : {sync::Retention::keep, sync::Retention::follow}) {
        const bool keeps = retention == sync::Retention::keep;
        const auto world = streamed(4, 12, retention);
        std::vector<std::string> ids;
        for (const auto& [id, task] : living(*world))
            if (document(*world, collections::workflow_executions, id).at_path("endedAt"))
                ids.push_back(id);
        ASSERT_GE(ids.size(), 3u);
        const auto remove = [&](const std::string& id) {
            auto& history = world->engine.history;
            history.push_back(
                standalone(history, RowOperation::erase, Table::hi_procinst, {{0, id}}));
        };
        remove(ids[0]); // seen in the stream
        ASSERT_TRUE(world->live());
        remove(ids[1]); // removed while there is no slot
        remove(ids[2]); // the same, and nothing says how it ended
        Value running = document(*world, collections::workflow_executions, ids[2]);
        running.get_if<Object>()->set("status", "active");
        plant(*world, collections::workflow_executions, ids[2], std::move(running));
        auto expected = documents(*world);
        world->engine.has_tables = true;
        world->engine.slot = false;
        world->populate(world->engine.history.size());
        ASSERT_TRUE(world->live());
        const auto is_of = [&](const auto& entry, std::size_t i) {
            return entry.first.find(ids[i]) != std::string::npos ||
                   entry.second.find(ids[i]) != std::string::npos;
        };
        std::erase_if(expected, [&](const auto& entry) {
            return is_of(entry, 2) || (!keeps && (is_of(entry, 0) || is_of(entry, 1)));
        });
        auto found = documents(*world);
        const std::string unseen = std::string(collections::workflow_executions) + "/" + ids[1];
        EXPECT_EQ(found.contains(unseen), keeps);
        if (keeps) {
            const Value kept = document(*world, collections::workflow_executions, ids[1]);
            EXPECT_TRUE(kept.at_path("retainedAt"));
            found[unseen] = expected[unseen]; // but for that
        }
        EXPECT_EQ(difference(found, expected), "");
    }
}

TEST(Load, a_request_mends_what_it_names_and_leaves_the_rest_alone) {
    const auto world = half_way(4);
    const auto before = documents(*world);
    const auto ids = living(*world);
    ASSERT_GE(ids.size(), 2u);
    const auto& [mended, task] = *ids.begin();
    const std::string other = std::next(ids.begin())->first;
    plant_field(*world, collections::workflow_executions, mended, "status");
    plant_field(*world, collections::tasks, task, "name");
    plant(*world, collections::task_executions, mended, Value());
    plant(*world, collections::workflow_executions, "ghost", ghost("ghost"));
    plant_field(*world, collections::workflow_executions, other, "status");
    const auto planted = documents(*world);
    request(*world, "one", {mended, "ghost"});
    ASSERT_TRUE(world->live());
    auto expected = before;
    const std::string untouched = std::string(collections::workflow_executions) + "/" + other;
    expected[untouched] = planted.at(untouched);
    EXPECT_EQ(difference(documents(*world), expected), "");
    EXPECT_EQ(world->checkpoint()->loads_done.back(), "one");
    EXPECT_TRUE(world->checkpoint()->loads.empty());
}

TEST(Load, a_request_survives_a_kill_anywhere_and_is_done_once) {
    for (const Death death : {Death::before, Death::half, Death::after}) {
        for (int fatal = 0;; ++fatal) {
            const auto world = half_way(4);
            const auto before = documents(*world);
            const std::string mended = living(*world).begin()->first;
            plant_field(*world, collections::workflow_executions, mended, "status");
            request(*world, "one", {mended});
            const bool lived = world->live(fatal, death);
            if (!lived) ASSERT_TRUE(world->live());
            ASSERT_EQ(difference(documents(*world), before), "") << "killed at await " << fatal;
            const auto done = world->checkpoint()->loads_done;
            ASSERT_EQ(std::count(done.begin(), done.end(), "one"), 1);
            const int snapshots = world->engine.snapshots;
            world->engine.confirmed = {};
            ASSERT_TRUE(world->live());
            ASSERT_EQ(world->engine.snapshots, snapshots) << "done again";
            if (lived) break;
        }
    }
}

TEST(Load, keeps_to_the_rows_a_second_that_it_may_read) {
    for (const std::uint64_t limit : {0u, 10u}) {
        World world(2, 8);
        world.populate(world.engine.history.size() / 2);
        world.options.load_rows_per_second = limit;
        world.options.idle_checkpoint_interval = {}; // nothing else takes time
        world.options.bus_check_interval = {};
        ASSERT_TRUE(world.live());
        ASSERT_GT(world.engine.rows_read, 50u);
        const double seconds = std::chrono::duration<double>(world.clock.monotonic()).count();
        const double least = limit == 0 ? 0 : static_cast<double>(world.engine.rows_read) / 10;
        EXPECT_NEAR(seconds, least, 0.001);
    }
}

} // namespace
} // namespace netbuild::test
