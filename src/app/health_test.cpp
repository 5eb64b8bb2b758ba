// SPDX-License-Identifier: Apache-2.0
#include "health.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include "runtime/task_group.hpp"

namespace netbuild::app {
namespace {

/// Moves when it is told to; nobody sleeps.
class HandClock final : public Clock {
public:
    [[nodiscard]] duration monotonic() const override { return now; }
    [[nodiscard]] std::int64_t utc_us() const override { return 0; }
    awaitable<result<void>> sleep(duration) override {
        co_return fail(ErrorCode::cancelled, "the test ends here");
    }
    duration now{};
};

struct Server {
    result<void> answer;
    bool hangs = false;
    awaitable<result<void>> ping() {
        if (hangs) {
            asio::steady_timer never(co_await asio::this_coro::executor,
                                     asio::steady_timer::time_point::max());
            co_await never.async_wait(asio::use_awaitable);
        }
        co_return answer;
    }
};

std::string ask(Server& server, Clock::duration then) {
    asio::io_context context;
    HandClock clock;
    Health health(clock, "MongoDB", [&server] { return server.ping(); });
    EXPECT_TRUE(health.trouble()) << "before it has answered once it is not ready";
    TaskGroup tasks(context.get_executor(), [](const std::string&, const Error&) {});
    tasks.spawn("health", health.watch());
    context.poll();
    clock.now += then;
    const std::string trouble = health.trouble().value_or("");
    tasks.cancel();
    context.restart();
    context.run();
    return trouble;
}

TEST(Health, one_that_answers_is_well_and_one_that_fails_says_why) {
    Server server;
    EXPECT_EQ(ask(server, {}), "");
    server.answer = fail(ErrorCode::unavailable, "MongoDB: gone");
    EXPECT_NE(ask(server, {}).find("MongoDB: gone"), std::string::npos);
}

TEST(Health, one_that_never_answers_is_named_after_a_while) {
    Server server;
    server.hangs = true;
    EXPECT_EQ(ask(server, std::chrono::seconds(7)), "MongoDB: no answer for 7 s");
}

} // namespace
} // namespace netbuild::app
