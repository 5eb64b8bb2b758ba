// SPDX-License-Identifier: Apache-2.0
#include "problem.hpp"

#include "model/value.hpp"
#include "telemetry/log.hpp"
#include "wire/json.hpp"

namespace netbuild::http {
namespace {

/// "in 7 s" is what such an error says (RFC 9110, section 10.2.3).
std::string retry_after(std::string_view detail) {
    constexpr std::string_view in = "in ";
    if (detail.starts_with(in)) detail.remove_prefix(in.size());
    const auto digits = detail.substr(0, detail.find_first_not_of("0123456789"));
    return digits.empty() ? "1" : std::string(digits);
}

} // namespace

Response problem(const Error& error) {
    Response response;
    response.status = http_status_of(error.code());
    response.content_type = "application/problem+json";
    Object body{{"type", "about:blank"},
                {"title", message_of(error.code())},
                {"status", response.status},
                {"code", code_name(error.code())}};
    if (response.status == 500) {
        log::error("{}", error.message());
    } else {
        body.set("detail", error.detail());
        const auto colon = error.detail().find(": ");
        const std::string_view field =
            std::string_view(error.detail()).substr(0, colon == std::string::npos ? 0 : colon);
        if (error.code() == ErrorCode::invalid_argument && !field.empty() &&
            field.find(' ') == std::string_view::npos) {
            body.set("field", field);
        }
    }
    if (error.code() == ErrorCode::unauthorized)
        response.headers.emplace_back("WWW-Authenticate", "Bearer"); // RFC 6750
    if (error.code() == ErrorCode::rate_limited)
        response.headers.emplace_back("Retry-After", retry_after(error.detail()));
    response.body = to_json(body);
    return response;
}

} // namespace netbuild::http
