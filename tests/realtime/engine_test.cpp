// SPDX-License-Identifier: Apache-2.0
// Engine.IO v4 as its protocol's own suite has it, and what that leaves out.
#include "world.hpp"

namespace netbuild::realtime {
namespace {

const std::string polling = "/engine.io/?EIO=4&transport=polling";
const std::string websocket = "/engine.io/?EIO=4&transport=websocket";

class Engines : public testing::Test {
protected:
    Engines() {
        auto options = quick_options();
        options.path = "/engine.io/";
        engine_ = std::make_unique<Engine>(loop_.context.get_executor(), loop_.clock, options,
                                           echo_sessions());
        engine_->listen("127.0.0.1", 0).value();
    }
    ~Engines() override { loop_.run_for(std::chrono::milliseconds(20)); }
    Peer peer() { return Peer(loop_, engine_->port()); }
    std::string open_polling() { return polling + "&sid=" + sid_of(peer().get(polling).body); }

    Loop loop_;
    std::unique_ptr<Engine> engine_;
};

TEST_F(Engines, a_handshake_tells_exactly_what_the_protocol_has) {
    const auto answer = peer().get(polling);
    EXPECT_EQ(answer.status, 200);
    const auto sid = sid_of(answer.body);
    EXPECT_EQ(answer.body, "0{\"sid\":\"" + sid +
                               "\",\"upgrades\":[\"websocket\"],\"pingInterval\":300,"
                               "\"pingTimeout\":200,\"maxPayload\":1000000}");
    auto socket = peer();
    ASSERT_EQ(socket.upgrade(websocket), 101);
    const auto message = socket.message();
    EXPECT_EQ(message, "0{\"sid\":\"" + sid_of(message) +
                           "\",\"upgrades\":[],\"pingInterval\":300,\"pingTimeout\":200,"
                           "\"maxPayload\":1000000}");
}

TEST_F(Engines, a_handshake_with_a_bad_version_transport_method_or_sid_is_answered_400) {
    for (const auto* target :
         {"/engine.io/?transport=polling", "/engine.io/?EIO=abc&transport=polling",
          "/engine.io/?EIO=4", "/engine.io/?EIO=4&transport=abc",
          "/engine.io/?EIO=4&transport=polling&sid=unknown",
          "/engine.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA",
          "/engine.io/?EIO=4&transport=websocket"}) {
        EXPECT_EQ(peer().get(target).status, 400) << target;
        auto socket = peer();
        if (std::string_view(target).find("transport=websocket") == std::string_view::npos) {
            EXPECT_EQ(socket.upgrade(target), 400) << target;
        }
    }
    EXPECT_EQ(peer().post(polling, "").status, 400);
    auto put = peer();
    put.request("PUT", polling);
    EXPECT_EQ(put.answer().status, 400);
    EXPECT_EQ(peer().get("/elsewhere").status, 404);
}

TEST_F(Engines, polling_echoes_payloads_of_text_and_bytes) {
    const auto session = open_polling();
    for (const std::string payload : {"4hello",
                                      "4a\x1e"
                                      "4b\x1e"
                                      "4c",
                                      "4hello\x1e"
                                      "bAQIDBA=="}) {
        EXPECT_EQ(peer().post(session, payload).body, "ok");
        EXPECT_EQ(peer().get(session).body, payload);
    }
}

TEST_F(Engines, a_malformed_payload_ends_the_session) {
    for (const auto* payload : {"abc", "", "4a\x1e", "2"}) {
        const auto session = open_polling();
        static_cast<void>(peer().post(session, payload));
        EXPECT_EQ(peer().get(session).status, 400) << payload;
    }
}

TEST_F(Engines, a_second_poll_beside_a_waiting_one_ends_the_session) {
    const auto session = open_polling();
    auto first = peer();
    first.request("GET", session);
    loop_.run_for(std::chrono::milliseconds(20));
    EXPECT_EQ(peer().get(session).status, 400);
    EXPECT_EQ(first.answer().body, "1");
    EXPECT_EQ(peer().get(session).status, 400);
}

TEST_F(Engines, a_poll_that_its_client_gives_up_ends_the_session) {
    const auto session = open_polling();
    {
        auto first = peer();
        first.request("GET", session);
        loop_.run_for(std::chrono::milliseconds(20));
    }
    loop_.run_for(std::chrono::milliseconds(20));
    EXPECT_EQ(peer().get(session).status, 400);
}

TEST_F(Engines, a_close_packet_answers_the_waiting_poll_and_ends_the_session) {
    const auto session = open_polling();
    auto poll = peer();
    poll.request("GET", session);
    loop_.run_for(std::chrono::milliseconds(20));
    EXPECT_EQ(peer().post(session, "1").body, "ok");
    EXPECT_EQ(poll.answer().body, "6");
    EXPECT_EQ(peer().get(session).status, 400);
}

TEST_F(Engines, heartbeats_keep_a_session_and_their_absence_ends_it) {
    const auto session = open_polling();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(peer().get(session).body, "2");
        EXPECT_EQ(peer().post(session, "3").status, 200);
    }
    loop_.run_for(std::chrono::milliseconds(520));
    EXPECT_EQ(peer().get(session).status, 400);

