// SPDX-License-Identifier: Apache-2.0
#include "toolkit.hpp"

#include "app/adapters.hpp"
#include "sessions.hpp"

namespace netbuild::app {

Toolkit::Toolkit(const Configuration& configuration, asio::any_io_executor executor, Clock& clock)
    : redis_(make_redis(configuration, executor, clock, {.name = "netbuild-toolkit"})),
      sessions_(make_sessions(configuration, redis_.get(), clock)),
      session_routes_(*sessions_, cookie_secrets(configuration)),
      rate_limits_(configuration, executor, clock),
      jobs_(configuration, executor, clock, redis_.get()),
      queue_routes_(jobs_.queue()) {}

result<void> Toolkit::start() {
    if (redis_) TRY_VOID(redis_->start());
    TRY_VOID(rate_limits_.start());
    return jobs_.start();
}

awaitable<void> Toolkit::stop() {
    co_await jobs_.stop();
    co_await rate_limits_.stop();
    if (redis_) co_await redis_->stop();
}

void Toolkit::add_to(http::Routes& routes) {
    session_routes_.add_to(routes);
    rate_limits_.add_to(routes);
    queue_routes_.add_to(routes);
}

std::string Toolkit::metrics() const {
    return session_metrics(sessions_->counters()) + rate_limits_.metrics() + queue_metrics(jobs_);
}

} // namespace netbuild::app
