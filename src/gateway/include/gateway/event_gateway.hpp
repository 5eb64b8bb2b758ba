// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "feed/feed_reader.hpp"
#include "gateway/rooms.hpp"
#include "gateway/session.hpp"
#include "realtime/server.hpp"

namespace netbuild::gateway {

struct GatewayOptions {
    realtime::ServerOptions server;
    std::size_t rooms_a_client_max = 1000;
    /// Who may what is looked up again so often, and at the end of an access token.
    Clock::duration recheck = std::chrono::minutes(1);
    /// A shared session is stored again so often while its client is here.
    Clock::duration refresh = std::chrono::seconds(40);
};

struct GatewayCounters {
    std::uint64_t events = 0;
    std::uint64_t subscribed = 0, refused_subscriptions = 0, refused_connections = 0;
    std::uint64_t resumed = 0, resumed_events = 0, not_resumed = 0, gaps = 0;
    std::uint64_t renewed = 0, refused_renewals = 0, expired = 0, kicked = 0;
    /// Slow readers that were put back on the streams instead of more live events; caught up again.
    std::uint64_t fell_behind = 0, caught_up = 0;
    std::uint64_t replaying = 0; // now
};

struct SocketInfo {
    std::string id, subject, address;
    std::vector<std::string> rooms;
    std::int64_t connected_us = 0;
    std::size_t queued_bytes = 0;
    bool replaying = false;
};

/// Who a client is.
using Authenticate = std::function<awaitable<result<Caller>>(std::string authorization)>;

/// NetBuild's rooms and events on Socket.IO. One executor.
class EventGateway {
public:
    struct Ports {
        asio::any_io_executor executor;
        Clock& clock;
        feed::EventFeed& feed;
        RoomDirectory& directory;
        SessionStore& sessions;
        /// Empty: whoever reaches the port may do anything.
        Authenticate authenticate;
    };
    EventGateway(Ports ports, GatewayOptions options);
    ~EventGateway();

    [[nodiscard]] realtime::Server& server() noexcept { return *server_; }
    /// Looks after clients' tokens and sessions until cancelled.
    awaitable<result<void>> run();

    [[nodiscard]] const GatewayCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }
    [[nodiscard]] const feed::EventRing& ring() const noexcept { return ports_.feed.ring(); }
    /// By id, behind `after`, up to `limit`.
    [[nodiscard]] std::vector<SocketInfo> sockets(std::string_view after, std::size_t limit) const;
    /// How many of this node's clients are in each room.
    [[nodiscard]] std::map<std::string, std::size_t> rooms() const;
    /// False: there is no such client here. Its session ends, too.
    bool kick(const std::string& socket);

private:
    friend class ResumingAdapter;
    friend class OffsettingNamespace;
    struct Member;
    using MemberPtr = std::shared_ptr<Member>;
    using SocketPtr = std::shared_ptr<realtime::Socket>;
    struct Resuming {
        Session session;
        std::optional<feed::Place> offset;
    };

    // Who comes and goes.
    awaitable<result<void>> admit(SocketPtr socket, realtime::Namespace::Next next);
    void on_connection(const SocketPtr& socket);
    void on_disconnect(realtime::Socket& socket, std::string_view reason);
    void on_pressure(realtime::Socket& socket);
    awaitable<result<Caller>> authenticate(std::string authorization);
    awaitable<result<void>> recheck(MemberPtr member);
    awaitable<result<void>> on_authenticate(SocketPtr socket, realtime::Event event);
    awaitable<result<void>> renew(MemberPtr member, std::string token);
    void set_caller(Member& member, const Caller& caller);
    void drop_forbidden(Member& member);

    // Rooms.
    awaitable<result<void>> on_subscribe(SocketPtr socket, realtime::Event event);
    awaitable<result<feed::Place>> subscribe(MemberPtr member, std::string room,
                                             std::optional<feed::Place> offset);
    awaitable<result<feed::Place>> unsubscribe(MemberPtr member, std::string room);
    awaitable<result<void>> on_unsubscribe(SocketPtr socket, realtime::Event event);
    awaitable<result<std::vector<std::string>>> domains_for(MemberPtr member, RoomName room);
    result<void> join(Member& member, const std::string& room);
    void leave(Member& member, const std::string& room);
    static void refuse(realtime::Event& event, const Error& error);
    void answer(realtime::Event& event, const result<feed::Place>& outcome);
    [[nodiscard]] MemberPtr member_of(const realtime::Socket& socket) const;

    // Events.
    void on_event(const feed::FeedEvent& event, const Value& payload);
    void tell_gap(const feed::FeedEvent& event);
    void emit_gap(Member& member, const feed::FeedEvent& event, const feed::Place& after,
                  Array rooms);
    [[nodiscard]] static Array rooms_of(const Member& member);

    // Resume.
    asio::awaitable<std::optional<realtime::RecoveredSession>> restore(std::string pid,
                                                                       std::string offset);
    [[nodiscard]] Session leaving(const Member& member) const;
    void put_back(const MemberPtr& member, feed::Place from);
    awaitable<result<void>> resume(MemberPtr member);
    awaitable<result<bool>> replay(MemberPtr member, feed::FeedReader& reader,
                                   std::string subscribing);
    awaitable<result<bool>> has_room_for_more(Member& member);
    [[nodiscard]] std::size_t replay_bytes() const;
    bool deliver(Member& member, const std::vector<feed::Delivery>& found, feed::FeedReader& reader,
                 const std::string& subscribing);
    /// All up to it in its rooms the client was sent.
    [[nodiscard]] const feed::Place& place_of(const Member& member) const;
    [[nodiscard]] feed::Interest interest_of(const MemberPtr& member) const;

    Ports ports_;
    GatewayOptions options_;
    GatewayCounters counters_;
    feed::EventFeed::Listening listening_;
    std::unique_ptr<realtime::Server> server_;
    realtime::Namespace* nsp_ = nullptr;
    std::unordered_map<const realtime::Socket*, MemberPtr> members_;
    std::unordered_map<std::string, const realtime::Socket*> by_pid_;
    std::unordered_map<std::string, Resuming> resuming_; // between restore and its middleware
    MemberPtr admitting_;                                // during `next` of its middleware
    /// The newest event that went to a room of this node.
    std::unordered_map<std::string, feed::Place> newest_;
};

} // namespace netbuild::gateway
