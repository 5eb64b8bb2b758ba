// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <string>

#include "engine.hpp"
#include "realtime/server.hpp"
#include "runtime/task_group.hpp"

namespace netbuild::realtime {

/// What namespaces and clients share.
class ServerCore {
public:
    ServerCore(asio::any_io_executor executor, Clock& clock, ServerOptions options);
    ~ServerCore();

    asio::any_io_executor executor;
    Clock& clock;
    const ServerOptions options;
    ServerCounters counters;
    std::map<std::string, std::unique_ptr<Namespace>, std::less<>> namespaces;
    TaskGroup tasks;
    bool stopping = false;
    std::unique_ptr<Engine::Impl> engine; // last: its sessions' handlers use the above
};

} // namespace netbuild::realtime
