// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "gateway/session.hpp"
#include "model/caller.hpp"
#include "ports/event_bus.hpp"

namespace netbuild::gateway {

struct RoomName {
    enum class Kind : unsigned char { domain, execution, conversation, user };
    Kind kind = Kind::domain;
    std::string id;
};
/// "domain:acme"; invalid_argument.
[[nodiscard]] result<RoomName> parse_room(std::string_view room);

/// Which domains an execution (by business key or process instance id) or a conversation is of.
class RoomDirectory {
public:
    virtual ~RoomDirectory() = default;
    /// Those that the scope admits, "" for none at all; not_found without any.
    virtual awaitable<result<std::vector<std::string>>> domains(RoomName room, Scope scope) = 0;
};

/// The same room of Socket.IO holds clients that may see different domains: a stream's event goes
/// to the part of the room that is its domain's. "domain:" rooms have one part, of the same name.
[[nodiscard]] std::string part_of(std::string_view room, std::string_view domain);
[[nodiscard]] bool is_part(std::string_view room);
/// The rooms of Socket.IO that a client of this room is in: its own name first, which other
/// programs of the cluster emit to.
[[nodiscard]] std::vector<std::string> parts_of(std::string_view room, const RoomState& state);
/// Of a user's own record, beside the domains' names: no name that a domain may have.
inline constexpr std::string_view no_domain = "\x1e";
/// The part of a room that an event belongs to.
[[nodiscard]] std::string_view domain_in(std::string_view room, const StreamEvent& event);
/// Belongs the event of this domain to the client's room?
[[nodiscard]] bool admits(const RoomState& state, std::string_view domain);

} // namespace netbuild::gateway
