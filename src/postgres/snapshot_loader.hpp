// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "ports/change_source.hpp"
#include "postgres/connection.hpp"
#include "publication.hpp"

namespace netbuild::postgres {

/// Reads the engine's tables in one exported snapshot, process instance by process instance: what
/// the projection makes of a chunk is what it would have made of the instance's whole history.
class SnapshotLoader final : public EngineSnapshot {
public:
    struct Options {
        ConnectionOptions connection;
        std::string schema;
        std::string snapshot;
        TableColumns columns;
        Position position;
        std::int64_t at_us = 0;
        std::size_t instances = 250;
    };
    /// Takes the snapshot over; it may end at its exporter afterwards.
    static awaitable<result<std::unique_ptr<SnapshotLoader>>> open(asio::any_io_executor executor,
                                                                   Clock& clock, Options options);

    [[nodiscard]] Position position() const override { return options_.position; }
    [[nodiscard]] std::uint64_t instances_estimate() const override { return instances_; }
    void start_after(std::string process_instance_id) override;
    awaitable<result<std::optional<EngineChunk>>> next() override;
    awaitable<result<Transaction>> read(InstanceSelection selection) override;

private:
    struct Selection {
        camunda::Table table;
        Statement statement;
    };
    SnapshotLoader(Options options, std::unique_ptr<Connection> chunks,
                   std::unique_ptr<Connection> lookups)
        : options_(std::move(options)), chunks_(std::move(chunks)), lookups_(std::move(lookups)) {}

    [[nodiscard]] Selection select(camunda::Table table, std::string_view from_where,
                                   std::vector<std::optional<std::string>> parameters = {}) const;
    awaitable<result<void>> divide();
    [[nodiscard]] std::vector<Selection> definitions() const;
    /// `instance` is a condition on the column named by {}: a range of process instances or null.
    [[nodiscard]] std::vector<Selection>
    instances(std::string_view instance, std::vector<std::optional<std::string>> parameters) const;
    awaitable<result<Transaction>> read(Connection& connection, std::vector<Selection> selections);

    Options options_;
    // Both in the snapshot: one for next(), one for read().
    std::unique_ptr<Connection> chunks_, lookups_;
    struct Range {
        std::string first, last;
        std::size_t instances;
    };
    std::string start_after_;
    std::vector<Range> ranges_; // of process instances, a chunk each
    std::uint64_t instances_ = 0;
    std::size_t chunk_ = 0; // 0: definitions; then the instances'; the last one: tasks without
};

} // namespace netbuild::postgres
