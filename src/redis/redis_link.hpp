// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "redis_address.hpp"
#include "runtime/clock.hpp"
#include "wire/resp.hpp"

namespace netbuild {

/// One connection that mends itself. Commands are pipelined; what is queued between two turns of
/// the executor leaves in one write. One executor, no locks. It lives while `run` does.
class RedisLink : public std::enable_shared_from_this<RedisLink> {
public:
    struct Limits {
        std::size_t queued_bytes_max = std::size_t{64} << 20;
        std::size_t unanswered_max = 1u << 20;
        Clock::duration connect_timeout = std::chrono::seconds(2);
        Clock::duration reconnect_wait_first = std::chrono::milliseconds(50);
        Clock::duration reconnect_wait_max = std::chrono::seconds(1);
    };
    /// Views and references live during the call.
    struct Events {
        std::function<void()> on_ready;
        std::function<void()> on_lost;
        /// What comes without having been asked for: a subscriber's messages and confirmations.
        /// A link that has it is a subscriber, whose commands have no other replies.
        std::function<void(resp::Reply& reply)> on_push;
    };
    /// Called once: with the reply, errors of the server included, or with `outcome_unknown` if
    /// the connection was lost first.
    using OnReply = std::function<void(result<resp::Reply> reply)>;

    RedisLink(asio::any_io_executor executor, Clock& clock, RedisAddress address, Limits limits,
              Events events);
    ~RedisLink();

    /// Connects, reads, connects again, until `close`.
    awaitable<result<void>> run();
    void close();

    /// Queues a command of `replies` replies, of which `on_reply` gets the first error or the last.
    /// False: there is no connection, or too much is queued; nothing was sent.
    bool send(std::string_view command, OnReply on_reply, std::size_t replies = 1);
    [[nodiscard]] bool ready() const;
    /// Ends a connection from which nothing has come for so long.
    void check(Clock::duration silence_max);
    [[nodiscard]] const RedisAddress& address() const;
    /// Why there is no connection.
    [[nodiscard]] std::string trouble() const;

private:
    void flush();
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace netbuild
