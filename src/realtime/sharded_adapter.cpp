// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "cluster_node.hpp"
#include "node_ids.hpp"
#include "wire/cluster_codec.hpp"

namespace netbuild::realtime {
namespace {

constexpr std::size_t uid_characters = 16;
constexpr std::size_t socket_id_characters = 20;

/// ECMAScript's `length`: in UTF-16, where what takes four bytes in UTF-8 is two.
std::size_t length_in_node(std::string_view text) {
    std::size_t units = 0;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte & 0xc0) != 0x80) units += byte >= 0xf0 ? 2 : 1;
    }
    return units;
}

std::string common_channel(const ShardedAdapterOptions& options, const std::string& nsp) {
    return fmt::format("{}#{}#", options.prefix, nsp);
}

class ShardedAdapter final : public ClusterNode {
public:
    ShardedAdapter(LocalNamespace& local, AdapterContext context, ShardedAdapterOptions options)
        : ClusterNode(local, context, hex_id(context.random), options.request_timeout),
          options_(std::move(options)),
          channel_(common_channel(options_, local.name())) {}
    ~ShardedAdapter() override { leave_rooms(); }

    asio::awaitable<result<void>> start() override {
        subscribe(ClusterBus::Kind::shard, channel_, listener());
        subscribe(ClusterBus::Kind::shard, channel_ + uid_ + "#", listener());
        co_return co_await context_.bus.subscribed();
    }
    asio::awaitable<void> stop() override {
        leave_rooms();
        co_await ClusterNode::stop();
    }

    asio::awaitable<result<std::size_t>> server_count() override {
        return context_.bus.subscribers(ClusterBus::Kind::shard, channel_);
    }
    asio::awaitable<result<std::vector<std::string>>> all_rooms() override {
        co_return fail(ErrorCode::unsupported, "the sharded adapter does not tell all rooms");
    }

    void room_opened(std::string_view room) override {
        if (!has_channel(room) || rooms_.contains(room)) return;
        rooms_.emplace(
            room, context_.bus.subscribe(ClusterBus::Kind::shard, channel_of(room), listener()));
    }
    void room_closed(std::string_view room) override {
        const auto found = rooms_.find(room);
        if (found == rooms_.end()) return;
        context_.bus.unsubscribe(found->second);
        rooms_.erase(found);
    }

private:
    /// A room of a socket's own has none: nobody sends there.
    [[nodiscard]] bool has_channel(std::string_view room) const {
        return options_.mode == ShardedAdapterOptions::Mode::dynamic_channels &&
               length_in_node(room) != socket_id_characters;
    }
    [[nodiscard]] std::string channel_of(std::string_view room) const {
        return fmt::format("{}{}#", channel_, room);
    }
    ClusterBus::OnMessage listener() {
        return [this](std::string_view, std::string_view bytes) {
            if (auto message = accepted(socketio::decode_cluster_message(bytes)))
                receive(std::move(*message));
        };
    }
    void leave_rooms() {
        for (const auto& [room, subscription] : std::exchange(rooms_, {}))
            context_.bus.unsubscribe(subscription);
    }

    void send(ClusterMessage message) override {
        const auto bytes = sendable(
            socketio::encode_cluster_message(message, socketio::ClusterForm::json_unless_binary));
        if (!bytes) return;
        const auto& rooms = message.audience.rooms;
        // With an answer to come, all nodes count: that goes to the channel of all.
        const bool to_room = message.type == MessageType::broadcast && !message.request_id &&
                             rooms.size() == 1 && has_channel(rooms.front());
        context_.bus.publish(ClusterBus::Kind::shard,
                             to_room ? channel_of(rooms.front()) : channel_, *bytes);
    }
    void answer(const ClusterMessage& request, ClusterMessage message) override {
        const auto bytes = sendable(
            socketio::encode_cluster_message(message, socketio::ClusterForm::json_unless_binary));
        if (bytes) context_.bus.publish(ClusterBus::Kind::shard, channel_of(request.uid), *bytes);
    }
    /// A room's name may look like a uid: that one was never heard of as a node.
    asio::awaitable<result<std::vector<std::string>>> members() override {
        CO_TRY(const auto channels,
               co_await context_.bus.channels(ClusterBus::Kind::shard,
                                              glob_of(channel_) + std::string(uid_characters, '?') +
                                                  "#"));
        auto uids = uids_in(channels, channel_, uid_characters);
        std::erase_if(uids, [&](const std::string& uid) {
            return rooms_.contains(uid) ||
                   uid.find_first_not_of("0123456789abcdef") != std::string::npos;
        });
        co_return uids;
    }
    std::string new_request_id() override { return hex_id(context_.random); }

    const ShardedAdapterOptions options_;
    const std::string channel_;
    std::map<std::string, ClusterBus::Subscription, std::less<>> rooms_;
};

} // namespace

std::unique_ptr<Adapter> sharded_adapter(LocalNamespace& local, AdapterContext context,
                                         ShardedAdapterOptions options) {
    return std::make_unique<ShardedAdapter>(local, context, std::move(options));
}

ClusterEmitter sharded_emitter(const std::string& nsp, ShardedAdapterOptions options) {
    const std::string channel = common_channel(options, nsp);
    return {channel, [channel](const ClusterMessage& message) -> result<ClusterBus::Outgoing> {
                TRY(std::string bytes, socketio::encode_cluster_message(
                                           message, socketio::ClusterForm::json_unless_binary));
                return ClusterBus::Outgoing{.to = ClusterBus::Outgoing::To::shard,
                                            .name = channel,
                                            .message = std::move(bytes)};
            }};
}

} // namespace netbuild::realtime
