// SPDX-License-Identifier: Apache-2.0
// What a connection promises that is handed over to the gateway, with TLS and without.
#include <deque>

#include "http/world.hpp"
#include "support/temporary_folder.hpp"
#include "support/tls.hpp"

namespace netbuild::http {
namespace {

using boost::system::error_code;

struct Calls final : realtime::ByteStream::Waiter {
    void on_readable(const error_code& ec) override { readable.push_back(ec); }
    void on_writable(const error_code& ec) override { writable.push_back(ec); }
    std::deque<error_code> readable, writable;
};

class ByteStreams : public ::testing::TestWithParam<bool> {
protected:
    ByteStreams() {
        Server::Options options;
        options.taken_path = "/taken";
        options.taken_body_bytes_max = 1000;
        options.take = [this](std::unique_ptr<realtime::ByteStream> taken, realtime::HttpRequest,
                              std::string after) {
            stream = std::move(taken);
            got = std::move(after);
        };
        if (GetParam()) {
            options.tls = {folder.file("c"), folder.file("k")};
            test::write_identity(options.tls.certificate, options.tls.key);
        }
        world.emplace(options);
        auto layer = GetParam() ? std::make_unique<test::TlsLayer>() : nullptr;
        tls = layer.get();
        peer.emplace(world->loop(), world->port(), std::move(layer));
    }
    ~ByteStreams() override { stream.reset(); }
    void be_taken(std::string_view after = {}) {
        peer->send("GET /taken HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(after));
        ASSERT_TRUE(until([&] {
            peer->read();
            return stream != nullptr;
        }));
    }
    bool until(const std::function<bool()>& condition) { return world->loop().until(condition); }

    /// Reads all that is there, as the gateway does: after a call, and not without.
    void read_on() {
        if (!std::exchange(reading, true)) stream->wait_readable(calls);
        while (!calls->readable.empty()) {
            calls->readable.pop_front();
            std::vector<char> buffer(read_bytes);
            error_code ec;
            const auto size = stream->read(buffer, ec);
            got.append(buffer.data(), size);
            if (ec && ec != asio::error::would_block) {
                end = ec;
                return;
            }
            ++reads;
            stream->wait_readable(calls);
        }
    }
    /// As much of `bytes` as is taken now; what was taken is cut off.
    error_code write(std::string_view& bytes) {
        error_code ec;
        // Pieces of every size, some of none.
        std::vector<iovec> pieces;
        std::size_t at = 0;
        for (std::size_t size = 0; at < bytes.size() && pieces.size() < 64;
             size = size * 2 + 1 > 50'000 ? 0 : size * 2 + 1) {
            const auto now = std::min(size, bytes.size() - at);
            pieces.push_back({const_cast<char*>(bytes.data()) + at, now});
            at += now;
        }
        const auto size = stream->write(pieces, ec);
        EXPECT_LE(size, at);
        bytes.remove_prefix(size);
        return ec;
    }
    /// The rest too, waiting as the gateway does; `meanwhile` runs between.
    void write_all(std::string_view bytes, const std::function<void()>& meanwhile) {
        bool waiting = false;
        ASSERT_TRUE(until([&] {
            meanwhile();
            if (waiting && calls->writable.empty()) return false;
            calls->writable.clear();
            waiting = false;
            const auto ec = write(bytes);
            EXPECT_TRUE(!ec || ec == asio::error::would_block) << ec.message();
            if (bytes.empty()) return true;
            stream->wait_writable(calls);
            waiting = true;
            return false;
        }));
    }
    static std::string numbered(std::size_t bytes) {
        std::string out;
        for (std::size_t i = 0; out.size() < bytes; ++i)
            out += std::to_string(i) + ' ';
        return out;
    }

    test::TemporaryFolder folder;
    std::unique_ptr<realtime::ByteStream> stream;
    std::optional<World> world;
    test::TlsLayer* tls = nullptr;
    std::optional<Peer> peer;
    std::shared_ptr<Calls> calls = std::make_shared<Calls>();
    std::string got;
    error_code end;
    std::size_t read_bytes = 64 * 1024, reads = 0;
    bool reading = false;
};

TEST_P(ByteStreams, say_who_is_there_and_whether_others_can_read_it) {
    be_taken();
    EXPECT_EQ(stream->address(), "127.0.0.1");
    EXPECT_EQ(stream->secure(), GetParam());
}

TEST_P(ByteStreams, what_came_with_the_request_and_after_it_is_read_once_in_order) {
    be_taken("abc");
    peer->send("def");
    EXPECT_TRUE(until([&] {
        read_on();
        return got == "abcdef";
    })) << got;
    for (int i = 0; i < 100; ++i)
        peer->send("x");
    EXPECT_TRUE(until([&] {
        read_on();
        return got.size() == 106;
    }));
}

TEST_P(ByteStreams, partial_reads_lose_nothing_and_an_idle_stream_is_not_asked) {
    read_bytes = 7;
    be_taken();
    const auto text = numbered(50'000);
    peer->send(text);
    EXPECT_TRUE(until([&] {
        read_on();
        return got.size() == text.size();
    }));
    EXPECT_EQ(got, text);
    // Calls with nothing to read are few: the end of a burst may cost one.
    const auto before = reads;
    world->loop().run_for(std::chrono::milliseconds(20));
    read_on();
    world->loop().run_for(std::chrono::milliseconds(20));
    read_on();
    EXPECT_LE(reads, before + 1);
}

TEST_P(ByteStreams, the_beginning_of_a_record_does_not_wake_again_and_again) {
    be_taken();
    if (!tls) return;
    tls->send("hello");
    const std::string record = std::exchange(tls->to_socket, {});
    peer->put(std::string_view(record).substr(0, 8));
    world->loop().run_for(std::chrono::milliseconds(20));
    read_on();
    for (int i = 0; i < 10; ++i) {
        world->loop().run_for(std::chrono::milliseconds(2));
        read_on();
    }
    EXPECT_LE(reads, 3u);
    peer->put(std::string_view(record).substr(8));
    EXPECT_TRUE(until([&] {
        read_on();
        return got == "hello";
    }));
}

TEST_P(ByteStreams, a_big_write_to_a_slow_reader_arrives_in_order_and_is_not_swallowed) {
    be_taken();
    const auto text = numbered(12'000'000);
    std::string_view rest = text;
    // Nobody reads: what is taken is bounded.
    while (write(rest) != asio::error::would_block)
        ASSERT_FALSE(rest.empty());
    error_code ec;
    iovec more{const_cast<char*>("x"), 1};
    EXPECT_EQ(stream->write({&more, 1}, ec), 0u);
    EXPECT_EQ(ec, asio::error::would_block);
    stream->wait_writable(calls);
    ASSERT_TRUE(until([&] {
        peer->read();
        return !calls->writable.empty();
    }));
    write_all(rest, [&] { peer->read(); });
    EXPECT_TRUE(until([&] {
        peer->read();
        return peer->received.size() >= text.size();
    }));
    EXPECT_EQ(peer->received, text);
}

TEST_P(ByteStreams, both_ways_at_once) {
    be_taken();
    const auto text = numbered(3'000'000);
    peer->receive_buffer(64 * 1024);
    std::string_view sending = text;
    write_all(text, [&] {
        peer->read();
        read_on();
        const auto now = std::min<std::size_t>(sending.size(), 10'000);
        peer->send(sending.substr(0, now));
        sending.remove_prefix(now);
        if (tls && sending.size() % 500'000 == 0) tls->renew_keys();
    });
    peer->send(sending);
    EXPECT_TRUE(until([&] {
        peer->read();
        read_on();
        return peer->received.size() >= text.size() && got.size() >= text.size();
    }));
    EXPECT_EQ(peer->received, text);
    EXPECT_EQ(got, text);
}

TEST_P(ByteStreams, the_end_comes_after_all_that_was_taken) {
    be_taken();
    const auto text = numbered(12'000'000);
    std::string_view rest = text;
    while (write(rest) != asio::error::would_block)
        ASSERT_FALSE(rest.empty());
    stream->shutdown_send();
    EXPECT_TRUE(peer->ends());
    EXPECT_EQ(peer->received.size(), text.size() - rest.size());
    EXPECT_TRUE(text.starts_with(peer->received));
    if (tls) EXPECT_TRUE(tls->notified());
    // The other way still works.
    peer->send("bye");
    EXPECT_TRUE(until([&] {
        read_on();
        return got == "bye";
    }));
}

TEST_P(ByteStreams, the_clients_end_is_the_end) {
    be_taken();
    peer->send("last");
    peer->shutdown_send();
    EXPECT_TRUE(until([&] {
        read_on();
        return bool(end);
    }));
    EXPECT_EQ(got, "last");
    EXPECT_EQ(end, asio::error::eof);
}

TEST_P(ByteStreams, closed_while_waiting_call_each_waiter_with_operation_aborted) {
    be_taken();
    const auto text = numbered(12'000'000);
    std::string_view rest = text;
    while (write(rest) != asio::error::would_block)
        ASSERT_FALSE(rest.empty());
    stream->wait_readable(calls);
    stream->wait_writable(calls);
    world->loop().run_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(calls->readable.empty());
    EXPECT_TRUE(calls->writable.empty());
    stream->close();
    EXPECT_TRUE(calls->readable.empty()); // not from within
    EXPECT_TRUE(until([&] { return calls->readable.size() + calls->writable.size() == 2; }));
    EXPECT_EQ(calls->readable.at(0), asio::error::operation_aborted);
    EXPECT_EQ(calls->writable.at(0), asio::error::operation_aborted);
}

TEST_P(ByteStreams, gone_while_waiting_call_too) {
    be_taken("x");
    stream->wait_readable(calls);
    stream.reset();
    EXPECT_TRUE(until([&] { return calls->readable.size() == 1; }));
    EXPECT_TRUE(calls->readable[0]);
    EXPECT_EQ(calls.use_count(), 1);
}

TEST_P(ByteStreams, a_client_that_is_gone_fails_a_write_and_kills_nobody) {
    be_taken();
    peer->close();
    const auto text = numbered(100'000);
    EXPECT_TRUE(until([&] {
        std::string_view rest = text;
        const auto ec = write(rest);
        return ec && ec != asio::error::would_block;
    }));
}

INSTANTIATE_TEST_SUITE_P(Each, ByteStreams, ::testing::Bool(), [](const auto& info) {
    return std::string(info.param ? "with_tls" : "without_tls");
});

} // namespace
} // namespace netbuild::http
