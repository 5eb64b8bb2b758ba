// SPDX-License-Identifier: Apache-2.0
// Passwords, sessions and refresh tokens.
#include "identity/identity.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "crypto.hpp"
#include "data/audit.hpp"
#include "data/identity_records.hpp"

namespace netbuild::identity {
namespace {

constexpr int attempts_at_a_time_max = 3;
constexpr std::size_t refresh_bytes = 32;
constexpr std::size_t client_bytes_max = 300;

Error refused() { return fail(ErrorCode::unauthorized, "e-mail address or password is wrong"); }
Error no_token() { return fail(ErrorCode::unauthorized, "the refresh token is not valid"); }

Date date(const Value& record, std::string_view field) {
    const Value* found = record.at_path(field);
    const auto* at = found ? found->get_if<Date>() : nullptr;
    return at ? *at : Date{};
}

result<void> check_password(const std::string& password) {
    if (password.size() < Passwords::bytes_min || password.size() > Passwords::bytes_max)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("password: must have {} to {} bytes", Passwords::bytes_min,
                                Passwords::bytes_max));
    return {};
}

} // namespace

Identity::Identity(RecordStore& records, Clock& clock, IdentityOptions options)
    : records_(records),
      clock_(clock),
      options_(std::move(options)),
      passwords_(options_.passwords) {}

Date Identity::in(Clock::duration time) const {
    return Date{now().milliseconds +
                std::chrono::duration_cast<std::chrono::milliseconds>(time).count()};
}

RecordWrite Identity::audited(std::string actor, std::string_view action, std::string_view outcome,
                              std::string target, std::string detail, std::string domain) const {
    return data::audit_write({.actor = std::move(actor),
                              .action = std::string(action),
                              .outcome = std::string(outcome),
                              .target = std::move(target),
                              .domain = std::move(domain),
                              .detail = std::move(detail)},
                             now(), random_text(9));
}

/// Counted before the password is looked at: guesses at a time are counted one by one.
awaitable<result<void>> Identity::count_attempt(std::string attempt) {
    for (int tries = 1;; ++tries) {
        CO_TRY(const auto found, co_await records_.get(data::sign_in_attempts, {attempt}));
        const ValuePtr& before = found.front();
        if (before && date(*before, "lockedUntil") > now()) {
            const auto wait = date(*before, "lockedUntil").milliseconds - now().milliseconds;
            co_return fail(ErrorCode::rate_limited, fmt::format("in {} s", wait / 1000 + 1));
        }
        const std::int64_t failures =
            before ? before->at_path("failures")->integer_or() + 1 : std::int64_t{1};
        Clock::duration delay{};
        if (failures >= options_.failures_free) {
            const auto doublings = std::min<std::int64_t>(failures - options_.failures_free, 30);
            delay =
                std::min(options_.delay_max, options_.delay_first * (std::int64_t{1} << doublings));
        }
        Object body{{"failures", failures},
                    {"lockedUntil", in(delay)},
                    {"expiresAt", in(2 * options_.delay_max + delay)}};
        auto counted = co_await records_.commit(
            before ? RecordWrite::replace(data::sign_in_attempts, attempt, record_version(*before),
                                          std::move(body))
                   : RecordWrite::insert(data::sign_in_attempts, attempt, std::move(body)));
        if (counted || counted.error().error_class() != ErrorClass::conflict) co_return counted;
        if (tries == attempts_at_a_time_max)
            co_return fail(ErrorCode::rate_limited, "others try the same at this moment");
    }
}

awaitable<result<void>> Identity::forget_attempts(std::string attempt) {
    CO_TRY(const auto found, co_await records_.get(data::sign_in_attempts, {attempt}));
    if (!found.front()) co_return result<void>{};
    auto erased = co_await records_.commit(
        RecordWrite::erase(data::sign_in_attempts, attempt, record_version(*found.front())));
    // Another sign-in counts or has forgotten: either is right.
    if (!erased && erased.error().error_class() != ErrorClass::conflict &&
        erased.error().code() != ErrorCode::not_found)
        co_return erased;
    co_return result<void>{};
}

awaitable<result<SignedIn>> Identity::login(std::string email, std::string password,
                                            std::string client) {
    const auto key = email_key(email);
    const std::string address = key ? *key : email;
    const std::string attempt = sha256(address);
    CO_TRY_VOID(co_await count_attempt(attempt));
    ValuePtr user;
    if (key) {
        CO_TRY(user, co_await records_.first({.collection = &data::users,
                                              .where = {{.field = "emailKey", .value = *key}}}));
    }
    const std::string hash(user ? user->text_at("passwordHash") : "");
    CO_TRY(const auto verdict, co_await passwords_.verify(hash, password));
    const bool active = user && user->text_at("status") == "active";
    const std::string who = user ? record_id(*user) : "unknown";
    if (!verdict.right || !active) {
        CO_TRY_VOID(co_await records_.commit(audited(who, "sign_in", "refused", who)));
        co_return refused();
    }
    if (verdict.outdated) {
        CO_TRY(std::string better, co_await passwords_.hash(password));
        Object body = record_body(*user);
        body.set("passwordHash", std::move(better));
        // Whoever changed the user meanwhile wins; the next sign-in upgrades.
        (void)co_await records_.commit(
            RecordWrite::replace(data::users, who, record_version(*user), std::move(body)));
    }
    CO_TRY_VOID(co_await forget_attempts(attempt));
    co_return co_await open_session(who, client.substr(0, client_bytes_max));
}

