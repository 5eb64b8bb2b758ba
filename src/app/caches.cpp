// SPDX-License-Identifier: Apache-2.0
#include "caches.hpp"

#include <fmt/format.h>

#include "app/adapters.hpp"
#include "memory/memory_cache_store.hpp"
#include "metric_text.hpp"
#include "redis/redis_cache_store.hpp"

namespace netbuild::app {
namespace {

constexpr std::chrono::seconds stale_max{10};
/// Between looks whether the event streams are there.
constexpr std::chrono::minutes begin_wait{1};

std::unique_ptr<RedisCacheStore> make_redis_store(const Configuration& configuration,
                                                  const asio::any_io_executor& executor,
                                                  Clock& clock) {
    if (!configuration.has("redis.url")) return nullptr;
    RedisCacheStore::Options options;
    options.client =
        redis_options(configuration, {.name = "netbuild-cache",
                                      .timeout = configuration.duration("cache.timeout")});
    // A tag for each id that anybody asks for: no longer than what has it.
    options.tag_time = 2 * configuration.duration("cache.ttl") + stale_max;
    return std::make_unique<RedisCacheStore>(executor, clock, std::move(options));
}

} // namespace

Caches::Caches(const Configuration& configuration, asio::any_io_executor executor, Clock& clock,
               RecordStore& records, feed::EventFeed& events, bool heard)
    : events_(events) {
    const auto memory_max = static_cast<std::size_t>(
        std::max<std::int64_t>(0, configuration.integer("cache.memory_max")));
    if (memory_max == 0) return;
    redis_ = make_redis_store(configuration, executor, clock);
    if (!redis_)
        memory_ = std::make_unique<MemoryCacheStore>(
            clock, MemoryCacheStore::Options{.bytes_max = memory_max});
    CacheStore& store = redis_ ? *redis_ : *memory_;
    const auto options = [&](std::string name) {
        cache::Options made;
        made.name = name_on_redis(std::move(name), configuration);
        made.memory_max = memory_max;
        made.ttl = configuration.duration("cache.ttl");
        made.jitter = 0; // the guide says how long at most
        made.stale = std::min<Clock::duration>(made.ttl, stale_max);
        return made;
    };
    domains_.emplace(executor, clock, store, options("domains"), cache::document_codec());
    definitions_.emplace(executor, clock, store, options("definitions"), cache::document_codec());
    if (heard) domain_cache_.emplace(*domains_, records);
}

Caches::~Caches() = default;

result<void> Caches::start() { return redis_ ? redis_->start() : result<void>{}; }

awaitable<void> Caches::stop() {
    listening_.reset();
    if (domains_) co_await domains_->stop();
    if (definitions_) co_await definitions_->stop();
    if (redis_) co_await redis_->stop();
}

awaitable<result<void>> Caches::begin() {
    if (!domain_cache_) co_return result<void>{};
    while (true) {
        const auto started = co_await events_.started(begin_wait);
        if (started) break;
        if (started.error().code() != ErrorCode::deadline_exceeded) co_return started.error();
    }
    domain_cache_->begin(events_.place().documents);
    listening_ = events_.listen([this](const feed::FeedEvent& event, const Value&) {
        if (event.source != feed::Source::documents) return;
        if (event.is_gap())
            domain_cache_->missed(event.event->position);
        else
            domain_cache_->hear(*event.event);
    });
    co_return result<void>{};
}

std::string Caches::metrics() const {
    std::string out;
    if (!domains_) return out;
    const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                          auto value) {
        const std::string full = fmt::format("netbuild_cache_{}", name);
        append_metric_head(out, full, type, help);
        for (const auto& [cache_name, cache] :
             {std::pair("domains", &*domains_), std::pair("definitions", &*definitions_)})
            out += fmt::format("{}{{cache=\"{}\"}} {}\n", full, cache_name, value(cache->core()));
    };
    using cache::Core;
    struct Metric {
        std::string_view name, help;
        std::uint64_t cache::Counters::* count;
    };
    constexpr Metric all[] = {
        {"hits_total", "Answered by this process", &cache::Counters::hits},
        {"shared_hits_total", "Answered by what another node had loaded",
         &cache::Counters::shared_hits},
        {"misses_total", "Not in this process", &cache::Counters::misses},
        {"loads_total", "Read from the store", &cache::Counters::loads},
        {"load_failures_total", "Reads of the store that failed", &cache::Counters::load_failures},
        {"stale_hits_total", "Answered past its time while one loads anew",
         &cache::Counters::stale_hits},
        {"store_errors_total", "Times that Redis was away or failed",
         &cache::Counters::store_errors}};
    for (const Metric& metric : all)
        each(metric.name, "counter", metric.help,
             [&](const Core& core) { return core.counters().*metric.count; });
    each("entries", "gauge", "In this process",
         [](const Core& core) { return core.local().size(); });
    each("bytes", "gauge", "Of those in this process",
         [](const Core& core) { return core.local().bytes(); });
    each("evicted_total", "counter", "That made room for others",
         [](const Core& core) { return core.local().evicted(); });
    return out;
}

} // namespace netbuild::app
