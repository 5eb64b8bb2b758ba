// SPDX-License-Identifier: Apache-2.0
// Signing keys and what they sign; who a request's Authorization is.
#include <fmt/format.h>

#include "crypto.hpp"
#include "data/identity_records.hpp"
#include "identity/identity.hpp"

namespace netbuild::identity {
namespace {

constexpr std::string_view issuer = "netbuild";
/// A token with an unknown key makes us look for new ones, but not more often.
constexpr std::chrono::seconds keys_reread{5};

Error no_access() { return fail(ErrorCode::unauthorized, "the access token is not valid"); }

std::int64_t seconds(Date date) { return date.milliseconds / 1000; }

std::string_view text(const Object& object, std::string_view name) {
    const Value* found = object.find(name);
    return found ? found->string_or() : std::string_view{};
}

std::string_view text(const Value& record, std::string_view name) {
    return text(*record.get_if<Object>(), name);
}

Date date(const Value& record, std::string_view name) {
    const Value* found = record.at_path(name);
    const auto* at = found ? found->get_if<Date>() : nullptr;
    return at ? *at : Date{};
}

} // namespace

awaitable<result<void>> Identity::load_keys() {
    RecordQuery query{.collection = &data::signing_keys,
                      .sort = {"createdAt"},
                      .descending = true,
                      .limit = keys_max};
    CO_TRY(const RecordPage page, co_await records_.find(std::move(query)));
    // A key verifies for as long as a token may live that it signed last.
    const Date oldest = in(-(options_.key_rotation + token_ttl_max));
    std::list<StoredKey> keys;
    for (const ValuePtr& record : page.items) {
        if (date(*record, "createdAt") < oldest) continue;
        CO_TRY(SigningKey key,
               SigningKey::parse(record_id(*record), std::string(text(*record, "privateKey")),
                                 options_.key_passphrase));
        keys.push_back({date(*record, "createdAt"), std::move(key)});
    }
    keys_ = std::move(keys);
    keys_read_ = clock_.monotonic();
    co_return result<void>{};
}

/// The newest; a new one when that is old. Two processes may make one each: both verify.
awaitable<result<const SigningKey*>> Identity::signing_key() {
    const auto fresh = [this] {
        return !keys_.empty() && keys_.front().created_at > in(-options_.key_rotation);
    };
    if (!fresh()) CO_TRY_VOID(co_await load_keys());
    if (!fresh()) {
        const SigningKey key = SigningKey::generate("sig_" + random_text(9));
        CO_TRY_VOID(co_await records_.commit(RecordWrite::insert(
            data::signing_keys, key.id(),
            Object{{"privateKey", key.pem(options_.key_passphrase)}, {"createdAt", now()}})));
        CO_TRY_VOID(co_await load_keys());
    }
    if (keys_.empty()) co_return fail(ErrorCode::internal, "no signing key");
    co_return &keys_.front().key;
}

awaitable<result<const SigningKey*>> Identity::key(std::string id) {
    for (int look = 1;; ++look) {
        for (const StoredKey& one : keys_) {
            if (one.key.id() == id) co_return &one.key;
        }
        const bool just_read =
            keys_read_ != Clock::duration{} && clock_.monotonic() < keys_read_ + keys_reread;
        if (look == 2 || just_read) co_return no_access();
        CO_TRY_VOID(co_await load_keys());
    }
}

awaitable<result<std::string>> Identity::access_token(std::string user, std::string session) {
    CO_TRY(const SigningKey* key, co_await signing_key());
    co_return key->sign(Object{{"iss", issuer},
                               {"sub", user},
                               {"sid", session},
                               {"jti", random_text(9)},
                               {"iat", seconds(now())},
                               {"exp", seconds(in(options_.access_ttl))}});
}

awaitable<result<std::string>> Identity::sign(std::string subject,
                                              std::map<std::string, Role, std::less<>> roles,
                                              Clock::duration ttl) {
    if (ttl <= Clock::duration{} || ttl > token_ttl_max)
        co_return fail(ErrorCode::invalid_argument, "a token lives for at most 30 days");
    Object claim;
    for (const auto& [domain, role] : roles)
        claim.append(domain, role_name(role));
    CO_TRY_VOID(co_await records_.commit(audited("shell", "token.sign", "done", subject)));
    CO_TRY(const SigningKey* key, co_await signing_key());
    co_return key->sign(Object{{"iss", issuer},
                               {"sub", subject},
                               {"roles", std::move(claim)},
                               {"jti", random_text(9)},
                               {"iat", seconds(now())},
                               {"exp", seconds(in(ttl))}});
}

awaitable<result<std::string>> Identity::shell_token() {
    CO_TRY(const SigningKey* key, co_await signing_key());
    co_return key->sign(
        Object{{"iss", issuer},
               {"sub", "shell"},
               {"roles", Object{{std::string(every_domain), role_name(Role::viewer)}}},
               {"iat", seconds(now())},
               {"exp", seconds(in(std::chrono::minutes(1)))}});
}

awaitable<result<Value>> Identity::jwks() {
    CO_TRY_VOID(co_await signing_key());
    Array keys;
    for (const StoredKey& one : keys_)
        keys.emplace_back(one.key.jwk());
    co_return Value(Object{{"keys", std::move(keys)}});
}

awaitable<result<Caller>> Identity::authenticate(std::string authorization) {
    constexpr std::string_view scheme = "Bearer ";
    if (!authorization.starts_with(scheme))
        co_return fail(ErrorCode::unauthorized, "Authorization: Bearer and a token are missing");
    std::string token = authorization.substr(scheme.size());
    if (token.starts_with("nbk_")) co_return co_await by_api_key(std::move(token));
    CO_TRY(const ParsedToken parsed, parse_token(token));
    CO_TRY(const SigningKey* signer, co_await key(parsed.key_id));
    const Value* expires = parsed.claims.find("exp");
    if (!signer->verifies(parsed.signed_part, parsed.signature) ||
        text(parsed.claims, "iss") != issuer || !expires || expires->integer_or() <= seconds(now()))
        co_return no_access();
    const std::string subject(text(parsed.claims, "sub"));
    if (parsed.claims.contains("sid")) {
        CO_TRY(Caller signed_in,
               co_await by_session(subject, std::string(text(parsed.claims, "sid"))));
        signed_in.expires_s = expires->integer_or();
        co_return signed_in;
    }
    Caller caller{.subject = subject, .expires_s = expires->integer_or()};
    const Value* roles = parsed.claims.find("roles");
    if (!roles || !roles->is<Object>()) co_return no_access();
    for (const auto& member : *roles->get_if<Object>()) {
        if (const auto role = parse_role(member.value.string_or()))
            caller.roles.emplace(member.key, *role);
    }
    co_return caller;
}

awaitable<result<Caller>> Identity::by_session(std::string user, std::string session) {
    const auto known = known_.find(session);
    if (known != known_.end() && known->second.until > clock_.monotonic() &&
        known->second.caller.subject == user)
        co_return known->second.caller;
    CO_TRY(const auto sessions, co_await records_.get(data::sessions, {session}));
    CO_TRY(const auto users, co_await records_.get(data::users, {user}));
    const ValuePtr& one = sessions.front();
    if (!one || one->at_path("revokedAt") || text(*one, "userId") != user || !users.front() ||
        text(*users.front(), "status") != "active")
        co_return no_access();
    Caller caller{.subject = user, .session = session};
    CO_TRY(caller.roles, co_await roles_of(user));
    if (known_.size() >= known_max) known_.clear();
    known_[session] = {caller, clock_.monotonic() + options_.recheck};
    co_return caller;
}

awaitable<result<Caller>> Identity::by_api_key(std::string key) {
    const Error error = fail(ErrorCode::unauthorized, "the API key is not valid");
    const auto dot = key.find('.');
    if (dot == std::string::npos) co_return error;
    const std::string id = key.substr(4, dot - 4), secret = key.substr(dot + 1);
    CO_TRY(const auto found, co_await records_.get(data::api_keys, {id}));
    const ValuePtr& record = found.front();
    // A hash is compared in any case: whether there is such an id shows in no time.
    const bool right = same(sha256(secret), record ? text(*record, "secretHash") : sha256(""));
    if (!record || !right || record->at_path("revokedAt")) co_return error;
    const auto role = parse_role(text(*record, "role"));
    if (!role) co_return error;
    co_return Caller{.subject = id, .roles = {{std::string(text(*record, "domainId")), *role}}};
}

} // namespace netbuild::identity
