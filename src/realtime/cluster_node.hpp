// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "realtime/cluster_adapters.hpp"
#include "runtime/signal.hpp"

namespace netbuild::realtime {

using socketio::ClusterMessage;
using MessageType = socketio::ClusterMessageType;

/// What all adapters do alike: carries out what other nodes ask for, asks them, counts who answered
/// and names who did not. A protocol says how a message gets to the others.
class ClusterNode : public Adapter {
public:
    ClusterNode(LocalNamespace& local, AdapterContext context, std::string uid,
                std::chrono::milliseconds request_timeout);
    ~ClusterNode() override;

    asio::awaitable<void> stop() override;
    void broadcast(socketio::Packet packet, Audience audience) override;
    asio::awaitable<result<ClusterAnswer<Value>>> broadcast_with_ack(socketio::Packet packet,
                                                                     Audience audience) override;
    asio::awaitable<result<ClusterAnswer<SocketDescription>>>
    fetch_sockets(Audience audience) override;
    void join(Audience audience, std::vector<std::string> rooms) override;
    void leave(Audience audience, std::vector<std::string> rooms) override;
    void disconnect(Audience audience, bool close) override;
    void server_side_emit(Array args) override;
    asio::awaitable<result<ClusterAnswer<Value>>> server_side_emit_with_ack(Array args) override;
    asio::awaitable<result<std::vector<std::string>>> all_rooms() override;

protected:
    /// To all other nodes.
    virtual void send(ClusterMessage message) = 0;
    /// To the node that sent `request`.
    virtual void answer(const ClusterMessage& request, ClusterMessage message) = 0;
    /// Uids of the nodes that are there, as the server knows them; ours may be one.
    virtual asio::awaitable<result<std::vector<std::string>>> members() = 0;
    [[nodiscard]] virtual std::string new_request_id() = 0;
    /// Broadcasts, joins, leaves and disconnects of this node take effect here when they come back,
    /// in one order with those of others; else at once.
    [[nodiscard]] virtual bool effects_by_echo() const { return false; }

    /// A message of another node: drops one's own, and those of another namespace.
    void receive(ClusterMessage message, std::string_view offset = {});
    /// What a message without an answer asks for, on this node.
    void apply(const ClusterMessage& message, std::string_view offset = {});
    /// Counts, and gives nothing, what is malformed.
    template <class T>
    std::optional<T> accepted(result<T> decoded) {
        ++context_.counters.received;
        if (decoded) return std::move(*decoded);
        ++context_.counters.malformed;
        return std::nullopt;
    }
    /// The same for what is to be sent.
    template <class T>
    std::optional<T> sendable(result<T> encoded) {
        if (encoded) return std::move(*encoded);
        ++context_.counters.too_large;
        return std::nullopt;
    }
    [[nodiscard]] ClusterMessage message_of(MessageType type) const;
    void subscribe(ClusterBus::Kind kind, std::string name, ClusterBus::OnMessage on_message);

    LocalNamespace& local_;
    AdapterContext context_;
    const std::string uid_;
    std::vector<ClusterBus::Subscription> subscriptions_;

private:
    struct Request;
    using RequestPtr = std::shared_ptr<Request>;
    struct Asking;

    result<RequestPtr> open(const std::string& id);
    /// Sends `message` and waits for answers of all other nodes, or for the time.
    asio::awaitable<result<void>> ask(RequestPtr request, ClusterMessage message,
                                      Clock::duration time);
    asio::awaitable<result<void>> wait(RequestPtr request, Clock::duration time);
    asio::awaitable<std::vector<std::string>> name_missing(RequestPtr request);
    void receive_answer(ClusterMessage message);
    void answer_request(const ClusterMessage& message);
    void heard_of(const std::string& uid);

    const std::chrono::milliseconds request_timeout_;
    std::map<std::string, RequestPtr> requests_;
    /// When other nodes were last heard of.
    std::map<std::string, Clock::duration> heard_;
    /// What callbacks of the namespace hold, to know whether we are still there.
    std::shared_ptr<ClusterNode*> alive_;
};

} // namespace netbuild::realtime
