// SPDX-License-Identifier: Apache-2.0
#include "postgres/engine_snapshot.hpp"

#include <fmt/format.h>

#include "snapshot_loader.hpp"

namespace netbuild::postgres {

awaitable<result<std::unique_ptr<EngineSnapshot>>>
take_snapshot(asio::any_io_executor executor, Clock& clock, ConnectionOptions options,
              std::string schema, std::uint32_t epoch, ChangeSource::SnapshotTaken taken,
              std::size_t connections) {
    CO_TRY(auto connection, co_await Connection::connect(executor, clock, options));
    CO_TRY(auto columns, co_await check_engine(*connection, schema));
    CO_TRY(const Rows own, co_await connection->query({"select pg_backend_pid()"}));
    auto replication_options = options;
    replication_options.parameters["replication"] = "database";
    CO_TRY(auto replication,
           co_await Connection::connect(executor, clock, std::move(replication_options)));
    CO_TRY(const Rows slot,
           co_await replication->simple(fmt::format("CREATE_REPLICATION_SLOT netbuild_snapshot_{} "
                                                    "TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT",
                                                    own.text(0, 0))));
    CO_TRY(const Lsn lsn, parse_lsn(slot.text(0, 1)));
    if (taken && !taken(Position::at(epoch, lsn))) {
        co_return fail(ErrorCode::overloaded, "the stream had passed the snapshot");
    }
    SnapshotLoader::Options loading;
    loading.connection = std::move(options);
    loading.schema = std::move(schema);
    loading.snapshot = slot.text(0, 2);
    loading.columns = std::move(columns);
    loading.position = Position::at(epoch, lsn);
    loading.at_us = clock.utc_us();
    loading.connections = connections;
    CO_TRY(auto loader, co_await SnapshotLoader::open(executor, clock, std::move(loading)));
    co_return std::unique_ptr<EngineSnapshot>(std::move(loader));
}

} // namespace netbuild::postgres
