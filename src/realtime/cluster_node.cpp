// SPDX-License-Identifier: Apache-2.0
#include "cluster_node.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace netbuild::realtime {
namespace {

constexpr std::size_t requests_max = 10'000;
constexpr std::size_t heard_max = 1024;
constexpr std::uint64_t clients_max = 1u << 30;
/// Where a server does not tell who is there: who was silent for longer is not counted on.
constexpr auto heard_lifetime = std::chrono::seconds(60);
constexpr std::string_view emitter_uid = "emitter";

Value first_of(Array answer) { return answer.empty() ? Value() : std::move(answer.front()); }

} // namespace

struct ClusterNode::Request {
    explicit Request(const asio::any_io_executor& executor) : changed(executor) {}

    static constexpr auto unknown = std::numeric_limits<std::size_t>::max();
    Signal changed;
    Clock::duration since{};
    /// Other nodes.
    std::size_t nodes_expected = unknown;
    std::size_t nodes_answered = 0;
    std::size_t clients_expected = 0;
    /// The uids of those that answered, as far as their answers have one.
    std::set<std::string> answered;
    std::vector<SocketDescription> sockets;
    std::vector<Value> values;
    std::vector<std::string> rooms;
    bool stopped = false;

    [[nodiscard]] bool complete() const {
        return nodes_expected != unknown && nodes_answered >= nodes_expected &&
               values.size() >= clients_expected;
    }
    void node_answered(const std::string& uid) {
        // A node answers once; a second answer of a known one is no other node's.
        if (uid.empty() || answered.insert(uid).second) ++nodes_answered;
    }
};

/// Lies in the frame of the coroutine that waits.
struct ClusterNode::Asking {
    Asking(std::map<std::string, RequestPtr>& requests, std::string id)
        : requests_(requests), id_(std::move(id)) {}
    ~Asking() { requests_.erase(id_); }
    Asking(const Asking&) = delete;

    std::map<std::string, RequestPtr>& requests_;
    std::string id_;
};

ClusterNode::ClusterNode(LocalNamespace& local, AdapterContext context, std::string uid,
                         std::chrono::milliseconds request_timeout)
    : local_(local),
      context_(context),
      uid_(std::move(uid)),
      request_timeout_(request_timeout),
      alive_(std::make_shared<ClusterNode*>(this)) {}
ClusterNode::~ClusterNode() {
    for (const auto subscription : subscriptions_)
        context_.bus.unsubscribe(subscription);
}

asio::awaitable<void> ClusterNode::stop() {
    for (const auto subscription : std::exchange(subscriptions_, {}))
        context_.bus.unsubscribe(subscription);
    for (const auto& [id, request] : requests_) {
        request->stopped = true;
        request->changed.notify_all();
    }
    co_return;
}

void ClusterNode::subscribe(ClusterBus::Kind kind, std::string name,
                            ClusterBus::OnMessage on_message) {
    subscriptions_.push_back(context_.bus.subscribe(kind, std::move(name), std::move(on_message)));
}

ClusterMessage ClusterNode::message_of(MessageType type) const {
    return {.type = type, .uid = uid_, .nsp = local_.name()};
}

// What this node says.

void ClusterNode::broadcast(socketio::Packet packet, Audience audience) {
    ClusterMessage message = message_of(MessageType::broadcast);
    packet.nsp = local_.name();
    message.packet = std::move(packet);
    message.audience = std::move(audience);
    if (message.audience.flags.local) return apply(message);
    if (effects_by_echo()) return send(std::move(message));
    send(message);
    apply(message);
}

void ClusterNode::join(Audience audience, std::vector<std::string> rooms) {
    ClusterMessage message = message_of(MessageType::join);
    message.audience = std::move(audience);
    message.rooms = std::move(rooms);
    if (!message.audience.flags.local) send(message);
    if (message.audience.flags.local || !effects_by_echo()) apply(message);
}

void ClusterNode::leave(Audience audience, std::vector<std::string> rooms) {
    ClusterMessage message = message_of(MessageType::leave);
    message.audience = std::move(audience);
    message.rooms = std::move(rooms);
    if (!message.audience.flags.local) send(message);
    if (message.audience.flags.local || !effects_by_echo()) apply(message);
}

