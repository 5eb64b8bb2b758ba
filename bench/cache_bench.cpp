// SPDX-License-Identifier: Apache-2.0
// The cache: hits in the process on one core, and loads for 10,000 parallel misses of one key on
// two nodes over a real Redis.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "bench.hpp"
#include "cache/cache.hpp"
#include "memory/memory_cache_store.hpp"
#include "redis/redis_cache_store.hpp"

namespace netbuild::bench {
namespace {

using Texts = cache::Cache<std::string>;
using Text = std::shared_ptr<const std::string>;

cache::Codec<std::string> codec() {
    return {[](const std::string& text) { return text; },
            [](std::string_view text) -> result<Text> {
                return std::make_shared<const std::string>(text);
            },
            [](const std::string& text) { return text.size(); }};
}

Texts::Loader loader(Clock& clock, int& loads, Clock::duration takes) {
    return [&clock, &loads, takes]() -> awaitable<result<cache::Loaded<std::string>>> {
        ++loads;
        CO_TRY_VOID(co_await clock.sleep(takes));
        co_return cache::Loaded<std::string>{std::make_shared<const std::string>(1000, 'x'),
                                             {1, 0}};
    };
}

/// Look-ups a second over `keys` values of 1,000 bytes in an order without pattern.
double hit_rate(std::size_t keys, double seconds) {
    asio::io_context context;
    SystemClock clock;
    MemoryCacheStore store(clock, {.bytes_max = std::size_t{1} << 30});
    Texts cache(context.get_executor(), clock, store,
                {.name = "bench", .memory_max = std::size_t{1} << 30}, codec());
    std::vector<std::string> names;
    int loads = 0;
    for (std::size_t i = 0; i < keys; ++i)
        names.push_back("execution:order-" + std::to_string(i));
    asio::co_spawn(
        context,
        [&]() -> awaitable<void> {
            for (int round = 0; round < 3; ++round)
                for (const std::string& name : names)
                    (void)co_await cache.get(name, {"domain:acme"},
                                             loader(clock, loads, Clock::duration::zero()));
        },
        asio::detached);
    context.run();
    context.restart();
    Random random(1);
    std::vector<const std::string*> order;
    for (std::size_t i = 0; i < 1U << 16; ++i)
        order.push_back(&names[random.below(keys)]);
    std::uint64_t hits = 0, looks = 0;
    const auto begun = SteadyClock::now();
    while (seconds_since(begun) < seconds) {
        for (const std::string* name : order) {
            const auto found = cache.try_get(*name);
            hits += found && found->size() == 1000 ? 1 : 0;
        }
        looks += order.size();
    }
    const double rate = static_cast<double>(looks) / seconds_since(begun);
    if (hits != looks) die(fmt::format("{} of {} looks missed", looks - hits, looks));
    asio::co_spawn(context, cache.stop(), asio::detached);
    context.run();
    return rate;
}

int parallel_loads(const std::string& url, std::size_t callers, double& took_ms) {
    asio::io_context context;
    SystemClock clock;
    std::vector<std::unique_ptr<RedisCacheStore>> stores;
    std::vector<std::unique_ptr<Texts>> nodes;
    const std::string name = fmt::format("bench-{:x}", Random::from_system().next());
    for (int i = 0; i < 2; ++i) {
        RedisCacheStore::Options options;
        options.client.url = url;
        stores.push_back(
            std::make_unique<RedisCacheStore>(context.get_executor(), clock, std::move(options)));
        if (const auto started = stores.back()->start(); !started) die(started.error().message());
        nodes.push_back(std::make_unique<Texts>(context.get_executor(), clock, *stores.back(),
                                                cache::Options{.name = name}, codec()));
    }
    while (!stores[0]->watching() || !stores[1]->watching())
        context.run_one();
    int loads = 0;
    std::size_t ended = 0, failed = 0;
    const auto begun = SteadyClock::now();
    for (std::size_t i = 0; i < callers; ++i) {
        asio::co_spawn(
            context,
            [&, i]() -> awaitable<void> {
                const auto found = co_await nodes[i % 2]->get(
                    "one", {"t"}, loader(clock, loads, std::chrono::milliseconds(50)));
                if (!found || !found->value) ++failed;
                ++ended;
            },
            asio::detached);
    }
    while (ended < callers && context.run_one() > 0) {
    }
    took_ms = 1000 * seconds_since(begun);
    if (failed > 0) die(fmt::format("{} callers got nothing", failed));
    asio::co_spawn(
        context,
        [&]() -> awaitable<void> {
            for (auto& node : nodes)
                co_await node->stop();
            for (auto& store : stores)
                co_await store->stop();
        },
        asio::detached);
    context.run();
    return loads;
}

} // namespace

static int run_cache(const Arguments& arguments) {
    const double rate = hit_rate(static_cast<std::size_t>(arguments.number("keys", 10'000)),
                                 arguments.number("seconds", 2));
    double took_ms = 0;
    const int loads =
        parallel_loads(arguments.text("redis"),
                       static_cast<std::size_t>(arguments.number("callers", 10'000)), took_ms);
    fmt::print(R"({{"cache_hit_rate": {}, "cache_loads": {}, "cache_loads_ms": {}}})"
               "\n",
               rate, loads, took_ms);
    return 0;
}

} // namespace netbuild::bench

int main(int count, char** values) {
    return netbuild::bench::run_cache(netbuild::bench::Arguments(count, values));
}
