// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

#include "app/application.hpp"

namespace netbuild::cli {

/// GET /v1/sync of the server that this configuration describes, if one answers at once and is of
/// the same engine.
awaitable<std::optional<Object>> ask_running_server(app::Application& application);

} // namespace netbuild::cli
