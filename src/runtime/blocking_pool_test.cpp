// SPDX-License-Identifier: Apache-2.0
#include "runtime/blocking_pool.hpp"

#include <memory>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

namespace netbuild {
namespace {

boost::asio::awaitable<void> call_many_times(BlockingPool& pool, int& early) {
    for (int i = 0; i < 2000; ++i) {
        auto held = std::make_shared<int>(i);
        const std::weak_ptr<int> seen = held;
        (void)co_await pool.run([held = std::move(held)]() -> result<int> { return *held; });
        if (!seen.expired()) ++early;
    }
}

TEST(BlockingPool, what_a_function_holds_is_gone_before_its_caller_goes_on) {
    boost::asio::io_context context;
    BlockingPool pool({.name = "test"});
    int early = 0;
    boost::asio::co_spawn(context, call_many_times(pool, early), [](std::exception_ptr escaped) {
        if (escaped) std::rethrow_exception(escaped);
    });
    context.run();
    EXPECT_EQ(early, 0);
}

} // namespace
} // namespace netbuild
