// SPDX-License-Identifier: Apache-2.0
// Users, their roles, and the keys of services.
#include <fmt/format.h>

#include "crypto.hpp"
#include "data/identity_records.hpp"
#include "identity/identity.hpp"

namespace netbuild::identity {
namespace {

constexpr std::size_t memberships_max = 500;

Error bad_email(std::string_view why) {
    return fail(ErrorCode::invalid_argument, fmt::format("email: {}", why));
}

result<void> check_not_erased(const Value& user) {
    const std::string_view status = user.at_path("status")->string_or();
    if (status != "erasing" && status != "erased") return {};
    return fail(ErrorCode::conflict, fmt::format("user {}: is erased", record_id(user)));
}

/// A page of records as it is told: `change` makes each item of its record's body.
template <class Change>
void change_items(RecordPage& page, Change change) {
    for (ValuePtr& item : page.items) {
        Object body = *item->template get_if<Object>();
        change(body);
        item = std::make_shared<const Value>(std::move(body));
    }
}

} // namespace

result<std::string> email_key(std::string_view email) {
    const auto at = email.rfind('@');
    if (at == std::string_view::npos || at == 0 || at + 1 == email.size() || email.size() > 320)
        return bad_email("must be an address such as name@example.com");
    std::string key;
    for (const char c : email) {
        // Other letters have no one lower case; a domain has its ASCII form (RFC 5891).
        if (c <= ' ' || c > '~') return bad_email("must be printable ASCII without spaces");
        key.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    }
    return key;
}

awaitable<result<std::string>> Identity::create_user(NewUser user, std::string actor) {
    CO_TRY(std::string key, email_key(user.email));
    Object body{{"email", user.email},
                {"emailKey", std::move(key)},
                {"status", "active"},
                {"createdAt", now()}};
    if (!user.name.empty()) body.append("name", std::move(user.name));
    if (!user.password.empty()) {
        if (user.password.size() < Passwords::bytes_min ||
            user.password.size() > Passwords::bytes_max)
            co_return fail(ErrorCode::invalid_argument,
                           fmt::format("password: must have {} to {} bytes", Passwords::bytes_min,
                                       Passwords::bytes_max));
        CO_TRY(std::string hash, co_await passwords_.hash(std::move(user.password)));
        body.append("passwordHash", std::move(hash));
    }
    const std::string id = "usr_" + random_text(12);
    std::vector<RecordWrite> writes;
    writes.push_back(RecordWrite::insert(data::users, id, std::move(body)));
    writes.push_back(audited(std::move(actor), "user.create", "done", id));
    auto made = co_await records_.commit(std::move(writes));
    if (!made && made.error().code() == ErrorCode::already_exists)
        co_return fail(ErrorCode::already_exists, "a user with this e-mail address");
    if (!made) co_return std::move(made).error();
    co_return id;
}

awaitable<result<ValuePtr>> Identity::find_user(std::string id_or_email) {
    if (id_or_email.find('@') == std::string::npos)
        co_return co_await records_.one(data::users, std::move(id_or_email));
    CO_TRY(const std::string key, email_key(id_or_email));
    CO_TRY(ValuePtr user,
           co_await records_.first(
               {.collection = &data::users, .where = {{.field = "emailKey", .value = key}}}));
    if (!user) co_return fail(ErrorCode::not_found, "user " + id_or_email);
    co_return user;
}

awaitable<result<RecordPage>> Identity::users(std::size_t limit, std::string after) {
    RecordQuery query{.collection = &data::users,
                      .sort = {"createdAt"},
                      .limit = limit,
                      .after = std::move(after)};
    co_return co_await records_.find(std::move(query));
}

awaitable<result<void>> Identity::set_status(std::string user, std::string status,
                                             std::string actor) {
    CO_TRY(const ValuePtr record, co_await find_user(user));
    CO_TRY_VOID(check_not_erased(*record));
    Object body = record_body(*record);
    body.set("status", status);
    const std::string id = record_id(*record);
    std::vector<RecordWrite> writes;
    writes.push_back(
        RecordWrite::replace(data::users, id, record_version(*record), std::move(body)));
    writes.push_back(audited(std::move(actor), "user." + status, "done", id));
    CO_TRY_VOID(co_await records_.commit(std::move(writes)));
    if (status == "active") co_return result<void>{};
    co_return co_await revoke_all(id, "", "the user was disabled");
}

awaitable<result<void>> Identity::set_role(std::string user, std::string domain,
                                           std::optional<Role> role, std::string actor) {
    if (role) {
        CO_TRY(const ValuePtr record, co_await records_.one(data::users, user));
        CO_TRY_VOID(check_not_erased(*record));
    }
    const std::string id = fmt::format("{}/{}", user, domain);
    CO_TRY(const auto found, co_await records_.get(data::memberships, {id}));
    const ValuePtr& before = found.front();
    if (!before && !role) co_return result<void>{};
    std::vector<RecordWrite> writes;
    const std::string name(role ? role_name(*role) : "none");
    Object body{{"userId", user}, {"domainId", domain}, {"role", name}};
    if (!before) {
        writes.push_back(RecordWrite::insert(data::memberships, id, std::move(body)));
    } else if (role) {
        writes.push_back(
            RecordWrite::replace(data::memberships, id, record_version(*before), std::move(body)));
    } else {
        writes.push_back(RecordWrite::erase(data::memberships, id, record_version(*before)));
    }
    writes.push_back(audited(std::move(actor), "role.set", "done", id, name, domain));
    known_.clear();
    co_return co_await records_.commit(std::move(writes));
}

awaitable<result<std::map<std::string, Role, std::less<>>>> Identity::roles_of(std::string user) {
    RecordQuery query{.collection = &data::memberships,
                      .where = {{.field = "userId", .value = std::move(user)}},
                      .limit = memberships_max};
    CO_TRY(const RecordPage page, co_await records_.find(std::move(query)));
    std::map<std::string, Role, std::less<>> roles;
    for (const ValuePtr& membership : page.items) {
        const auto role = parse_role(membership->at_path("role")->string_or());
        if (role) roles.emplace(membership->at_path("domainId")->string_or(), *role);
    }
    co_return roles;
}

awaitable<result<std::string>> Identity::create_api_key(std::string name, std::string domain,
                                                        Role role, std::string actor) {
    const std::string id = "key_" + random_text(9);
    const std::string secret = random_text(32);
    std::vector<RecordWrite> writes;
    writes.push_back(RecordWrite::insert(data::api_keys, id,
                                         Object{{"name", std::move(name)},
                                                {"domainId", domain},
                                                {"role", role_name(role)},
                                                {"secretHash", sha256(secret)},
                                                {"createdBy", actor},
                                                {"createdAt", now()}}));
    writes.push_back(audited(std::move(actor), "api_key.create", "done", id, "", domain));
    CO_TRY_VOID(co_await records_.commit(std::move(writes)));
    co_return fmt::format("nbk_{}.{}", id, secret);
}

awaitable<result<void>> Identity::revoke_api_key(std::string id, std::string actor) {
    CO_TRY(const ValuePtr key, co_await records_.one(data::api_keys, id));
    if (key->at_path("revokedAt")) co_return result<void>{};
    Object body = record_body(*key);
    body.set("revokedAt", now());
    const std::string domain(key->at_path("domainId")->string_or());
    std::vector<RecordWrite> writes;
    writes.push_back(
        RecordWrite::replace(data::api_keys, id, record_version(*key), std::move(body)));
    writes.push_back(audited(std::move(actor), "api_key.revoke", "done", id, "", domain));
    co_return co_await records_.commit(std::move(writes));
}

awaitable<result<RecordPage>> Identity::api_keys(std::string domain, std::size_t limit,
                                                 std::string after) {
    CO_TRY(RecordPage page,
           co_await records_.find({.collection = &data::api_keys,
                                   .where = {{.field = "domainId", .value = std::move(domain)}},
                                   .sort = {"createdAt"},
                                   .limit = limit,
                                   .after = std::move(after)}));
    change_items(page, [](Object& key) { key.erase("secretHash"); });
    co_return page;
}

awaitable<result<ValuePtr>> Identity::api_key(std::string domain, std::string id) {
    CO_TRY(const auto found, co_await records_.get(data::api_keys, {id}));
    if (!found.front() || found.front()->at_path("domainId")->string_or() != domain)
        co_return fail(ErrorCode::not_found, "API key " + id);
    co_return found.front();
}

awaitable<result<RecordPage>> Identity::members(std::string domain, std::size_t limit,
                                                std::string after) {
    CO_TRY(RecordPage page,
           co_await records_.find({.collection = &data::memberships,
                                   .where = {{.field = "domainId", .value = std::move(domain)}},
                                   .limit = limit,
                                   .after = std::move(after)}));
    std::vector<std::string> ids;
    for (const ValuePtr& membership : page.items)
        ids.emplace_back(membership->at_path("userId")->string_or());
    if (ids.empty()) co_return page;
    CO_TRY(const auto users, co_await records_.get(data::users, std::move(ids)));
    auto user = users.begin();
    change_items(page, [&user](Object& member) {
        for (const std::string_view field : {"email", "name", "status"}) {
            const Value* value = *user ? (*user)->at_path(field) : nullptr;
            if (value) member.set(field, *value);
        }
        ++user;
    });
    co_return page;
}

awaitable<result<RecordPage>> Identity::trail(std::string domain, std::size_t limit,
                                              std::string after) {
    co_return co_await records_.find({.collection = &data::audit,
                                      .where = {{.field = "domainId", .value = std::move(domain)}},
                                      .sort = {"at"},
                                      .descending = true,
                                      .limit = limit,
                                      .after = std::move(after)});
}

} // namespace netbuild::identity
