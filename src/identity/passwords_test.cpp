// SPDX-License-Identifier: Apache-2.0
#include "identity/passwords.hpp"

#include <algorithm>
#include <ctime>
#include <limits>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

namespace netbuild::identity {
namespace {

/// The least processor time of several, which other work on the machine does not add to.
std::clock_t work_of(boost::asio::io_context& context, Passwords& passwords,
                     const std::string& hash) {
    auto least = std::numeric_limits<std::clock_t>::max();
    for (int i = 0; i < 7; ++i) {
        const auto start = std::clock();
        bool right = true;
        boost::asio::co_spawn(context, passwords.verify(hash, "a wrong password"),
                              [&](std::exception_ptr, result<Passwords::Verdict> verdict) {
                                  right = !verdict || verdict->right;
                              });
        context.restart();
        context.run();
        EXPECT_FALSE(right);
        least = std::min(least, std::clock() - start);
    }
    return least;
}

TEST(Passwords, a_user_who_does_not_exist_costs_what_a_wrong_password_does) {
    boost::asio::io_context context;
    Passwords passwords({.memory_kib = 19456, .passes = 2, .threads = 1});
    std::string hash;
    boost::asio::co_spawn(
        context, passwords.hash("the right password"),
        [&](std::exception_ptr, result<std::string> made) { hash = std::move(made).value(); });
    context.run();
    const auto known = static_cast<double>(work_of(context, passwords, hash));
    const auto unknown = static_cast<double>(work_of(context, passwords, ""));
    EXPECT_GT(unknown, known * 0.7);
    EXPECT_LT(unknown, known * 1.4);
}

} // namespace
} // namespace netbuild::identity
