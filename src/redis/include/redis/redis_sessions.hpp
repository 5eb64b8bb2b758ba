// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include <boost/asio/any_completion_handler.hpp>

#include "ports/session_store.hpp"
#include "redis/redis_client.hpp"

namespace netbuild {

/// Sessions as NetBuild keeps them: a string a session under a hash of its id, with the times of
/// Redis' clock in it, and the list of a user's sessions in a set of its own, which is written
/// before a session is and read with care for what is not there (yet, or any more).
///
/// A read is one GETEX. Only near the absolute end, which a plain command cannot see, and once a
/// minute to learn Redis' time, it is a script.
///
/// Stop the client before it ends: its answers come here.
class RedisSessions {
public:
    struct Options {
        SessionTimeouts timeouts;
        /// Of all keys; without braces.
        std::string prefix = "netbuild:session:";
    };
    /// Called once, or destroyed with the client.
    using OnRead = asio::any_completion_handler<void(result<Session>)>;

    RedisSessions(RedisClient& redis, Clock& clock, Options options);
    ~RedisSessions();

    [[nodiscard]] SessionStore& store();
    /// SessionStore::read() without a coroutine: for what is called a hundred thousand times a
    /// second.
    void read(std::string_view id, OnRead on_read);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