void ClusterNode::disconnect(Audience audience, bool close) {
    ClusterMessage message = message_of(MessageType::disconnect);
    message.audience = std::move(audience);
    message.close = close;
    if (!message.audience.flags.local) send(message);
    if (message.audience.flags.local || !effects_by_echo()) apply(message);
}

void ClusterNode::server_side_emit(Array args) {
    ClusterMessage message = message_of(MessageType::server_side_emit);
    message.args = std::move(args);
    send(std::move(message));
}

// What this node asks.

result<ClusterNode::RequestPtr> ClusterNode::open(const std::string& id) {
    if (requests_.size() >= requests_max)
        return fail(ErrorCode::overloaded,
                    fmt::format("{} requests to the cluster are under way", requests_max));
    auto request = std::make_shared<Request>(context_.executor);
    request->since = context_.clock.monotonic();
    requests_.emplace(id, request);
    return request;
}

asio::awaitable<result<void>> ClusterNode::wait(RequestPtr request, Clock::duration time) {
    const Deadline deadline(context_.clock, time);
    while (!request->complete() && !request->stopped && !deadline.passed(context_.clock)) {
        CO_TRY_VOID(
            co_await request->changed.wait_for(context_.clock, deadline.left(context_.clock)));
    }
    if (request->stopped) co_return fail(ErrorCode::cancelled, "the adapter was stopped");
    ++context_.counters.requests;
    context_.counters.request_time += context_.clock.monotonic() - request->since;
    if (!request->complete()) ++context_.counters.timed_out;
    co_return result<void>{};
}

asio::awaitable<result<void>> ClusterNode::ask(RequestPtr request, ClusterMessage message,
                                               Clock::duration time) {
    CO_TRY(const std::size_t servers, co_await server_count());
    request->nodes_expected = servers > 0 ? servers - 1 : 0;
    if (request->nodes_expected == 0) co_return result<void>{};
    send(std::move(message));
    co_return co_await wait(std::move(request), time);
}

asio::awaitable<result<ClusterAnswer<Value>>>
ClusterNode::broadcast_with_ack(socketio::Packet packet, Audience audience) {
    const std::string id = new_request_id();
    CO_TRY(const RequestPtr request, open(id));
    const Asking asking(requests_, id);
    if (!audience.flags.timeout) audience.flags.timeout = request_timeout_;
    const Deadline deadline(context_.clock, *audience.flags.timeout);

    packet.nsp = local_.name();
    ClusterMessage message = message_of(MessageType::broadcast);
    message.request_id = id;
    message.packet = std::move(packet);
    message.audience = std::move(audience);
    const bool local = message.audience.flags.local;
    if (!local) send(message);
    const std::weak_ptr<Request> weak = request;
    request->clients_expected +=
        local_.broadcast_with_ack(message.packet, message.audience, [weak](Array answer) {
            if (const auto asked = weak.lock()) {
                asked->values.push_back(first_of(std::move(answer)));
                asked->changed.notify_all();
            }
        });
    request->nodes_expected = local ? 0 : Request::unknown;
    if (!local) {
        CO_TRY(const std::size_t servers, co_await server_count());
        request->nodes_expected = servers > 0 ? servers - 1 : 0;
    }
    CO_TRY_VOID(co_await wait(request, deadline.left(context_.clock)));
    ClusterAnswer<Value> answer{.items = request->values, .timed_out = !request->complete()};
    if (answer.timed_out) answer.missing = co_await name_missing(request);
    co_return answer;
}

asio::awaitable<result<ClusterAnswer<SocketDescription>>>
ClusterNode::fetch_sockets(Audience audience) {
    ClusterAnswer<SocketDescription> answer{.items = local_.sockets(audience)};
    if (audience.flags.local) co_return answer;
    const std::string id = new_request_id();
    CO_TRY(const RequestPtr request, open(id));
    const Asking asking(requests_, id);
    ClusterMessage message = message_of(MessageType::fetch_sockets);
    message.request_id = id;
    const Clock::duration time = audience.flags.timeout.value_or(request_timeout_);
    message.audience = std::move(audience);
    CO_TRY_VOID(co_await ask(request, std::move(message), time));
    std::move(request->sockets.begin(), request->sockets.end(), std::back_inserter(answer.items));
    answer.timed_out = !request->complete();
    if (answer.timed_out) answer.missing = co_await name_missing(request);
    co_return answer;
}

