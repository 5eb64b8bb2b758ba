// SPDX-License-Identifier: Apache-2.0
#include "http/position_header.hpp"

namespace netbuild::http {

std::string position_header(Position position) { return "engine=\"" + to_string(position) + "\""; }

result<Position> parse_position_header(std::string_view text) {
    constexpr std::string_view member = "engine=\"";
    const auto at = text.find(member);
    if (at == std::string_view::npos) {
        if (text.find('=') != std::string_view::npos) return Position{}; // documents="…" alone
        return parse_position(text);
    }
    const std::string_view rest = text.substr(at + member.size());
    const auto quote = rest.find('"');
    if (quote == std::string_view::npos)
        return fail(ErrorCode::invalid_argument, "a quote is missing");
    return parse_position(rest.substr(0, quote));
}

} // namespace netbuild::http
