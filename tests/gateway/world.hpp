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

struct World {
    struct Options {
        std::size_t stream_max = 10'000, ring_max = 10'000;
        GatewayOptions gateway = {};
    };
    World() : World(Options{}) {}
    explicit World(Options options)
        : bus(loop.context.get_executor(), loop.clock, {.events_max = options.stream_max}),
          documents(loop.context.get_executor(), loop.clock, {.events_max = options.stream_max}),
          feed({bus, &documents, archive, loop.clock, loop.context.get_executor()},
               {.events_max = options.ring_max}),
          gateway(ports(), options.gateway),
          tasks(loop.context.get_executor(), [](const std::string& name, const Error& error) {
              ADD_FAILURE() << name << ": " << error.message();
          }) {
        tasks.spawn("engine", feed.follow_engine());
        tasks.spawn("documents", feed.follow_documents());
        tasks.spawn("gateway", gateway.run());
        EXPECT_TRUE(gateway.server().listen("127.0.0.1", 0).has_value());
    }
    ~World() {
        loop.run(gateway.server().stop({}));
        loop.run(tasks.stop());
    }

    EventGateway::Ports ports() {
        return {loop.context.get_executor(),
                loop.clock,
                feed,
                directory,
                sessions,
                [this](std::string authorization) { return caller(std::move(authorization)); }};
    }
    /// "Bearer acme": a member of acme, named like the domain; "Bearer *" sees all.
    awaitable<result<Caller>> caller(std::string authorization) {
        if (!authorization.starts_with("Bearer ") || refused.contains(authorization))
            co_return fail(ErrorCode::unauthorized, "a token is needed");
        const std::string domain = authorization.substr(7);
        co_return Caller{.subject = domain, .roles = {{domain, Role::member}}};
    }

    void append(std::vector<StreamEventPtr> events) {
        archive.events.insert(archive.events.end(), events.begin(), events.end());
        loop.run(append_to(bus, std::move(events)));
    }
    static awaitable<void> append_to(EventBus& bus, std::vector<StreamEventPtr> events) {
        EXPECT_TRUE((co_await bus.append(std::move(events), {})).has_value());
    }
    void until_at(Position position) {
        EXPECT_TRUE(loop.until([&] { return feed.place().engine >= position; }));
    }

    realtime::Loop loop;
    std::map<std::string, bool> refused;
    Archive archive;
    MemoryBus bus, documents;
    feed::EventFeed feed;
    Directory directory;
    MemorySessions sessions{loop.clock, {}};
    EventGateway gateway;
    TaskGroup tasks;
};

/// A client that keeps what the official one does: pid and the last offset.
class Client {
public:
    Client(World& world, std::string token) : world_(world), token_(std::move(token)) {}

    /// False: refused; the error is in `refusal`.
    bool connect() {
        peer_.emplace(world_.loop, world_.gateway.server().port());
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
    std::string pid, sid, offset;
    bool recovered = false;
    Value refusal;

private:
    bool take(const std::string& message) {
        if (!message.starts_with("42[")) return false;
        const auto parsed = parse_json(std::string_view(message).substr(2));
        const auto& event = *parsed->get_if<Array>();
        if (event.back().is<std::string>()) offset = event.back().string_or();
        last = event.size() > 1 ? event[1] : Value();
        if (event.front().string_or() == "gap" && first_gap.is_null()) first_gap = last;
        const Value* position = last.at_path("position");
        seen.emplace_back(position ? position->string_or() : event.front().string_or());
        return true;
    }

    World& world_;
    std::string token_;
    std::optional<realtime::Peer> peer_;
    int acks_ = 0;
};

} // namespace netbuild::gateway
