// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "gateway/event_gateway.hpp"

namespace netbuild::gateway {

/// A namespace as the cluster's adapter sees it: what comes from there ends in an offset, too, for
/// the official client takes any string in that place for one.
class OffsettingNamespace final : public realtime::LocalNamespace {
public:
    OffsettingNamespace(realtime::LocalNamespace& local, EventGateway& gateway)
        : local_(local), gateway_(gateway) {}
    [[nodiscard]] const std::string& name() const override { return local_.name(); }
    void broadcast(const socketio::Packet& packet, const realtime::Audience& audience,
                   std::string_view offset) override;
    std::size_t broadcast_with_ack(const socketio::Packet& packet,
                                   const realtime::Audience& audience, OnAck on_ack) override {
        return local_.broadcast_with_ack(packet, audience, std::move(on_ack));
    }
    [[nodiscard]] std::vector<realtime::SocketDescription>
    sockets(const realtime::Audience& audience) const override {
        return local_.sockets(audience);
    }
    void join(const realtime::Audience& audience, const std::vector<std::string>& rooms) override {
        local_.join(audience, rooms);
    }
    void leave(const realtime::Audience& audience, const std::vector<std::string>& rooms) override {
        local_.leave(audience, rooms);
    }
    void disconnect(const realtime::Audience& audience, bool close) override {
        local_.disconnect(audience, close);
    }
    [[nodiscard]] std::vector<std::string> rooms() const override { return local_.rooms(); }
    [[nodiscard]] bool has_room(std::string_view room) const override {
        return local_.has_room(room);
    }
    void server_side_event(Array args, Answer answer) override {
        local_.server_side_event(std::move(args), std::move(answer));
    }

private:
    realtime::LocalNamespace& local_;
    EventGateway& gateway_;
};

/// The cluster's adapter with a recovery of ours, which asks the streams and not the adapter.
class ResumingAdapter final : public realtime::Adapter {
public:
    ResumingAdapter(realtime::LocalNamespace& local, EventGateway& gateway,
                    const realtime::AdapterFactory& inner);

    asio::awaitable<result<void>> start() override { return inner_->start(); }
    asio::awaitable<void> stop() override { return inner_->stop(); }
    void broadcast(socketio::Packet packet, realtime::Audience audience) override {
        inner_->broadcast(std::move(packet), std::move(audience));
    }
    asio::awaitable<result<realtime::ClusterAnswer<Value>>>
    broadcast_with_ack(socketio::Packet packet, realtime::Audience audience) override {
        return inner_->broadcast_with_ack(std::move(packet), std::move(audience));
    }
    asio::awaitable<result<realtime::ClusterAnswer<realtime::SocketDescription>>>
    fetch_sockets(realtime::Audience audience) override {
        return inner_->fetch_sockets(std::move(audience));
    }
    void join(realtime::Audience audience, std::vector<std::string> rooms) override {
        inner_->join(std::move(audience), std::move(rooms));
    }
    void leave(realtime::Audience audience, std::vector<std::string> rooms) override {
        inner_->leave(std::move(audience), std::move(rooms));
    }
    void disconnect(realtime::Audience audience, bool close) override {
        inner_->disconnect(std::move(audience), close);
    }
    void server_side_emit(Array args) override { inner_->server_side_emit(std::move(args)); }
    asio::awaitable<result<realtime::ClusterAnswer<Value>>>
    server_side_emit_with_ack(Array args) override {
        return inner_->server_side_emit_with_ack(std::move(args));
    }
    asio::awaitable<result<std::size_t>> server_count() override { return inner_->server_count(); }
    asio::awaitable<result<std::vector<std::string>>> all_rooms() override {
        return inner_->all_rooms();
    }
    /// Nobody else emits to a part of a room.
    void room_opened(std::string_view room) override;
    void room_closed(std::string_view room) override;

    [[nodiscard]] bool recoverable() const override { return true; }
    /// What a session is the gateway knows better: see EventGateway::on_disconnect().
    void save_session(realtime::SavedSession session) override;
    asio::awaitable<std::optional<realtime::RecoveredSession>>
    restore_session(std::string pid, std::string offset) override;

private:
    EventGateway& gateway_;
    OffsettingNamespace offsetting_;
    std::unique_ptr<realtime::Adapter> inner_;
};

} // namespace netbuild::gateway
