// SPDX-License-Identifier: Apache-2.0
#include "http/member_routes.hpp"

#include <algorithm>

#include "data/identity_records.hpp"
#include "page_reply.hpp"

namespace netbuild::http {
namespace {

constexpr Field grant_fields[] = {{.name = "role", .required = true, .choices = data::roles}};
constexpr Field key_fields[] = {{.name = "name", .required = true, .size_max = 200},
                                {.name = "role", .required = true, .choices = data::roles}};

Object shown(const Value& record) {
    Object item{{"id", record_id(record)}};
    for (const auto& member : record_body(record)) {
        if (member.key != "secretHash") item.append(member.key, member.value);
    }
    return item;
}

/// The domain of the path, once the caller may do this there.
result<std::string> admitted(Call& call) {
    const std::string& domain = call.segment("domainId");
    TRY_VOID(call.admit(domain, "domain " + domain));
    return domain;
}

struct Wanted {
    std::string domain, after;
    std::size_t limit = 0;
};
result<Wanted> wanted_page(Call& call) {
    Wanted wanted;
    TRY(wanted.domain, admitted(call));
    TRY_VOID(call.only({"limit", "cursor"}));
    TRY(wanted.limit, call.limit());
    wanted.after = call.parameter("cursor");
    return wanted;
}

Error above() { return fail(ErrorCode::forbidden, "a role above one's own"); }

int own_rank(const Call& call) {
    const auto role = call.caller.role_in(call.segment("domainId"));
    return role ? rank(*role) : 0;
}

} // namespace

void MemberRoutes::add_to(Routes& routes) {
    routes.add("GET", "/v1/domains/{domainId}/users", [this](Call& call) { return users(call); });
    routes.add("PUT", "/v1/domains/{domainId}/users/{userId}",
               [this](Call& call) { return grant(call); });
    routes.add("DELETE", "/v1/domains/{domainId}/users/{userId}",
               [this](Call& call) { return revoke(call); });
    routes.add("GET", "/v1/domains/{domainId}/api-keys", [this](Call& call) { return keys(call); });
    routes.add("POST", "/v1/domains/{domainId}/api-keys",
               [this](Call& call) { return create_key(call); });
    routes.add("DELETE", "/v1/domains/{domainId}/api-keys/{keyId}",
               [this](Call& call) { return revoke_key(call); });
    routes.add("GET", "/v1/domains/{domainId}/audit", [this](Call& call) { return trail(call); });
}

awaitable<result<Reply>> MemberRoutes::users(Call& call) {
    CO_TRY(const Wanted wanted, wanted_page(call));
    CO_TRY(const RecordPage page,
           co_await identity_.members(wanted.domain, wanted.limit, wanted.after));
    co_return page_reply(page, [](const Value& record) {
        Object item = shown(record);
        item.erase("id"); // userId says it
        return item;
    });
}

awaitable<result<void>> MemberRoutes::may_set(Call& call, Role wanted) {
    const std::string& user = call.segment("userId");
    if (user == call.caller.subject)
        co_return fail(ErrorCode::forbidden, "nobody sets their own role");
    CO_TRY(const auto roles, co_await identity_.roles_of(user));
    const auto now = roles.find(call.segment("domainId"));
    const int most = std::max(rank(wanted), now == roles.end() ? 0 : rank(now->second));
    if (most > own_rank(call)) co_return above();
    co_return result<void>{};
}

awaitable<result<Reply>> MemberRoutes::grant(Call& call) {
    CO_TRY(const std::string domain, admitted(call));
    CO_TRY(const Object body, call.body(grant_fields));
    const std::string user = call.segment("userId"), name = std::string(body.text("role"));
    const Role role = *parse_role(name);
    CO_TRY_VOID(co_await may_set(call, role));
    CO_TRY_VOID(co_await identity_.set_role(user, domain, role, call.caller.subject));
    co_return Reply{.body = Object{{"userId", user}, {"domainId", domain}, {"role", name}}};
}

/// Also of somebody without a role: who has one elsewhere is nobody's business here.
awaitable<result<Reply>> MemberRoutes::revoke(Call& call) {
    CO_TRY(const std::string domain, admitted(call));
    CO_TRY_VOID(co_await may_set(call, Role::viewer));
    CO_TRY_VOID(co_await identity_.set_role(call.segment("userId"), domain, std::nullopt,
                                            call.caller.subject));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> MemberRoutes::keys(Call& call) {
    CO_TRY(const Wanted wanted, wanted_page(call));
    CO_TRY(const RecordPage page,
           co_await identity_.api_keys(wanted.domain, wanted.limit, wanted.after));
    co_return page_reply(page, shown);
}

awaitable<result<Reply>> MemberRoutes::create_key(Call& call) {
    CO_TRY(const std::string domain, admitted(call));
    CO_TRY(const Object body, call.body(key_fields));
    const Role role = *parse_role(std::string(body.text("role")));
    if (rank(role) > own_rank(call)) co_return above();
    CO_TRY(const std::string key,
           co_await identity_.create_api_key(std::string(body.text("name")), domain, role,
                                             call.caller.subject));
    const std::string id = key.substr(4, key.find('.') - 4); // nbk_ID.SECRET
    CO_TRY(const ValuePtr record, co_await identity_.api_key(domain, id));
    Object told = shown(*record);
    told.set("key", key);
    co_return Reply{
        .status = 201, .body = std::move(told), .headers = {{"Cache-Control", "no-store"}}};
}

awaitable<result<Reply>> MemberRoutes::revoke_key(Call& call) {
    CO_TRY(const std::string domain, admitted(call));
    CO_TRY(const ValuePtr key, co_await identity_.api_key(domain, call.segment("keyId")));
    CO_TRY_VOID(co_await identity_.revoke_api_key(record_id(*key), call.caller.subject));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> MemberRoutes::trail(Call& call) {
    CO_TRY(const Wanted wanted, wanted_page(call));
    CO_TRY(const RecordPage page,
           co_await identity_.trail(wanted.domain, wanted.limit, wanted.after));
    co_return page_reply(page, shown);
}

} // namespace netbuild::http
