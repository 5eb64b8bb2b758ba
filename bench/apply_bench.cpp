// SPDX-License-Identifier: Apache-2.0
// The whole pipeline into a store, and then a bare loop that writes the very same documents,
// encoded beforehand, in the same batches: prepared statements for SQLite; for MongoDB bulks of
// inserts (what is written for the first time) and of replacements by _id.
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include <mongoc/mongoc.h>
#include <sqlite3.h>

#include "mongo/mongo_store.hpp"
#include "null_ports.hpp"
#include "run.hpp"
#include "simulator/simulator_source.hpp"
#include "sqlite/sqlite_store.hpp"
#include "sync/pipeline.hpp"
#include "wire/bson.hpp"

namespace netbuild::bench {
namespace {

/// Of all threads: on a busy machine it says more than the clock on the wall.
double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// Transactions made beforehand.
class PreparedSource final : public ChangeSource {
public:
    std::vector<ChangeBatch> batches;
    awaitable<result<SourceIdentity>> identify() override {
        co_return SourceIdentity{"simulator", "bench", 1};
    }
    awaitable<result<Lsn>> end_of_history() override { co_return Lsn{0}; } // every INSERT is new
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart) override {
        co_return std::unique_ptr<EngineSnapshot>();
    }
    awaitable<result<ChangeBatch>> next() override {
        if (next_ == batches.size()) die("the store was not empty");
        co_return std::move(batches[next_++]);
    }
    void confirm(Position) override {}
    awaitable<void> close() override { co_return; }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken) override {
        co_return std::unique_ptr<EngineSnapshot>();
    }

private:
    std::size_t next_ = 0;
};

/// Counts what goes through, or keeps it for the bare loop: kept memory would slow the run down
/// that is measured.
class KeepingStore final : public DocumentStore {
public:
    KeepingStore(DocumentStore& store, bool keep) : store_(store), keep_(keep) {}
    std::uint64_t writes = 0;
    std::uint64_t reads = 0; // documents that were not in the cache
    double apply_s = 0;      // waited for the store
    std::vector<std::shared_ptr<const ApplyBatch>> batches;
    awaitable<result<void>> prepare(std::span<const CollectionSpec> specs) override {
        return store_.prepare(specs);
    }
    awaitable<result<void>> ping() override { return store_.ping(); }
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override {
        const auto started = SteadyClock::now();
        writes += batch->events.size() + batch->parts.size() + batch->documents.size();
        if (keep_) batches.push_back(batch);
        auto outcome = co_await store_.apply(std::move(batch));
        apply_s += seconds_since(started);
        co_return outcome;
    }
    awaitable<result<std::optional<Checkpoint>>> checkpoint(std::string engine) override {
        return store_.checkpoint(engine);
    }
    awaitable<result<std::uint64_t>> claim(std::string engine) override {
        return store_.claim(std::move(engine));
    }
    awaitable<result<void>> erase_checkpoint(std::string engine) override {
        return store_.erase_checkpoint(engine);
    }
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view name,
                                                 std::vector<std::string> ids) override {
        reads += ids.size();
        return store_.get(name, std::move(ids));
    }
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override {
        return store_.find(std::move(query));
    }
    awaitable<result<std::vector<std::vector<ValuePtr>>>>
    find_together(std::vector<Query> queries) override {
        return store_.find_together(std::move(queries));
    }
    awaitable<result<std::uint64_t>> count(std::string_view name, Filter filter) override {
        return store_.count(name, std::move(filter));
    }
    awaitable<result<std::uint64_t>> erase(std::string_view name, Filter filter) override {
        return store_.erase(name, std::move(filter));
    }

private:
    DocumentStore& store_;
    bool keep_;
};

struct EncodedWrite {
    std::string collection, id, body;
    std::vector<Value> columns; // of the indexed paths, in their order
    bool first;                 // no earlier write has this id
};

/// The indexed paths of a collection: our store has a column for each, so the loop fills them too.
std::vector<std::string> indexed_paths(std::string_view collection) {
    std::set<std::string> paths;
    for (const auto& spec : sync::read_model_collections()) {
        if (spec.name != collection) continue;
        for (const auto& index : spec.indexes) {
            for (std::string_view path : index.paths)
                paths.emplace(path.substr(path.starts_with('-')));
        }
    }
    return {paths.begin(), paths.end()};
}
using EncodedBatch = std::vector<EncodedWrite>;