asio::awaitable<result<ClusterAnswer<Value>>> ClusterNode::server_side_emit_with_ack(Array args) {
    const std::string id = new_request_id();
    CO_TRY(const RequestPtr request, open(id));
    const Asking asking(requests_, id);
    ClusterMessage message = message_of(MessageType::server_side_emit);
    message.request_id = id;
    message.args = std::move(args);
    CO_TRY_VOID(co_await ask(request, std::move(message), request_timeout_));
    ClusterAnswer<Value> answer{.items = std::move(request->values),
                                .timed_out = !request->complete()};
    if (answer.timed_out) answer.missing = co_await name_missing(request);
    co_return answer;
}

asio::awaitable<result<std::vector<std::string>>> ClusterNode::all_rooms() {
    const std::string id = new_request_id();
    CO_TRY(const RequestPtr request, open(id));
    const Asking asking(requests_, id);
    ClusterMessage message = message_of(MessageType::all_rooms);
    message.request_id = id;
    CO_TRY_VOID(co_await ask(request, std::move(message), request_timeout_));
    if (!request->complete()) {
        const auto missing = co_await name_missing(request);
        co_return fail(
            ErrorCode::deadline_exceeded,
            fmt::format("nodes that did not tell their rooms: {}", fmt::join(missing, ", ")));
    }
    std::set<std::string> rooms(request->rooms.begin(), request->rooms.end());
    for (std::string& room : local_.rooms())
        rooms.insert(std::move(room));
    co_return std::vector<std::string>(rooms.begin(), rooms.end());
}

/// Who is there and has not answered. An answer that does not say whose it is leaves its sender
/// among them, unless it was heard of meanwhile: then the list holds more uids than are missing,
/// the one that was silent for the longest first.
asio::awaitable<std::vector<std::string>> ClusterNode::name_missing(RequestPtr request) {
    if (request->nodes_answered >= request->nodes_expected) co_return std::vector<std::string>{};
    const auto now = context_.clock.monotonic();
    std::set<std::string> there;
    if (const auto known = co_await members()) {
        there.insert(known->begin(), known->end());
    } else {
        for (const auto& [uid, at] : heard_)
            if (now - at < heard_lifetime) there.insert(uid);
    }
    there.erase(uid_);
    for (const std::string& uid : request->answered)
        there.erase(uid);
    const std::size_t missing = request->nodes_expected - request->nodes_answered;
    const auto last_heard = [&](const std::string& uid) {
        const auto found = heard_.find(uid);
        return found == heard_.end() ? Clock::duration::min() : found->second;
    };
    std::vector<std::string> names(there.begin(), there.end());
    std::sort(names.begin(), names.end(),
              [&](const auto& a, const auto& b) { return last_heard(a) < last_heard(b); });
    // Who has said something since it was asked is alive, and an unsigned answer may be its.
    while (names.size() > missing && last_heard(names.back()) >= request->since)
        names.pop_back();
    co_return names;
}

// What other nodes say.

void ClusterNode::heard_of(const std::string& uid) {
    if (uid.empty() || uid == uid_ || uid == emitter_uid) return;
    if (heard_.size() >= heard_max && !heard_.contains(uid)) {
        heard_.erase(
            std::min_element(heard_.begin(), heard_.end(),
                             [](const auto& a, const auto& b) { return a.second < b.second; }));
    }
    heard_.insert_or_assign(uid, context_.clock.monotonic());
}

void ClusterNode::receive(ClusterMessage message, std::string_view offset) {
    if (message.nsp != local_.name()) return;
    if (message.uid == uid_) {
        if (effects_by_echo() && !message.request_id) apply(message, offset);
        return;
    }
    if (!context_.ignored_uid.empty() && message.uid == context_.ignored_uid) {
        ++context_.counters.ignored;
        return;
    }
    heard_of(message.uid);
    switch (message.type) {
    case MessageType::fetch_sockets_answer:
    case MessageType::server_side_emit_answer:
    case MessageType::broadcast_client_count:
    case MessageType::broadcast_ack:
    case MessageType::all_rooms_answer:
    case MessageType::socket_ids_answer:
        return receive_answer(std::move(message));
    default:
        break;
    }
    if (message.request_id) return answer_request(message);
    apply(message, offset);
}

