// SPDX-License-Identifier: Apache-2.0
// The HTTP server with its routes over stores in memory, a gateway on the same port, and clients
// that speak to it byte by byte.
#pragma once
#include "gateway/world.hpp"
#include "http/routes.hpp"
#include "http/server.hpp"
#include "memory/memory_store.hpp"
#include "support/standing_clock.hpp"

namespace netbuild::http {

using realtime::patience;
using realtime::Peer;

class World : private Authenticator {
public:
    World() : World(Server::Options{}) {}
    explicit World(Server::Options options, gateway::World::Options gateway_options = {})
        : behind(std::move(gateway_options)), server(executor(), with_gateway(options), routes) {
        EXPECT_TRUE(server.listen());
        behind.node.tasks.spawn("http", server.run());
    }
    ~World() override { loop().run(behind.node.tasks.stop()); }

    realtime::Loop& loop() { return behind.loop; }
    asio::any_io_executor executor() { return behind.loop.context.get_executor(); }
    std::uint16_t port() const { return server.port(); }

    /// Its tokens are those of the HTTP routes too.
    gateway::World behind;
    MemoryStore store;
    test::StandingClock model;
    query::QueryService queries{{store, model, behind.loop.clock}};
    Routes routes{{.queries = queries,
                   .model = model,
                   .clock = behind.loop.clock,
                   .status = [] { return Value(Object{}); },
                   .unready = [] { return std::vector<std::string>(); },
                   .metrics = [] { return std::string("x"); },
                   .authenticator = this,
                   .feed = &behind.node.feed,
                   .recheck = std::chrono::milliseconds(50)}};
    Server server;

private:
    awaitable<result<Caller>> authenticate(std::string authorization) override {
        const auto expires_s = behind.expires_s;
        if (expires_s && behind.loop.clock.utc_us() >= *expires_s * 1'000'000)
            co_return fail(ErrorCode::unauthorized, "it has ended");
        co_return co_await behind.caller(std::move(authorization));
    }
    Server::Options with_gateway(Server::Options options) {
        options.port = 0;
        if (options.take) return options;
        options.taken_path = "/socket.io/";
        options.taken_body_bytes_max = 1'000'000;
        options.take = [this](auto stream, realtime::HttpRequest request, std::string after) {
            behind.gateway.server().take(std::move(stream), std::move(request), std::move(after));
        };
        return options;
    }
};

} // namespace netbuild::http
