// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "realtime/adapter.hpp"

namespace netbuild::test {

/// A namespace whose sockets are names in rooms: what an adapter has them do is seen by the test.
class FakeNamespace final : public realtime::LocalNamespace {
public:
    explicit FakeNamespace(std::string name) : name_(std::move(name)) {}

    std::function<void(const std::string& sid, const Array& data)> on_delivery;
    std::function<void(const std::string& sid, const Array& data, OnAck)> on_question;
    std::function<void(const std::string& sid, bool close)> on_disconnect;
    std::function<void(const Array& args, Answer)> on_server_side_event;
    std::function<void(const std::string& room, bool opened)> on_room;

    void add(const std::string& sid, std::set<std::string> rooms, Value data = Object{}) {
        sockets_[sid].data = std::move(data);
        rooms.insert(sid);
        enter(sid, {rooms.begin(), rooms.end()});
    }

    const std::string& name() const override { return name_; }
    void broadcast(const socketio::Packet& packet, const realtime::Audience& audience,
                   std::string_view offset) override {
        Array data = *packet.data.get_if<Array>();
        if (!offset.empty()) data.emplace_back(offset);
        for (const std::string& sid : matching(audience))
            if (on_delivery) on_delivery(sid, data);
    }
    std::size_t broadcast_with_ack(const socketio::Packet& packet,
                                   const realtime::Audience& audience, OnAck on_ack) override {
        const auto asked = matching(audience);
        for (const std::string& sid : asked)
            if (on_question) on_question(sid, *packet.data.get_if<Array>(), on_ack);
        return asked.size();
    }
    std::vector<realtime::SocketDescription>
    sockets(const realtime::Audience& audience) const override {
        std::vector<realtime::SocketDescription> found;
        for (const std::string& sid : matching(audience)) {
            const Socket& socket = sockets_.at(sid);
            found.push_back({.id = sid,
                             .handshake = Object{{"headers", Object{}}, {"auth", Object{}}},
                             .rooms = {socket.rooms.begin(), socket.rooms.end()},
                             .data = socket.data});
        }
        return found;
    }
    void join(const realtime::Audience& audience, const std::vector<std::string>& rooms) override {
        for (const std::string& sid : matching(audience))
            enter(sid, rooms);
    }
    void leave(const realtime::Audience& audience, const std::vector<std::string>& rooms) override {
        for (const std::string& sid : matching(audience)) {
            for (const std::string& room : rooms) {
                if (sockets_[sid].rooms.erase(room) > 0 && !has_room(room) && on_room)
                    on_room(room, false);
            }
        }
    }
    void disconnect(const realtime::Audience& audience, bool close) override {
        for (const std::string& sid : matching(audience)) {
            sockets_.erase(sid);
            if (on_disconnect) on_disconnect(sid, close);
        }
    }
    std::vector<std::string> rooms() const override {
        std::set<std::string> all;
        for (const auto& [sid, socket] : sockets_)
            all.insert(socket.rooms.begin(), socket.rooms.end());
        return {all.begin(), all.end()};
    }
    bool has_room(std::string_view room) const override {
        return std::any_of(sockets_.begin(), sockets_.end(), [&](const auto& each) {
            return each.second.rooms.contains(std::string(room));
        });
    }
    void server_side_event(Array args, Answer answer) override {
        if (on_server_side_event) on_server_side_event(args, std::move(answer));
    }

private:
    struct Socket {
        std::set<std::string> rooms;
        Value data = Object{};
    };
    void enter(const std::string& sid, const std::vector<std::string>& rooms) {
        for (const std::string& room : rooms) {
            const bool opened = !has_room(room);
            sockets_[sid].rooms.insert(room);
            if (opened && on_room) on_room(room, true);
        }
    }
    [[nodiscard]] std::vector<std::string> matching(const realtime::Audience& audience) const {
        const auto in_any = [](const Socket& socket, const std::vector<std::string>& rooms) {
            return std::any_of(rooms.begin(), rooms.end(), [&](const std::string& room) {
                return socket.rooms.contains(room);
            });
        };
        std::vector<std::string> found;
        for (const auto& [sid, socket] : sockets_) {
            if (!audience.rooms.empty() && !in_any(socket, audience.rooms)) continue;
            if (!in_any(socket, audience.except)) found.push_back(sid);
        }
        return found;
    }

    std::string name_;
    std::map<std::string, Socket> sockets_;
};

} // namespace netbuild::test
