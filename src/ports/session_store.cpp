// SPDX-License-Identifier: Apache-2.0
#include "ports/session_store.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ports/collection.hpp"
#include "runtime/secrets.hpp"
#include "wire/base64url.hpp"
#include "wire/canonical_json.hpp"
#include "wire/json.hpp"
#include "wire/sha256.hpp"

namespace netbuild {
namespace {

constexpr std::size_t id_bytes = 32, id_length = 43;
constexpr std::string_view handle_mark = "sh_";
constexpr std::size_t handle_digits = 32;

Error refuse(std::string_view field, std::string_view why) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", field, why));
}

result<void> check_user(std::string_view user) {
    if (user.size() > SessionStore::user_bytes_max)
        return refuse("userId",
                      fmt::format("must have at most {} bytes", SessionStore::user_bytes_max));
    if (user.find('\0') != std::string_view::npos) return refuse("userId", "must not hold NUL");
    if (!is_utf8(user)) return refuse("userId", "must be UTF-8");
    return {};
}

result<void> check_fields(std::string_view name, const Object& fields) {
    static constexpr Field any[] = {{.name = "data", .type = FieldType::json},
                                    {.name = "set", .type = FieldType::json},
                                    {.name = "expected", .type = FieldType::json}};
    if (fields.size() > SessionStore::fields_max)
        return refuse(name, fmt::format("must have at most {} fields", SessionStore::fields_max));
    for (const auto& field : fields) {
        if (field.key.empty() || field.key.size() > SessionStore::field_name_bytes_max)
            return refuse(name, fmt::format("a field's name must have 1 to {} bytes",
                                            SessionStore::field_name_bytes_max));
    }
    Object body;
    body.set(name, fields);
    TRY_VOID(read_body(any, body));
    return {};
}

result<void> check_size(const Object& data) {
    if (data.size() > SessionStore::fields_max)
        return fail(ErrorCode::payload_too_large,
                    fmt::format("a session has at most {} fields", SessionStore::fields_max));
    if (const std::size_t bytes = to_json(data).size(); bytes > SessionStore::data_bytes_max)
        return fail(ErrorCode::payload_too_large,
                    fmt::format("the session's data would have {} bytes, at most {}", bytes,
                                SessionStore::data_bytes_max));
    return {};
}

bool same(const Value* left, const Value& right) {
    if (!left || left->is_null() || right.is_null())
        return (!left || left->is_null()) && right.is_null();
    return canonical_json(*left) == canonical_json(right);
}

} // namespace

std::string new_session_id() { return encode_base64url(secret_bytes(id_bytes)); }

bool is_session_id(std::string_view text) noexcept {
    // For each request: a search in the alphabet for each character would cost more than the rest.
    return text.size() == id_length && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_';
           });
}

std::string session_handle(std::string_view id) {
    return std::string(handle_mark) + sha256_hex(id).substr(0, handle_digits);
}

bool is_session_handle(std::string_view text) noexcept {
    return text.size() == handle_mark.size() + handle_digits && text.starts_with(handle_mark) &&
           text.find_first_not_of("0123456789abcdef", handle_mark.size()) == std::string_view::npos;
}

result<Object> apply_change(Object data, const SessionChange& change) {
    for (const auto& field : change.expected) {
        if (!same(data.find(field.key), field.value))
            return fail(ErrorCode::conflict,
                        fmt::format("field {} has another value", printable_name(field.key)));
    }
    for (const auto& field : change.set) {
        if (field.value.is_null()) {
            data.erase(field.key);
        } else {
            data.set(field.key, field.value);
        }
    }
    TRY_VOID(check_size(data));
    return data;
}

result<std::string> signed_in(std::string has, std::string user) {
    if (user.empty()) return has;
    if (has.empty() || has == user) return user;
    return refuse("userId", "the session is another user's");
}

awaitable<result<NewSession>> SessionStore::create(std::string user, Object data) {
    CO_TRY_VOID(check_user(user));
    CO_TRY_VOID(check_fields("data", data));
    CO_TRY(data, apply_change({}, {.set = std::move(data)}));
    CO_TRY(NewSession created, co_await insert(std::move(user), std::move(data)));
    ++counters_.created;
    co_return created;
}

awaitable<result<Session>> SessionStore::read(std::string id) { return get(std::move(id)); }

awaitable<result<void>> SessionStore::touch(std::string id) { return extend(std::move(id)); }

awaitable<result<Session>> SessionStore::update(std::string id, SessionChange change) {
    CO_TRY_VOID(check_fields("set", change.set));
    CO_TRY_VOID(check_fields("expected", change.expected));
    auto updated = co_await apply(std::move(id), std::move(change));
    if (!updated && (updated.error().code() == ErrorCode::conflict ||
                     updated.error().code() == ErrorCode::not_found))
        ++counters_.refused_writes;
    co_return updated;
}

awaitable<result<NewSession>> SessionStore::rotate(std::string id, std::string user) {
    CO_TRY_VOID(check_user(user));
    auto moved = co_await move(std::move(id), std::move(user));
    if (moved) ++counters_.rotated;
    if (!moved && moved.error().code() == ErrorCode::not_found) ++counters_.refused_writes;
    co_return moved;
}

awaitable<result<bool>> SessionStore::revoke(std::string id_or_handle) {
    CO_TRY(const bool ended, co_await end(std::move(id_or_handle)));
    counters_.revoked += ended;
    co_return ended;
}

awaitable<result<std::uint64_t>> SessionStore::revoke_all(std::string user) {
    CO_TRY_VOID(check_user(user));
    if (user.empty()) co_return refuse("userId", "must not be empty");
    CO_TRY(const std::uint64_t ended, co_await end_all(std::move(user)));
    counters_.revoked += ended;
    co_return ended;
}

awaitable<result<std::vector<Session>>> SessionStore::list(std::string user) {
    CO_TRY_VOID(check_user(user));
    if (user.empty()) co_return refuse("userId", "must not be empty");
    co_return co_await of_user(std::move(user));
}

} // namespace netbuild
