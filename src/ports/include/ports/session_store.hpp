// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/value.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

struct Session {
    /// Names it in lists and logs: whoever knows it cannot be the session, only end it.
    std::string handle;
    /// Empty: nobody has signed in yet.
    std::string user;
    /// The fields: whatever JSON holds. Null is what is not there.
    Object data;
    /// A rotation keeps it. 0: a Node service made it, which does not say.
    Date created_at;
    /// When it ends if nobody reads it before.
    Date expires_at;
    /// When it ends in any case. 0: never, a Node service's.
    Date ends_at;
};

/// The id is the secret that a client has; the store keeps a hash of it, and gives it out once.
struct NewSession {
    std::string id;
    Session session;
};

/// Fields that are not named stay as they are, whoever else writes them at the same time.
struct SessionChange {
    /// Null removes.
    Object set;
    /// What fields have to be before anything is set; null: not there.
    Object expected;
};

struct SessionTimeouts {
    /// Without a read. At least a second.
    Clock::duration idle = std::chrono::minutes(30);
    /// From its creation, whatever is read; not shorter than `idle`.
    Clock::duration absolute = std::chrono::hours(12);
};

/// Sessions of users of other services. Every call may fail as the store's server does
/// (`unavailable`, `outcome_unknown`, `out_of_memory`); `unsupported` is something else at the key.
/// `not_found`: there is no such session, it has ended, or no id looks like that. Of a session that
/// was revoked or rotated a tombstone is kept until its absolute end, which writers look at: a
/// write that comes late brings nothing back.
/// Contract: `tests/contract/session_store_contract.hpp`.
class SessionStore {
public:
    static constexpr std::size_t data_bytes_max = 64 * 1024; // as JSON
    static constexpr std::size_t fields_max = 100;
    static constexpr std::size_t field_name_bytes_max = 100;
    static constexpr std::size_t user_bytes_max = 256;
    /// One more revokes the user's oldest.
    static constexpr std::size_t sessions_of_a_user_max = 100;

    struct Counters {
        std::uint64_t created = 0, rotated = 0;
        /// Sessions that were ended, those of a user with too many among them.
        std::uint64_t revoked = 0;
        /// Writes to sessions that were not there, or whose fields were not as expected.
        std::uint64_t refused_writes = 0;
        /// Whole-session writes that were repeated, as another one had come in between.
        std::uint64_t repeated_writes = 0;
    };

    virtual ~SessionStore() = default;

    /// With a fresh id of 256 random bits. invalid_argument names the field; payload_too_large.
    awaitable<result<NewSession>> create(std::string user, Object data);
    /// Moves its idle end.
    awaitable<result<Session>> read(std::string id);
    awaitable<result<void>> touch(std::string id);
    /// All of the change or nothing; moves the idle end. conflict: a field is not as expected, its
    /// name is in the detail.
    awaitable<result<Session>> update(std::string id, SessionChange change);
    /// Another id for the same session, as after a sign-in: the old one is dead at once, and no
    /// write to it is lost or comes back. `user`: who signed in; empty: as it was.
    /// invalid_argument: it is another user's. After outcome_unknown either id may be the live one.
    awaitable<result<NewSession>> rotate(std::string id, std::string user);
    /// By id or by handle; whether it was alive.
    awaitable<result<bool>> revoke(std::string id_or_handle);
    /// How many were alive. What the user begins after the call stays.
    awaitable<result<std::uint64_t>> revoke_all(std::string user);
    /// Oldest first; at most sessions_of_a_user_max. Does not count as reading them.
    awaitable<result<std::vector<Session>>> list(std::string user);

    [[nodiscard]] const Counters& counters() const { return counters_; }

protected:
    // The same with what is checked: bounds hold, `user` is not empty where one is asked for.
    virtual awaitable<result<NewSession>> insert(std::string user, Object data) = 0;
    virtual awaitable<result<Session>> get(std::string id) = 0;
    virtual awaitable<result<void>> extend(std::string id) = 0;
    virtual awaitable<result<Session>> apply(std::string id, SessionChange change) = 0;
    virtual awaitable<result<NewSession>> move(std::string id, std::string user) = 0;
    virtual awaitable<result<bool>> end(std::string id_or_handle) = 0;
    virtual awaitable<result<std::uint64_t>> end_all(std::string user) = 0;
    virtual awaitable<result<std::vector<Session>>> of_user(std::string user) = 0;

    Counters counters_;
};

/// 256 random bits as base64url, 43 characters.
[[nodiscard]] std::string new_session_id();
[[nodiscard]] bool is_session_id(std::string_view text) noexcept;
/// "sh_" and half of the id's SHA-256 in hex.
[[nodiscard]] std::string session_handle(std::string_view id);
[[nodiscard]] bool is_session_handle(std::string_view text) noexcept;
/// The fields after the change. conflict; payload_too_large.
[[nodiscard]] result<Object> apply_change(Object data, const SessionChange& change);
/// Who a session with `has` belongs to after `user` signed in. invalid_argument.
[[nodiscard]] result<std::string> signed_in(std::string has, std::string user);

} // namespace netbuild
