// SPDX-License-Identifier: Apache-2.0
#include "gateway/rooms.hpp"

#include <algorithm>

namespace netbuild::gateway {
namespace {

constexpr std::size_t id_bytes_max = 512;
/// No name that a client gives holds it.
constexpr char part_separator = '\x1f';

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

} // namespace

result<RoomName> parse_room(std::string_view room) {
    using Kind = RoomName::Kind;
    const auto colon = room.find(':');
    const std::string_view id = colon == std::string_view::npos ? "" : room.substr(colon + 1);
    if (id.empty() || id.size() > id_bytes_max || std::any_of(id.begin(), id.end(), is_control))
        return fail(ErrorCode::invalid_argument,
                    "room: must be domain:ID, execution:ID, conversation:ID or user:ID");
    const std::string_view kind = room.substr(0, colon);
    for (const auto& [name, value] :
         {std::pair{"domain", Kind::domain}, std::pair{"execution", Kind::execution},
          std::pair{"conversation", Kind::conversation}, std::pair{"user", Kind::user}})
        if (kind == name) return RoomName{value, std::string(id)};
    return fail(ErrorCode::invalid_argument,
                "room: must be domain:ID, execution:ID, conversation:ID or user:ID");
}

std::string part_of(std::string_view room, std::string_view domain) {
    std::string part(room);
    if (!room.starts_with("domain:")) part.append(1, part_separator).append(domain);
    return part;
}

bool is_part(std::string_view room) { return room.find(part_separator) != std::string_view::npos; }

std::string_view domain_in(std::string_view room, const StreamEvent& event) {
    const bool of_a_user = room.starts_with("user:") && event.type.starts_with("user:");
    return of_a_user && event.domain_id.empty() ? no_domain : std::string_view(event.domain_id);
}

std::vector<std::string> parts_of(std::string_view room, const RoomState& state) {
    std::vector<std::string> parts{std::string(room)};
    if (room.starts_with("domain:")) return parts;
    for (const auto& domain : state.domains)
        parts.push_back(part_of(room, domain));
    return parts;
}

bool admits(const RoomState& state, std::string_view domain) {
    return std::any_of(state.domains.begin(), state.domains.end(),
                       [&](const auto& each) { return each == every_domain || each == domain; });
}

} // namespace netbuild::gateway
