// SPDX-License-Identifier: Apache-2.0
// Exact resume: what a client missed in its rooms, once, in order, then live without hole or
// double. A client that comes back, or that reads too slowly, is held: live events pass it by. It
// reads from its own place until it has reached the newest event, and is live again in the same
// turn of the loop.
#include "event_message.hpp"
#include "member.hpp"
#include "resuming_adapter.hpp"
#include "telemetry/log.hpp"

namespace netbuild::gateway {
namespace {

constexpr std::size_t page = 200;
/// What may wait for all clients that replay, and in any case for each.
constexpr std::size_t replay_bytes_max = 64 * 1024 * 1024, replay_bytes_min = 16 * 1024;
constexpr std::chrono::milliseconds retry_interval{200};
/// A client whose queue does not drain is looked at so often, should a call get lost.
constexpr std::chrono::seconds drain_look{10};
/// So long a client that has seen more than this node waits for it to come so far.
constexpr std::chrono::seconds ahead_max{10};

} // namespace

asio::awaitable<std::optional<realtime::RecoveredSession>>
EventGateway::restore(std::string pid, std::string offset) {
    Resuming resuming;
    if (!offset.empty()) {
        const auto place = feed::parse_place(offset, ports_.feed.place().documents);
        if (!place) co_return std::nullopt;
        resuming.offset = *place;
    }
    std::optional<Session> stored;
    if (ports_.sessions.shared() || !by_pid_.contains(pid)) {
        auto found = co_await ports_.sessions.find(pid);
        if (!found) log::warning("a session cannot be read: {}", found.error().message());
        if (found) stored = std::move(*found);
    }
    if (const auto here = by_pid_.find(pid); here != by_pid_.end()) {
        // Its earlier connection is not known to be dead yet; the caller ends it. It may have been
        // at another node meanwhile, which knows better then.
        Session session = leaving(*members_.at(here->second));
        if (!stored || stored->generation <= session.generation) stored = std::move(session);
    }
    if (!stored) co_return std::nullopt;
    resuming.session = std::move(*stored);
    realtime::RecoveredSession recovered;
    recovered.session.sid = resuming.session.sid;
    recovered.session.pid = pid;
    resuming_.insert_or_assign(pid, std::move(resuming));
    co_return recovered;
}

feed::Interest EventGateway::interest_of(const MemberPtr& member) const {
    feed::Interest interest;
    for (const auto& [room, state] : member->session.rooms)
        interest.rooms.push_back(room);
    interest.admits = [member](const feed::FeedEvent& event) {
        const auto& rooms = member->session.rooms;
        return std::any_of(event.rooms.begin(), event.rooms.end(), [&](const auto& name) {
            const auto room = rooms.find(name);
            return room != rooms.end() && admits(room->second, domain_in(name, *event.event)) &&
                   event.event->position > room->second.since.of(event.source);
        });
    };
    return interest;
}

const feed::Place& EventGateway::place_of(const Member& member) const {
    return member.replaying ? member.replayed : ports_.feed.place();
}

/// Live events pass it by until it has what came after `from`.
void EventGateway::put_back(const MemberPtr& member, feed::Place from) {
    member->replaying = true;
    member->replayed = from;
    ++counters_.replaying;
    if (const auto socket = member->socket.lock()) socket->hold(true);
    server_->spawn("resume", resume(member));
}

/// More waits for a client than its share, and its connection takes nothing: instead of further
/// live events it gets them from the streams, later. All up to the feed's place is queued for it.
void EventGateway::on_pressure(realtime::Socket& socket) {
    const auto member = member_of(socket);
    // What waits for who is in no room are not our events.
    if (!member || member->replaying || member->session.rooms.empty()) return;
    ++counters_.fell_behind;
    put_back(member, ports_.feed.place());
}

awaitable<result<void>> EventGateway::resume(MemberPtr member) {
    const bool came_back = member->resume_from.has_value();
    feed::FeedReader reader(ports_.feed, member->replayed, interest_of(member));
    CO_TRY(const bool there, co_await replay(member, reader, {}));
    if (!there) co_return result<void>{};
    // The same turn of the loop in which it reached the newest event.
    member->resume_from.reset();
    member->replaying = false;
    --counters_.replaying;
    ++(came_back ? counters_.resumed : counters_.caught_up);
    if (const auto socket = member->socket.lock()) socket->hold(false);
    if (ports_.sessions.shared()) ports_.sessions.keep(member->session);
    co_return result<void>{};
}

/// Of what may wait for one client that replays: less each when they are many.
std::size_t EventGateway::replay_bytes() const {
    const std::size_t share = replay_bytes_max / std::max<std::size_t>(1, counters_.replaying);
    return std::min(std::max(share, replay_bytes_min), options_.server.engine.pressure_bytes());
}

/// Waits until little is queued for the client; false: it is gone.
awaitable<result<bool>> EventGateway::has_room_for_more(Member& member) {
    while (true) {
        const auto socket = member.socket.lock();
        if (!socket || !socket->connected()) co_return false;
        if (socket->queued_bytes() <= replay_bytes()) co_return true;
        if (!member.drained) member.drained = std::make_unique<Signal>(ports_.executor);
        socket->tell_drained();
        CO_TRY_VOID(co_await member.drained->wait_for(ports_.clock, drain_look));
    }
}

/// Until the newest event; false: the client is gone. It returns without a wait after the last
/// event, so that the caller's next statement is before anything that comes. Of all rooms that the
/// client has, or of the one that it is `subscribing` to beside them, with offsets that are theirs.
awaitable<result<bool>> EventGateway::replay(MemberPtr member, feed::FeedReader& reader,
                                             std::string subscribing) {
    std::optional<Deadline> ahead;
    std::uint64_t version = member->version;
    while (true) {
        CO_TRY(const bool there, co_await has_room_for_more(*member));
        if (!there) co_return false;
        if (subscribing.empty() && std::exchange(version, member->version) != member->version)
            reader.change(interest_of(member));
        if (!reader.in_ring()) {
            const auto older = co_await reader.older();
            if (older) {
                static_cast<void>(deliver(*member, *older, reader, subscribing));
                continue;
            }
            if (older.error().error_class() == ErrorClass::cancelled) co_return older.error();
            CO_TRY_VOID(co_await ports_.clock.sleep(retry_interval));
            continue;
        }
        const auto newest = reader.newest(page);
        if (!deliver(*member, newest, reader, subscribing) || newest.size() == page) continue;
        if (!reader.is_ahead()) co_return true;
        if (!ahead) ahead.emplace(ports_.clock, ahead_max);
        if (ahead->passed(ports_.clock)) {
            static_cast<void>(deliver(*member, reader.give_up_ahead(), reader, subscribing));
            continue;
        }
        CO_TRY_VOID(co_await ports_.feed.changed(ahead->left(ports_.clock)));
    }
}

/// False: so much waits for the client now that the reader was put back to the first event that it
/// was not given. It is given one at least.
bool EventGateway::deliver(Member& member, const std::vector<feed::Delivery>& found,
                           feed::FeedReader& reader, const std::string& subscribing) {
    const auto socket = member.socket.lock();
    if (!socket) return true;
    for (const auto& [event, after] : found) {
        if (subscribing.empty()) member.replayed = after;
        const feed::Place place = place_of(member);
        if (event->is_gap()) {
            emit_gap(member, *event, place,
                     subscribing.empty() ? rooms_of(member) : Array{subscribing});
        } else {
            ++counters_.resumed_events;
            member.sent = member.sent.with(place);
            if (auto message = event_message(*event, ports_.feed.text(place)))
                socket->emit(std::move(*message));
        }
        if (socket->queued_bytes() <= replay_bytes() || &after == &found.back().place) continue;
        reader.go_back(after);
        return false;
    }
    return true;
}

} // namespace netbuild::gateway
