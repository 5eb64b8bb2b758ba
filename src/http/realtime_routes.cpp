// SPDX-License-Identifier: Apache-2.0
#include "http/realtime_routes.hpp"

namespace netbuild::http {

void RealtimeRoutes::add_to(Routes& routes) {
    routes.add("GET", "/v1/realtime/sockets", [this](Call& call) { return sockets(call); });
    routes.add("GET", "/v1/realtime/rooms", [this](Call& call) { return rooms(call); });
    routes.add("DELETE", "/v1/realtime/sockets/{socketId}",
               [this](Call& call) { return kick(call); });
}

awaitable<result<Reply>> RealtimeRoutes::sockets(Call& call) {
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    const auto found = gateway_.sockets(call.parameter("cursor"), limit);
    Array items;
    for (const auto& socket : found)
        items.push_back(Object{{"id", socket.id},
                               {"subject", socket.subject},
                               {"address", socket.address},
                               {"connectedAt", Date{socket.connected_us / 1000}},
                               {"rooms", Array(socket.rooms.begin(), socket.rooms.end())},
                               {"queuedBytes", static_cast<std::int64_t>(socket.queued_bytes)},
                               {"replaying", socket.replaying}});
    const bool more = found.size() == limit;
    co_return Reply{.body = Object{{"items", std::move(items)},
                                   {"nextCursor", more ? Value(found.back().id) : Value()}}};
}

awaitable<result<Reply>> RealtimeRoutes::rooms(Call& call) {
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    const auto all = gateway_.rooms();
    Array items;
    auto room = all.upper_bound(std::string(call.parameter("cursor")));
    std::string last;
    for (; room != all.end() && items.size() < limit; ++room) {
        last = room->first;
        items.push_back(
            Object{{"room", room->first}, {"sockets", static_cast<std::int64_t>(room->second)}});
    }
    co_return Reply{
        .body = Object{{"items", std::move(items)},
                       {"nextCursor", room == all.end() ? Value() : Value(std::move(last))}}};
}

awaitable<result<Reply>> RealtimeRoutes::kick(Call& call) {
    const std::string& socket = call.segment("socketId");
    if (!gateway_.kick(socket)) co_return fail(ErrorCode::not_found, "socket " + socket);
    co_return Reply{.status = 204};
}

} // namespace netbuild::http
