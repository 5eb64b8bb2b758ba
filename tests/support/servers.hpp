// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <unistd.h>

namespace netbuild::test {

/// Where the stack's server listens whose port is `offset` past the base (tools/stack.py).
inline std::string server_port(int offset) {
    const char* base = std::getenv("NETBUILD_TEST_PORT_BASE");
    if (!base)
        throw std::runtime_error(
            "NETBUILD_TEST_PORT_BASE is not set: run ./dev test, which starts the servers");
    return std::to_string(std::stoi(base) + offset);
}
inline std::string mongodb_address() {
    const char* uri = std::getenv("NETBUILD_TEST_MONGODB_URI");
    return uri ? uri : "mongodb://127.0.0.1:" + server_port(17);
}
inline std::string redis_url() { return "redis://127.0.0.1:" + server_port(79); }

/// A name that no other test uses.
inline std::string unique_name(const std::string& prefix) {
    static std::atomic<int> count{0};
    return prefix + "_" + std::to_string(getpid()) + "_" + std::to_string(count++);
}

} // namespace netbuild::test
