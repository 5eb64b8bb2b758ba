// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

#include "app/application.hpp"

namespace netbuild::cli {

/// GET /v1/sync of the server that this configuration describes, if one answers at once and is of
/// the same engine.
awaitable<std::optional<Object>> ask_running_server(app::Application& application);

/// The same server asked as its admin. unavailable: none answers; not_found.
awaitable<result<Value>> ask_as_admin(app::Application& application, std::string method,
                                      std::string path);

} // namespace netbuild::cli
