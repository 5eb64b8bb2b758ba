// SPDX-License-Identifier: Apache-2.0
#include "app/adapters.hpp"

#include <algorithm>

#include "camunda/database_engine.hpp"
#include "camunda/rest_engine.hpp"
#include "data/record_events.hpp"
#include "memory/memory_bus.hpp"
#include "mongo/mongo_record_changes.hpp"
#include "mongo/mongo_records.hpp"
#include "mongo/mongo_store.hpp"
#include "postgres/database_clock.hpp"
#include "postgres/replication_source.hpp"
#include "recording/recording_source.hpp"
#include "redis/redis_bus.hpp"
#include "simulator/simulator_source.hpp"
#include "spill/file_spill.hpp"
#include "sqlite/sqlite_record_changes.hpp"
#include "sqlite/sqlite_records.hpp"
#include "sqlite/sqlite_store.hpp"
#include "vectors/vector_folder.hpp"

namespace netbuild::app {

std::string_view store_kind(const Configuration& configuration) {
    return configuration.has("mongodb.uri") ? "mongodb" : "sqlite";
}
std::string_view bus_kind(const Configuration& configuration) {
    return configuration.has("redis.url") ? "redis" : "memory";
}

std::string store_name(const Configuration& configuration) {
    return configuration.has("mongodb.uri") ? "MongoDB" : "SQLite";
}
std::string bus_name(const Configuration& configuration) {
    return configuration.has("redis.url") ? "Redis" : "the event stream";
}

std::unique_ptr<DocumentStore> make_store(const Configuration& configuration) {
    if (configuration.has("mongodb.uri")) {
        MongoStore::Options options;
        options.uri = configuration.text("mongodb.uri");
        options.pool_max = static_cast<std::size_t>(configuration.integer("mongodb.pool_max"));
        options.pool_min = static_cast<std::size_t>(configuration.integer("mongodb.pool_min"));
        options.threads = static_cast<std::size_t>(configuration.integer("mongodb.threads"));
        options.parallel_bulks =
            static_cast<std::size_t>(configuration.integer("mongodb.parallel_bulks"));
        options.socket_timeout = configuration.duration("mongodb.socket_timeout");
        return std::make_unique<MongoStore>(std::move(options));
    }
    return std::make_unique<SqliteStore>(
        SqliteStore::Options{.path = configuration.text("store.path") + "/store.sqlite"});
}

std::unique_ptr<RecordStore> make_records(const Configuration& configuration, Clock& clock) {
    if (configuration.has("mongodb.uri")) {
        MongoRecords::Options options;
        options.uri = configuration.text("mongodb.uri");
        options.socket_timeout = configuration.duration("mongodb.socket_timeout");
        return std::make_unique<MongoRecords>(std::move(options), clock);
    }
    return std::make_unique<SqliteRecords>(
        SqliteRecords::Options{.path = configuration.text("store.path") + "/records.sqlite",
                               .events = data::record_events()});
}

std::unique_ptr<RecordChanges> make_record_changes(const Configuration& configuration,
                                                   Clock& clock) {
    if (configuration.has("mongodb.uri")) {
        MongoRecordChanges::Options options;
        options.uri = configuration.text("mongodb.uri");
        options.events = data::record_events();
        options.socket_timeout = configuration.duration("mongodb.socket_timeout");
        return std::make_unique<MongoRecordChanges>(std::move(options), clock);
    }
    SqliteRecordChanges::Options options;
    options.path = configuration.text("store.path") + "/records.sqlite";
    options.events = data::record_events();
    return std::make_unique<SqliteRecordChanges>(std::move(options), clock);
}

std::unique_ptr<VectorIndexes> make_vectors(const Configuration& configuration) {
    const auto number = [&](std::string_view key) {
        return static_cast<std::size_t>(configuration.integer(key));
    };
    vectors::VectorFolder::Options options;
    options.folder = configuration.has("embeddings.path")
                         ? configuration.text("embeddings.path")
                         : configuration.text("store.path") + "/vectors";
    options.threads = std::max<std::size_t>(1, number("embeddings.threads"));
    options.foreign_bytes_max = number("embeddings.memory_max");
    options.index.graph_from = std::max<std::size_t>(1, number("embeddings.graph_from"));
    options.index.search_effort = std::max<std::size_t>(1, number("embeddings.effort"));
    options.index.filter_share_min =
        static_cast<double>(number("embeddings.filter_percent_min")) / 100;
    return std::make_unique<vectors::VectorFolder>(std::move(options));
}

data::EmbeddingOptions embedding_options(const Configuration& configuration) {
    data::EmbeddingOptions options;
    options.memory_bytes_max =
        static_cast<std::size_t>(configuration.integer("embeddings.memory_max"));
    options.save_interval = configuration.duration("embeddings.save_interval");
    return options;
}

std::string name_on_redis(std::string name, const Configuration& configuration) {
    if (configuration.has("engine.name")) name += ":" + configuration.text("engine.name");
    return name;
}

namespace {

std::unique_ptr<EventBus> make_stream(std::string_view name, const Configuration& configuration,
                                      const asio::any_io_executor& executor, Clock& clock) {
    if (configuration.has("redis.url")) {
        RedisBus::Options options;
        options.url = configuration.text("redis.url");
        options.ca_file = configuration.text("redis.ca_file");
        options.stream = name_on_redis(std::string(name), configuration);
        return std::make_unique<RedisBus>(executor, clock, std::move(options));
    }
    return std::make_unique<MemoryBus>(executor, clock, MemoryBus::Options{});
}

} // namespace

std::unique_ptr<EventBus> make_bus(const Configuration& configuration,
                                   const asio::any_io_executor& executor, Clock& clock) {
    return make_stream("netbuild:events", configuration, executor, clock);
}

std::unique_ptr<EventBus> make_documents_bus(const Configuration& configuration,
                                             const asio::any_io_executor& executor, Clock& clock) {
    return make_stream("netbuild:documents", configuration, executor, clock);
}

RedisClient::Options redis_options(const Configuration& configuration,
                                   RedisClient::Options options) {
    options.url = configuration.text("redis.url");
    options.ca_file = configuration.text("redis.ca_file");
    return options;
}

std::unique_ptr<RedisClient> make_redis(const Configuration& configuration,
                                        const asio::any_io_executor& executor, Clock& clock,
                                        RedisClient::Options options) {
    if (!configuration.has("redis.url")) return nullptr;
    return std::make_unique<RedisClient>(executor, clock,
                                         redis_options(configuration, std::move(options)));
}

std::unique_ptr<SpillArea> make_spill(const Configuration& configuration) {
    return std::make_unique<FileSpill>(configuration.has("capture.spill_path")
                                           ? configuration.text("capture.spill_path")
                                           : configuration.text("store.path") + "/spill");
}

postgres::ConnectionOptions postgres_options(const Configuration& configuration) {
    postgres::ConnectionOptions options;
    for (const char* key : {"host", "port", "dbname", "user", "password", "sslmode", "sslrootcert",
                            "sslcert", "sslkey"}) {
        const std::string& value = configuration.text(std::string("postgres.") + key);
        if (!value.empty()) options.parameters[key] = value;
    }
    options.connect_timeout = configuration.duration("postgres.connect_timeout");
    return options;
}

std::unique_ptr<ChangeSource> make_source(const Configuration& configuration,
                                          const asio::any_io_executor& executor, Clock& clock) {
    const std::string& kind = configuration.text("engine.source");
    const auto transaction_memory_max =
        static_cast<std::size_t>(configuration.integer("capture.transaction_memory_max"));
    if (kind == "simulator") {
        SimulatorSource::Options options;
        options.seed = static_cast<std::uint64_t>(configuration.integer("simulator.seed"));
        options.instances =
            static_cast<std::uint64_t>(configuration.integer("simulator.instances"));
        options.instances_per_second = static_cast<double>(configuration.integer("simulator.rate"));
        return std::make_unique<SimulatorSource>(options, clock);
    }
    if (kind == "recording") {
        return std::make_unique<RecordingSource>(
            RecordingSource::Options{.path = configuration.text("engine.recording"),
                                     .transaction_memory_max = transaction_memory_max});
    }
    ReplicationSource::Options options;
    options.connection = postgres_options(configuration);
    options.schema = configuration.text("engine.schema");
    options.publication = configuration.text("engine.publication");
    options.slot = configuration.text("engine.slot");
    options.wal_sender_timeout = configuration.duration("postgres.wal_sender_timeout");
    options.receive_timeout = configuration.duration("postgres.receive_timeout");
    // The server hears from us, and we from it, several times within either limit.
    options.status_interval = std::min(
        {options.status_interval, options.wal_sender_timeout / 4, options.receive_timeout / 4});
    options.transaction_memory_max = transaction_memory_max;
    return std::make_unique<ReplicationSource>(executor, clock, std::move(options));
}

std::unique_ptr<postgres::Pool> make_pool(const Configuration& configuration,
                                          const asio::any_io_executor& executor, Clock& clock) {
    if (!configuration.has("postgres.host")) return nullptr;
    postgres::Pool::Options options;
    options.connection = postgres_options(configuration);
    options.connections_max = static_cast<std::size_t>(configuration.integer("postgres.pool_max"));
    options.idle_timeout = configuration.duration("postgres.idle_timeout");
    return std::make_unique<postgres::Pool>(executor, clock, std::move(options));
}

std::unique_ptr<ProcessEngine> make_database_engine(const Configuration& configuration,
                                                    postgres::Pool* pool, const TimeZone& zone) {
    if (!pool) return nullptr;
    return std::make_unique<DatabaseEngine>(*pool, configuration.text("engine.schema"), zone);
}

std::unique_ptr<ProcessEngine> make_rest_engine(const Configuration& configuration,
                                                const asio::any_io_executor& executor) {
    if (!configuration.has("camunda.url")) return nullptr;
    RestEngine::Options options;
    options.url = configuration.text("camunda.url");
    options.user = configuration.text("camunda.user");
    options.password = configuration.text("camunda.password");
    options.timeout = configuration.duration("camunda.timeout");
    return std::make_unique<RestEngine>(executor, std::move(options));
}

std::unique_ptr<EngineClock> make_engine_clock(const Configuration& configuration,
                                               const asio::any_io_executor& executor,
                                               Clock& clock) {
    if (configuration.text("engine.source") != "wal") return nullptr;
    return std::make_unique<DatabaseClock>(executor, clock, postgres_options(configuration));
}

identity::IdentityOptions identity_options(const Configuration& configuration) {
    const auto number = [&](std::string_view key) {
        return static_cast<std::uint32_t>(configuration.integer(key));
    };
    identity::IdentityOptions options;
    options.passwords.memory_kib = number("auth.argon2_memory_kib");
    options.passwords.passes = number("auth.argon2_passes");
    options.passwords.lanes = number("auth.argon2_lanes");
    options.access_ttl = configuration.duration("auth.access_ttl");
    options.refresh_ttl = configuration.duration("auth.refresh_ttl");
    options.key_rotation = configuration.duration("auth.key_rotation");
    options.key_passphrase = configuration.text("auth.key_passphrase");
    options.failures_free = configuration.integer("auth.failures_free");
    options.delay_max = configuration.duration("auth.delay_max");
    return options;
}

result<sync::PipelineOptions> pipeline_options(const Configuration& configuration) {
    sync::PipelineOptions options;
    if (configuration.has("engine.name")) options.engine = configuration.text("engine.name");
    options.slot = configuration.text("engine.slot");
    auto zone = TimeZone::load(configuration.text("engine.time_zone"));
    if (!zone) {
        return fail(ErrorCode::invalid_configuration,
                    "engine.time_zone (" + configuration.at("engine.time_zone").source +
                        "): " + zone.error().detail());
    }
    options.load_rows_per_second =
        static_cast<std::uint64_t>(configuration.integer("load.rows_per_second"));
    options.projection.time_zone = *zone;
    options.poison =
        configuration.text("sync.poison") == "skip" ? sync::Poison::skip : sync::Poison::stop;
    options.projection.default_domain = configuration.text("engine.default_domain");
    options.projection.active_tasks_max =
        static_cast<std::size_t>(configuration.integer("projection.active_tasks_max"));
    options.projection.bytes_inline_max =
        static_cast<std::size_t>(configuration.integer("projection.bytes_inline_max"));
    options.projection.task_snapshots = configuration.text("projection.task_snapshots") == "true";
    options.projection.retention = configuration.text("projection.retention") == "follow"
                                       ? sync::Retention::follow
                                       : sync::Retention::keep;
    return options;
}

} // namespace netbuild::app
