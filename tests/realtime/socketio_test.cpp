// SPDX-License-Identifier: Apache-2.0
// Socket.IO v5 as its protocol's own suite has it, and what that leaves out.
#include "world.hpp"

namespace netbuild::realtime {
namespace {

using socketio::PacketType;
const std::string websocket = "/socket.io/?EIO=4&transport=websocket";

class SocketIo : public testing::Test {
protected:
    SocketIo() {
        ServerOptions options;
        options.engine = quick_options();
        options.engine.ping_interval = std::chrono::seconds(20);
        options.connect_timeout = std::chrono::milliseconds(300);
        server_ = std::make_unique<Server>(loop_.context.get_executor(), loop_.clock, options);
        for (const auto* name : {"/", "/custom"}) {
            Namespace& nsp = server_->of(name);
            nsp.on_connection([this](const std::shared_ptr<Socket>& socket) {
                last_ = socket;
                socket->emit({"auth", socket->auth()});
            });
            nsp.on("message", [](const std::shared_ptr<Socket>& socket, Event event) {
                event.arguments.insert(event.arguments.begin(), "message-back");
                socket->emit(std::move(event.arguments));
            });
            nsp.on("message-with-ack", [](const std::shared_ptr<Socket>&, Event event) {
                event.reply(std::move(event.arguments));
            });
            nsp.on_disconnecting([this](Socket& socket, std::string_view reason) {
                reasons_.emplace_back(reason);
                rooms_left_ = socket.rooms();
            });
        }
        server_->listen("127.0.0.1", 0).value();
    }
    ~SocketIo() override {
        loop_.run(server_->stop({}));
        loop_.run_for(std::chrono::milliseconds(20));
    }
    Peer open() {
        Peer peer(loop_, server_->port());
        EXPECT_EQ(peer.upgrade(websocket), 101);
        EXPECT_EQ(peer.message()[0], '0');
        return peer;
    }
    Peer connected() {
        Peer peer = open();
        peer.text("40");
        EXPECT_TRUE(peer.message().starts_with("40{\"sid\":"));
        EXPECT_EQ(peer.message(), "42[\"auth\",{}]");
        return peer;
    }

