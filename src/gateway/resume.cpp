// SPDX-License-Identifier: Apache-2.0
// Exact resume: what a client missed in its rooms, once, in order, then live without hole or
// double. A client that comes back is in no room of Socket.IO at first. It reads from its own place
// until it has reached the newest event, and joins its rooms in the same turn of the loop.
#include "member.hpp"
#include "resuming_adapter.hpp"
#include "telemetry/log.hpp"
#include "wire/json.hpp"

namespace netbuild::gateway {
namespace {

constexpr std::size_t page = 200;
/// A client is given more when less than this waits for it.
constexpr std::size_t replay_bytes_max = 256 * 1024;
constexpr std::chrono::milliseconds pace_interval{5}, retry_interval{200};
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
    if (const auto here = by_pid_.find(pid); here != by_pid_.end()) {
        // Its earlier connection is not known to be dead yet; the caller ends it.
        resuming.session = leaving(*members_.at(here->second));
    } else {
        auto found = co_await ports_.sessions.find(pid);
        if (!found) log::warning("a session cannot be read: {}", found.error().message());
        if (!found || !*found) co_return std::nullopt;
        resuming.session = std::move(**found);
    }
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

awaitable<result<void>> EventGateway::resume(MemberPtr member, feed::Place from) {
    feed::FeedReader reader(ports_.feed, from, interest_of(member));
    CO_TRY(const bool there, co_await replay(member, reader, {}));
    if (!there) co_return result<void>{};
    // The same turn of the loop in which it reached the newest event.
    member->replaying = false;
    --counters_.replaying;
    ++counters_.resumed;
    for (const auto& [room, state] : member->session.rooms)
        if (const auto joined = join(*member, room); !joined)
            log::warning("resume: {}", joined.error().message());
    if (const auto socket = member->socket.lock()) socket->leave(replaying_room);
    if (ports_.sessions.shared()) ports_.sessions.keep(member->session);
    co_return result<void>{};
}

/// Until the newest event; false: the client is gone. It returns without a wait after the last
/// event, so that the caller's next statement is before anything that comes. Of all rooms that the
/// client has, or of the one that it is `subscribing` to beside them, with offsets that are theirs.
awaitable<result<bool>> EventGateway::replay(MemberPtr member, feed::FeedReader& reader,
                                             std::string subscribing) {
    std::optional<Deadline> ahead;
    std::uint64_t version = member->version;
    while (true) {
        const auto socket = member->socket.lock();
        if (!socket || !socket->connected()) co_return false;
        if (socket->queued_bytes() > replay_bytes_max) {
            CO_TRY_VOID(co_await ports_.clock.sleep(pace_interval));
            continue;
        }
        if (subscribing.empty() && std::exchange(version, member->version) != member->version)
            reader.change(interest_of(member));
        if (!reader.in_ring()) {
            auto older = co_await reader.older();
            if (older) {
                deliver(*member, *older, subscribing);
                continue;
            }
            if (older.error().error_class() == ErrorClass::cancelled) co_return older.error();
            CO_TRY_VOID(co_await ports_.clock.sleep(retry_interval));
            continue;
        }
        const auto newest = reader.newest(page);
        deliver(*member, newest, subscribing);
        if (newest.size() == page) continue;
        if (!reader.is_ahead()) co_return true;
        if (!ahead) ahead.emplace(ports_.clock, ahead_max);
        if (ahead->passed(ports_.clock)) {
            deliver(*member, reader.give_up_ahead(), subscribing);
            continue;
        }
        CO_TRY_VOID(co_await ports_.feed.changed(ahead->left(ports_.clock)));
    }
}

void EventGateway::deliver(Member& member, const std::vector<feed::Delivery>& found,
                           const std::string& subscribing) {
    const auto socket = member.socket.lock();
    if (!socket) return;
    for (const auto& [event, after] : found) {
        const feed::Place& place = subscribing.empty() ? after : ports_.feed.place();
        if (event->is_gap()) {
            emit_gap(member, *event, place,
                     subscribing.empty() ? rooms_of(member) : Array{subscribing});
            continue;
        }
        auto payload = parse_json(event->event->payload);
        ++counters_.resumed_events;
        member.sent = member.sent.with(place);
        socket->emit({event->event->type,
                      with_source(payload ? std::move(*payload) : Value(Object{}), event->source),
                      ports_.feed.text(place)});
    }
}

} // namespace netbuild::gateway
