// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <string>

#include "support/servers.hpp"

namespace netbuild::test {

/// What the toolkit has to work on alike: one server, a Redis Cluster of three masters with a
/// replica each, and one server with TLS and an ACL user (tools/stack.py starts them).
enum class RedisKind { single, cluster, tls };
inline constexpr std::array redis_kinds{RedisKind::single, RedisKind::cluster, RedisKind::tls};

struct RedisServer {
    std::string url;
    std::string ca_file;
};

inline RedisServer redis_server(RedisKind kind) {
    if (kind == RedisKind::single) return {redis_url(), {}};
    // The second master: the first one must not be special.
    if (kind == RedisKind::cluster) return {"redis://127.0.0.1:" + server_port(51), {}};
    const char* stack = std::getenv("NETBUILD_TEST_STACK");
    if (!stack)
        throw std::runtime_error(
            "NETBUILD_TEST_STACK is not set: run ./dev test, which starts the servers");
    return {"rediss://netbuild:only%3Afor%40tests%2F@localhost:" + server_port(77),
            std::string(stack) + "/tls/ca.pem"};
}

/// For the names of parametrized tests.
inline std::string name_of(RedisKind kind) {
    return kind == RedisKind::single ? "single" : kind == RedisKind::cluster ? "cluster" : "tls";
}

} // namespace netbuild::test
