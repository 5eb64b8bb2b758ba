// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "app/configuration.hpp"
#include "data/embedding_cache.hpp"
#include "identity/identity.hpp"
#include "ports/change_source.hpp"
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"
#include "ports/process_engine.hpp"
#include "ports/record_changes.hpp"
#include "ports/record_store.hpp"
#include "ports/spill.hpp"
#include "postgres/pool.hpp"
#include "redis/redis_client.hpp"
#include "sync/options.hpp"

namespace netbuild::app {

/// A name on a Redis that several engines may share: ids of two WALs have no common order.
[[nodiscard]] std::string name_on_redis(std::string name, const Configuration& configuration);

/// What the configuration names, made but not yet connected.
[[nodiscard]] std::unique_ptr<DocumentStore> make_store(const Configuration& configuration);
/// NetBuild's own data: in the same database, or in a SQLite file of its own.
[[nodiscard]] std::unique_ptr<RecordStore> make_records(const Configuration& configuration,
                                                        Clock& clock);
/// Its changes, whoever makes them, and the stream of their events.
[[nodiscard]] std::unique_ptr<RecordChanges> make_record_changes(const Configuration& configuration,
                                                                 Clock& clock);
[[nodiscard]] std::unique_ptr<EventBus> make_documents_bus(const Configuration& configuration,
                                                           const asio::any_io_executor& executor,
                                                           Clock& clock);
/// Indexes of embeddings, in a folder beside the embedded store.
[[nodiscard]] std::unique_ptr<VectorIndexes> make_vectors(const Configuration& configuration);
[[nodiscard]] data::EmbeddingOptions embedding_options(const Configuration& configuration);
[[nodiscard]] std::unique_ptr<EventBus>
make_bus(const Configuration& configuration, const asio::any_io_executor& executor, Clock& clock);
/// `options` with where redis.url leads.
[[nodiscard]] RedisClient::Options redis_options(const Configuration& configuration,
                                                 RedisClient::Options options);
/// A client of `redis.url` with `options` for the rest; null without it.
[[nodiscard]] std::unique_ptr<RedisClient> make_redis(const Configuration& configuration,
                                                      const asio::any_io_executor& executor,
                                                      Clock& clock, RedisClient::Options options);
[[nodiscard]] std::unique_ptr<ChangeSource> make_source(const Configuration& configuration,
                                                        const asio::any_io_executor& executor,
                                                        Clock& clock);
[[nodiscard]] std::unique_ptr<SpillArea> make_spill(const Configuration& configuration);
/// Null if it is not configured.
[[nodiscard]] std::unique_ptr<postgres::Pool>
make_pool(const Configuration& configuration, const asio::any_io_executor& executor, Clock& clock);
[[nodiscard]] std::unique_ptr<ProcessEngine>
make_database_engine(const Configuration& configuration, postgres::Pool* pool,
                     const TimeZone& zone);
[[nodiscard]] std::unique_ptr<ProcessEngine>
make_rest_engine(const Configuration& configuration, const asio::any_io_executor& executor);
[[nodiscard]] std::unique_ptr<EngineClock> make_engine_clock(const Configuration& configuration,
                                                             const asio::any_io_executor& executor,
                                                             Clock& clock);
[[nodiscard]] postgres::ConnectionOptions postgres_options(const Configuration& configuration);
/// invalid_configuration: an unknown time zone.
[[nodiscard]] result<sync::PipelineOptions> pipeline_options(const Configuration& configuration);
[[nodiscard]] identity::IdentityOptions identity_options(const Configuration& configuration);
/// "mongodb", "sqlite"; "redis", "memory"; for status and logs.
[[nodiscard]] std::string_view store_kind(const Configuration& configuration);
[[nodiscard]] std::string_view bus_kind(const Configuration& configuration);
/// As messages name them: "MongoDB", "SQLite"; "Redis".
[[nodiscard]] std::string store_name(const Configuration& configuration);
[[nodiscard]] std::string bus_name(const Configuration& configuration);

} // namespace netbuild::app
