// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/session_store.hpp"
#include "redis/redis_client.hpp"

namespace netbuild {

/// The sessions of Node services that use express-session with connect-redis (8 and 9), as those
/// keep them: JSON with a `cookie`, at the prefix and the id. Fields are all members but that one.
///
/// What Node does not know is kept beside: tombstones. A session that was ended here stays so for
/// `timeouts.absolute`, whatever a Node service still writes. It has no absolute end of its own,
/// and Node writes sessions whole: a field that is changed here while a Node request is under way
/// that changes another one may be lost, as it may between two of Node's.
///
/// Stop the client before it ends: its answers come here.
class NodeSessions {
public:
    struct Options {
        /// `idle`: of a new session's cookie, and where a cookie does not say how long it lives.
        SessionTimeouts timeouts;
        /// connect-redis' own; without braces and wildcards.
        std::string prefix = "sess:";
        /// Where the services keep who signed in: a member's name, or a path with dots.
        std::string user_field = "userId";
    };
    NodeSessions(RedisClient& redis, Clock& clock, Options options);
    ~NodeSessions();

    /// Lists and ends a user's sessions by a look at all of them, as connect-redis has no list.
    [[nodiscard]] SessionStore& store();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
