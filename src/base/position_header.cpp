// SPDX-License-Identifier: Apache-2.0
#include "base/position_header.hpp"

#include <fmt/format.h>

namespace netbuild {
namespace {

/// The text behind `name="`, up to the quote; nullopt: there is no such member.
result<std::optional<std::string_view>> member(std::string_view text, std::string_view name) {
    const auto at = text.find(fmt::format("{}=\"", name));
    if (at == std::string_view::npos) return std::optional<std::string_view>();
    const std::string_view rest = text.substr(at + name.size() + 2);
    const auto quote = rest.find('"');
    if (quote == std::string_view::npos)
        return fail(ErrorCode::invalid_argument, "a quote is missing");
    return std::optional(rest.substr(0, quote));
}

} // namespace

std::string position_header(Position position) { return "engine=\"" + to_string(position) + "\""; }

std::string position_header(Position engine, Position documents) {
    return fmt::format("engine=\"{}\", documents=\"{}\"", to_string(engine), to_string(documents));
}

result<Position> parse_position_header(std::string_view text) {
    TRY(const auto engine, member(text, "engine"));
    if (engine) return parse_position(*engine);
    if (text.find('=') != std::string_view::npos) return Position{}; // documents="…" alone
    return parse_position(text);
}

result<std::optional<Position>> parse_documents_position(std::string_view text) {
    TRY(const auto documents, member(text, "documents"));
    if (!documents) return std::optional<Position>();
    TRY(const Position position, parse_position(*documents));
    return std::optional(position);
}

} // namespace netbuild
