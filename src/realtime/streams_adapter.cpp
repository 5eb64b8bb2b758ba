// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "cluster_node.hpp"
#include "node_ids.hpp"
#include "wire/cluster_codec.hpp"

namespace netbuild::realtime {
namespace {

constexpr std::size_t uid_characters = 16;
constexpr std::size_t page_entries = 1000;
/// A session that would need more is not restored: its client begins anew.
constexpr std::size_t missed_max = 10'000;

/// The id of a stream's entry, "1795419275614-0".
struct EntryId {
    std::uint64_t ms = 0;
    std::uint64_t sequence = 0;
    friend auto operator<=>(const EntryId&, const EntryId&) = default;
};

std::optional<EntryId> parse_entry_id(std::string_view text) {
    EntryId id;
    const char* end = text.data() + text.size();
    const auto [dash, bad_ms] = std::from_chars(text.data(), end, id.ms);
    if (bad_ms != std::errc{} || dash == end || *dash != '-') return std::nullopt;
    const auto [last, bad_sequence] = std::from_chars(dash + 1, end, id.sequence);
    if (bad_sequence != std::errc{} || last != end) return std::nullopt;
    return id;
}

bool any_of(const std::vector<std::string>& names, const std::vector<std::string>& of) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return std::find(of.begin(), of.end(), name) != of.end();
    });
}

class StreamsAdapter final : public ClusterNode {
public:
    StreamsAdapter(LocalNamespace& local, AdapterContext context, StreamsAdapterOptions options)
        : ClusterNode(local, context, hex_id(context.random), options.request_timeout),
          options_(std::move(options)),
          stream_(
              socketio::stream_of_namespace(options_.stream, local.name(), options_.stream_count)),
          channel_(fmt::format("{}#{}#", options_.prefix, local.name())),
          moved_(context.executor) {}
    ~StreamsAdapter() override {
        if (following_) context_.bus.unfollow(following_->subscription);
    }

    asio::awaitable<result<void>> start() override {
        const auto listener = [this](std::string_view, std::string_view bytes) {
            if (auto message = accepted(socketio::decode_cluster_message(bytes)))
                receive(std::move(*message));
        };
        subscribe(ClusterBus::Kind::channel, channel_, listener);
        subscribe(ClusterBus::Kind::channel, channel_ + uid_ + "#", listener);
        CO_TRY_VOID(co_await context_.bus.subscribed());
        auto following = co_await context_.bus.follow(
            stream_, [this](const ClusterBus::Entry& entry) { on_entry(entry); });
        if (!following) co_return std::move(following).error();
        following_ = std::move(*following);
        if (position_ == EntryId{})
            position_ = parse_entry_id(following_->after).value_or(EntryId{});
        co_return result<void>{};
    }
    asio::awaitable<void> stop() override {
        if (const auto following = std::exchange(following_, std::nullopt))
            context_.bus.unfollow(following->subscription);
        co_await ClusterNode::stop();
    }

    asio::awaitable<result<std::size_t>> server_count() override {
        return context_.bus.subscribers(ClusterBus::Kind::channel, channel_);
    }
    asio::awaitable<result<std::vector<std::string>>> all_rooms() override {
        co_return fail(ErrorCode::unsupported, "the streams adapter does not tell all rooms");
    }

    [[nodiscard]] bool recoverable() const override { return options_.recovery.count() > 0; }

    void save_session(SavedSession session) override {
        if (!recoverable()) return;
        const std::string text = socketio::encode_session(session);
        if (text.size() > socketio::cluster_message_bytes_max) {
            ++context_.counters.too_large;
            return;
        }
        context_.bus.put(options_.session_prefix + session.pid, text, options_.recovery);
    }

    asio::awaitable<std::optional<RecoveredSession>> restore_session(std::string pid,
                                                                     std::string offset) override {
        const auto from = parse_entry_id(offset);
        if (!recoverable() || !from) co_return std::nullopt;
        const auto text = co_await context_.bus.take(options_.session_prefix + pid);
        if (!text || !*text) co_return std::nullopt;
        auto session = accepted(socketio::decode_session(**text));
        if (!session || session->pid != pid) co_return std::nullopt;
        RecoveredSession recovered{.session = std::move(*session)};
        if (!co_await read_missed(offset, *from, recovered)) co_return std::nullopt;
        co_return recovered;
    }

private:
    /// All entries after `offset` up to the one that this node has just read, so that the session
    /// gets what follows as any other socket, and nothing twice. False: some of them are gone.
    asio::awaitable<bool> read_missed(std::string offset, EntryId from,
                                      RecoveredSession& recovered) {
        // A client may have its last event from a node that reads ahead of this one.
        const Deadline deadline(context_.clock, options_.request_timeout);
        while (position_ < from) {
            if (deadline.passed(context_.clock)) co_return false;
            if (!co_await moved_.wait_for(context_.clock, deadline.left(context_.clock)))
                co_return false;
        }
        std::string last = offset;
        EntryId at = from;
        std::size_t pages = 0;
        while (at < position_ || pages == 0) {
            // The first page begins with the offset itself: is it still there?
            const std::string begin = pages == 0 ? last : "(" + last;
            const std::string end = fmt::format("{}-{}", position_.ms, position_.sequence);
            const auto cut = position_;
            const auto entries = co_await context_.bus.range(stream_, begin, end, page_entries);
            if (!entries) co_return false;
            if (pages++ == 0 && (entries->empty() || entries->front().id != offset))
                co_return false;
            for (const ClusterBus::Entry& entry : *entries) {
                if (entry.id != offset) add_missed(entry, recovered);
                last = entry.id;
            }
            if (recovered.missed.size() > missed_max) co_return false;
            // Fewer than asked for: there are no more up to the cut.
            at = entries->size() < page_entries ? cut : parse_entry_id(last).value_or(cut);
        }
        if (pages == 1) co_return true;
        // The oldest entries go first: if the offset is there, all after it was when it was read.
        const auto still = co_await context_.bus.range(stream_, offset, offset, 1);
        if (!still || still->empty()) co_return false;
        if (at == position_) co_return true;
        co_return co_await read_missed(last, at, recovered);
    }

