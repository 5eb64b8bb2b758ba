// SPDX-License-Identifier: Apache-2.0
#include "local_adapter.hpp"

#include "runtime/signal.hpp"

namespace netbuild::realtime {
namespace {

/// Of a broadcast that says nothing of a time-out.
constexpr std::chrono::milliseconds ack_timeout{5000};

} // namespace

asio::awaitable<std::optional<RecoveredSession>> Adapter::restore_session(std::string,
                                                                          std::string) {
    co_return std::nullopt;
}

asio::awaitable<result<void>> LocalAdapter::start() { co_return result<void>{}; }
asio::awaitable<void> LocalAdapter::stop() { co_return; }

void LocalAdapter::broadcast(socketio::Packet packet, Audience audience) {
    local_.broadcast(packet, audience);
}

asio::awaitable<result<ClusterAnswer<Value>>>
LocalAdapter::broadcast_with_ack(socketio::Packet packet, Audience audience) {
    // The callback may come until the time-out, whether somebody still waits here or not.
    struct State {
        explicit State(const asio::any_io_executor& executor) : changed(executor) {}
        ClusterAnswer<Value> answer;
        Signal changed;
    };
    const auto state = std::make_shared<State>(co_await asio::this_coro::executor);
    const auto timeout = audience.flags.timeout.value_or(ack_timeout);
    audience.flags.timeout = timeout;
    const std::size_t asked = local_.broadcast_with_ack(packet, audience, [state](Array answer) {
        state->answer.items.push_back(answer.empty() ? Value() : std::move(answer.front()));
        state->changed.notify_all();
    });
    const Deadline deadline(clock_, timeout);
    while (state->answer.items.size() < asked && !deadline.passed(clock_))
        CO_TRY_VOID(co_await state->changed.wait_for(clock_, deadline.left(clock_)));
    state->answer.timed_out = state->answer.items.size() < asked;
    co_return std::move(state->answer);
}

asio::awaitable<result<ClusterAnswer<SocketDescription>>>
LocalAdapter::fetch_sockets(Audience audience) {
    ClusterAnswer<SocketDescription> answer;
    answer.items = local_.sockets(audience);
    co_return answer;
}

void LocalAdapter::join(Audience audience, std::vector<std::string> rooms) {
    local_.join(audience, rooms);
}
void LocalAdapter::leave(Audience audience, std::vector<std::string> rooms) {
    local_.leave(audience, rooms);
}
void LocalAdapter::disconnect(Audience audience, bool close) { local_.disconnect(audience, close); }
void LocalAdapter::server_side_emit(Array) {}

asio::awaitable<result<ClusterAnswer<Value>>> LocalAdapter::server_side_emit_with_ack(Array) {
    co_return ClusterAnswer<Value>{};
}
asio::awaitable<result<std::size_t>> LocalAdapter::server_count() { co_return std::size_t{1}; }
asio::awaitable<result<std::vector<std::string>>> LocalAdapter::all_rooms() {
    co_return local_.rooms();
}

std::unique_ptr<Adapter> local_adapter(LocalNamespace& local) {
    return std::make_unique<LocalAdapter>(local);
}

} // namespace netbuild::realtime
