// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/event_bus.hpp"

namespace netbuild {

/// The event stream as a Redis Stream (ids are Positions) and Pub/Sub channels named by event type,
/// on Redis 6.2 and later. One connection that mends itself. Use from its executor only.
class RedisBus final : public EventBus {
public:
    struct Options {
        /// "redis://user:password@127.0.0.1:6379/0", rediss:// for TLS.
        std::string url;
        /// Certificate authority for rediss://; empty: the system's.
        std::string ca_file;
        std::string stream = "netbuild:events";
        /// Of one command, waiting for a connection included.
        Clock::duration timeout = std::chrono::seconds(5);
        /// How often a waiting reader looks; events of this process wake it at once.
        Clock::duration poll_interval = std::chrono::milliseconds(20);
    };
    RedisBus(asio::any_io_executor executor, Clock& clock, Options options);
    ~RedisBus() override;

    awaitable<result<void>> ping() override;
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override;
    awaitable<result<Position>> last() override;
    awaitable<result<Position>> first() override;
    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) override;
    awaitable<result<void>> trim_before(Position position) override;

    /// Redis' `maxmemory-policy`, and whether it can throw the stream away: doctor.
    awaitable<result<std::string>> eviction_policy();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
