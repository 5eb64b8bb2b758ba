// SPDX-License-Identifier: Apache-2.0
#include "runtime/task_group.hpp"

#include <cassert>
#include <exception>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace netbuild {
namespace asio = boost::asio;

struct TaskGroup::State {
    asio::any_io_executor executor;
    OnFailure on_failure;
    // A list: a signal may not move while its slot is connected.
    std::list<asio::cancellation_signal> running;
    // Never expires by itself; cancelled when the last task ends, which wakes join().
    asio::steady_timer all_ended;
    bool cancelled = false;
    bool abandoned = false;

    State(asio::any_io_executor ex, OnFailure failure)
        : executor(ex),
          on_failure(std::move(failure)),
          all_ended(ex, asio::steady_timer::time_point::max()) {}
};

namespace {

Error to_error(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& escaped) {
        return Error(ErrorCode::internal, escaped.what());
    } catch (...) {
        return Error(ErrorCode::internal, "an exception of unknown type");
    }
}

// Operations report cancellation as a result; without this an await would throw it instead.
TaskGroup::Task without_throwing(TaskGroup::Task task) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return co_await std::move(task);
}

} // namespace

TaskGroup::TaskGroup(asio::any_io_executor executor, OnFailure on_failure)
    : state_(std::make_shared<State>(std::move(executor), std::move(on_failure))) {}

TaskGroup::~TaskGroup() {
    assert((state_->running.empty() || state_->abandoned) && "co_await stop() first");
}

std::size_t TaskGroup::size() const noexcept { return state_->running.size(); }

void TaskGroup::spawn(std::string name, Task task) {
    const auto signal = state_->running.emplace(state_->running.end());
    auto on_end = [state = state_, signal, name = std::move(name)](std::exception_ptr exception,
                                                                   result<void> outcome) {
        state->running.erase(signal);
        if (state->abandoned) return;
        if (exception) {
            state->on_failure(name, to_error(exception));
        } else if (!outcome && outcome.error().code() != ErrorCode::cancelled) {
            state->on_failure(name, outcome.error());
        }
        if (state->running.empty()) state->all_ended.cancel();
    };
    asio::co_spawn(state_->executor, without_throwing(std::move(task)),
                   asio::bind_cancellation_slot(signal->slot(), std::move(on_end)));
    if (state_->cancelled) signal->emit(asio::cancellation_type::terminal);
}

void TaskGroup::cancel() {
    state_->cancelled = true;
    // A cancelled task may end, and leave the list, inside emit().
    for (auto task = state_->running.begin(); task != state_->running.end();) {
        (task++)->emit(asio::cancellation_type::terminal);
    }
}

void TaskGroup::abandon() {
    state_->abandoned = true;
    cancel();
}

asio::awaitable<void> TaskGroup::join() {
    const auto state = state_;
    while (!state->running.empty()) {
        co_await state->all_ended.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

} // namespace netbuild