    Loop loop_;
    std::unique_ptr<Server> server_;
    std::shared_ptr<Socket> last_;
    std::vector<std::string> reasons_, rooms_left_;
};

TEST_F(SocketIo, a_client_connects_to_namespaces_with_what_it_gives) {
    auto peer = open();
    peer.text("40{\"token\":\"123\"}");
    EXPECT_EQ(peer.message().size(), std::string("40{\"sid\":\"\"}").size() + 20);
    EXPECT_EQ(peer.message(), "42[\"auth\",{\"token\":\"123\"}]");
    peer.text("40/custom,");
    EXPECT_TRUE(peer.message().starts_with("40/custom,{\"sid\":"));
    EXPECT_EQ(peer.message(), "42/custom,[\"auth\",{}]");
    peer.text("40/random");
    EXPECT_EQ(peer.message(), "44/random,{\"message\":\"Invalid namespace\"}");
    peer.text("41/custom");
    peer.text("42[\"message\",\"still here\"]");
    EXPECT_EQ(peer.message(), "42[\"message-back\",\"still here\"]");
    EXPECT_EQ(reasons_, (std::vector<std::string>{"client namespace disconnect"}));
}

TEST_F(SocketIo, a_client_that_joins_no_namespace_in_time_is_closed) {
    auto peer = open();
    EXPECT_TRUE(peer.ends(std::chrono::seconds(2)));
}

TEST_F(SocketIo, events_acknowledgements_and_bytes_come_back) {
    auto peer = connected();
    peer.text("42[\"message\",1,\"2\",{\"3\":[true]}]");
    EXPECT_EQ(peer.message(), "42[\"message-back\",1,\"2\",{\"3\":[true]}]");
    peer.text("42456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]");
    EXPECT_EQ(peer.message(), "43456[1,\"2\",{\"3\":[false]}]");
    const std::string places =
        "{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}";
    peer.text("452-[\"message\"," + places + "]");
    peer.binary("one");
    peer.binary("two");
    EXPECT_EQ(peer.message(), "452-[\"message-back\"," + places + "]");
    EXPECT_EQ(peer.message(), "one");
    EXPECT_EQ(peer.message(), "two");
    peer.text("452-789[\"message-with-ack\"," + places + "]");
    peer.binary("one");
    peer.binary("two");
    EXPECT_EQ(peer.message(), "462-789[" + places + "]");
}

TEST_F(SocketIo, what_breaks_the_protocol_ends_the_connection_and_what_node_ignores_does_not) {
    for (const std::string text :
         {"4abc", "42{}", "42[]", "42abc[\"message-with-ack\",1]", "42[\"disconnect\"]", "40",
          "42/custom,[\"x\"]", "44{\"message\":\"x\"}", "4511-[\"x\"]"}) {
        auto peer = connected();
        peer.text(text);
        EXPECT_EQ(peer.message(), "closed 1000") << text;
        EXPECT_TRUE(reasons_.back() == "forced close" || reasons_.back() == "forced server close");
    }
    auto peer = connected();
    peer.text("42");
    peer.text("439[1]"); // nobody asked
    peer.text("42[\"unknown\"]");
    peer.text("42[\"message\",1]");
    EXPECT_EQ(peer.message(), "42[\"message-back\",1]");
}

TEST_F(SocketIo, each_end_has_its_official_reason) {
    auto one = connected();
    static_cast<void>(last_->join("a"));
    one.send(client_frame(0x88, "\x03\xe8"));
    ASSERT_TRUE(loop_.until([&] { return reasons_.size() == 1; }));
    EXPECT_EQ(rooms_left_, (std::vector<std::string>{last_->id(), "a"}));
    auto two = connected();
    last_->disconnect(false);
    EXPECT_EQ(two.message(), "41");
    EXPECT_FALSE(two.ends(std::chrono::milliseconds(20)));
    auto three = connected();
    last_->disconnect(true);
    EXPECT_EQ(three.message(), "41");
    EXPECT_EQ(three.message(), "closed 1000");
    auto four = connected();
    four.close();
    ASSERT_TRUE(loop_.until([&] { return reasons_.size() == 4; }));
    auto five = connected();
    loop_.run(server_->stop({}));
    EXPECT_EQ(five.message(), "closed 1000");
    EXPECT_EQ(reasons_, (std::vector<std::string>{"transport close", "server namespace disconnect",
                                                  "server namespace disconnect", "transport close",
                                                  "server shutting down"}));
}

TEST_F(SocketIo, a_broadcast_reaches_each_of_its_audience_once) {
    Namespace& nsp = server_->of("/");
    std::vector<Peer> peers;
    std::vector<std::shared_ptr<Socket>> sockets;
    for (int i = 0; i < 4; ++i) {
        peers.push_back(connected());
        sockets.push_back(last_);
    }
    for (const auto* room : {"a", "b"})
        for (int i = 0; i < 3; ++i)
            static_cast<void>(sockets[static_cast<std::size_t>(i)]->join(room));
    static_cast<void>(sockets[1]->join("c"));
    Audience audience;
    audience.rooms = {"a", "b", sockets[0]->id()};
    audience.except = {"c"};
    nsp.emit(audience, {"x", Binary{"bytes"}});
    nsp.emit({}, {"end"});
    for (const std::size_t i : {0u, 2u}) {
        EXPECT_EQ(peers[i].message(), "451-[\"x\",{\"_placeholder\":true,\"num\":0}]");
        EXPECT_EQ(peers[i].message(), "bytes");
    }
    for (auto& peer : peers)
        EXPECT_EQ(peer.message(), "42[\"end\"]");
    sockets[0]->leave("a");
    sockets[0]->leave(sockets[0]->id());
    EXPECT_FALSE(nsp.has_room(sockets[0]->id()));
    EXPECT_TRUE(nsp.has_room("a"));
    nsp.leave({}, {"a"});
    EXPECT_FALSE(nsp.has_room("a"));
}

TEST_F(SocketIo, an_answer_that_does_not_come_is_told_after_the_time_out_only) {
    auto peer = connected();
    std::optional<result<Array>> answer;
    const auto keep = [&](result<Array> got) { answer.emplace(std::move(got)); };
    last_->emit_with_ack({"q"}, std::chrono::seconds(5), keep);
    EXPECT_EQ(peer.message(), "420[\"q\"]");
    peer.text("430[\"a\"]");
    ASSERT_TRUE(loop_.until([&] { return answer.has_value(); }));
    EXPECT_EQ(answer->value(), Array{"a"});
    answer.reset();
    last_->emit_with_ack({"q"}, std::chrono::milliseconds(30), keep);
    ASSERT_TRUE(loop_.until([&] { return answer.has_value(); }));
    EXPECT_EQ(answer->error().code(), ErrorCode::deadline_exceeded);
}

TEST_F(SocketIo, a_middleware_may_refuse_now_or_later_and_validation_drops_an_event) {
    Namespace& nsp = server_->of("/custom");
    Namespace::Next later;
    nsp.use([&](const std::shared_ptr<Socket>&, Namespace::Next next) { later = std::move(next); });
    nsp.validate([](const Socket&, const Event& event) -> std::optional<std::string> {
        if (event.arguments.empty()) return "message: text is missing";
        return std::nullopt;
    });
    auto peer = open();
    peer.text("40/custom,");
    ASSERT_TRUE(loop_.until([&] { return later != nullptr; }));
    std::exchange(later, nullptr)(ConnectError{"no", Object{{"code", 7}}});
    EXPECT_EQ(peer.message(), "44/custom,{\"message\":\"no\",\"data\":{\"code\":7}}");
    peer.text("40/custom,");
    ASSERT_TRUE(loop_.until([&] { return later != nullptr; }));
    later(std::nullopt);
    EXPECT_TRUE(peer.message().starts_with("40/custom,"));
    EXPECT_EQ(peer.message(), "42/custom,[\"auth\",{}]");
    peer.text("42/custom,[\"message\"]");
    EXPECT_EQ(peer.message(), "42/custom,[\"error\",{\"code\":\"invalid_event\",\"message\":"
                              "\"message: text is missing\",\"event\":\"message\"}]");
}

} // namespace
} // namespace netbuild::realtime
