// SPDX-License-Identifier: Apache-2.0
#include "postgres/pool.hpp"

namespace netbuild::postgres {

awaitable<result<Pool::Lease>> Pool::acquire() {
    const Deadline deadline(clock_, options_.wait);
    while (leased_ >= options_.connections_max) {
        if (deadline.passed(clock_)) {
            co_return fail(ErrorCode::overloaded,
                           "all connections to PostgreSQL are in use (postgres.pool_max)");
        }
        CO_TRY_VOID(co_await released_.wait_for(clock_, deadline.left(clock_)));
    }
    const auto oldest = clock_.monotonic() - options_.idle_timeout;
    std::erase_if(
        idle_, [&](const Idle& idle) { return idle.since < oldest || idle.connection->broken(); });
    ++leased_;
    if (!idle_.empty()) {
        auto connection = std::move(idle_.back().connection);
        idle_.pop_back();
        co_return Lease(*this, std::move(connection));
    }
    auto made = co_await Connection::connect(executor_, clock_, options_.connection);
    if (!made) {
        --leased_;
        released_.notify_all();
        co_return std::move(made).error();
    }
    co_return Lease(*this, std::move(*made));
}

void Pool::release(std::unique_ptr<Connection> connection) {
    --leased_;
    if (!connection->broken()) idle_.push_back({std::move(connection), clock_.monotonic()});
    released_.notify_all();
}

} // namespace netbuild::postgres
