// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "identity/passwords.hpp"
#include "identity/tokens.hpp"
#include "model/caller.hpp"
#include "ports/record_store.hpp"

namespace netbuild::identity {

struct IdentityOptions {
    Passwords::Options passwords;
    Clock::duration access_ttl = std::chrono::minutes(10);
    Clock::duration refresh_ttl = std::chrono::hours(24 * 30);
    Clock::duration key_rotation = std::chrono::hours(24 * 30);
    /// Encrypts the private keys in the store; empty: they lie there as they are.
    std::string key_passphrase;
    /// Failures in a row before the first delay; it doubles with each further one.
    std::int64_t failures_free = 3;
    Clock::duration delay_first = std::chrono::seconds(1), delay_max = std::chrono::minutes(15);
    Clock::duration reset_ttl = std::chrono::hours(1);
    /// A session's user and roles are read anew after it: so long may what was revoked still pass.
    Clock::duration recheck = std::chrono::seconds(5);
};

/// What a sign-in or a refresh gives.
struct SignedIn {
    std::string access_token, refresh_token, session;
    std::int64_t expires_in_s = 0;
};

/// Users, sessions, tokens and API keys. From one executor.
class Identity {
public:
    Identity(RecordStore& records, Clock& clock, IdentityOptions options);

    /// rate_limited: too many failures of this address; the detail says how long. unauthorized:
    /// anything else, in the same time whatever it is.
    awaitable<result<SignedIn>> login(std::string email, std::string password, std::string client);
    /// Each token once: the second use of one revokes the session. unauthorized.
    awaitable<result<SignedIn>> refresh(std::string token);
    /// A user's sessions, newest first.
    awaitable<result<RecordPage>> sessions(std::string user, std::size_t limit, std::string after);
    /// not_found unless it is this user's.
    awaitable<result<void>> end_session(std::string user, std::string session);
    /// Ends the user's other sessions. unauthorized: `current` is wrong.
    awaitable<result<void>> change_password(Caller caller, std::string current, std::string wanted);
    /// A token that sets a password once.
    awaitable<result<std::string>> allow_reset(std::string user, std::string actor);
    /// Ends all sessions. unauthorized.
    awaitable<result<void>> reset_password(std::string token, std::string wanted);

    struct NewUser {
        std::string email, name, password;
    };
    /// Without a password nobody can sign in as it until one is set. already_exists.
    awaitable<result<std::string>> create_user(NewUser user, std::string actor);
    /// By id or e-mail; not_found.
    awaitable<result<ValuePtr>> find_user(std::string id_or_email);
    awaitable<result<RecordPage>> users(std::size_t limit, std::string after);
    /// A disabled one's sessions end. conflict: the user is erased, or about to be.
    awaitable<result<void>> set_status(std::string user, std::string status, std::string actor);
    /// nullopt takes the role away. not_found, and conflict for a user that is erased.
    awaitable<result<void>> set_role(std::string user, std::string domain, std::optional<Role> role,
                                     std::string actor);
    awaitable<result<std::map<std::string, Role, std::less<>>>> roles_of(std::string user);
    /// The memberships of a domain, with the users' e-mail address, name and status.
    awaitable<result<RecordPage>> members(std::string domain, std::size_t limit, std::string after);
    /// A domain's audit trail, newest first.
    awaitable<result<RecordPage>> trail(std::string domain, std::size_t limit, std::string after);

    /// The whole key, nbk_ID.SECRET, is told here and never again.
    awaitable<result<std::string>> create_api_key(std::string name, std::string domain, Role role,
                                                  std::string actor);
    awaitable<result<void>> revoke_api_key(std::string id, std::string actor);
    /// A domain's, oldest first; without the hashes of their secrets.
    awaitable<result<RecordPage>> api_keys(std::string domain, std::size_t limit,
                                           std::string after);
    /// not_found unless the domain has it.
    awaitable<result<ValuePtr>> api_key(std::string domain, std::string id);

    /// A token with roles of its own, without user or session.
    awaitable<result<std::string>>
    sign(std::string subject, std::map<std::string, Role, std::less<>> roles, Clock::duration ttl);
    /// What the shell asks the running server with: it may read everything, for a minute.
    awaitable<result<std::string>> shell_token();
    /// "Bearer " and an access token or an API key. unauthorized.
    awaitable<result<Caller>> authenticate(std::string authorization);
    /// RFC 7517.
    awaitable<result<Value>> jwks();

    static constexpr Clock::duration token_ttl_max = std::chrono::hours(24 * 30);

private:
    struct Known {
        Caller caller;
        Clock::duration until;
    };

    [[nodiscard]] Date now() const { return Date{clock_.utc_us() / 1000}; }
    [[nodiscard]] Date in(Clock::duration time) const;
    [[nodiscard]] RecordWrite audited(std::string actor, std::string_view action,
                                      std::string_view outcome, std::string target,
                                      std::string detail = {}, std::string domain = {}) const;
    awaitable<result<void>> load_keys();
    awaitable<result<const SigningKey*>> signing_key();
    awaitable<result<const SigningKey*>> key(std::string id);
    awaitable<result<void>> count_attempt(std::string attempt);
    awaitable<result<void>> forget_attempts(std::string attempt);
    awaitable<result<SignedIn>> open_session(std::string user, std::string client);
    awaitable<result<std::string>> access_token(std::string user, std::string session);
    awaitable<result<void>> revoke(ValuePtr session, std::string why);
    awaitable<result<void>> revoke_all(std::string user, std::string except, std::string why);
    awaitable<result<void>> set_password(ValuePtr user, std::string password,
                                         std::vector<RecordWrite> with);
    awaitable<result<Caller>> by_session(std::string user, std::string session);
    awaitable<result<Caller>> by_api_key(std::string key);

    RecordStore& records_;
    Clock& clock_;
    IdentityOptions options_;
    Passwords passwords_;
    struct StoredKey {
        Date created_at;
        SigningKey key;
    };
    std::list<StoredKey> keys_; // newest first; a list, so that a pointer stays while others come
    Clock::duration keys_read_{};
    std::map<std::string, Known, std::less<>> known_; // by session

    static constexpr std::size_t known_max = 10'000, keys_max = 16;
};

/// "ES256" and the like live in tokens.hpp; an address is compared in lower case.
[[nodiscard]] result<std::string> email_key(std::string_view email);

} // namespace netbuild::identity
