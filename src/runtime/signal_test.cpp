// SPDX-License-Identifier: Apache-2.0
#include "runtime/signal.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include "runtime/task_group.hpp"

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

awaitable<result<void>> wait_after_what_cannot_be_cancelled(Signal& signal) {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    co_return co_await signal.wait();
}

TEST(Signal, a_cancellation_during_an_operation_that_cannot_be_is_noticed_by_the_next_wait) {
    asio::io_context context;
    Signal signal(context.get_executor());
    TaskGroup tasks(context.get_executor(), [](const std::string&, const Error&) {});
    tasks.spawn("waiter", wait_after_what_cannot_be_cancelled(signal));
    while (tasks.size() > 0 && context.poll_one() > 0)
        tasks.cancel(); // before the wait begins, too
    EXPECT_EQ(tasks.size(), 0u) << "it waits for ever";
    signal.notify_all(); // ends one that does
    context.restart();
    context.run();
}

awaitable<result<void>> wait_a_while_after_what_cannot_be_cancelled(Signal& signal, Clock& clock) {
    while (true) {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        CO_TRY_VOID(co_await signal.wait_for(clock, std::chrono::milliseconds(1)));
    }
}

TEST(Signal, a_cancellation_during_an_operation_that_cannot_be_is_noticed_by_a_wait_with_a_limit) {
    asio::io_context context;
    SystemClock clock;
    Signal signal(context.get_executor());
    TaskGroup tasks(context.get_executor(), [](const std::string&, const Error&) {});
    tasks.spawn("waiter", wait_a_while_after_what_cannot_be_cancelled(signal, clock));
    tasks.cancel(); // while the post is on its way
    constexpr int turns_max = 100;
    for (int turn = 0; turn < turns_max && tasks.size() > 0; ++turn)
        context.run_one();
    EXPECT_EQ(tasks.size(), 0u) << "it goes on for ever";
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
