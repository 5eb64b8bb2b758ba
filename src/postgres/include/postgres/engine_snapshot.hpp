// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/change_source.hpp"
#include "postgres/connection.hpp"

namespace netbuild::postgres {

/// A snapshot of the engine's tables with its place in the WAL, without disturbing the capture: a
/// temporary slot is made for it and ends with this call. `taken` as for ChangeSource::snapshot().
awaitable<result<std::unique_ptr<EngineSnapshot>>>
take_snapshot(asio::any_io_executor executor, Clock& clock, ConnectionOptions options,
              std::string schema, std::uint32_t epoch, ChangeSource::SnapshotTaken taken = {},
              std::size_t connections = 2);

} // namespace netbuild::postgres
