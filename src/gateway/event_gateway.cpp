// SPDX-License-Identifier: Apache-2.0
#include "gateway/event_gateway.hpp"

#include <algorithm>

#include "base/shrink.hpp"
#include "event_message.hpp"
#include "member.hpp"
#include "resuming_adapter.hpp"
#include "telemetry/log.hpp"

namespace netbuild::gateway {
namespace {

using realtime::ConnectError;

constexpr std::chrono::seconds look_interval{1};
/// What cannot be asked now is asked again.
constexpr std::chrono::seconds recheck_retry{10};
constexpr std::size_t parts_a_room = 8;

ConnectError refusal(const Error& error) {
    return {std::string(code_name(error.code())),
            Object{{"code", code_name(error.code())},
                   {"message", error.detail().empty() ? std::string(message_of(error.code()))
                                                      : error.detail()}}};
}

std::string bearer(std::string_view token) {
    return token.starts_with("Bearer ") ? std::string(token) : "Bearer " + std::string(token);
}

/// "Bearer …" of the CONNECT's token, else of the handshake.
std::string authorization_of(const realtime::Socket& socket) {
    const Value* token = socket.auth().at_path("token");
    if (token && !token->string_or().empty()) return bearer(token->string_or());
    const Value handshake = socket.handshake();
    const Value* header = handshake.at_path("headers.authorization");
    return std::string(header ? header->string_or() : std::string_view{});
}

realtime::ServerOptions with_adapter(realtime::ServerOptions options, EventGateway& gateway) {
    auto inner = std::move(options.adapter);
    options.adapter = [&gateway, inner](realtime::LocalNamespace& local) {
        return std::make_unique<ResumingAdapter>(local, gateway, inner);
    };
    return options;
}

} // namespace

EventGateway::EventGateway(Ports ports, GatewayOptions options)
    : ports_(std::move(ports)), options_(std::move(options)) {
    auto settings = options_.server;
    settings.rooms_a_socket_max = options_.rooms_a_client_max * parts_a_room + 1;
    server_ = std::make_unique<realtime::Server>(ports_.executor, ports_.clock,
                                                 with_adapter(std::move(settings), *this));
    nsp_ = &server_->of("/");
    nsp_->use([this](const SocketPtr& socket, realtime::Namespace::Next next) {
        server_->spawn("connect", admit(socket, std::move(next)));
    });
    nsp_->on_connection([this](const SocketPtr& socket) { on_connection(socket); });
    nsp_->on_disconnecting([this](realtime::Socket& socket, std::string_view reason) {
        on_disconnect(socket, reason);
    });
    nsp_->on_pressure([this](realtime::Socket& socket) { on_pressure(socket); });
    nsp_->on_drained([this](realtime::Socket& socket) {
        const auto member = member_of(socket);
        if (member && member->drained) member->drained->notify_all();
    });
    nsp_->on("subscribe", [this](const SocketPtr& socket, realtime::Event event) {
        server_->spawn("subscribe", on_subscribe(socket, std::move(event)));
    });
    nsp_->on("unsubscribe", [this](const SocketPtr& socket, realtime::Event event) {
        server_->spawn("unsubscribe", on_unsubscribe(socket, std::move(event)));
    });
    nsp_->on("authenticate", [this](const SocketPtr& socket, realtime::Event event) {
        server_->spawn("authenticate", on_authenticate(socket, std::move(event)));
    });
    listening_ = ports_.feed.listen(
        [this](const feed::FeedEvent& event, const Value& payload) { on_event(event, payload); });
}

EventGateway::~EventGateway() = default;

EventGateway::MemberPtr EventGateway::member_of(const realtime::Socket& socket) const {
    const auto found = members_.find(&socket);
    return found == members_.end() ? nullptr : found->second;
}

// --- who comes and goes ---

awaitable<result<Caller>> EventGateway::authenticate(std::string authorization) {
    if (!ports_.authenticate) co_return Caller::anybody();
    co_return co_await ports_.authenticate(std::move(authorization));
}

void EventGateway::set_caller(Member& member, const Caller& caller) {
    member.subject = caller.subject;
    member.scope = caller.scope(Role::viewer);
    member.admin_scope = caller.scope(Role::admin);
    const auto now = ports_.clock.monotonic();
    member.recheck_at = now + options_.recheck;
    if (caller.expires_s) {
        const std::int64_t left_us = *caller.expires_s * 1'000'000 - ports_.clock.utc_us();
        member.recheck_at = std::min<Clock::duration>(
            member.recheck_at, now + std::chrono::microseconds(std::max<std::int64_t>(0, left_us)));
    }
}

awaitable<result<void>> EventGateway::admit(SocketPtr socket, realtime::Namespace::Next next) {
    auto member = std::make_shared<Member>();
    member->socket = socket;
    member->authorization = authorization_of(*socket);
    const auto caller = co_await authenticate(member->authorization);
    std::optional<Resuming> resuming;
    if (const auto found = resuming_.find(socket->pid());
        socket->recovered() && found != resuming_.end()) {
        resuming = std::move(found->second);
        resuming_.erase(found);
    }
    if (!caller) {
        ++counters_.refused_connections;
        next(refusal(caller.error()));
        co_return result<void>{};
    }
    set_caller(*member, *caller);
    if (resuming && resuming->session.subject == caller->subject) {
        auto session = co_await ports_.sessions.take_up(resuming->session);
        if (!session) log::warning("a session cannot be taken up: {}", session.error().message());
        member->session = session ? std::move(*session) : std::move(resuming->session);
        const feed::Place given = resuming->offset.value_or(member->session.start);
        member->resume_from = given;
        // Who had the last event that it was sent missed nothing until it left.
        if (const auto& left = member->session.left; left && given.covers(left->sent))
            member->resume_from = given.with(left->place);
        member->session.left.reset();
    } else if (socket->recovered()) {
        socket->forget_recovery();
    }
    member->session.sid = socket->id();
    member->session.pid = socket->pid();
    member->session.subject = caller->subject;
    admitting_ = member;
    next(std::nullopt);
    admitting_.reset();
    co_return result<void>{};
}

void EventGateway::on_connection(const SocketPtr& socket) {
    const MemberPtr member = std::exchange(admitting_, nullptr);
    if (!member) return socket->disconnect(true);
    const Value handshake = socket->handshake();
    if (const Value* address = handshake.at_path("address")) member->address = address->string_or();
    member->connected_us = ports_.clock.utc_us();
    member->refresh_at = ports_.clock.monotonic() + options_.refresh;
    members_[socket.get()] = member;
    by_pid_[member->session.pid] = socket.get();
    if (!member->resume_from) {
        const Value* pid = socket->auth().at_path("pid");
        if (pid) ++counters_.not_resumed;
        return;
    }
    drop_forbidden(*member);
    for (const auto& [room, state] : member->session.rooms)
        if (const auto joined = join(*member, room); !joined)
            log::warning("resume: {}", joined.error().message());
    put_back(member, *member->resume_from);
}

Session EventGateway::leaving(const Member& member) const {
    Session session = member.session;
    if (member.replaying) return session;
    Session::Left left{member.sent, ports_.feed.place()};
    for (const auto& [name, room] : session.rooms)
        for (const auto& part : parts_of(name, room))
            if (const auto newest = newest_.find(part); newest != newest_.end())
                left.sent = left.sent.with(newest->second);
    session.left = left;
    return session;
}

void EventGateway::on_disconnect(realtime::Socket& socket, std::string_view reason) {
    const auto member = member_of(socket);
    if (!member) return;
    if (member->kicked || reason == "client namespace disconnect") {
        ports_.sessions.forget(member->session);
    } else if (!member->session.rooms.empty()) {
        ports_.sessions.keep(leaving(*member));
    }
    if (member->replaying) --counters_.replaying;
    if (member->drained) member->drained->notify_all();
    members_.erase(&socket);
    const auto found = by_pid_.find(member->session.pid);
    if (found != by_pid_.end() && found->second == &socket) by_pid_.erase(found);
    shrink(members_);
    shrink(by_pid_);
}

awaitable<result<void>> EventGateway::run() {
    while (true) {
        CO_TRY_VOID(co_await ports_.clock.sleep(look_interval));
        ports_.sessions.tidy();
        const auto now = ports_.clock.monotonic();
        std::vector<MemberPtr> due; // a check may end a client, and so change the list
        for (const auto& [socket, member] : members_) {
            if (ports_.sessions.shared() && member->refresh_at <= now &&
                !member->session.rooms.empty()) {
                member->refresh_at = now + options_.refresh;
                ports_.sessions.keep(member->session);
            }
            if (!ports_.authenticate || member->recheck_at > now || member->checking) continue;
            due.push_back(member);
        }
        for (const auto& member : due) {
            member->checking = true;
            server_->spawn("recheck", recheck(member));
        }
    }
}

awaitable<result<void>> EventGateway::recheck(MemberPtr member) {
    const std::string authorization = member->authorization;
    const auto caller = co_await authenticate(authorization);
    member->checking = false;
    const auto socket = member->socket.lock();
    if (!socket || !socket->connected()) co_return result<void>{};
    if (authorization != member->authorization) co_return result<void>{}; // renewed meanwhile
    if (!caller && caller.error().code() != ErrorCode::unauthorized) {
        member->recheck_at = ports_.clock.monotonic() + recheck_retry;
        co_return result<void>{};
    }
    if (caller && caller->subject == member->subject) {
        set_caller(*member, *caller);
        drop_forbidden(*member);
        co_return result<void>{};
    }
    ++counters_.expired;
    socket->emit({"error", Object{{"code", "unauthorized"},
                                  {"message", "the token is not good any more: connect again with "
                                              "a new one"}}});
    socket->disconnect(true);
    co_return result<void>{};
}

/// The same caller with a newer token: what the connection may lasts as long as that.
awaitable<result<void>> EventGateway::renew(MemberPtr member, std::string token) {
    if (!ports_.authenticate) co_return result<void>{};
    if (token.empty())
        co_return fail(ErrorCode::invalid_argument, "token: authenticate(token, ack)");
    std::string authorization = bearer(token);
    CO_TRY(const Caller caller, co_await authenticate(authorization));
    const auto socket = member->socket.lock();
    if (!socket || !socket->connected()) co_return fail(ErrorCode::cancelled, "the client is gone");
    if (caller.subject != member->subject)
        co_return fail(ErrorCode::forbidden, "token: it is somebody else's; connect anew with it");
    member->authorization = std::move(authorization);
    set_caller(*member, caller);
    drop_forbidden(*member);
    co_return result<void>{};
}

awaitable<result<void>> EventGateway::on_authenticate(SocketPtr socket, realtime::Event event) {
    const auto member = member_of(*socket);
    if (!member) co_return result<void>{};
    const bool given = !event.arguments.empty();
    const auto renewed =
        co_await renew(member, std::string(given ? event.arguments[0].string_or() : ""));
    if (!renewed) {
        ++counters_.refused_renewals;
        refuse(event, renewed.error());
        co_return result<void>{};
    }
    ++counters_.renewed;
    event.reply({Object{{"ok", true}}});
    co_return result<void>{};
}

/// Rooms that the caller may not be in any more.
void EventGateway::drop_forbidden(Member& member) {
    std::vector<std::string> gone;
    for (auto& [name, room] : member.session.rooms) {
        const bool own = name == "user:" + member.subject;
        const Scope& scope = name.starts_with("user:") && !own ? member.admin_scope : member.scope;
        const auto parts = parts_of(name, room);
        const auto erased = std::erase_if(room.domains, [&](const std::string& domain) {
            if (domain == no_domain) return !own;
            return domain == every_domain ? !scope.all : !scope.admits(domain);
        });
        if (room.domains.empty()) {
            gone.push_back(name);
        } else if (erased > 0) {
            const auto left = parts_of(name, room);
            if (const auto socket = member.socket.lock())
                for (const auto& part : parts)
                    if (std::find(left.begin(), left.end(), part) == left.end())
                        socket->leave(part);
        }
    }
    for (const auto& name : gone) {
        leave(member, name);
        if (const auto socket = member.socket.lock())
            socket->emit({"unsubscribed", Object{{"room", name}, {"code", "not_found"}}});
    }
}

// --- rooms ---

result<void> EventGateway::join(Member& member, const std::string& room) {
    const auto socket = member.socket.lock();
    if (!socket) return fail(ErrorCode::cancelled, room);
    for (const auto& part : parts_of(room, member.session.rooms.at(room)))
        TRY_VOID(socket->join(part));
    return {};
}

void EventGateway::leave(Member& member, const std::string& room) {
    const auto found = member.session.rooms.find(room);
    if (found == member.session.rooms.end()) return;
    if (const auto socket = member.socket.lock())
        for (const auto& part : parts_of(room, found->second))
            socket->leave(part);
    member.session.rooms.erase(found);
    ++member.version;
}

awaitable<result<std::vector<std::string>>> EventGateway::domains_for(MemberPtr member,
                                                                      RoomName room) {
    const auto of = [](const Scope& scope) {
        return scope.all ? std::vector<std::string>{std::string(every_domain)} : scope.domains;
    };
    const auto not_there = [](std::string_view kind, const std::string& id) {
        return fail(ErrorCode::not_found, "room " + std::string(kind) + ":" + id);
    };
    switch (room.kind) {
    case RoomName::Kind::domain:
        if (room.id == every_domain || !member->scope.admits(room.id))
            co_return not_there("domain", room.id);
        co_return std::vector<std::string>{room.id};
    case RoomName::Kind::user: {
        auto domains = of(room.id == member->subject ? member->scope : member->admin_scope);
        // The record of a user is of no domain, and the user's own to see.
        if (room.id == member->subject) domains.emplace_back(no_domain);
        if (domains.empty()) co_return not_there("user", room.id);
        co_return domains;
    }
    case RoomName::Kind::execution:
    case RoomName::Kind::conversation:
        break;
    }
    const auto kind = room.kind == RoomName::Kind::execution ? "execution" : "conversation";
    auto found = co_await ports_.directory.domains(room, member->scope);
    if (!found && found.error().code() == ErrorCode::not_found) co_return not_there(kind, room.id);
    if (found && member->scope.all) co_return of(member->scope);
    co_return found;
}

awaitable<result<feed::Place>> EventGateway::subscribe(MemberPtr member, std::string room,
                                                       std::optional<feed::Place> offset) {
    auto& rooms = member->session.rooms;
    CO_TRY(RoomName name, parse_room(room));
    if (rooms.contains(room)) co_return ports_.feed.place();
    const auto full = [&]() -> result<void> {
        if (rooms.size() < options_.rooms_a_client_max) return {};
        return fail(ErrorCode::overloaded,
                    "rooms: a client may have " + std::to_string(options_.rooms_a_client_max));
    };
    CO_TRY_VOID(full());
    RoomState state;
    CO_TRY(state.domains, co_await domains_for(member, std::move(name)));
    if (state.domains.size() >= parts_a_room * 4)
        co_return fail(ErrorCode::overloaded, "room: too many domains");
    if (offset) {
        feed::Interest interest{{room}, [state, room](const feed::FeedEvent& event) {
                                    return admits(state, domain_in(room, *event.event));
                                }};
        feed::FeedReader reader(ports_.feed, *offset, std::move(interest));
        CO_TRY(const bool there, co_await replay(member, reader, room));
        if (!there) co_return fail(ErrorCode::cancelled, room);
    }
    // From here to the join nothing waits: what comes next it gets.
    if (rooms.contains(room)) co_return ports_.feed.place(); // asked for twice at a time
    CO_TRY_VOID(full());
    state.since = ports_.feed.place();
    if (rooms.empty()) member->session.start = state.since;
    const feed::Place since = state.since;
    rooms.insert_or_assign(room, std::move(state));
    ++member->version;
    if (auto joined = join(*member, room); !joined) {
        leave(*member, room);
        co_return std::move(joined).error();
    }
    ++counters_.subscribed;
    if (ports_.sessions.shared()) CO_TRY_VOID(co_await ports_.sessions.store(member->session));
    co_return since;
}

awaitable<result<feed::Place>> EventGateway::unsubscribe(MemberPtr member, std::string room) {
    CO_TRY_VOID(parse_room(room));
    leave(*member, room);
    if (ports_.sessions.shared()) CO_TRY_VOID(co_await ports_.sessions.store(member->session));
    co_return ports_.feed.place();
}

void EventGateway::refuse(realtime::Event& event, const Error& error) {
    event.reply({Object{
        {"ok", false},
        {"error", Object{{"code", code_name(error.code())}, {"message", error.message()}}}}});
}

void EventGateway::answer(realtime::Event& event, const result<feed::Place>& outcome) {
    if (!outcome) return refuse(event, outcome.error());
    Object position{{"engine", to_string(outcome->engine)}};
    if (ports_.feed.bus(feed::Source::documents))
        position.append("documents", to_string(outcome->documents));
    event.reply({Object{
        {"ok", true}, {"position", std::move(position)}, {"offset", ports_.feed.text(*outcome)}}});
}

awaitable<result<void>> EventGateway::on_subscribe(SocketPtr socket, realtime::Event event) {
    const auto member = member_of(*socket);
    if (!member) co_return result<void>{};
    const auto& arguments = event.arguments;
    std::optional<feed::Place> offset;
    result<feed::Place> outcome =
        fail(ErrorCode::invalid_argument, "room: subscribe(room, [{offset}], ack)");
    const Value* wanted = arguments.size() > 1 ? arguments[1].at_path("offset") : nullptr;
    if (!arguments.empty() && arguments[0].is<std::string>()) {
        auto parsed = wanted ? feed::parse_place(wanted->string_or(), ports_.feed.place().documents)
                             : result<feed::Place>(feed::Place{});
        if (!parsed) {
            outcome = fail(ErrorCode::invalid_argument,
                           "offset: must be one that an event or an answer had");
        } else {
            if (wanted) offset = *parsed;
            outcome = co_await subscribe(member, std::string(arguments[0].string_or()), offset);
        }
    }
    if (!outcome) ++counters_.refused_subscriptions;
    answer(event, outcome);
    co_return result<void>{};
}

awaitable<result<void>> EventGateway::on_unsubscribe(SocketPtr socket, realtime::Event event) {
    const auto member = member_of(*socket);
    if (!member) co_return result<void>{};
    const bool named = !event.arguments.empty() && event.arguments[0].is<std::string>();
    const std::string room(named ? event.arguments[0].string_or() : std::string_view{});
    answer(event, co_await unsubscribe(member, room));
    co_return result<void>{};
}

// --- events ---

void EventGateway::on_event(const feed::FeedEvent& event, const Value& payload) {
    ++counters_.events;
    if (event.is_gap()) return tell_gap(event);
    realtime::Audience audience;
    const auto add = [&](std::string part) {
        if (!nsp_->has_room(part)) return;
        newest_[part] = event.place;
        audience.rooms.push_back(std::move(part));
    };
    for (const auto& room : event.rooms) {
        add(part_of(room, domain_in(room, *event.event)));
        if (!room.starts_with("domain:")) add(part_of(room, every_domain));
    }
    if (audience.rooms.empty()) return;
    nsp_->broadcast({socketio::PacketType::event,
                     nsp_->name(),
                     {},
                     Array{event.event->type, client_payload(payload, event.source)}},
                    audience, ports_.feed.text(event.place));
}

void EventGateway::tell_gap(const feed::FeedEvent& event) {
    for (const auto& [socket, member] : members_)
        if (!member->replaying) emit_gap(*member, event, event.place, rooms_of(*member));
}

Array EventGateway::rooms_of(const Member& member) {
    Array rooms;
    for (const auto& [room, state] : member.session.rooms)
        rooms.emplace_back(room);
    return rooms;
}

/// As its reader is told of it: which source, which of its rooms; to who has none it is no loss.
void EventGateway::emit_gap(Member& member, const feed::FeedEvent& event, const feed::Place& after,
                            Array rooms) {
    const auto socket = member.socket.lock();
    auto told = gap_payload(event);
    if (!socket || !told || rooms.empty()) return;
    told->append("rooms", std::move(rooms));
    ++counters_.gaps;
    member.sent = member.sent.with(after);
    socket->emit({"gap", std::move(*told), ports_.feed.text(after)});
}

// --- for operators ---

std::vector<SocketInfo> EventGateway::sockets(std::string_view after, std::size_t limit) const {
    std::map<std::string_view, const Member*> by_id;
    for (const auto& [socket, member] : members_)
        if (member->session.sid > after) by_id.emplace(member->session.sid, member.get());
    std::vector<SocketInfo> found;
    for (const auto& [id, member] : by_id) {
        if (found.size() == limit) break;
        const auto socket = member->socket.lock();
        SocketInfo info{std::string(id),      member->subject,
                        member->address,      {},
                        member->connected_us, socket ? socket->queued_bytes() : 0,
                        member->replaying};
        for (const auto& [room, state] : member->session.rooms)
            info.rooms.push_back(room);
        found.push_back(std::move(info));
    }
    return found;
}

std::map<std::string, std::size_t> EventGateway::rooms() const {
    std::map<std::string, std::size_t> counts;
    for (const auto& [socket, member] : members_)
        for (const auto& [room, state] : member->session.rooms)
            ++counts[room];
    return counts;
}

bool EventGateway::kick(const std::string& socket) {
    const auto found = nsp_->find(socket);
    const auto member = found ? member_of(*found) : nullptr;
    if (!member) return false;
    member->kicked = true;
    ++counters_.kicked;
    found->disconnect(true);
    return true;
}

} // namespace netbuild::gateway
