// SPDX-License-Identifier: Apache-2.0
#include "runtime/signal.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace netbuild {
namespace {

TEST(Signal, a_notification_between_the_decision_to_wait_and_its_begin_is_not_lost) {
    asio::io_context context;
    SystemClock clock;
    Signal signal(context.get_executor());
    const auto started = clock.monotonic();
    bool woken = false;
    asio::co_spawn(context, signal.wait_for(clock, std::chrono::seconds(30)),
                   [&](const std::exception_ptr&, const result<void>& outcome) {
                       woken = outcome.has_value();
                   });
    // Runs after wait_for() has begun and before what it starts has.
    asio::post(context, [&] { signal.notify_all(); });
    context.run();
    EXPECT_TRUE(woken);
    EXPECT_LT(clock.monotonic() - started, std::chrono::seconds(10));
}

TEST(Signal, a_wait_without_notification_ends_in_time) {
    asio::io_context context;
    SystemClock clock;
    Signal signal(context.get_executor());
    bool ended = false;
    asio::co_spawn(context, signal.wait_for(clock, std::chrono::milliseconds(1)),
                   [&](const std::exception_ptr&, const result<void>& outcome) {
                       ended = outcome.has_value();
                   });
    context.run();
    EXPECT_TRUE(ended);
}

} // namespace
} // namespace netbuild
