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
    awaitable<result<std::optional<Transaction>>> next() override;

private:
    struct Selection {
        camunda::Table table;
        Statement statement;
    };
    SnapshotLoader(Options options, std::unique_ptr<Connection> connection)
        : options_(std::move(options)), connection_(std::move(connection)) {}

    [[nodiscard]] Selection select(camunda::Table table, std::string_view from_where,
                                   std::vector<std::optional<std::string>> parameters = {}) const;
    [[nodiscard]] std::vector<Selection> definitions() const;
    /// `instance` is a condition on the column named by {}: a range of process instances or null.
    [[nodiscard]] std::vector<Selection>
    instances(std::string_view instance, std::vector<std::optional<std::string>> parameters) const;
    awaitable<result<std::optional<Transaction>>> read(std::vector<Selection> selections);

    Options options_;
    std::unique_ptr<Connection> connection_;
    std::vector<std::string> bounds_; // the first process instance of each chunk
    std::uint64_t instances_ = 0;
    std::size_t chunk_ = 0; // 0: definitions; then the instances'; the last one: tasks without
};

} // namespace netbuild::postgres
