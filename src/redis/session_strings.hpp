// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "ports/session_store.hpp"
#include "redis/redis_client.hpp"

namespace netbuild {

/// What both kinds of sessions in Redis share: a session is one string, a change replaces the whole
/// of it where it still is what was read, and is worked out anew where it is not. Scripts have the
/// keys of one slot.
class SessionStrings : public SessionStore {
protected:
    struct Keys {
        std::string handle;
        std::string session;
        /// Is there while a session that was ended must not come back.
        std::string tombstone;
    };

    SessionStrings(RedisClient& redis, SessionTimeouts timeouts);

    /// not_found: no session has such an id. No key is made of one that is too long or odd.
    [[nodiscard]] virtual result<Keys> keys_of(std::string_view id) const = 0;
    /// unsupported: it is no session.
    [[nodiscard]] virtual result<Session> session_in(const Keys& keys,
                                                     const std::string& text) const = 0;
    /// conflict, payload_too_large.
    [[nodiscard]] virtual result<std::string> changed(const std::string& text,
                                                      const SessionChange& change) const = 0;
    [[nodiscard]] virtual result<std::string> owned_by(const std::string& text,
                                                       std::string user) const = 0;
    /// For how many ms a session is kept that is written now, where its text does not say when it
    /// ends.
    [[nodiscard]] virtual std::string idle_ms(const std::string& text) const = 0;
    /// The same session under new keys. False: these were ended already.
    virtual awaitable<result<bool>> put_copy(const Keys& keys, const std::string& text) = 0;
    /// Before it is there, the new session is among its user's. False: the old one is not any more.
    virtual awaitable<result<bool>> enlist(std::string user, std::string handle,
                                           std::string instead_of) = 0;
    virtual awaitable<result<void>> strike(std::string user, std::string handle) = 0;

    awaitable<result<Session>> apply(std::string id, SessionChange change) override;
    awaitable<result<NewSession>> move(std::string id, std::string user) override;

    /// not_found.
    awaitable<result<std::string>> text_at(const Keys& keys);
    /// Nothing: it is `next` now. A text: that is there instead of `old`. not_found.
    awaitable<result<std::optional<std::string>>> swap(const Keys& keys, std::string old,
                                                       std::string next);

    enum class Missing : bool { ignore, bury };
    struct Ended {
        bool ended = false;
        /// What was there; nothing: nothing was.
        std::optional<std::string> text;
    };
    /// Ends the session, if it is `expected` (empty: whatever it is), and leaves the tombstone; for
    /// one that is missing only if that is asked for.
    awaitable<result<Ended>> bury(const Keys& keys, std::string expected, Missing missing);

    RedisClient& redis_;
    const SessionTimeouts timeouts_;
    const std::string idle_ms_, absolute_ms_;
};

[[nodiscard]] inline Error no_session() { return fail(ErrorCode::not_found, "session"); }
[[nodiscard]] std::string milliseconds_text(Clock::duration time);

} // namespace netbuild
