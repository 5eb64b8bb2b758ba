// SPDX-License-Identifier: Apache-2.0
#include "toolkit.hpp"

#include "sessions.hpp"

namespace netbuild::app {
namespace {

std::unique_ptr<RedisClient> make_redis(const Configuration& configuration,
                                        const asio::any_io_executor& executor, Clock& clock) {
    if (!configuration.has("redis.url")) return nullptr;
    RedisClient::Options options;
    options.url = configuration.text("redis.url");
    options.ca_file = configuration.text("redis.ca_file");
    options.name = "netbuild-toolkit";
    return std::make_unique<RedisClient>(executor, clock, std::move(options));
}

} // namespace

Toolkit::Toolkit(const Configuration& configuration, asio::any_io_executor executor, Clock& clock)
    : redis_(make_redis(configuration, executor, clock)),
      sessions_(make_sessions(configuration, redis_.get(), clock)),
      session_routes_(*sessions_, cookie_secrets(configuration)),
      rate_limits_(configuration, executor, clock) {}

result<void> Toolkit::start() {
    if (redis_) TRY_VOID(redis_->start());
    return rate_limits_.start();
}

awaitable<void> Toolkit::stop() {
    co_await rate_limits_.stop();
    if (redis_) co_await redis_->stop();
}

void Toolkit::add_to(http::Routes& routes) {
    session_routes_.add_to(routes);
    rate_limits_.add_to(routes);
}

std::string Toolkit::metrics() const { return session_metrics(sessions_->counters()); }

} // namespace netbuild::app
