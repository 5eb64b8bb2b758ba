// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string_view>

#include "runtime/random.hpp"
#include "simulated_clock.hpp"
#include "telemetry/log.hpp"
#include "trace.hpp"

namespace netbuild::sim {

/// When in an operation a process dies. `late`: it dies, and its request reaches the server only
/// after another process has taken over.
enum class Moment : unsigned char { before, half, after, late };

/// What one operation of a process meets.
enum class Fate : unsigned char { good, dies, refused, answer_lost };

/// One process: it counts its awaits of the outside world, and at the fatal one everything ends.
class Life {
public:
    struct Options {
        /// The await at which it dies; nullopt: at none.
        std::optional<std::uint64_t> fatal;
        Moment moment = Moment::before;
        /// That an operation fails although nobody dies: not begun, or done and not answered.
        double trouble = 0;
        Clock::duration latency_max = std::chrono::milliseconds(4);
    };
    Life(SimulatedClock& clock, Trace& trace, Random random, Options options)
        : clock_(clock), trace_(trace), random_(random), options_(options) {}

    /// What the next operation meets, after the time that its request takes.
    awaitable<Fate> begin(std::string_view operation) {
        if (dead_) co_return Fate::dies;
        const bool fatal = options_.fatal && awaits_ == *options_.fatal;
        ++awaits_;
        Fate fate = fatal ? Fate::dies : Fate::good;
        if (!fatal && random_.unit() < options_.trouble)
            fate = random_.below(2) == 0 ? Fate::refused : Fate::answer_lost;
        trace_.add(operation);
        trace_.add(static_cast<std::uint64_t>(fate));
        trace_.add(static_cast<std::uint64_t>(clock_.monotonic().count()));
        log::debug("{} {} fate {} at {} ms", awaits_, operation, static_cast<int>(fate),
                   clock_.monotonic() / std::chrono::milliseconds(1));
        if (fatal) {
            last_operation = operation;
            in_flight = has_transaction_in_flight && has_transaction_in_flight();
        }
        if (const auto time = latency(); time > Clock::duration::zero()) {
            if (!co_await clock_.sleep(time) || dead_) co_return Fate::dies;
        }
        co_return fate;
    }
    void die() {
        if (dead_) return;
        dead_ = true;
        if (on_death) on_death();
    }

    [[nodiscard]] bool dead() const { return dead_; }
    [[nodiscard]] Moment moment() const { return options_.moment; }
    [[nodiscard]] std::uint64_t awaits() const { return awaits_; }
    [[nodiscard]] SimulatedClock& clock() { return clock_; }
    void set_trouble(double probability) { options_.trouble = probability; }
    void set_latency_max(Clock::duration latency) { options_.latency_max = latency; }

    std::function<void()> on_death;
    std::function<bool()> has_transaction_in_flight;
    /// Of the fatal await: what it waited for, and whether a transaction was on its way then.
    std::string_view last_operation;
    bool in_flight = false;

private:
    /// Two of three take no time: what is ready goes on in one turn.
    Clock::duration latency() {
        if (random_.below(3) != 0) return {};
        return Clock::duration(
            random_.below(static_cast<std::uint64_t>(options_.latency_max.count()) + 1));
    }

    SimulatedClock& clock_;
    Trace& trace_;
    Random random_;
    Options options_;
    std::uint64_t awaits_ = 0;
    bool dead_ = false;
};

[[nodiscard]] inline Error killed() { return fail(ErrorCode::cancelled, "killed"); }
[[nodiscard]] inline Error refused() { return fail(ErrorCode::unavailable, "simulated"); }
[[nodiscard]] inline Error answer_lost() { return fail(ErrorCode::outcome_unknown, "simulated"); }

} // namespace netbuild::sim
