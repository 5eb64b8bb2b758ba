// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ports/change_source.hpp"
#include "postgres/connection.hpp"
#include "publication.hpp"
#include "runtime/signal.hpp"
#include "snapshot_queries.hpp"
#include "wire/copy_text.hpp"

namespace netbuild::postgres {

/// Reads the engine's tables in one exported snapshot, process instance by process instance: what
/// the projection makes of a chunk is what it would have made of the instance's whole history.
///
/// Each range is a handful of COPYs in one round trip, and a few chunks. Every connection has a
/// range under way while the rows of another are decoded and projected: the server works ahead into
/// the sockets' buffers, so that what is in memory here is one range.
class SnapshotLoader final : public EngineSnapshot {
public:
    struct Options {
        ConnectionOptions connection;
        std::string schema;
        std::string snapshot;
        TableColumns columns;
        Position position;
        std::int64_t at_us = 0;
        /// That read ranges; read() has one of its own.
        std::size_t connections = 2;
        /// Rows that a chunk should have: projecting one is to take a few milliseconds, for live
        /// transactions wait meanwhile.
        std::size_t chunk_rows = 1000;
        std::size_t chunk_instances_max = 500;
        /// Chunks that are read at once: a range costs the server a plan for each table.
        std::size_t range_chunks = 6;
        /// Past either, a range of several process instances is read again in two halves. What is
        /// in memory here is one range at most.
        std::size_t chunk_rows_max = 2000;
        std::size_t range_bytes_max = 16 * 1024 * 1024;
    };
    static constexpr std::size_t connections_max = 8;

    /// Takes the snapshot over; it may end at its exporter afterwards.
    static awaitable<result<std::unique_ptr<SnapshotLoader>>> open(asio::any_io_executor executor,
                                                                   Clock& clock, Options options);

    [[nodiscard]] Position position() const override { return options_.position; }
    [[nodiscard]] std::uint64_t instances_estimate() const override { return instances_; }
    void start_after(std::string process_instance_id) override;
    awaitable<result<std::optional<EngineChunk>>> next() override;
    awaitable<result<Transaction>> read(InstanceSelection selection) override;

private:
    /// Where a row goes; null: nowhere.
    using Place = std::function<Transaction*(const TableQuery&, std::span<const Cell>)>;
    enum class Stage : unsigned char { instances, standalone_tasks, end };
    /// Neighbours in the order of their ids.
    struct Range {
        Stage stage = Stage::instances;
        std::vector<std::string> ids;
    };
    /// A range whose rows a connection brings.
    struct Reading {
        Connection* connection;
        Range range;
        std::size_t chunk_ids; // the first ones make the first chunk, …
        std::vector<TableQuery> queries;
    };

    SnapshotLoader(asio::any_io_executor executor, Options options)
        : options_(std::move(options)),
          queries_(options_.schema, options_.columns),
          looked_up_(std::move(executor)) {}

    awaitable<result<void>> plan(Connection& connection);
    awaitable<result<std::optional<Reading>>> start_next(Connection& connection);
    awaitable<result<Reading>> start(Connection& connection, Range range);
    awaitable<result<void>> finish(Reading reading);
    /// A chunk's rows each; nullopt if they are too many, and nothing of it is kept.
    awaitable<result<std::optional<std::vector<Transaction>>>> chunks(const Reading& reading);
    awaitable<result<Transaction>> all_rows(Connection& connection,
                                            std::vector<TableQuery> queries);
    /// Of the COPYs that were started for `queries`.
    awaitable<result<void>> rows(Connection& connection, const std::vector<TableQuery>& queries,
                                 const Place& place);
    awaitable<result<Transaction>> look_up(InstanceSelection selection);
    [[nodiscard]] Transaction transaction() const;
    void adapt(std::size_t ids, std::size_t rows);

    Options options_;
    SnapshotQueries queries_;
    CopyTextDecoder decoder_;
    // All in the snapshot.
    std::vector<std::unique_ptr<Connection>> connections_;
    std::unique_ptr<Connection> lookups_;
    std::uint64_t instances_ = 0;

    bool definitions_read_ = false;
    std::deque<Reading> under_way_;  // in the order in which their chunks are given out
    std::vector<Connection*> idle_;  // of connections_
    std::vector<Range> halves_;      // the next one last
    Stage stage_ = Stage::instances; // of `ids_`
    std::deque<std::string> ids_;    // planned
    std::string planned_upto_;
    bool planned_all_ = false;   // of the stage
    std::size_t chunk_ids_ = 50; // follows what a process instance has
    std::deque<EngineChunk> ready_;

    bool looking_up_ = false;
    Signal looked_up_;
};

} // namespace netbuild::postgres
