// SPDX-License-Identifier: Apache-2.0
#include "gateway/session.hpp"

namespace netbuild::gateway {
namespace {

result<feed::Place> place_at(const Value& value, std::string_view path) {
    const Value* text = value.at_path(path);
    if (!text) return fail(ErrorCode::corrupt, std::string(path));
    return feed::parse_place(text->string_or(), Position{});
}

} // namespace

Value to_value(const Session& session) {
    Object rooms;
    for (const auto& [name, room] : session.rooms)
        rooms.append(name, Object{{"domains", Array(room.domains.begin(), room.domains.end())},
                                  {"since", to_string(room.since)}});
    Object value{{"sid", session.sid},
                 {"pid", session.pid},
                 {"subject", session.subject},
                 {"rooms", std::move(rooms)},
                 {"start", to_string(session.start)},
                 {"generation", session.generation}};
    if (session.left)
        value.append("left", Object{{"sent", to_string(session.left->sent)},
                                    {"place", to_string(session.left->place)}});
    return value;
}

result<Session> session_of(const Value& value) {
    Session session;
    const auto text = [&](std::string_view name) {
        const Value* member = value.at_path(name);
        return std::string(member ? member->string_or() : std::string_view{});
    };
    session.sid = text("sid");
    session.pid = text("pid");
    session.subject = text("subject");
    const Value* generation = value.at_path("generation");
    session.generation = generation ? generation->integer_or() : 0;
    TRY(session.start, place_at(value, "start"));
    if (value.at_path("left")) {
        Session::Left left;
        TRY(left.sent, place_at(value, "left.sent"));
        TRY(left.place, place_at(value, "left.place"));
        session.left = left;
    }
    const Value* rooms = value.at_path("rooms");
    if (!rooms || !rooms->is<Object>() || session.sid.empty() || session.pid.empty())
        return fail(ErrorCode::corrupt, "a session");
    for (const auto& [name, room] : *rooms->get_if<Object>()) {
        RoomState state;
        TRY(state.since, place_at(room, "since"));
        const Value* domains = room.at_path("domains");
        const auto* list = domains ? domains->get_if<Array>() : nullptr;
        if (!list) return fail(ErrorCode::corrupt, "a session's room");
        for (const Value& domain : *list)
            state.domains.emplace_back(domain.string_or());
        session.rooms.emplace(name, std::move(state));
    }
    return session;
}

void MemorySessions::keep(Session session) {
    erase(session.pid);
    const std::uint64_t order = next_order_++;
    const std::string pid = session.pid;
    order_.emplace(order, pid);
    sessions_.emplace(pid, Kept{std::move(session), clock_.monotonic() + options_.keep, order});
    drop_old();
}

awaitable<result<void>> MemorySessions::store(Session session) {
    keep(std::move(session));
    co_return result<void>{};
}

awaitable<result<std::optional<Session>>> MemorySessions::find(std::string pid) {
    drop_old();
    const auto found = sessions_.find(pid);
    if (found == sessions_.end()) co_return std::optional<Session>();
    co_return std::optional(found->second.session);
}

awaitable<result<Session>> MemorySessions::take_up(Session session) {
    ++session.generation;
    co_return session;
}

void MemorySessions::erase(const std::string& pid) {
    const auto found = sessions_.find(pid);
    if (found == sessions_.end()) return;
    order_.erase(found->second.order);
    sessions_.erase(found);
}

void MemorySessions::drop_old() {
    while (!order_.empty()) {
        const auto oldest = sessions_.find(order_.begin()->second);
        if (sessions_.size() <= options_.sessions_max && oldest->second.until > clock_.monotonic())
            return;
        order_.erase(order_.begin());
        sessions_.erase(oldest);
    }
}

} // namespace netbuild::gateway
