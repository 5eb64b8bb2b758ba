// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/result.hpp"

namespace netbuild {

/// Threads for C libraries that block. The queue is bounded: past `queued_max` calls fail with
/// `overloaded`. Destruction waits for the running calls, so it is never theirs: a function that
/// runs here does not own the pool.
class BlockingPool {
public:
    struct Options {
        std::string name;
        std::size_t threads = 1;
        std::size_t queued_max = 1024;
    };
    explicit BlockingPool(Options options)
        : options_(std::move(options)), pool_(options_.threads) {}
    ~BlockingPool() { pool_.join(); }

    /// Runs `function` (returning some result<T>) on a thread of the pool and resumes the caller on
    /// its own executor. Not interrupted by cancellation: the C call has time-outs of its own.
    template <class Function>
    boost::asio::awaitable<std::invoke_result_t<Function&>> run(Function function) {
        using Outcome = std::invoke_result_t<Function&>;
        if (queued_.fetch_add(1) >= options_.queued_max) {
            queued_.fetch_sub(1);
            co_return Outcome(fail(ErrorCode::overloaded, "blocking pool " + options_.name));
        }
        co_return co_await initiate<Outcome>(std::move(function));
    }

    [[nodiscard]] std::size_t queued() const noexcept { return queued_.load(); }
    [[nodiscard]] std::size_t threads() const noexcept { return options_.threads; }

private:
    template <class Outcome, class Function>
    auto initiate(Function function) {
        return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Outcome)>(
            [this](auto handler, Function work) {
                auto executor = boost::asio::get_associated_executor(handler);
                boost::asio::post(
                    pool_, [this, handler = std::move(handler), work = std::move(work),
                            guard = boost::asio::make_work_guard(executor)]() mutable {
                        // What the function holds ends here, before the caller goes on: it may be
                        // what the caller ends next, this pool among it.
                        Outcome outcome = [&] { return Function(std::move(work))(); }();
                        queued_.fetch_sub(1);
                        // The guard goes along: the caller's context may end as soon as the
                        // completion has run, and must not be touched from here after that.
                        const auto target = guard.get_executor();
                        boost::asio::post(target, [handler = std::move(handler),
                                                   outcome = std::move(outcome),
                                                   guard = std::move(guard)]() mutable {
                            std::move(handler)(std::move(outcome));
                        });
                    });
            },
            boost::asio::use_awaitable, std::move(function));
    }

    Options options_;
    std::atomic<std::size_t> queued_{0};
    boost::asio::thread_pool pool_;
};

} // namespace netbuild
