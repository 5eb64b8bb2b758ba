// SPDX-License-Identifier: Apache-2.0
#include <ctime>
#include <string>
#include <vector>

#include "bench.hpp"
#include "redis/redis_sessions.hpp"
#include "run.hpp"
#include "wire/json.hpp"

namespace netbuild::bench {
namespace {

awaitable<result<void>> stop(RedisClient& redis) {
    co_await redis.stop();
    co_return result<void>{};
}

/// Keeps `depth` reads in flight: each answer sends the next one.
class Readers {
public:
    Readers(RedisSessions& sessions, const std::vector<std::string>& ids)
        : sessions_(sessions), ids_(ids) {}

    void send() {
        ++in_flight;
        sessions_.read(ids_[next_++ % ids_.size()], [this](const result<Session>& session) {
            if (!session) die(session.error().message());
            ++reads;
            --in_flight;
            if (!ending) send();
        });
    }
    std::uint64_t reads = 0;
    std::size_t in_flight = 0;
    bool ending = false;

private:
    RedisSessions& sessions_;
    const std::vector<std::string>& ids_;
    std::size_t next_ = 0;
};

} // namespace

/// Reads with touch a second, of sessions with `--bytes` of data, decoded; one thread.
int run_session(const Arguments& arguments) {
    const auto depth = static_cast<std::size_t>(arguments.number("depth", 50));
    const auto count = static_cast<std::size_t>(arguments.number("sessions", 1000));
    const double seconds = arguments.number("seconds", 3);
    asio::io_context context(1);
    SystemClock clock;
    RedisClient redis(context.get_executor(), clock,
                      {.url = arguments.text("redis"), .ca_file = arguments.text("ca-file", "")});
    redis.start().value();
    RedisSessions sessions(redis, clock, {});
    const std::string text(static_cast<std::size_t>(arguments.number("bytes", 100)), 'x');
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < count; ++i)
        ids.push_back(run(context, sessions.store().create({}, {{"cart", text}})).id);

    Readers readers(sessions, ids);
    const auto measure = [&](double time) {
        const std::uint64_t before = readers.reads;
        const auto start = SteadyClock::now();
        while (seconds_since(start) < time)
            context.run_one();
        return static_cast<double>(readers.reads - before) / seconds_since(start);
    };
    context.restart();
    for (std::size_t i = 0; i < depth; ++i)
        readers.send();
    measure(0.3);
    const std::uint64_t reads_before = readers.reads;
    const auto cpu_before = std::clock();
    const double rate = measure(seconds);
    const double cpu_us = 1e6 * static_cast<double>(std::clock() - cpu_before) / CLOCKS_PER_SEC /
                          static_cast<double>(readers.reads - reads_before);
    readers.ending = true;
    while (readers.in_flight > 0)
        context.run_one();
    for (const std::string& id : ids)
        run(context, sessions.store().revoke(id));
    run(context, stop(redis));
    fmt::print("{}\n", to_json(Object{{"session_rate", rate},
                                      {"cpu_us", cpu_us},
                                      {"depth", static_cast<std::int64_t>(depth)},
                                      {"sessions", static_cast<std::int64_t>(count)},
                                      {"bytes", static_cast<std::int64_t>(text.size())}}));
    return 0;
}

} // namespace netbuild::bench
