// SPDX-License-Identifier: Apache-2.0
// A gateway over a stream in memory, and clients that come and go as they like.
#pragma once
#include <algorithm>
#include <map>

#include "gateway/event_gateway.hpp"
#include "memory/memory_bus.hpp"
#include "ports/stored_events.hpp"
#include "realtime/world.hpp"
#include "runtime/task_group.hpp"
#include "wire/json.hpp"

namespace netbuild::gateway {

/// Every event that there ever was.
struct Archive final : feed::EventArchive {
    std::vector<StreamEventPtr> events;
    Position removed;

    awaitable<result<std::vector<StreamEventPtr>>> after(Position place,
                                                         std::size_t count) override {
        std::vector<StreamEventPtr> found;
        for (const auto& event : events)
            if (event->position > place && event->position > removed && found.size() < count)
                found.push_back(event);
        co_return found;
    }
    awaitable<result<Position>> removed_upto() override { co_return removed; }
};

/// execution:NAME-DOMAIN is of that domain.
struct Directory final : RoomDirectory {
    awaitable<result<std::vector<std::string>>> domains(RoomName room, Scope scope) override {
        const std::string domain = room.id.substr(room.id.rfind('-') + 1);
        if (room.id.starts_with("no") || !scope.admits(domain))
            co_return fail(ErrorCode::not_found, room.id);
        co_return std::vector<std::string>{domain};
    }
};

inline StreamEventPtr event_at(Position position, std::string domain, std::string execution,
                               std::string type = "task:created", Object more = {}) {
    auto event = std::make_shared<StreamEvent>();
    event->position = position;
    event->type = std::move(type);
    event->domain_id = std::move(domain);
    event->execution_id = std::move(execution);
    Object payload{{"position", netbuild::to_string(position)}, {"domainId", event->domain_id}};
    for (auto& member : more)
        payload.append(member.key, member.value);
    append_json(event->payload, payload);
    return event;
}

/// What all nodes of a fleet read, and who may come to them.
struct Streams {
    explicit Streams(std::size_t stream_max)
        : bus(loop.context.get_executor(), loop.clock, {.events_max = stream_max}),
          documents(loop.context.get_executor(), loop.clock, {.events_max = stream_max}) {}

    /// "Bearer acme": a member of acme, named like the domain; "Bearer *" sees all. "#2" after it
    /// makes another token of the same.
    awaitable<result<Caller>> caller(std::string authorization) {
        ++looks;
        if (!authorization.starts_with("Bearer ") || refused.contains(authorization))
            co_return fail(ErrorCode::unauthorized, "a token is needed");
        const std::string domain = authorization.substr(7, authorization.find('#') - 7);
        co_return Caller{
            .subject = domain, .roles = {{domain, Role::member}}, .expires_s = expires_s};
    }
    void append(std::vector<StreamEventPtr> events) {
        archive.events.insert(archive.events.end(), events.begin(), events.end());
        loop.run(append_to(bus, std::move(events)));
    }
    static awaitable<void> append_to(EventBus& bus, std::vector<StreamEventPtr> events) {
        EXPECT_TRUE((co_await bus.append(std::move(events), {})).has_value());
    }

    realtime::Loop loop;
    std::map<std::string, bool> refused;
    std::optional<std::int64_t> expires_s; // of the tokens that are shown from now on
    std::size_t looks = 0;
    Archive archive;
    MemoryBus bus, documents;
    Directory directory;
};

/// A gateway of its own.
struct Node {
    Node(Streams& streams, SessionStore& sessions, std::size_t ring_max, GatewayOptions options)
        : streams(streams),
          feed({streams.bus, &streams.documents, streams.archive, streams.loop.clock,
                streams.loop.context.get_executor()},
               {.events_max = ring_max}),
          gateway({streams.loop.context.get_executor(), streams.loop.clock, feed, streams.directory,
                   sessions,
                   [&streams](std::string authorization) {
                       return streams.caller(std::move(authorization));
                   }},
                  std::move(options)),
          tasks(streams.loop.context.get_executor(),
                [](const std::string& name, const Error& error) {
                    ADD_FAILURE() << name << ": " << error.message();
                }) {
        tasks.spawn("engine", feed.follow_engine());
        tasks.spawn("documents", feed.follow_documents());
        tasks.spawn("gateway", gateway.run());
        EXPECT_TRUE(gateway.server().listen("127.0.0.1", 0).has_value());
    }
    ~Node() {
        streams.loop.run(gateway.server().stop({}));
        streams.loop.run(tasks.stop());
    }
    Node(const Node&) = delete;