awaitable<result<SignedIn>> Identity::open_session(std::string user, std::string client) {
    SignedIn signed_in;
    signed_in.session = "ses_" + random_text(16);
    signed_in.refresh_token = "nbr_" + random_text(refresh_bytes);
    Object session{{"userId", user},
                   {"createdAt", now()},
                   {"usedAt", now()},
                   {"expiresAt", in(options_.refresh_ttl)}};
    if (!client.empty() && is_utf8(client)) session.append("client", std::move(client));
    std::vector<RecordWrite> writes;
    writes.push_back(RecordWrite::insert(data::sessions, signed_in.session, std::move(session)));
    writes.push_back(RecordWrite::insert(
        data::refresh_tokens, sha256(signed_in.refresh_token),
        Object{{"sessionId", signed_in.session}, {"expiresAt", in(options_.refresh_ttl)}}));
    writes.push_back(audited(user, "sign_in", "done", signed_in.session));
    CO_TRY_VOID(co_await records_.commit(std::move(writes)));
    CO_TRY(signed_in.access_token, co_await access_token(user, signed_in.session));
    signed_in.expires_in_s =
        std::chrono::duration_cast<std::chrono::seconds>(options_.access_ttl).count();
    co_return signed_in;
}

awaitable<result<SignedIn>> Identity::refresh(std::string token) {
    const std::string id = sha256(token);
    CO_TRY(const auto tokens, co_await records_.get(data::refresh_tokens, {id}));
    const ValuePtr& used = tokens.front();
    if (!used || date(*used, "expiresAt") <= now()) co_return no_token();
    const std::string session_id(used->text_at("sessionId"));
    CO_TRY(const auto sessions, co_await records_.get(data::sessions, {session_id}));
    const ValuePtr& session = sessions.front();
    if (!session || session->at_path("revokedAt")) co_return no_token();
    if (used->at_path("usedAt")) {
        CO_TRY_VOID(co_await revoke(session, "a refresh token was used twice"));
        co_return no_token();
    }
    const std::string user_id(session->text_at("userId"));
    CO_TRY(const ValuePtr user, co_await find_user(user_id));
    if (user->text_at("status") != "active") co_return no_token();
    SignedIn signed_in;
    signed_in.session = session_id;
    signed_in.refresh_token = "nbr_" + random_text(refresh_bytes);
    Object spent = record_body(*used);
    spent.set("usedAt", now());
    Object going_on = record_body(*session);
    going_on.set("usedAt", now());
    going_on.set("expiresAt", in(options_.refresh_ttl));
    std::vector<RecordWrite> writes;
    writes.push_back(
        RecordWrite::replace(data::refresh_tokens, id, record_version(*used), std::move(spent)));
    writes.push_back(RecordWrite::insert(
        data::refresh_tokens, sha256(signed_in.refresh_token),
        Object{{"sessionId", session_id}, {"expiresAt", in(options_.refresh_ttl)}}));
    writes.push_back(RecordWrite::replace(data::sessions, session_id, record_version(*session),
                                          std::move(going_on)));
    auto rotated = co_await records_.commit(std::move(writes));
    if (!rotated && rotated.error().code() == ErrorCode::conflict) {
        // The same token twice at a time: one of the two is not its owner.
        CO_TRY(const auto again, co_await records_.get(data::sessions, {session_id}));
        if (again.front())
            CO_TRY_VOID(co_await revoke(again.front(), "a refresh token was used twice"));
        co_return no_token();
    }
    if (!rotated) co_return std::move(rotated).error();
    CO_TRY(signed_in.access_token, co_await access_token(user_id, session_id));
    signed_in.expires_in_s =
        std::chrono::duration_cast<std::chrono::seconds>(options_.access_ttl).count();
    co_return signed_in;
}

