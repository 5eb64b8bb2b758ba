// SPDX-License-Identifier: Apache-2.0
#include "http/call.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "wire/json.hpp"

namespace netbuild::http {
namespace {

constexpr std::size_t limit_default = 50, limit_max = 500;
/// Of a whole body; json fields have a limit of their own below it.
constexpr int body_depth_max = 40;

} // namespace

std::string_view Call::parameter(std::string_view name) const {
    for (const auto& [key, value] : request.query) {
        if (key == name) return value;
    }
    return {};
}

result<std::size_t> Call::limit() const {
    const std::string_view text = parameter("limit");
    if (text.empty()) return limit_default;
    std::size_t limit = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (ec != std::errc{} || end != text.data() + text.size() || limit < 1 || limit > limit_max)
        return fail(ErrorCode::invalid_argument, fmt::format("limit: must be 1 to {}", limit_max));
    return limit;
}

result<void> Call::only(std::initializer_list<std::string_view> parameters) const {
    for (const auto& [name, value] : request.query) {
        if (std::find(parameters.begin(), parameters.end(), name) == parameters.end())
            return fail(ErrorCode::invalid_argument, name + ": there is no such parameter");
    }
    return {};
}

result<std::optional<std::int64_t>> Call::if_match() const {
    const std::string_view header = request.header("if-match");
    if (header.empty()) return std::optional<std::int64_t>();
    std::int64_t version = 0;
    if (header.size() > 2 && header.front() == '"' && header.back() == '"') {
        const std::string_view digits = header.substr(1, header.size() - 2);
        const auto [end, ec] =
            std::from_chars(digits.data(), digits.data() + digits.size(), version);
        if (ec == std::errc{} && end == digits.data() + digits.size() && version > 0)
            return std::optional(version);
    }
    return fail(ErrorCode::invalid_argument,
                "If-Match: must be the ETag of a version, such as \"3\"");
}

result<Value> Call::json() const {
    auto parsed = parse_json(request.body, body_depth_max);
    if (!parsed) return fail(ErrorCode::invalid_argument, "body: " + parsed.error().detail());
    return parsed;
}

result<Value> Call::json_or_empty() const {
    return request.body.empty() ? result<Value>(Object{}) : json();
}

result<Object> Call::body(std::span<const Field> fields) const {
    TRY(const Value sent, json());
    return read_body(fields, sent);
}

result<void> Call::admit(std::string_view domain, std::string_view what) {
    scoped_ = true;
    const auto role = caller.role_in(domain);
    if (!role) return fail(ErrorCode::not_found, std::string(what));
    if (rank(*role) < rank(rule.least))
        return fail(ErrorCode::forbidden,
                    fmt::format("{} and above may do this", role_name(rule.least)));
    return {};
}

Scope Call::scope() {
    scoped_ = true;
    return caller.scope(rule.least);
}

} // namespace netbuild::http