    void until_at(Position position) {
        EXPECT_TRUE(streams.loop.until([&] { return feed.place().engine >= position; }));
    }

    Streams& streams;
    feed::EventFeed feed;
    EventGateway gateway;
    TaskGroup tasks;
};

/// One node, and its sessions in memory.
struct World : Streams {
    struct Options {
        std::size_t stream_max = 10'000, ring_max = 10'000;
        GatewayOptions gateway = {};
        MemorySessions::Options sessions = {};
    };
    World() : World(Options{}) {}
    explicit World(Options options)
        : Streams(options.stream_max),
          sessions(loop.clock, options.sessions),
          node(*this, sessions, options.ring_max, options.gateway) {}

    void until_at(Position position) { node.until_at(position); }

    realtime::EngineCounters engine() { return gateway.server().counters().engine; }

    MemorySessions sessions;
    Node node;
    EventGateway& gateway = node.gateway;
};

/// A client that keeps what the official one does: pid and the last offset.
class Client {
public:
    Client(World& world, std::string token) : Client(world.node, std::move(token)) {}
    Client(Node& node, std::string token)
        : loop_(node.streams.loop), gateway_(&node.gateway), token_(std::move(token)) {}

    /// False: refused; the error is in `refusal`.
    bool connect_to(Node& node) {
        gateway_ = &node.gateway;
        return connect();
    }
    bool connect() {
        peer_ = std::make_shared<realtime::Peer>(loop_, gateway_->server().port());
        EXPECT_EQ(peer_->upgrade("/socket.io/?EIO=4&transport=websocket"), 101);
        EXPECT_EQ(peer_->message().substr(0, 1), "0");
        Object auth{{"token", token_}};
        if (!pid.empty()) auth.append("pid", pid);
        if (!offset.empty()) auth.append("offset", offset);
        peer_->text("40" + to_json(auth));
        const std::string answer = peer_->message();
        const auto body = parse_json(std::string_view(answer).substr(2));
        if (!answer.starts_with("40")) {
            refusal = body ? *body : Value();
            return false;
        }
        const std::string given(body->at_path("pid")->string_or());
        recovered = given == pid;
        pid = given;
        sid = body->at_path("sid")->string_or();
        return true;
    }
    void drop() { peer_.reset(); }
    void receive_buffer(int bytes) { peer_->receive_buffer(bytes); }

    Value ask(std::string_view event, std::string_view room, Value more = {}) {
        Array packet{event, room};
        if (!more.is_null()) packet.push_back(std::move(more));
        peer_->text(fmt::format("42{}{}", ++acks_, to_json(packet)));
        const std::string wanted = fmt::format("43{}", acks_);
        while (true) {
            const std::string message = peer_->message();
            if (message.starts_with(wanted))
                return parse_json(std::string_view(message).substr(wanted.size()))
                    ->get_if<Array>()
                    ->front();
            if (!take(message)) return "no answer: " + message;
        }
    }
    bool subscribe(std::string_view room) {
        const Value answer = ask("subscribe", room);
        return answer.at_path("ok") && *answer.at_path("ok") == Value(true);
    }
    /// Reads `count` events, or until none comes for `time`.
    std::size_t read(std::size_t count, Clock::duration time = realtime::patience) {
        for (std::size_t i = 0; i < count; ++i)
            if (!take(peer_->message(time))) return i;
        return count;
    }
    /// "23-0" of the events, in the order that they came; gaps as "gap".
    std::vector<std::string> seen;
    Value last, first_gap;
    /// What came instead of an event: "nothing", "ended", "closed 1013".
    std::string ended;
    std::string pid, sid, offset;
    bool recovered = false;
    Value refusal;

private:
    bool take(const std::string& message) {
        if (!message.starts_with("42[")) {
            ended = message;
            return false;
        }
        const auto parsed = parse_json(std::string_view(message).substr(2));
        const auto& event = *parsed->get_if<Array>();
        if (event.back().is<std::string>()) offset = event.back().string_or();
        last = event.size() > 1 ? event[1] : Value();
        if (event.front().string_or() == "gap" && first_gap.is_null()) first_gap = last;
        const Value* position = last.at_path("position");
        seen.emplace_back(position ? position->string_or() : event.front().string_or());
        return true;
    }

    realtime::Loop& loop_;
    EventGateway* gateway_;
    std::string token_;
    std::shared_ptr<realtime::Peer> peer_;
    int acks_ = 0;
};

} // namespace netbuild::gateway