std::vector<EncodedBatch> encode(const std::vector<std::shared_ptr<const ApplyBatch>>& batches) {
    std::vector<EncodedBatch> encoded;
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& batch : batches) {
        EncodedBatch writes;
        for (const auto* list : {&batch->events, &batch->parts, &batch->documents}) {
            for (const DocumentWrite& write : *list) {
                if (write.kind == DocumentWrite::Kind::erase) continue;
                std::vector<Value> columns;
                for (const auto& path : indexed_paths(write.collection)) {
                    const Value* value = write.body->at_path(path);
                    columns.push_back(value ? *value : Value());
                }
                writes.push_back({std::string(write.collection), write.id,
                                  encode_bson(*write.body->get_if<Object>()), std::move(columns),
                                  seen.emplace(write.collection, write.id).second});
            }
        }
        encoded.push_back(std::move(writes));
    }
    return encoded;
}

double sqlite_loop(const std::string& path, const std::vector<EncodedBatch>& batches) {
    sqlite3* database = nullptr;
    if (sqlite3_open(path.c_str(), &database) != SQLITE_OK) die("SQLite");
    const auto execute = [&](const std::string& sql) {
        if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
            die(sqlite3_errmsg(database));
    };
    execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192");
    // The same tables and indexes as ours, else the loop would do less work.
    asio::io_context context;
    {
        SqliteStore store({.path = path});
        const auto specs = sync::read_model_collections();
        run(context, store.prepare(specs));
    }
    std::map<std::string, sqlite3_stmt*> statements;
    const auto started = SteadyClock::now();
    for (const EncodedBatch& batch : batches) {
        execute("BEGIN IMMEDIATE");
        for (const EncodedWrite& write : batch) {
            sqlite3_stmt*& statement = statements[write.collection];
            if (!statement) {
                std::string columns, marks, updates;
                for (const auto& path : indexed_paths(write.collection)) {
                    columns += fmt::format(", \"{}\"", path);
                    marks += ", ?";
                    updates += fmt::format(", \"{0}\" = excluded.\"{0}\"", path);
                }
                const std::string sql = fmt::format("INSERT INTO \"{}\" (id, lsn, body{}) VALUES "
                                                    "(?, 1, ?{}) ON CONFLICT (id) DO UPDATE SET "
                                                    "body = excluded.body{}",
                                                    write.collection, columns, marks, updates);
                if (sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr) !=
                    SQLITE_OK) {
                    die(sqlite3_errmsg(database));
                }
            }
            sqlite3_bind_text(statement, 1, write.id.data(), static_cast<int>(write.id.size()),
                              SQLITE_STATIC);
            sqlite3_bind_blob(statement, 2, write.body.data(), static_cast<int>(write.body.size()),
                              SQLITE_STATIC);
            int index = 3;
            for (const Value& value : write.columns) {
                if (const auto* text = value.get_if<std::string>()) {
                    sqlite3_bind_text(statement, index, text->data(),
                                      static_cast<int>(text->size()), SQLITE_STATIC);
                } else if (const auto* date = value.get_if<Date>()) {
                    sqlite3_bind_int64(statement, index, date->milliseconds);
                } else if (value.is_null()) {
                    sqlite3_bind_null(statement, index);
                } else {
                    sqlite3_bind_int64(statement, index, value.integer_or());
                }
                ++index;
            }
            if (sqlite3_step(statement) != SQLITE_DONE) die(sqlite3_errmsg(database));
            sqlite3_reset(statement);
        }
        execute("COMMIT");
    }
    const double seconds = seconds_since(started);
    for (auto& [name, statement] : statements)
        sqlite3_finalize(statement);
    sqlite3_close(database);
    return seconds;
}

double mongodb_loop(const std::string& uri, const std::string& database,
                    const std::vector<EncodedBatch>& batches) {
    { // The same collections and indexes as ours.
        asio::io_context context;
        MongoStore store({.uri = uri + "/" + database});
        const auto specs = sync::read_model_collections();
        run(context, store.prepare(specs));
    }
    mongoc_client_t* client = mongoc_client_new(uri.c_str());
    mongoc_write_concern_t* concern = mongoc_write_concern_new();
    mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_write_concern_set_journal(concern, true);
    mongoc_client_set_write_concern(client, concern);
    bson_t* unordered = BCON_NEW("ordered", BCON_BOOL(false));
    bson_t* unchecked = BCON_NEW("validate", BCON_BOOL(false));
    const auto started = SteadyClock::now();
    for (const EncodedBatch& batch : batches) {
        // Inserts and replacements apart, so that each is one command.
        std::map<std::pair<std::string, bool>,
                 std::pair<mongoc_collection_t*, mongoc_bulk_operation_t*>>
            bulks;
        for (const EncodedWrite& write : batch) {
            auto& [collection, bulk] = bulks[{write.collection, write.first}];
            if (!bulk) {
                collection = mongoc_client_get_collection(client, database.c_str(),
                                                          write.collection.c_str());
                bulk = mongoc_collection_create_bulk_operation_with_opts(collection, unordered);
            }
            bson_t* selector = BCON_NEW("_id", BCON_UTF8(write.id.c_str()));
            bson_t body;
            bson_init_static(&body, reinterpret_cast<const std::uint8_t*>(write.body.data()),
                             write.body.size());
            bson_error_t error;
            const bool added =
                write.first ? mongoc_bulk_operation_insert_with_opts(bulk, &body, unchecked, &error)
                            : mongoc_bulk_operation_replace_one_with_opts(bulk, selector, &body,
                                                                          unchecked, &error);
            if (!added) die(error.message);
            bson_destroy(selector);
        }
        for (auto& [name, handles] : bulks) {
            bson_t reply;
            bson_error_t error;
            if (mongoc_bulk_operation_execute(handles.second, &reply, &error) == 0)
                die(error.message);
            bson_destroy(&reply);
            mongoc_bulk_operation_destroy(handles.second);
            mongoc_collection_destroy(handles.first);
        }
    }
    const double seconds = seconds_since(started);
    bson_destroy(unordered);
    bson_destroy(unchecked);
    mongoc_write_concern_destroy(concern);
    mongoc_client_destroy(client);
    return seconds;
}

