// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

#include "app/application.hpp"

namespace netbuild::cli {

/// GET /v1/sync of the server that this configuration describes, if one answers at once and is of
/// the same engine.
awaitable<std::optional<Object>> ask_running_server(app::Application& application);

/// The same server asked as its admin, with a JSON body or none. unavailable: none answers;
/// not_found.
awaitable<result<Value>> ask_as_admin(app::Application& application, std::string method,
                                      std::string path, std::string body = {});
/// All pages of one of its lists, whose `path` has a query; at most so many items.
awaitable<result<Array>> ask_for_items(app::Application& application, std::string path,
                                       std::size_t items_max);

} // namespace netbuild::cli