    auto socket = peer();
    ASSERT_EQ(socket.upgrade(websocket), 101);
    ASSERT_EQ(socket.message()[0], '0');
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(socket.frame(), "\x81"
                                  "2");
        socket.text("3");
    }
    EXPECT_TRUE(socket.ends());
    EXPECT_EQ(engine_->counters().sessions, 0u);
}

TEST_F(Engines, a_websocket_echoes_text_bytes_and_fragments) {
    auto socket = peer();
    ASSERT_EQ(socket.upgrade(websocket), 101);
    static_cast<void>(socket.message());
    socket.text("4hello");
    EXPECT_EQ(socket.message(), "4hello");
    socket.binary(std::string("\1\2\0", 3));
    EXPECT_EQ(socket.message(), std::string("\1\2\0", 3));
    socket.send(client_frame(0x01, "4a") + client_frame(0x89, "ping") + client_frame(0x80, "b"));
    EXPECT_EQ(socket.frame(), "\x8aping");
    EXPECT_EQ(socket.message(), "4ab");
    const std::string big = "4" + std::string(300'000, 'x');
    socket.text(big);
    EXPECT_EQ(socket.message(), big);
    socket.text("1"); // says something on polling only
    socket.text("4still here");
    EXPECT_EQ(socket.message(), "4still here");
    socket.send(client_frame(0x88, "\x03\xe8"));
    EXPECT_EQ(socket.message(), "closed 1000");
    EXPECT_TRUE(socket.ends());
}

TEST_F(Engines, a_malformed_frame_or_packet_ends_the_websocket) {
    const std::pair<std::string, std::string> cases[] = {
        {client_frame(0x81, "abc"), "closed 1000"},
        {client_frame(0x81, "2"), "closed 1000"},
        {std::string("\x81\x02"
                     "4a"),
         "closed 1002"},
        {client_frame(0x83, "4"), "closed 1002"},
        {client_frame(0x81, "4\xff"), "closed 1007"},
        {client_frame(0x82, std::string(1'000'001, 'x')), "closed 1009"},
    };
    for (const auto& [bytes, end] : cases) {
        auto socket = peer();
        ASSERT_EQ(socket.upgrade(websocket), 101);
        static_cast<void>(socket.message());
        socket.send(bytes);
        EXPECT_EQ(socket.message(), end);
    }
    EXPECT_TRUE(loop_.until([&] { return engine_->counters().sessions == 0; }));
}

TEST_F(Engines, an_upgrade_moves_the_session_and_leaves_polling_behind) {
    const auto session = open_polling();
    const std::string over = websocket + session.substr(polling.size());
    auto socket = peer();
    ASSERT_EQ(socket.upgrade(over), 101);
    socket.text("2probe");
    EXPECT_EQ(socket.message(), "3probe");
    EXPECT_EQ(peer().get(session).body, "6");
    socket.text("5");
    socket.text("4hello");
    EXPECT_EQ(socket.message(), "4hello");
    EXPECT_EQ(peer().get(session).status, 400);
    EXPECT_EQ(peer().post(session, "4x").status, 400);
    auto second = peer();
    ASSERT_EQ(second.upgrade(over), 101);
    EXPECT_EQ(second.message(), "closed 1000");
    socket.text("4again");
    EXPECT_EQ(socket.message(), "4again");
}

TEST_F(Engines, what_is_queued_at_the_upgrade_goes_over_the_websocket) {
    const auto session = open_polling();
    auto socket = peer();
    ASSERT_EQ(socket.upgrade(websocket + session.substr(polling.size())), 101);
    socket.text("2probe");
    EXPECT_EQ(socket.message(), "3probe");
    EXPECT_EQ(peer()
                  .post(session, "4one\x1e"
                                 "4two")
                  .body,
              "ok"); // and nobody polls
    socket.text("5");
    EXPECT_EQ(socket.message(), "4one");
    EXPECT_EQ(socket.message(), "4two");
}

TEST_F(Engines, a_probe_that_fails_leaves_the_polling_session_alone) {
    const auto session = open_polling();
    const std::string over = websocket + session.substr(polling.size());
    for (const std::string& bytes : {client_frame(0x81, "4hello"), client_frame(0x82, "x"),
                                     client_frame(0x83, ""), client_frame(0x88, "")}) {
        auto socket = peer();
        ASSERT_EQ(socket.upgrade(over), 101);
        socket.text("2probe");
        EXPECT_EQ(socket.message(), "3probe");
        socket.send(bytes);
        EXPECT_TRUE(socket.ends());
    }
    EXPECT_EQ(peer().post(session, "4x").body, "ok");
}

TEST_F(Engines, requests_are_answered_in_turn_on_one_connection) {
    auto one = peer();
    const auto session = polling + "&sid=" + sid_of(one.get(polling).body);
    one.request("POST", session, "4a");
    one.request("GET", session);
    EXPECT_EQ(one.answer().body, "ok");
    EXPECT_EQ(one.answer().body, "4a");
    const auto answer = one.get(polling, "Origin: http://page.example\r\n");
    EXPECT_NE(answer.head.find("Access-Control-Allow-Origin: *"), std::string::npos);
}

} // namespace
} // namespace netbuild::realtime
