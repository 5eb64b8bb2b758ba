// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <exception>
#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "runtime/clock.hpp"

namespace netbuild::test {

/// Runs one coroutine to its end on `context` and gives its outcome; an exception fails the test.
template <class T>
T run(asio::io_context& context, awaitable<T> task) {
    std::optional<T> outcome;
    std::exception_ptr escaped;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr exception, T value) {
        escaped = exception;
        outcome.emplace(std::move(value));
    });
    context.restart();
    while (!outcome && context.run_one() > 0) {
    }
    if (escaped) std::rethrow_exception(escaped);
    if (!outcome) throw std::runtime_error("the coroutine never ended");
    return std::move(*outcome);
}

/// The same for what must succeed; the value.
template <class T>
T must(asio::io_context& context, awaitable<result<T>> task) {
    auto outcome = run(context, std::move(task));
    if (!outcome) throw std::runtime_error(outcome.error().message());
    if constexpr (!std::is_void_v<T>) return std::move(*outcome);
}

} // namespace netbuild::test