    void add_missed(const ClusterBus::Entry& entry, RecoveredSession& recovered) const {
        const auto is = [&](std::string_view field, std::string_view wanted) {
            return std::any_of(entry.fields.begin(), entry.fields.end(), [&](const auto& each) {
                return each.first == field && each.second == wanted;
            });
        };
        if (!is("nsp", local_.name()) || !is("type", "3")) return;
        auto message = socketio::decode_stream_entry(entry.fields);
        if (!message || message->request_id || message->audience.flags.is_volatile) return;
        const auto& rooms = recovered.session.rooms;
        const Audience& audience = message->audience;
        if (!audience.rooms.empty() && !any_of(rooms, audience.rooms)) return;
        if (any_of(rooms, audience.except)) return;
        Array data = std::move(*message->packet.data.get_if<Array>());
        data.emplace_back(entry.id);
        recovered.missed.push_back(std::move(data));
    }

    void on_entry(const ClusterBus::Entry& entry) {
        if (const auto id = parse_entry_id(entry.id)) position_ = *id;
        // Other namespaces' entries are not decoded.
        const bool ours =
            std::any_of(entry.fields.begin(), entry.fields.end(), [&](const auto& field) {
                return field.first == "nsp" && field.second == local_.name();
            });
        if (ours) {
            if (auto message = accepted(socketio::decode_stream_entry(entry.fields)))
                receive(std::move(*message), recoverable() ? entry.id : std::string_view());
        }
        moved_.notify_all();
    }

    /// What has an answer, and serverSideEmit, goes over Pub/Sub.
    void send(ClusterMessage message) override {
        if (message.request_id || message.type == MessageType::server_side_emit) {
            if (const auto bytes = sendable(
                    socketio::encode_cluster_message(message, socketio::ClusterForm::msgpack)))
                context_.bus.publish(ClusterBus::Kind::channel, channel_, *bytes);
            return;
        }
        auto fields = sendable(socketio::encode_stream_entry(message));
        if (!fields) return apply(message);
        context_.bus.append(stream_, options_.length_max, std::move(*fields),
                            [this, alive = std::weak_ptr(here_),
                             message = std::move(message)](const result<std::string>& id) {
                                // Not added: the others do not get it, but the sockets here do. If
                                // it may have been, the stream tells.
                                if (id || id.error().code() == ErrorCode::outcome_unknown) return;
                                if (!alive.expired()) apply(message);
                            });
    }
    [[nodiscard]] bool effects_by_echo() const override { return true; }
    void answer(const ClusterMessage& request, ClusterMessage message) override {
        const auto bytes =
            sendable(socketio::encode_cluster_message(message, socketio::ClusterForm::msgpack));
        if (bytes)
            context_.bus.publish(ClusterBus::Kind::channel,
                                 fmt::format("{}{}#", channel_, request.uid), *bytes);
    }
    asio::awaitable<result<std::vector<std::string>>> members() override {
        CO_TRY(const auto channels,
               co_await context_.bus.channels(ClusterBus::Kind::channel,
                                              glob_of(channel_) + std::string(uid_characters, '?') +
                                                  "#"));
        co_return uids_in(channels, channel_, uid_characters);
    }
    std::string new_request_id() override { return hex_id(context_.random); }

    const StreamsAdapterOptions options_;
    const std::string stream_, channel_;
    std::optional<ClusterBus::Following> following_;
    /// The entry that was read last.
    EntryId position_;
    Signal moved_;
    std::shared_ptr<int> here_ = std::make_shared<int>();
};

} // namespace

std::unique_ptr<Adapter> streams_adapter(LocalNamespace& local, AdapterContext context,
                                         StreamsAdapterOptions options) {
    return std::make_unique<StreamsAdapter>(local, context, std::move(options));
}

ClusterEmitter streams_emitter(const std::string& nsp, StreamsAdapterOptions options) {
    const std::string stream =
        socketio::stream_of_namespace(options.stream, nsp, options.stream_count);
    return {stream,
            [stream, length_max = options.length_max](
                const ClusterMessage& message) -> result<ClusterBus::Outgoing> {
                TRY(auto fields, socketio::encode_stream_entry(message));
                return ClusterBus::Outgoing{.to = ClusterBus::Outgoing::To::stream,
                                            .name = stream,
                                            .fields = std::move(fields),
                                            .length_max = length_max};
            }};
}

} // namespace netbuild::realtime
