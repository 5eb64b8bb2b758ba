// SPDX-License-Identifier: Apache-2.0
// The listener with TLS: what it agrees to, what it refuses and says, what clients cost that never
// get so far.
#include <fstream>

#include "http/tls_identity.hpp"
#include "http/world.hpp"
#include "support/temporary_folder.hpp"
#include "support/tls.hpp"

namespace netbuild::http {
namespace {

using gateway::event_at;
using test::TlsLayer;

const std::string token = "Authorization: Bearer acme\r\n";

struct Identity {
    Identity() { test::write_identity(files.certificate, files.key); }
    test::TemporaryFolder folder;
    TlsFiles files{folder.file("server.pem"), folder.file("server.key")};
};

/// A peer, and its side of TLS to look at.
struct Client {
    Client(World& world, const TlsLayer::Options& options = {})
        : Client(world, std::make_unique<TlsLayer>(options)) {}
    Client(World& world, std::unique_ptr<TlsLayer> layer)
        : tls(*layer), peer(world.loop(), world.port(), std::move(layer)) {}
    TlsLayer& tls;
    Peer peer;
};

class Tls : public ::testing::Test {
protected:
    static Server::Options secure(const Identity& identity) {
        Server::Options options;
        options.tls = identity.files;
        options.head_timeout = std::chrono::milliseconds(300);
        return options;
    }
    std::string refusal() const {
        const auto loaded = TlsIdentity::load(identity.files);
        return loaded ? std::string() : loaded.error().message();
    }
    Identity identity;
};

TEST_F(Tls, requests_of_one_connection_are_answered_in_turn) {
    World world(secure(identity));
    Client client(world);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(client.peer.get("/healthz").status, 200);
    EXPECT_STREQ(SSL_get_version(client.tls.ssl()), "TLSv1.3");
    EXPECT_EQ(client.peer.get("/healthz", "Connection: close\r\n").status, 200);
    EXPECT_TRUE(client.peer.ends());
    EXPECT_TRUE(client.tls.notified()); // nobody cut it short
}

TEST_F(Tls, is_1_2_at_least_and_http_1_1_for_whoever_offers_it) {
    World world(secure(identity));
    Client old(world, {.version_min = TLS1_VERSION, .version_max = TLS1_1_VERSION});
    EXPECT_TRUE(old.peer.ends());
    EXPECT_FALSE(old.tls.open());
    Client second(world, {.protocols = "\x02h2\x08http/1.1", .version_max = TLS1_2_VERSION});
    EXPECT_EQ(second.peer.get("/healthz").status, 200);
    EXPECT_STREQ(SSL_get_version(second.tls.ssl()), "TLSv1.2");
    EXPECT_EQ(second.tls.protocol(), "http/1.1");
    EXPECT_NE(std::string(SSL_get_cipher_name(second.tls.ssl())).find("ECDHE"), std::string::npos);
    Client other(world, {.protocols = "\x02h2"});
    EXPECT_EQ(other.peer.get("/healthz").status, 200);
    EXPECT_EQ(other.tls.protocol(), "");
}

TEST_F(Tls, a_request_in_the_handshakes_last_piece_and_one_byte_by_byte_are_read) {
    World world(secure(identity));
    Client eager(world);
    eager.peer.request("GET", "/healthz"); // waits in the layer, leaves with the last piece
    EXPECT_EQ(eager.peer.answer().status, 200);
    Client slow(world);
    for (const char c : std::string("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
        slow.peer.send({&c, 1});
    EXPECT_EQ(slow.peer.answer().status, 200);
}

TEST_F(Tls, an_answer_of_megabytes_arrives_whole_while_its_reader_is_slow) {
    World world(secure(identity));
    Client client(world);
    client.peer.receive_buffer(64 * 1024);
    client.peer.request("GET", "/v1/events?from=0-0", {}, token);
    std::string payload(1'000'000, 'x');
    std::vector<StreamEventPtr> events;
    for (std::uint64_t i = 1; i <= 8; ++i)
        events.push_back(event_at({i, 0}, "acme", "order-7", "task:created", {{"text", payload}}));
    world.behind.append(std::move(events));
    EXPECT_TRUE(world.loop().until([&] {
        client.peer.read();
        return client.peer.received.find("\"8-0\"") != std::string::npos &&
               client.peer.received.size() > 8'000'000;
    }));
}

TEST_F(Tls, server_sent_events_end_with_their_reason_and_a_close_notify) {
    World world(secure(identity));
    Client client(world);
    client.peer.request("GET", "/v1/events?from=0-0", {}, token);
    ASSERT_TRUE(world.loop().until([&] {
        client.peer.read();
        return client.peer.received.find("\r\n\r\n") != std::string::npos;
    }));
    world.behind.append({event_at({1, 0}, "acme", "order-7")});
    ASSERT_TRUE(world.loop().until([&] {
        client.peer.read();
        return client.peer.received.find("\"1-0\"") != std::string::npos;
    }));
    world.behind.refused["Bearer acme"] = true;
    EXPECT_TRUE(client.peer.ends());
    EXPECT_NE(client.peer.received.find(": closing, unauthorized"), std::string::npos);
    EXPECT_TRUE(client.tls.notified());
}

TEST_F(Tls, the_gateway_is_on_the_same_port_by_polling_and_by_websocket) {
    World world(secure(identity));
    Client client(world);
    const auto opened = client.peer.get("/socket.io/?EIO=4&transport=polling");
    EXPECT_EQ(opened.status, 200);
    EXPECT_TRUE(opened.body.starts_with("0{")) << opened.body;
    Client socket(world);
    ASSERT_EQ(socket.peer.upgrade("/socket.io/?EIO=4&transport=websocket"), 101);
    EXPECT_TRUE(socket.peer.message().starts_with("0{"));
    socket.peer.text("40{\"token\":\"acme\"}");
    EXPECT_TRUE(socket.peer.message().starts_with("40{"));
    socket.tls.renew_keys();
    socket.peer.text("420[\"subscribe\",\"domain:acme\"]");
    EXPECT_TRUE(socket.peer.message().starts_with("430[{\"ok\":true"));
    world.behind.append({event_at({1, 0}, "acme", "order-7", "task:created",
                                  {{"text", std::string(100'000, 'x')}})});
    EXPECT_NE(socket.peer.message().find("\"1-0\""), std::string::npos);
    const auto sockets = world.behind.engine().sessions;
    socket.peer.close();
    EXPECT_TRUE(world.loop().until([&] { return world.behind.engine().sessions < sockets; }));
}

TEST_F(Tls, http_without_tls_is_told_so_and_ends_cleanly) {
    World world(secure(identity));
    Peer peer(world.loop(), world.port());
    peer.request("GET", "/healthz");
    const auto answer = peer.answer();
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.body, "This port takes https:// only\n");
    EXPECT_TRUE(peer.ends());
    Peer nonsense(world.loop(), world.port());
    nonsense.send(std::string(100, '\0'));
    EXPECT_TRUE(nonsense.ends());
}

TEST_F(Tls, a_handshake_that_comes_byte_by_byte_has_one_timeout_in_all) {
    World world(secure(identity));
    TlsLayer layer;
    layer.send({});
    Peer slow(world.loop(), world.port());
    const std::string hello = layer.to_socket;
    std::size_t sent = 0;
    EXPECT_TRUE(world.loop().until([&] {
        if (sent + 1 < hello.size()) slow.send(std::string_view(hello).substr(sent++, 1));
        return !slow.read();
    }));
}

TEST_F(Tls, a_thousand_clients_that_say_nothing_have_no_tls_made_and_end_in_time) {
    auto options = secure(identity);
    options.connections_max = 1000;
    World world(options);
    const auto before = realtime::heap_bytes();
    std::vector<Peer> silent;
    for (int i = 0; i < 1000; ++i) {
        silent.emplace_back(world.loop(), world.port());
        if (i % 100 == 99)
            ASSERT_TRUE(world.loop().until(
                [&] { return world.server.connections() >= static_cast<std::size_t>(i + 1) / 2; }));
    }
    EXPECT_LE(realtime::heap_bytes(), before + 1000 * 8 * 1024);
    ASSERT_TRUE(world.loop().until([&] { return world.server.connections() == 0; }));
    Client next(world);
    EXPECT_EQ(next.peer.get("/healthz").status, 200);
}

TEST_F(Tls, files_that_are_no_pair_are_named) {
    const auto good = identity.files;
    EXPECT_EQ(refusal(), "");
    test::TemporaryFolder other;
    test::write_identity(other.file("c"), other.file("k"));
    identity.files.key = other.file("k");
    EXPECT_NE(refusal().find("http.tls_key " + other.file("k") +
                             ": it is not the key of http.tls_certificate " + good.certificate),
              std::string::npos)
        << refusal();
    identity.files.key = other.file("none");
    EXPECT_NE(refusal().find(other.file("none") + ": No such file"), std::string::npos);
    test::write_identity(other.file("c"), other.file("k"), 2, "secret");
    identity.files.key = other.file("k");
    EXPECT_NE(refusal().find("without a passphrase"), std::string::npos) << refusal();
    identity.files = {good.key, good.key};
    EXPECT_NE(refusal().find("http.tls_certificate " + good.key + ": it holds no certificate"),
              std::string::npos)
        << refusal();
    identity.files = {other.file("none"), good.key};
    World world(Server::Options{});
    Server::Options options;
    options.tls = identity.files;
    Server server(world.executor(), options, world.routes);
    const auto listening = server.listen();
    ASSERT_FALSE(listening);
    EXPECT_EQ(listening.error().code(), ErrorCode::invalid_configuration);
}

TEST_F(Tls, a_renewed_certificate_is_shown_at_the_next_handshake_and_half_a_pair_is_not) {
    World world(secure(identity));
    const auto shown = [&] {
        Client client(world);
        EXPECT_EQ(client.peer.get("/healthz").status, 200);
        return shows_certificate(client.tls.ssl(), identity.files.certificate);
    };
    EXPECT_TRUE(shown());
    Client before(world);
    EXPECT_EQ(before.peer.get("/healthz").status, 200);
    test::TemporaryFolder fresh;
    test::write_identity(fresh.file("c"), fresh.file("k"));
    std::filesystem::rename(fresh.file("c"), identity.files.certificate);
    EXPECT_FALSE(shown()); // its key is not there yet
    std::filesystem::rename(fresh.file("k"), identity.files.key);
    EXPECT_TRUE(shown());
    EXPECT_EQ(before.peer.get("/healthz").status, 200); // goes on with what it agreed on
}

} // namespace
} // namespace netbuild::http
