// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/result.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// Calls of many callers that leave together: those of one turn of the executor at once, those that
/// come while `in_flight_max` are on their way with the next one. So a call that is alone does not
/// wait, and many are as large as the server is slow. When the server is away those that wait fail
/// with the first that does: they were not sent. `bytes_of(item)` bounds what leaves together. One
/// executor, no locks.
template <class Item, class Answer, auto bytes_of>
class GatheredCalls {
public:
    using Answers = result<std::vector<Answer>>;
    /// An answer for each item, in order; called once.
    using Send = std::function<void(std::vector<Item> items,
                                    asio::any_completion_handler<void(Answers)> on_answers)>;

    GatheredCalls(asio::any_io_executor executor, Send send)
        : state_(std::make_shared<State>(std::move(executor), std::move(send))) {}

    awaitable<Answers> call(std::vector<Item> items) {
        return asio::async_initiate<decltype(asio::use_awaitable), void(Answers)>(
            [state = state_](auto handler, std::vector<Item> given) {
                std::size_t bytes = 0;
                for (const Item& item : given)
                    bytes += bytes_of(item);
                state->waiting.push_back({std::move(given), bytes, std::move(handler)});
                schedule(state);
            },
            asio::use_awaitable, std::move(items));
    }

private:
    static constexpr std::size_t in_flight_max = 2, items_max = 256;
    static constexpr std::size_t bytes_max = std::size_t{1} << 20;

    using OnAnswers = asio::any_completion_handler<void(Answers)>;
    struct Caller {
        std::vector<Item> items;
        std::size_t bytes;
        OnAnswers on_answers;
    };
    struct Share {
        std::size_t items;
        OnAnswers on_answers;
    };
    struct State {
        State(asio::any_io_executor its_executor, Send its_send)
            : executor(std::move(its_executor)), send(std::move(its_send)) {}
        asio::any_io_executor executor;
        Send send;
        std::deque<Caller> waiting;
        std::size_t in_flight = 0;
        bool scheduled = false;
    };
    using StatePtr = std::shared_ptr<State>;

    static void schedule(const StatePtr& state) {
        if (state->waiting.empty() || state->scheduled || state->in_flight >= in_flight_max) return;
        state->scheduled = true;
        asio::post(state->executor, [state] {
            state->scheduled = false;
            while (!state->waiting.empty() && state->in_flight < in_flight_max)
                flush(state);
        });
    }

    static void flush(const StatePtr& state) {
        std::vector<Item> items;
        std::vector<Share> shares;
        std::size_t bytes = 0;
        do {
            Caller caller = std::move(state->waiting.front());
            state->waiting.pop_front();
            bytes += caller.bytes;
            shares.push_back({caller.items.size(), std::move(caller.on_answers)});
            if (items.empty()) {
                items = std::move(caller.items);
            } else {
                std::move(caller.items.begin(), caller.items.end(), std::back_inserter(items));
            }
        } while (!state->waiting.empty() &&
                 items.size() + state->waiting.front().items.size() <= items_max &&
                 bytes + state->waiting.front().bytes <= bytes_max);
        ++state->in_flight;
        state->send(std::move(items), [state, shares = std::move(shares)](Answers answers) mutable {
            --state->in_flight;
            if (!answers) refuse_waiting(*state, answers.error());
            schedule(state);
            share_out(std::move(shares), std::move(answers));
        });
    }

    static void refuse_waiting(State& state, const Error& error) {
        if (error.code() != ErrorCode::unavailable && error.code() != ErrorCode::outcome_unknown)
            return;
        const Error away(ErrorCode::unavailable, error.detail());
        for (Caller& caller : std::exchange(state.waiting, {}))
            std::move(caller.on_answers)(Answers(away));
    }

    static void share_out(std::vector<Share> shares, Answers answers) {
        std::size_t at = 0;
        for (Share& share : shares) {
            if (!answers) {
                std::move(share.on_answers)(answers);
                continue;
            }
            const auto from = answers->begin() + static_cast<std::ptrdiff_t>(at);
            at += share.items;
            std::move(share.on_answers)(std::vector<Answer>(
                std::make_move_iterator(from),
                std::make_move_iterator(from + static_cast<std::ptrdiff_t>(share.items))));
        }
    }

    StatePtr state_;
};

} // namespace netbuild
