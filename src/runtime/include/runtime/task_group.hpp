// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"

namespace netbuild {

/// Owns coroutines: every one that is started is joined, and its failure is reported here, an
/// escaped exception included. Use from one executor (one thread or strand).
class TaskGroup {
public:
    using Task = boost::asio::awaitable<result<void>>;
    /// Called once for each task that ends with a failure that is not `cancelled`.
    using OnFailure = std::function<void(const std::string& name, const Error& error)>;

    TaskGroup(boost::asio::any_io_executor executor, OnFailure on_failure);
    /// All tasks must have ended, or be abandoned: `co_await stop()` first.
    ~TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    void spawn(std::string name, Task task);
    /// Asks every task to end: its awaits fail with `cancelled`.
    void cancel();
    /// Waits until every task has ended.
    boost::asio::awaitable<void> join();
    boost::asio::awaitable<void> stop() {
        cancel();
        co_await join();
    }
    /// For an owner that cannot wait: asks every task to end, and nobody joins them. They must not
    /// use what ends with the owner once an await of theirs has failed with `cancelled`.
    void abandon();
    [[nodiscard]] std::size_t size() const noexcept;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace netbuild
