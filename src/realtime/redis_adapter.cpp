// SPDX-License-Identifier: Apache-2.0
#include "cluster_node.hpp"
#include "node_ids.hpp"
#include "wire/redis_adapter_codec.hpp"

namespace netbuild::realtime {
namespace {

constexpr std::size_t uid_characters = 6;

std::string broadcast_channel(const RedisAdapterOptions& options, const std::string& nsp) {
    return fmt::format("{}#{}#", options.key, nsp);
}

class RedisAdapter final : public ClusterNode {
public:
    RedisAdapter(LocalNamespace& local, AdapterContext context, RedisAdapterOptions options)
        : ClusterNode(local, context, short_id(context.random, uid_characters),
                      options.request_timeout),
          options_(std::move(options)),
          broadcasts_(broadcast_channel(options_, local.name())),
          requests_(fmt::format("{}-request#{}#", options_.key, local.name())),
          answers_(fmt::format("{}-response#{}#", options_.key, local.name())) {}

    asio::awaitable<result<void>> start() override {
        using Kind = ClusterBus::Kind;
        // Its channels are subscribed to once by each node: their number is the cluster's size.
        subscribe(Kind::pattern, glob_of(broadcasts_) + "*",
                  [this](std::string_view channel, std::string_view bytes) {
                      on_broadcast(channel, bytes);
                  });
        const auto on_answer = [this](std::string_view, std::string_view bytes) {
            if (auto message = accepted(socketio::decode_redis_answer(bytes))) take(*message);
        };
        subscribe(Kind::channel, answers_, on_answer);
        subscribe(Kind::channel, answers_ + uid_ + "#", on_answer);
        subscribe(Kind::channel, requests_, [this](std::string_view, std::string_view bytes) {
            if (auto message = accepted(socketio::decode_redis_request(bytes))) take(*message);
        });
        co_return co_await context_.bus.subscribed();
    }

    asio::awaitable<result<std::size_t>> server_count() override {
        return context_.bus.subscribers(ClusterBus::Kind::channel, requests_);
    }

private:
    void on_broadcast(std::string_view channel, std::string_view bytes) {
        // `socket.io#/#room#`: what is for a room that is not here is not read any further.
        if (channel.size() > broadcasts_.size()) {
            const auto room =
                channel.substr(broadcasts_.size(), channel.size() - broadcasts_.size() - 1);
            if (!local_.has_room(room)) return;
        }
        if (auto message = accepted(socketio::decode_redis_broadcast(bytes)))
            receive(std::move(*message));
    }
    void take(ClusterMessage& message) {
        message.nsp = local_.name(); // the channel's
        message.packet.nsp = message.nsp;
        receive(std::move(message));
    }

    void send(ClusterMessage message) override {
        const bool broadcast = message.type == MessageType::broadcast && !message.request_id;
        const auto bytes = sendable(socketio::encode_redis_message(message));
        if (!bytes) return;
        std::string channel = broadcast ? broadcasts_ : requests_;
        if (broadcast && message.audience.rooms.size() == 1)
            channel += message.audience.rooms.front() + "#";
        context_.bus.publish(ClusterBus::Kind::channel, channel, *bytes);
    }
    void answer(const ClusterMessage& request, ClusterMessage message) override {
        const auto bytes = sendable(socketio::encode_redis_message(message));
        if (!bytes) return;
        // Node's answers to serverSideEmit go to all, whatever the option says; who asked hears
        // both.
        const bool own_channel = options_.specific_response_channel && !request.uid.empty() &&
                                 message.type != MessageType::server_side_emit_answer;
        context_.bus.publish(ClusterBus::Kind::channel,
                             own_channel ? answers_ + request.uid + "#" : answers_, *bytes);
    }

    /// Every node, Node's too, listens on an answer channel of its own, so the server knows them.
    asio::awaitable<result<std::vector<std::string>>> members() override {
        CO_TRY(const auto channels,
               co_await context_.bus.channels(ClusterBus::Kind::channel, glob_of(answers_) + "*#"));
        co_return uids_in(channels, answers_, uid_characters);
    }
    std::string new_request_id() override { return short_id(context_.random, uid_characters); }

    const RedisAdapterOptions options_;
    const std::string broadcasts_, requests_, answers_;
};

} // namespace

std::unique_ptr<Adapter> redis_adapter(LocalNamespace& local, AdapterContext context,
                                       RedisAdapterOptions options) {
    return std::make_unique<RedisAdapter>(local, context, std::move(options));
}

ClusterEmitter redis_emitter(const std::string& nsp, RedisAdapterOptions options) {
    const std::string channel = broadcast_channel(options, nsp);
    return {channel, [channel](const ClusterMessage& message) -> result<ClusterBus::Outgoing> {
                TRY(std::string bytes, socketio::encode_redis_message(message));
                return ClusterBus::Outgoing{.to = ClusterBus::Outgoing::To::channel,
                                            .name = channel,
                                            .message = std::move(bytes)};
            }};
}

} // namespace netbuild::realtime
