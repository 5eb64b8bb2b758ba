// SPDX-License-Identifier: Apache-2.0
#include "http/session_routes.hpp"

#include "wire/signed_cookie.hpp"

namespace netbuild::http {
namespace {

constexpr Field create_fields[] = {{.name = "userId", .size_max = SessionStore::user_bytes_max},
                                   {.name = "data", .type = FieldType::json}};
constexpr Field change_fields[] = {{.name = "set", .type = FieldType::json},
                                   {.name = "expected", .type = FieldType::json}};
constexpr Field rotate_fields[] = {{.name = "userId", .size_max = SessionStore::user_bytes_max}};

/// Sessions are secrets: no cache keeps them.
const std::vector<std::pair<std::string, std::string>> secret{{"Cache-Control", "no-store"}};

/// The object, or an empty one.
result<Object> object(Object& body, std::string_view name) {
    Value* value = body.find(name);
    if (!value) return Object{};
    Object* found = value->get_if<Object>();
    if (!found) return fail(ErrorCode::invalid_argument, std::string(name) + ": must be an object");
    return std::move(*found);
}

Value date_or_null(Date date) { return date.milliseconds ? Value(date) : Value(); }

Object shown(const Session& session) {
    return {{"handle", session.handle},
            {"userId", session.user.empty() ? Value() : Value(session.user)},
            {"data", session.data},
            {"createdAt", date_or_null(session.created_at)},
            {"expiresAt", session.expires_at},
            {"endsAt", date_or_null(session.ends_at)}};
}

} // namespace

void SessionRoutes::add_to(Routes& routes) {
    routes.add("POST", "/v1/sessions", [this](Call& call) { return create(call); });
    routes.add("GET", "/v1/sessions", [this](Call& call) { return list(call); });
    routes.add("DELETE", "/v1/sessions", [this](Call& call) { return revoke_all(call); });
    routes.add("GET", "/v1/sessions/{sessionId}", [this](Call& call) { return get(call); });
    routes.add("PATCH", "/v1/sessions/{sessionId}", [this](Call& call) { return change(call); });
    routes.add("DELETE", "/v1/sessions/{sessionId}", [this](Call& call) { return revoke(call); });
    routes.add("POST", "/v1/sessions/{sessionId}/rotate",
               [this](Call& call) { return rotate(call); });
}

std::string SessionRoutes::id_in(const Call& call) const {
    const std::string& id = call.segment("sessionId");
    // A cookie that nobody signed names no session; neither does an empty id.
    if (id.starts_with("s:")) return unsign_cookie(id, secrets_).value_or("");
    return id;
}

Reply SessionRoutes::made(int status, const NewSession& session) const {
    Object body{{"sessionId", session.id}};
    if (!secrets_.empty()) body.append("cookie", sign_cookie(session.id, secrets_.front()));
    for (auto& member : shown(session.session))
        body.append(std::move(member.key), std::move(member.value));
    return {.status = status, .body = std::move(body), .headers = secret};
}

awaitable<result<Reply>> SessionRoutes::create(Call& call) {
    CO_TRY(Object body, call.body(create_fields));
    CO_TRY(Object data, object(body, "data"));
    CO_TRY(const NewSession session,
           co_await sessions_.create(std::string(body.text("userId")), std::move(data)));
    co_return made(201, session);
}

awaitable<result<Reply>> SessionRoutes::get(Call& call) {
    CO_TRY_VOID(call.only({}));
    CO_TRY(const Session session, co_await sessions_.read(id_in(call)));
    co_return Reply{.body = shown(session), .headers = secret};
}

awaitable<result<Reply>> SessionRoutes::change(Call& call) {
    CO_TRY(Object body, call.body(change_fields));
    SessionChange change;
    CO_TRY(change.set, object(body, "set"));
    CO_TRY(change.expected, object(body, "expected"));
    CO_TRY(const Session session, co_await sessions_.update(id_in(call), std::move(change)));
    co_return Reply{.body = shown(session), .headers = secret};
}

awaitable<result<Reply>> SessionRoutes::rotate(Call& call) {
    CO_TRY(const Object body, call.body(rotate_fields));
    CO_TRY(const NewSession session,
           co_await sessions_.rotate(id_in(call), std::string(body.text("userId"))));
    co_return made(200, session);
}

awaitable<result<Reply>> SessionRoutes::revoke(Call& call) {
    CO_TRY_VOID(call.only({}));
    CO_TRY_VOID(co_await sessions_.revoke(id_in(call)));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> SessionRoutes::list(Call& call) {
    CO_TRY_VOID(call.only({"userId"}));
    CO_TRY(const auto sessions, co_await sessions_.list(std::string(call.parameter("userId"))));
    Array items;
    for (const Session& session : sessions)
        items.emplace_back(shown(session));
    co_return Reply{.body = Object{{"items", std::move(items)}, {"nextCursor", nullptr}},
                    .headers = secret};
}

awaitable<result<Reply>> SessionRoutes::revoke_all(Call& call) {
    CO_TRY_VOID(call.only({"userId"}));
    CO_TRY(const std::uint64_t revoked,
           co_await sessions_.revoke_all(std::string(call.parameter("userId"))));
    co_return Reply{.body = Object{{"revoked", static_cast<std::int64_t>(revoked)}}};
}

} // namespace netbuild::http