awaitable<result<void>> Identity::revoke(ValuePtr session, std::string why) {
    const std::string id = record_id(*session);
    known_.erase(id);
    for (int tries = 1;; ++tries) {
        if (session->at_path("revokedAt")) co_return result<void>{};
        Object body = record_body(*session);
        body.set("revokedAt", now());
        body.set("revokedBecause", why);
        std::vector<RecordWrite> writes;
        writes.push_back(
            RecordWrite::replace(data::sessions, id, record_version(*session), std::move(body)));
        writes.push_back(
            audited(std::string(session->text_at("userId")), "session.revoke", "done", id, why));
        auto revoked = co_await records_.commit(std::move(writes));
        if (revoked || revoked.error().code() != ErrorCode::conflict ||
            tries == attempts_at_a_time_max)
            co_return revoked;
        CO_TRY(session, co_await records_.one(data::sessions, id)); // refreshed meanwhile
    }
}

awaitable<result<void>> Identity::revoke_all(std::string user, std::string except,
                                             std::string why) {
    RecordQuery query{.collection = &data::sessions,
                      .where = {{.field = "userId", .value = user}},
                      .limit = RecordQuery::limit_max};
    while (true) {
        CO_TRY(const RecordPage page, co_await records_.find(query));
        for (const ValuePtr& session : page.items) {
            if (record_id(*session) != except) CO_TRY_VOID(co_await revoke(session, why));
        }
        if (page.next.empty()) co_return result<void>{};
        query.after = page.next;
    }
}

awaitable<result<RecordPage>> Identity::sessions(std::string user, std::size_t limit,
                                                 std::string after) {
    RecordQuery query{.collection = &data::sessions,
                      .where = {{.field = "userId", .value = std::move(user)}},
                      .sort = {"createdAt"},
                      .descending = true,
                      .limit = limit,
                      .after = std::move(after)};
    co_return co_await records_.find(std::move(query));
}

awaitable<result<void>> Identity::end_session(std::string user, std::string session) {
    CO_TRY(const auto found, co_await records_.get(data::sessions, {session}));
    if (!found.front() || found.front()->text_at("userId") != user)
        co_return fail(ErrorCode::not_found, "session " + session);
    co_return co_await revoke(found.front(), "ended by its user");
}

awaitable<result<void>> Identity::set_password(ValuePtr user, std::string password,
                                               std::vector<RecordWrite> with) {
    CO_TRY_VOID(check_password(password));
    CO_TRY(std::string hash, co_await passwords_.hash(std::move(password)));
    Object body = record_body(*user);
    body.set("passwordHash", std::move(hash));
    body.set("passwordChangedAt", now());
    const std::string id = record_id(*user);
    with.push_back(RecordWrite::replace(data::users, id, record_version(*user), std::move(body)));
    with.push_back(audited(id, "password.change", "done", id));
    co_return co_await records_.commit(std::move(with));
}

awaitable<result<void>> Identity::change_password(Caller caller, std::string current,
                                                  std::string wanted) {
    CO_TRY(const ValuePtr user, co_await find_user(caller.subject));
    const std::string attempt = sha256(user->text_at("emailKey"));
    CO_TRY_VOID(co_await count_attempt(attempt));
    CO_TRY(const auto verdict, co_await passwords_.verify(
                                   std::string(user->text_at("passwordHash")), std::move(current)));
    if (!verdict.right) co_return refused();
    CO_TRY_VOID(co_await forget_attempts(attempt));
    CO_TRY_VOID(co_await set_password(user, std::move(wanted), {}));
    co_return co_await revoke_all(caller.subject, caller.session, "the password was changed");
}

awaitable<result<std::string>> Identity::allow_reset(std::string user, std::string actor) {
    const std::string token = "nbp_" + random_text(refresh_bytes);
    std::vector<RecordWrite> writes;
    writes.push_back(
        RecordWrite::insert(data::reset_tokens, sha256(token),
                            Object{{"userId", user}, {"expiresAt", in(options_.reset_ttl)}}));
    writes.push_back(audited(std::move(actor), "password.allow_reset", "done", user));
    CO_TRY_VOID(co_await records_.commit(std::move(writes)));
    co_return token;
}

awaitable<result<void>> Identity::reset_password(std::string token, std::string wanted) {
    CO_TRY_VOID(check_password(wanted));
    const Error error = fail(ErrorCode::unauthorized, "the reset token is not valid");
    const std::string id = sha256(token);
    CO_TRY(const auto found, co_await records_.get(data::reset_tokens, {id}));
    if (!found.front() || date(*found.front(), "expiresAt") <= now()) co_return error;
    const std::string user_id(found.front()->text_at("userId"));
    CO_TRY(const ValuePtr user, co_await find_user(user_id));
    std::vector<RecordWrite> spent;
    spent.push_back(RecordWrite::erase(data::reset_tokens, id, record_version(*found.front())));
    auto set = co_await set_password(user, std::move(wanted), std::move(spent));
    if (!set && set.error().code() == ErrorCode::not_found) co_return error; // used meanwhile
    if (!set) co_return set;
    co_return co_await revoke_all(user_id, "", "the password was reset");
}

} // namespace netbuild::identity
