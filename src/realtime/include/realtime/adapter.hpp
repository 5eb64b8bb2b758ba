// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"
#include "model/value.hpp"
#include "wire/cluster_message.hpp"
#include "wire/socketio_packet.hpp"

namespace netbuild::realtime {

namespace asio = boost::asio;

using socketio::Audience;
using socketio::SavedSession;
using socketio::SocketDescription;

struct RecoveredSession {
    SavedSession session;
    /// Data of the events missed, in order, each with its offset as the last element.
    std::vector<Array> missed;
};

/// What a cluster answered: of the nodes that did in time, and which did not.
template <class T>
struct ClusterAnswer {
    std::vector<T> items;
    /// Uids of nodes that did not answer, as far as the protocol lets them be known.
    std::vector<std::string> missing;
    bool timed_out = false;
};

/// One namespace of this node, as an adapter sees it. Calls return at once; executor's thread only.
class LocalNamespace {
public:
    virtual ~LocalNamespace() = default;
    [[nodiscard]] virtual const std::string& name() const = 0;

    /// To this node's sockets that `audience` names. `offset`, if any, ends every event's arguments
    /// (recoverable namespaces, non-volatile events).
    virtual void broadcast(const socketio::Packet& packet, const Audience& audience,
                           std::string_view offset = {}) = 0;
    using OnAck = std::function<void(Array answer)>;
    /// As `broadcast`; returns how many sockets were asked. `on_ack` is called once for each that
    /// answers before the time-out of `audience`, never after it.
    virtual std::size_t broadcast_with_ack(const socketio::Packet& packet, const Audience& audience,
                                           OnAck on_ack) = 0;
    [[nodiscard]] virtual std::vector<SocketDescription>
    sockets(const Audience& audience) const = 0;
    virtual void join(const Audience& audience, const std::vector<std::string>& rooms) = 0;
    virtual void leave(const Audience& audience, const std::vector<std::string>& rooms) = 0;
    virtual void disconnect(const Audience& audience, bool close) = 0;
    [[nodiscard]] virtual std::vector<std::string> rooms() const = 0;
    [[nodiscard]] virtual bool has_room(std::string_view room) const = 0;

    using Answer = std::function<void(Value answer)>;
    /// Another node's serverSideEmit: `args` = [event, …]; `answer` is empty if none is wanted.
    virtual void server_side_event(Array args, Answer answer) = 0;
};

/// How the nodes of a cluster share one namespace. One object a namespace and node; what it holds
/// of the network (a Redis connection) it shares with those of other namespaces.
///
/// A call takes effect on this node as well, through `LocalNamespace`, exactly once. Executor's
/// thread only. Calls that return void never wait: what cannot be sent is dropped and counted.
class Adapter {
public:
    virtual ~Adapter() = default;

    /// Subscribes; returns when what other nodes send from now on is received.
    virtual asio::awaitable<result<void>> start() = 0;
    virtual asio::awaitable<void> stop() = 0;

    virtual void broadcast(socketio::Packet packet, Audience audience) = 0;
    /// Answers of all sockets of the cluster, until all came or `audience.flags.timeout`.
    virtual asio::awaitable<result<ClusterAnswer<Value>>>
    broadcast_with_ack(socketio::Packet packet, Audience audience) = 0;
    virtual asio::awaitable<result<ClusterAnswer<SocketDescription>>>
    fetch_sockets(Audience audience) = 0;
    virtual void join(Audience audience, std::vector<std::string> rooms) = 0;
    virtual void leave(Audience audience, std::vector<std::string> rooms) = 0;
    virtual void disconnect(Audience audience, bool close) = 0;
    /// `args` = [event, …], to the other nodes only.
    virtual void server_side_emit(Array args) = 0;
    virtual asio::awaitable<result<ClusterAnswer<Value>>> server_side_emit_with_ack(Array args) = 0;
    /// Nodes of this namespace, itself included.
    virtual asio::awaitable<result<std::size_t>> server_count() = 0;
    virtual asio::awaitable<result<std::vector<std::string>>> all_rooms() = 0;

    /// The first socket of this node came into a room; the last one left it.
    virtual void room_opened(std::string_view) {}
    virtual void room_closed(std::string_view) {}

    /// Connection state recovery; `recoverable()` says whether there is any.
    [[nodiscard]] virtual bool recoverable() const { return false; }
    virtual void save_session(SavedSession) {}
    /// Nothing if the session or the offset is not known any more.
    virtual asio::awaitable<std::optional<RecoveredSession>> restore_session(std::string pid,
                                                                             std::string offset);
};

using AdapterFactory = std::function<std::unique_ptr<Adapter>(LocalNamespace& local)>;

/// A cluster of one node.
[[nodiscard]] std::unique_ptr<Adapter> local_adapter(LocalNamespace& local);

} // namespace netbuild::realtime
