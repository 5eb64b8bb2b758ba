// SPDX-License-Identifier: Apache-2.0
// The cluster's bus against a Redis that the test plays: what it is told, and when it goes away.
#include <list>

#include <boost/asio/write.hpp>

#include "redis/redis_cluster_bus.hpp"
#include "wire/resp.hpp"
#include "world.hpp"

namespace netbuild::realtime {
namespace {

using namespace std::chrono_literals;
using Kind = ClusterBus::Kind;
using asio::ip::tcp;

/// A server that is no cluster. It confirms subscriptions, and keeps what is published.
class PlayedRedis {
public:
    explicit PlayedRedis(Loop& loop)
        : acceptor_(loop.context, {asio::ip::make_address("127.0.0.1"), 0}) {
        accept();
    }
    [[nodiscard]] std::string url() const {
        return fmt::format("redis://127.0.0.1:{}", acceptor_.local_endpoint().port());
    }
    void end_all_connections() {
        for (const auto& each : std::exchange(clients_, {}))
            each->socket.close();
    }
    void say(std::string_view channel, std::string_view message) {
        for (const auto& each : clients_)
            if (each->subscriber) write(*each, {"message", channel, message});
    }

    std::vector<std::string> published;
    std::size_t subscribed = 0;

private:
    struct Client {
        explicit Client(tcp::socket s) : socket(std::move(s)) {}
        tcp::socket socket;
        resp::Parser parser;
        std::string chunk = std::string(64 * 1024, '\0');
        bool subscriber = false;
    };
    using ClientPtr = std::shared_ptr<Client>;

    void accept() {
        acceptor_.async_accept([this](boost::system::error_code ec, tcp::socket socket) {
            if (ec) return;
            clients_.push_back(std::make_shared<Client>(std::move(socket)));
            read(clients_.back());
            accept();
        });
    }
    void read(const ClientPtr& client) {
        client->socket.async_read_some(
            asio::buffer(client->chunk),
            [this, client](boost::system::error_code ec, std::size_t size) {
                if (ec) return;
                client->parser.feed(std::string_view(client->chunk).substr(0, size));
                while (auto command = client->parser.next().value())
                    answer(*client, *command);
                read(client);
            });
    }
    void answer(Client& client, const resp::Reply& command) {
        const std::string& name = command.elements.at(0).text;
        if (name == "SUBSCRIBE") {
            client.subscriber = true;
            ++subscribed;
            return write(client, {"subscribe", command.elements.at(1).text, "1"});
        }
        if (name == "PUBLISH") published.push_back(command.elements.at(2).text);
        send(client, name == "CLUSTER" ? "-ERR no cluster\r\n"
                     : name == "PING"  ? "+PONG\r\n"
                                       : ":1\r\n");
    }
    /// Who has gone meanwhile gets nothing.
    static void send(Client& client, const std::string& bytes) {
        boost::system::error_code ec;
        asio::write(client.socket, asio::buffer(bytes), ec);
    }
    static void write(Client& client, std::initializer_list<std::string_view> words) {
        send(client, resp::command(words));
    }

    tcp::acceptor acceptor_;
    std::list<ClientPtr> clients_;
};

class ClusterBusOnRedis : public testing::Test {
protected:
    void TearDown() override { loop.run(bus->stop()); }
    void begin(std::size_t queued_bytes_max) {
        bus = std::make_unique<RedisClusterBus>(
            loop.context.get_executor(), loop.clock,
            RedisClusterBus::Options{
                .url = redis.url(), .timeout = 300ms, .queued_bytes_max = queued_bytes_max});
        ASSERT_TRUE(bus->start());
        bus->subscribe(Kind::channel, "c", [this](std::string_view, std::string_view message) {
            heard.emplace_back(message);
        });
        ASSERT_TRUE(loop.until([&] { return redis.subscribed == 1; }));
    }

    Loop loop;
    PlayedRedis redis{loop};
    std::unique_ptr<RedisClusterBus> bus;
    std::vector<std::string> heard;
};

TEST_F(ClusterBusOnRedis, what_does_not_fit_the_queue_is_dropped_and_counted) {
    begin(1000);
    for (int i = 0; i < 10; ++i)
        bus->publish(Kind::channel, "c", std::string(300, 'x'));
    EXPECT_TRUE(loop.until([&] { return !redis.published.empty(); }));
    // 300 bytes and their command, three times, and no fourth.
    EXPECT_EQ(redis.published.size(), 3u);
    EXPECT_EQ(bus->counters().published, 3u);
    EXPECT_EQ(bus->counters().dropped, 7u);
    EXPECT_EQ(bus->counters().overflowed, 7u);
    bus->publish(Kind::channel, "c", "later");
    EXPECT_TRUE(loop.until([&] { return redis.published.size() == 4; }));
}

TEST_F(ClusterBusOnRedis, a_connection_that_breaks_is_made_again_and_its_channels_subscribed_to) {
    begin(1'000'000);
    redis.end_all_connections();
    EXPECT_TRUE(loop.until([&] { return bus->counters().connections_lost >= 2; }));
    bus->publish(Kind::channel, "c", "lost");
    EXPECT_EQ(bus->counters().dropped, 1u);
    EXPECT_EQ(bus->counters().overflowed, 0u);
    EXPECT_TRUE(loop.until([&] { return redis.subscribed == 2; }));
    redis.say("c", "again");
    EXPECT_TRUE(loop.until([&] { return heard == std::vector<std::string>{"again"}; }));
}

} // namespace
} // namespace netbuild::realtime
