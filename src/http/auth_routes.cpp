// SPDX-License-Identifier: Apache-2.0
#include "http/auth_routes.hpp"

#include "page_reply.hpp"

namespace netbuild::http {
namespace {

constexpr Field login_fields[] = {{.name = "email", .required = true, .size_max = 320},
                                  {.name = "password", .required = true, .size_max = 1024}};
constexpr Field refresh_fields[] = {{.name = "refreshToken", .required = true, .size_max = 200}};
constexpr Field change_fields[] = {{.name = "current", .required = true, .size_max = 1024},
                                   {.name = "password", .required = true, .size_max = 1024}};
constexpr Field reset_fields[] = {{.name = "token", .required = true, .size_max = 200},
                                  {.name = "password", .required = true, .size_max = 1024}};

Reply tokens(const identity::SignedIn& signed_in) {
    return {.body = Object{{"accessToken", signed_in.access_token},
                           {"tokenType", "Bearer"},
                           {"expiresIn", signed_in.expires_in_s},
                           {"refreshToken", signed_in.refresh_token},
                           {"sessionId", signed_in.session}},
            .headers = {{"Cache-Control", "no-store"}}};
}

} // namespace

void AuthRoutes::add_to(Routes& routes) {
    routes.add("POST", "/v1/auth/login", [this](Call& call) { return login(call); });
    routes.add("POST", "/v1/auth/refresh", [this](Call& call) { return refresh(call); });
    routes.add("POST", "/v1/auth/logout", [this](Call& call) { return logout(call); });
    routes.add("GET", "/v1/auth/sessions", [this](Call& call) { return sessions(call); });
    routes.add("DELETE", "/v1/auth/sessions/{sessionId}",
               [this](Call& call) { return end_session(call); });
    routes.add("POST", "/v1/auth/password", [this](Call& call) { return change_password(call); });
    routes.add("POST", "/v1/auth/password/reset",
               [this](Call& call) { return reset_password(call); });
    routes.add("GET", "/v1/auth/me", [this](Call& call) { return me(call); });
    routes.add("GET", "/.well-known/jwks.json", [this](Call& call) { return jwks(call); });
}

awaitable<result<Caller>> AuthRoutes::authenticate(std::string authorization) {
    return identity_.authenticate(std::move(authorization));
}

awaitable<result<Reply>> AuthRoutes::login(Call& call) {
    CO_TRY(const Object body, call.body(login_fields));
    CO_TRY(const auto signed_in,
           co_await identity_.login(std::string(body.text("email")),
                                    std::string(body.text("password")),
                                    std::string(call.request.header("user-agent"))));
    co_return tokens(signed_in);
}

awaitable<result<Reply>> AuthRoutes::refresh(Call& call) {
    CO_TRY(const Object body, call.body(refresh_fields));
    CO_TRY(const auto signed_in,
           co_await identity_.refresh(std::string(body.text("refreshToken"))));
    co_return tokens(signed_in);
}

awaitable<result<Reply>> AuthRoutes::logout(Call& call) {
    if (call.caller.session.empty())
        co_return fail(ErrorCode::unsupported, "this token has no session to end");
    CO_TRY_VOID(co_await identity_.end_session(call.caller.subject, call.caller.session));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> AuthRoutes::sessions(Call& call) {
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    CO_TRY(const RecordPage page,
           co_await identity_.sessions(call.caller.subject, limit,
                                       std::string(call.parameter("cursor"))));
    co_return page_reply(page, [&](const Value& session) {
        Object item = record_body(session);
        item.erase("userId");
        item.set("sessionId", record_id(session));
        item.set("current", record_id(session) == call.caller.session);
        return item;
    });
}

awaitable<result<Reply>> AuthRoutes::end_session(Call& call) {
    CO_TRY_VOID(co_await identity_.end_session(call.caller.subject, call.segment("sessionId")));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> AuthRoutes::change_password(Call& call) {
    CO_TRY(const Object body, call.body(change_fields));
    CO_TRY_VOID(co_await identity_.change_password(call.caller, std::string(body.text("current")),
                                                   std::string(body.text("password"))));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> AuthRoutes::reset_password(Call& call) {
    CO_TRY(const Object body, call.body(reset_fields));
    CO_TRY_VOID(co_await identity_.reset_password(std::string(body.text("token")),
                                                  std::string(body.text("password"))));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> AuthRoutes::me(Call& call) {
    Object roles;
    for (const auto& [domain, role] : call.caller.roles)
        roles.append(domain, role_name(role));
    co_return Reply{.body = Object{{"subject", call.caller.subject}, {"roles", std::move(roles)}}};
}

awaitable<result<Reply>> AuthRoutes::jwks(Call& /*call*/) {
    CO_TRY(Value keys, co_await identity_.jwks());
    co_return Reply{.body = std::move(keys), .headers = {{"Cache-Control", "max-age=60"}}};
}

} // namespace netbuild::http
