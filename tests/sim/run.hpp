// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <stdexcept>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "runtime/clock.hpp"

namespace netbuild::sim {

/// Runs what waits for nobody (fakes without latency, the checkers' reads) to its end.
template <class T>
T must(asio::io_context& context, awaitable<result<T>> task) {
    std::optional<result<T>> outcome;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr escaped, result<T> value) {
        if (escaped) std::rethrow_exception(escaped);
        outcome.emplace(std::move(value));
    });
    context.restart();
    while (!outcome && context.poll_one() > 0) {
    }
    if (!outcome) throw std::runtime_error("it waits for somebody");
    if (!*outcome) throw std::runtime_error(outcome->error().message());
    if constexpr (!std::is_void_v<T>) return std::move(**outcome);
}

} // namespace netbuild::sim
