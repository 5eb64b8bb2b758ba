// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "realtime/adapter.hpp"
#include "runtime/clock.hpp"

namespace netbuild::realtime {

/// A cluster of one node: what is asked of the cluster is asked of its one namespace.
class LocalAdapter : public Adapter {
public:
    explicit LocalAdapter(LocalNamespace& local) : local_(local) {}

    asio::awaitable<result<void>> start() override;
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
    asio::awaitable<result<std::size_t>> server_count() override;
    asio::awaitable<result<std::vector<std::string>>> all_rooms() override;

protected:
    LocalNamespace& local_;

private:
    SystemClock clock_;
};

} // namespace netbuild::realtime