PreparedSource prepare(std::uint64_t instances) {
    asio::io_context context;
    SystemClock clock;
    SimulatorSource simulator(
        {.seed = 1, .instances = instances, .start_at_us = 1'700'000'000'000'000}, clock);
    run(context, simulator.open({}));
    PreparedSource source;
    for (bool end = false; !end;) {
        source.batches.push_back(run(context, simulator.next()));
        end = source.batches.back().end;
    }
    return source;
}

} // namespace

int run_apply(const Arguments& arguments) {
    const bool mongodb = arguments.text("store") == "mongodb";
    const std::string folder = arguments.text("folder");
    const std::string uri = arguments.text("uri", "");
    const auto instances = static_cast<std::uint64_t>(arguments.number("instances"));
    const auto make_store = [&](const std::string& name) -> std::unique_ptr<DocumentStore> {
        if (mongodb) {
            return std::make_unique<MongoStore>(
                MongoStore::Options{.uri = uri + "/netbuild_bench_" + name});
        }
        return std::make_unique<SqliteStore>(
            SqliteStore::Options{.path = folder + "/" + name + ".sqlite"});
    };
    // The whole pipeline; how long it took.
    double cpu_s = 0;
    const auto pipeline_into = [&](KeepingStore& store) {
        PreparedSource source = prepare(instances);
        asio::io_context context;
        SystemClock clock;
        NullBus bus;
        Random random(1);
        sync::Progress progress(context.get_executor(), clock);
        const sync::PipelineOptions options;
        sync::Pipeline pipeline(
            options, {source, store, bus, clock, random, context.get_executor()}, progress);
        const auto started = SteadyClock::now();
        cpu_s = -cpu_seconds();
        run(context, pipeline.run());
        cpu_s += cpu_seconds();
        return seconds_since(started);
    };
    const auto store = make_store("apply");
    KeepingStore measured(*store, false);
    const double ours = pipeline_into(measured);
    const double ours_cpu = cpu_s;
    NullStore nothing;
    KeepingStore dropped(nothing, false);
    const double without_store = pipeline_into(dropped);
    const double without_store_cpu = cpu_s;
    // Once more for the loop, into a store again, so that the batches are as large.
    const auto again = make_store("kept");
    KeepingStore kept(*again, true);
    pipeline_into(kept);
    const auto batches = encode(kept.batches);
    kept.batches.clear();
    std::uint64_t documents = 0, bytes = 0;
    for (const auto& batch : batches) {
        documents += batch.size();
        for (const auto& write : batch)
            bytes += write.body.size();
    }
    double floor_cpu = -cpu_seconds();
    const double floor = mongodb ? mongodb_loop(uri, "netbuild_bench_floor", batches)
                                 : sqlite_loop(folder + "/floor.sqlite", batches);
    floor_cpu += cpu_seconds();
    fmt::print("{{\"documents\":{},\"reads\":{},\"floor_documents\":{},\"bytes\":{},\"batches\":{},"
               "\"ours_s\":{:"
               ".3f},\"in_store_s\":{:.3f},\"without_store_s\":{:.3f},\"floor_s\":{:.3f},"
               "\"ours_cpu_s\":{:.3f},\"without_store_cpu_s\":{:.3f},\"floor_cpu_s\":{:.3f},"
               "\"ours_rate\":{:.1f},\"floor_rate\":{:.1f}}}\n",
               measured.writes, measured.reads, documents, bytes, batches.size(), ours,
               measured.apply_s, without_store, floor, ours_cpu, without_store_cpu, floor_cpu,
               static_cast<double>(measured.writes) / ours, static_cast<double>(documents) / floor);
    return 0;
}

} // namespace netbuild::bench
