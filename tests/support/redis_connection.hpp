// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <utility>

#include "redis/redis_client.hpp"
#include "support/redis_servers.hpp"
#include "support/run.hpp"

namespace netbuild::test {

inline RedisClient::Options redis_options(const RedisServer& server) {
    RedisClient::Options options;
    options.url = server.url;
    options.ca_file = server.ca_file;
    return options;
}

/// A client that connects, for as long as this lives.
class RedisConnection {
public:
    RedisConnection(asio::io_context& context, Clock& clock, RedisClient::Options options)
        : client(context.get_executor(), clock, std::move(options)), context_(context) {
        client.start().value();
    }
    ~RedisConnection() {
        run(context_, [](RedisClient& ending) -> awaitable<bool> {
            co_await ending.stop();
            co_return true;
        }(client));
    }
    RedisConnection(const RedisConnection&) = delete;

    /// The reply, which is no error.
    resp::Reply ask(RedisCommand command) {
        return must(context_, client.execute(std::move(command)));
    }

    RedisClient client;

private:
    asio::io_context& context_;
};

} // namespace netbuild::test
