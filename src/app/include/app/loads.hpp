// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "app/application.hpp"

namespace netbuild::app {

/// What a worker is asked to load anew: everything, or what is named.
struct LoadWish {
    bool all = true;
    std::vector<std::string> instances;
    bool definitions = false, standalone_tasks = false;
};

/// Asks whichever worker has the stream, by a message in the WAL, and waits until it is done; a bar
/// shows how far it is. Process instances loaded. unavailable: no worker takes it; what was asked
/// for stands in the WAL and is served when one starts.
awaitable<result<std::uint64_t>> load_and_wait(Application& application, LoadWish wish);

/// What a job of `netbuild:resync` does: payload {} loads everything, {"instances": [ID…]} those
/// process instances. How many, as JSON.
awaitable<result<std::string>> load_as_job(Application& application, std::string payload);

} // namespace netbuild::app
