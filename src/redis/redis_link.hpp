// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>

#include "redis_address.hpp"
#include "runtime/clock.hpp"
#include "wire/resp.hpp"

namespace netbuild {

/// One connection that mends itself. Commands are pipelined; what is queued between two turns of
/// the executor leaves in one write. One executor, no locks. It lives while `run` does.
class RedisLink : public std::enable_shared_from_this<RedisLink> {
public:
    struct Options {
        /// Shows in CLIENT LIST.
        std::string name = "netbuild";
        bool resp3 = false;
        /// Sent on each new connection, before it is ready; an error ends the connection.
        std::vector<std::string> setup = {};
        std::size_t queued_bytes_max = std::size_t{64} << 20;
        std::size_t unanswered_max = 1u << 20;
        /// Of the greeting after it too, which expire() and check() look at.
        Clock::duration connect_timeout = std::chrono::seconds(2);
        Clock::duration reconnect_wait_first = std::chrono::milliseconds(50);
        Clock::duration reconnect_wait_max = std::chrono::seconds(1);
    };
    /// Views and references live during the call.
    struct Events {
        std::function<void()> on_ready;
        std::function<void()> on_lost;
        /// What comes without having been asked for. A RESP2 link that has it is a subscriber: its
        /// messages and confirmations come here, and its commands have no other replies.
        std::function<void(resp::Reply& reply)> on_push;
    };
    /// Called once: with the reply, errors of the server included; with `unavailable` if the
    /// connection was lost before the command was written, with `outcome_unknown` if it was lost
    /// after that or the deadline has passed.
    using OnReply = asio::any_completion_handler<void(result<resp::Reply>)>;
    static constexpr Clock::duration no_deadline = Clock::duration::max();

    RedisLink(asio::any_io_executor executor, Clock& clock, RedisAddress address, Options options,
              Events events);
    ~RedisLink();

    /// invalid_configuration: the CA file. run() does it too.
    result<void> prepare();
    /// Connects, reads, connects again, until `close`.
    awaitable<result<void>> run();
    void close();
    /// The same, and nobody is told of anything any more: for an owner that ends.
    void abandon();

    /// Queues a command of `replies` replies, of which `on_reply` gets the first error or the last.
    /// False: there is no connection, or too much is queued; nothing was sent, and `on_reply` is
    /// as it was. `deadline` is of the clock's monotonic time, and is kept by expire().
    bool send(std::string_view command, OnReply&& on_reply, std::size_t replies = 1,
              Clock::duration deadline = no_deadline);
    /// Gives up what is past its deadline, and the connection too if it has been silent since the
    /// command, or the greeting, was sent.
    void expire();
    [[nodiscard]] bool ready() const;
    /// Ends a connection from which nothing has come for so long.
    void check(Clock::duration silence_max);
    /// Ends the connection; the next one goes to where the name points then.
    void reconnect(std::string why);
    /// The same when all that was sent has been answered; nothing more is sent.
    void leave(std::string why);
    [[nodiscard]] const RedisAddress& address() const;
    /// Why there is no connection.
    [[nodiscard]] std::string trouble() const;

private:
    void flush();
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace netbuild
