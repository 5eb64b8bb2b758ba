// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <vector>

#include "postgres/connection.hpp"
#include "runtime/signal.hpp"

namespace netbuild::postgres {

/// Connections for queries, opened when needed, at most `connections_max`. One executor.
class Pool {
public:
    struct Options {
        ConnectionOptions connection;
        std::size_t connections_max = 20;
        Clock::duration idle_timeout = std::chrono::seconds(30);
        /// How long acquire() waits for one.
        Clock::duration wait = std::chrono::seconds(2);
    };
    Pool(asio::any_io_executor executor, Clock& clock, Options options)
        : executor_(executor), clock_(clock), options_(std::move(options)), released_(executor) {}

    /// Goes back to the pool with the lease, unless it is broken.
    class Lease {
    public:
        Lease(Pool& pool, std::unique_ptr<Connection> connection)
            : pool_(&pool), connection_(std::move(connection)) {}
        Lease(Lease&& other) noexcept = default;
        Lease& operator=(Lease&& other) noexcept {
            std::swap(pool_, other.pool_);
            std::swap(connection_, other.connection_);
            return *this;
        }
        ~Lease() {
            if (connection_) pool_->release(std::move(connection_));
        }
        Connection* operator->() const noexcept { return connection_.get(); }

    private:
        Pool* pool_;
        std::unique_ptr<Connection> connection_;
    };
    /// overloaded: none came free in time; and what connecting fails with.
    awaitable<result<Lease>> acquire();

private:
    struct Idle {
        std::unique_ptr<Connection> connection;
        Clock::duration since;
    };
    void release(std::unique_ptr<Connection> connection);

    asio::any_io_executor executor_;
    Clock& clock_;
    Options options_;
    Signal released_;
    std::vector<Idle> idle_; // the one used last is at the end
    std::size_t leased_ = 0;
};

} // namespace netbuild::postgres
