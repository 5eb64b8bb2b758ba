// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "bench.hpp"
#include "runtime/clock.hpp"

namespace netbuild::bench {

/// One coroutine to its end; a failure ends the program.
template <class T>
T run(asio::io_context& context, awaitable<result<T>> task) {
    std::optional<result<T>> outcome;
    asio::co_spawn(context, std::move(task),
                   [&](const std::exception_ptr& escaped, result<T> ended) {
                       if (escaped) std::rethrow_exception(escaped);
                       outcome.emplace(std::move(ended));
                   });
    context.restart();
    while (!outcome)
        context.run_one();
    if (!*outcome) die(outcome->error().message());
    if constexpr (!std::is_void_v<T>) return std::move(**outcome);
}

} // namespace netbuild::bench
