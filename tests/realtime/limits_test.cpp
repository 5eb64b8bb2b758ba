// SPDX-License-Identifier: Apache-2.0
// Clients that are slow, silent, too many or too much: limits hold, and nobody else is harmed.
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.hpp"

namespace netbuild::realtime {
namespace {

const std::string websocket = "/socket.io/?EIO=4&transport=websocket";

void open_files_max() {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

struct World {
    Loop loop;
    std::unique_ptr<Server> server;
    std::vector<std::string> reasons;

    explicit World(ServerOptions options) {
        server = std::make_unique<Server>(loop.context.get_executor(), loop.clock, options);
        server->of("/").on("echo", [](const std::shared_ptr<Socket>&, Event event) {
            event.reply(std::move(event.arguments));
        });
        server->of("/").on_disconnect(
            [this](Socket&, std::string_view reason) { reasons.emplace_back(reason); });
        server->listen("127.0.0.1", 0).value();
    }
    ~World() {
        loop.run(server->stop({}));
        loop.run_for(std::chrono::milliseconds(20));
    }
    void connect(Peer& peer) {
        ASSERT_EQ(peer.upgrade(websocket), 101);
        static_cast<void>(peer.message());
        peer.text("40");
        ASSERT_TRUE(peer.message().starts_with("40"));
    }
    EngineCounters counters() const { return server->counters().engine; }
};

ServerOptions options() {
    ServerOptions out;
    out.engine.request_timeout = std::chrono::milliseconds(150);
    out.engine.idle_timeout = std::chrono::milliseconds(150);
    return out;
}

TEST(RealtimeLimits, silent_connections_and_slow_requests_end_in_time) {
    World world(options());
    std::vector<Peer> peers;
    for (int i = 0; i < 50; ++i)
        peers.emplace_back(world.loop, world.server->port());
    for (std::size_t i = 0; i < 25; ++i)
        peers[i].send("GET /socket.io/?EIO=4");
    EXPECT_TRUE(world.loop.until([&] { return world.counters().accepted == 50; }));
    // One byte now and then does not help.
    const Deadline deadline(world.loop.clock, std::chrono::seconds(5));
    while (world.counters().connections > 0 && !deadline.passed(world.loop.clock)) {
        peers[0].send("x");
        world.loop.run_for(std::chrono::milliseconds(30));
        for (auto& peer : peers)
            static_cast<void>(peer.read());
    }
    EXPECT_EQ(world.counters().connections, 0u);
    EXPECT_GE(world.counters().closed_timeout, 50u);
}

/// Another process, so that its open files are not ours, that holds silent connections.
class SilentProcess {
public:
    SilentProcess(std::uint16_t port, int connections) {
        EXPECT_EQ(pipe(end_), 0);
        process_ = fork();
        if (process_ != 0) return;
        ::close(end_[1]);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (int i = 0; i < connections; ++i)
            if (::connect(::socket(AF_INET, SOCK_STREAM, 0), reinterpret_cast<sockaddr*>(&to),
                          sizeof to) != 0)
                _exit(1);
        char none = 0;
        _exit(static_cast<int>(::read(end_[0], &none, 1)));
    }
    ~SilentProcess() {
        ::close(end_[1]);
        ::close(end_[0]);
        int status = 0;
        waitpid(process_, &status, 0);
        EXPECT_EQ(status, 0);
    }

private:
    int end_[2] = {-1, -1};
    pid_t process_ = 0;
};

TEST(RealtimeLimits, ten_thousand_silent_connections_hold_little_and_end_in_time) {
    constexpr std::uint64_t many = 10'000;
    open_files_max();
    auto quick = options();
    quick.engine.request_timeout = std::chrono::seconds(5);
    World world(quick);
    const auto before = heap_bytes();
    SilentProcess silent(world.server->port(), many);
    EXPECT_TRUE(world.loop.until([&] { return world.counters().accepted == many; }));
    const auto held = world.counters().connections;
    EXPECT_LE(heap_bytes(), before + std::max<std::uint64_t>(held, 1000) * 1024);
    Peer other(world.loop, world.server->port());
    world.connect(other); // nobody else is harmed
    EXPECT_TRUE(world.loop.until([&] { return world.counters().connections == 1; }));
    EXPECT_EQ(world.counters().closed_timeout, many);
    // Asio keeps what it made for each descriptor for the next ones.
    const auto kept_max = before + many * 256 + 256 * 1024;
    EXPECT_TRUE(world.loop.until([&] { return heap_bytes() <= kept_max; })) << heap_bytes();
}

TEST(RealtimeLimits, a_client_that_opens_and_never_connects_ends_in_time) {
    auto quick = options();
    quick.connect_timeout = std::chrono::milliseconds(100);
    World world(quick);
    Peer peer(world.loop, world.server->port());
    ASSERT_EQ(peer.upgrade(websocket), 101);
    EXPECT_TRUE(peer.ends());
    EXPECT_TRUE(world.loop.until([&] { return world.counters().connections == 0; }));
}

TEST(RealtimeLimits, a_half_open_client_ends_at_its_heartbeat) {
    auto quick = options();
    quick.engine.ping_interval = std::chrono::milliseconds(100);
    quick.engine.ping_timeout = std::chrono::milliseconds(100);
    World world(quick);
    Peer silent(world.loop, world.server->port()), there(world.loop, world.server->port());
    world.connect(silent); // and never answers a ping
    world.connect(there);
    while (world.reasons.empty()) {
        if (there.frame() == "\x81"
                             "2")
            there.text("3");
    }
    EXPECT_EQ(world.reasons, std::vector<std::string>{"ping timeout"});
    EXPECT_EQ(world.counters().connections, 1u);
}

TEST(RealtimeLimits, a_message_that_is_too_long_ends_its_connection_before_it_is_held) {
    auto limited = options();
    limited.engine.payload_bytes_max = 100'000;
    World world(limited);
    Peer peer(world.loop, world.server->port());
    world.connect(peer);
    const auto before = heap_bytes();
    std::string head(1, '\x81'); // says 1 GB, and sends its beginning
    head += static_cast<char>(0x80 | 127);
    head += std::string("\0\0\0\0\x40\0\0\0", 8) + std::string(4, '\0') + "42";
    peer.send(head);
    EXPECT_EQ(peer.message(), "closed 1009");
    EXPECT_TRUE(world.loop.until([&] { return !world.reasons.empty(); }));
    EXPECT_LT(heap_bytes(), before + 100'000);
    // In fragments, none of which is too long.
    Peer pieces(world.loop, world.server->port());
    world.connect(pieces);
    pieces.send(client_frame(0x01, std::string(60'000, 'x')));
    pieces.send(client_frame(0x00, std::string(60'000, 'x')));
    EXPECT_EQ(pieces.message(), "closed 1009");
}

TEST(RealtimeLimits, a_head_or_body_that_is_too_long_is_refused_before_it_is_held) {
    World world(options());
    Peer head(world.loop, world.server->port());
    head.send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nX: " + std::string(40'000, 'x'));
    EXPECT_EQ(head.answer().status, 431);
    Peer body(world.loop, world.server->port());
    const auto sid = sid_of(body.get("/socket.io/?EIO=4&transport=polling").body);
    body.send("POST /socket.io/?EIO=4&transport=polling&sid=" + sid +
              " HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    EXPECT_EQ(body.answer().status, 413);
    Peer unknown(world.loop, world.server->port());
    unknown.send("POST /socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\n"
                 "Host: x\r\nContent-Length: 900000\r\n\r\n");
    EXPECT_EQ(unknown.answer().status, 400); // no need to read it
}

TEST(RealtimeLimits, connections_past_the_limit_are_closed_and_a_place_is_free_again) {
    auto limited = options();
    limited.engine.connections_max = 2;
    World world(limited);
    Peer one(world.loop, world.server->port());
    world.connect(one);
    {
        Peer two(world.loop, world.server->port());
        world.connect(two);
        Peer three(world.loop, world.server->port());
        EXPECT_TRUE(three.ends());
        EXPECT_EQ(world.counters().refused_full, 1u);
    }
    EXPECT_TRUE(world.loop.until([&] { return world.counters().connections == 1; }));
    Peer four(world.loop, world.server->port());
    world.connect(four);
}

TEST(RealtimeLimits, a_slow_reader_is_closed_at_its_cap_and_others_get_everything) {
    auto limited = options();
    limited.engine.queued_bytes_max = 1024 * 1024;
    World world(limited);
    Peer slow(world.loop, world.server->port()), quick(world.loop, world.server->port());
    world.connect(slow);
    world.connect(quick);
    const std::string big(64 * 1024, 'x');
    std::size_t sent = 0, got = 0;
    const Deadline deadline(world.loop.clock, std::chrono::seconds(20));
    while (world.reasons.empty() && !deadline.passed(world.loop.clock)) {
        world.server->of("/").emit({}, {"m", big});
        ++sent;
        EXPECT_EQ(quick.message(), "42[\"m\",\"" + big + "\"]");
        ++got;
    }
    EXPECT_EQ(world.reasons, std::vector<std::string>{"slow reader"});
    EXPECT_EQ(world.counters().closed_slow, 1u);
    EXPECT_EQ(sent, got);
    // If it reads after all, it learns why.
    std::string next;
    while ((next = slow.message()).starts_with("42[\"m\"")) {
    }
    EXPECT_TRUE(next.starts_with(R"(42["error",{"code":"slow_reader")")) << next;
    EXPECT_EQ(slow.message(), "closed 1013");
    EXPECT_TRUE(world.loop.until([&] { return world.counters().queued_bytes == 0; }));
}

TEST(RealtimeLimits, a_slow_reader_that_never_reads_again_is_gone_all_the_same) {
    auto limited = options();
    limited.engine.queued_bytes_max = 256 * 1024;
    World world(limited);
    Peer slow(world.loop, world.server->port());
    slow.receive_buffer(4096);
    world.connect(slow);
    while (world.reasons.empty()) {
        world.server->of("/").emit({}, {"m", std::string(64 * 1024, 'x')});
        world.loop.run_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(world.loop.until([&] { return world.counters().connections == 0; }, 2 * patience));
    EXPECT_EQ(world.counters().queued_bytes, 0u);
}

TEST(RealtimeLimits, a_slow_reader_that_polls_learns_why_from_its_next_poll) {
    auto limited = options();
    limited.engine.queued_bytes_max = 100'000;
    World world(limited);
    Peer peer(world.loop, world.server->port());
    const std::string path = "/socket.io/?EIO=4&transport=polling";
    const auto sid = "&sid=" + sid_of(peer.get(path).body);
    EXPECT_EQ(peer.post(path + sid, "40").status, 200);
    EXPECT_TRUE(peer.get(path + sid).body.starts_with("40"));
    for (int i = 0; i < 10; ++i)
        world.server->of("/").emit({}, {"m", std::string(20'000, 'x')});
    EXPECT_TRUE(world.loop.until([&] { return !world.reasons.empty(); }));
    EXPECT_EQ(world.reasons, std::vector<std::string>{"slow reader"});
    const auto last = peer.get(path + sid).body;
    EXPECT_TRUE(last.starts_with(R"(42["error",{"code":"slow_reader")")) << last;
    EXPECT_TRUE(last.ends_with("\x1e"
                               "1"))
        << last;
}

TEST(RealtimeLimits, what_is_volatile_is_dropped_while_a_reader_is_slow) {
    World world(options());
    Peer slow(world.loop, world.server->port());
    slow.receive_buffer(4096);
    world.connect(slow);
    Audience audience;
    audience.flags.is_volatile = true;
    const std::string big(64 * 1024, 'x');
    for (int i = 0; i < 1000 && world.counters().dropped_volatile == 0; ++i) {
        world.server->of("/").emit(audience, {"m", big});
        world.loop.run_for(std::chrono::milliseconds(1));
    }
    EXPECT_GT(world.counters().dropped_volatile, 0u);
    EXPECT_TRUE(world.reasons.empty());
}

TEST(RealtimeLimits, events_past_the_rate_are_dropped_and_the_client_is_told_once) {
    auto limited = options();
    limited.events_a_second_max = 10;
    World world(limited);
    Peer peer(world.loop, world.server->port());
    world.connect(peer);
    for (int i = 0; i < 40; ++i)
        peer.text("42" + std::to_string(i) + "[\"echo\",1]");
    EXPECT_TRUE(world.loop.until([&] {
        const auto counters = world.server->counters();
        return counters.events + counters.limited_events == 40;
    }));
    // Two windows at most saw them.
    EXPECT_LE(world.server->counters().events, 20u);
    std::size_t told = 0;
    for (std::string next; (next = peer.message(std::chrono::milliseconds(50))) != "nothing";)
        told += next.find("rate_limited") != std::string::npos;
    EXPECT_GE(told, 1u);
    EXPECT_LE(told, 2u);
}

TEST(RealtimeLimits, rooms_of_a_client_have_a_limit) {
    auto limited = options();
    limited.rooms_a_socket_max = 3;
    World world(limited);
    std::shared_ptr<Socket> socket;
    world.server->of("/").on_connection([&](const std::shared_ptr<Socket>& who) { socket = who; });
    Peer peer(world.loop, world.server->port());
    world.connect(peer);
    for (const auto* room : {"a", "b", "c", "a"})
        EXPECT_TRUE(socket->join(room));
    EXPECT_EQ(socket->join("d").error().code(), ErrorCode::overloaded);
    socket->leave("b");
    EXPECT_TRUE(socket->join("d"));
}

} // namespace
} // namespace netbuild::realtime