void ClusterNode::apply(const ClusterMessage& message, std::string_view offset) {
    switch (message.type) {
    case MessageType::broadcast:
        return local_.broadcast(message.packet, message.audience,
                                message.audience.flags.is_volatile ? std::string_view() : offset);
    case MessageType::join:
        return local_.join(message.audience, message.rooms);
    case MessageType::leave:
        return local_.leave(message.audience, message.rooms);
    case MessageType::disconnect:
        return local_.disconnect(message.audience, message.close);
    case MessageType::server_side_emit:
        if (message.uid != uid_) local_.server_side_event(message.args, {});
        return;
    default:
        return; // heartbeats and the close of nodes that use them
    }
}

void ClusterNode::answer_request(const ClusterMessage& message) {
    // The namespace answers later, and we may be gone by then.
    const auto asker = std::make_shared<ClusterMessage>();
    asker->uid = message.uid;
    asker->request_id = message.request_id;
    const auto reply = [weak = std::weak_ptr(alive_), asker](MessageType type, auto fill) {
        const auto node = weak.lock();
        if (!node) return;
        ClusterMessage answer = (*node)->message_of(type);
        answer.request_id = asker->request_id;
        fill(answer);
        (*node)->answer(*asker, std::move(answer));
    };
    switch (message.type) {
    case MessageType::broadcast: {
        Audience audience = message.audience;
        if (!audience.flags.timeout) audience.flags.timeout = request_timeout_;
        const std::size_t asked =
            local_.broadcast_with_ack(message.packet, audience, [reply](Array answer) {
                reply(MessageType::broadcast_ack,
                      [&](ClusterMessage& ack) { ack.answer = first_of(std::move(answer)); });
            });
        return reply(MessageType::broadcast_client_count,
                     [&](ClusterMessage& count) { count.client_count = asked; });
    }
    case MessageType::fetch_sockets:
        return reply(MessageType::fetch_sockets_answer, [&](ClusterMessage& answer) {
            answer.sockets = local_.sockets(message.audience);
        });
    case MessageType::socket_ids:
        return reply(MessageType::socket_ids_answer, [&](ClusterMessage& answer) {
            for (SocketDescription& socket : local_.sockets(message.audience))
                answer.rooms.push_back(std::move(socket.id));
        });
    case MessageType::all_rooms:
        return reply(MessageType::all_rooms_answer,
                     [&](ClusterMessage& answer) { answer.rooms = local_.rooms(); });
    case MessageType::server_side_emit:
        return local_.server_side_event(
            message.args, [reply, answered = std::make_shared<bool>()](Value value) {
                if (std::exchange(*answered, true)) return;
                reply(MessageType::server_side_emit_answer,
                      [&](ClusterMessage& answer) { answer.answer = std::move(value); });
            });
    default:
        return apply(message);
    }
}

void ClusterNode::receive_answer(ClusterMessage message) {
    const auto found = requests_.find(message.request_id.value_or(std::string()));
    if (found == requests_.end()) return; // one that is over, or another node's
    const RequestPtr request = found->second;
    switch (message.type) {
    case MessageType::fetch_sockets_answer:
        std::move(message.sockets.begin(), message.sockets.end(),
                  std::back_inserter(request->sockets));
        request->node_answered(message.uid);
        break;
    case MessageType::server_side_emit_answer:
        request->values.push_back(std::move(message.answer));
        request->node_answered(message.uid);
        break;
    case MessageType::broadcast_client_count:
        // What is added is bounded: a wrong count costs its request the wait, no more.
        request->clients_expected += std::min<std::uint64_t>(message.client_count, clients_max);
        request->node_answered(message.uid);
        break;
    case MessageType::broadcast_ack:
        request->values.push_back(std::move(message.answer));
        break;
    default:
        std::move(message.rooms.begin(), message.rooms.end(), std::back_inserter(request->rooms));
        request->node_answered(message.uid);
    }
    request->changed.notify_all();
}

} // namespace netbuild::realtime
