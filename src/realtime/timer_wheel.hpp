// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include <boost/asio/steady_timer.hpp>

#include "runtime/clock.hpp"

namespace netbuild::realtime {

class TimerWheel;

/// One deadline, part of what waits for it.
class Timer {
public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    [[nodiscard]] bool armed() const noexcept { return at_ != nullptr; }
    [[nodiscard]] Clock::duration deadline() const noexcept { return deadline_; }
    void disarm() noexcept;

protected:
    ~Timer() { disarm(); }

private:
    friend class TimerWheel;
    virtual void on_deadline() = 0;

    Timer* next_ = nullptr;
    Timer** at_ = nullptr; // what points here
    Clock::duration deadline_{};
};

/// Deadlines of very many timers with one timer of the system: arming is a list insertion. A
/// deadline passes at most `coalesce` late, never early.
class TimerWheel {
public:
    TimerWheel(asio::any_io_executor executor, Clock& clock);
    ~TimerWheel();

    /// Anew if it is armed.
    void arm(Timer& timer, Clock::duration deadline);
    void arm_after(Timer& timer, Clock::duration time) { arm(timer, clock_.monotonic() + time); }
    /// Calls `work` once; false (and it is never called) if `calls_max` wait already.
    bool call_after(Clock::duration time, std::function<void()> work);

    static constexpr std::size_t calls_max = 1'000'000;

private:
    static constexpr Clock::duration slot_time = std::chrono::milliseconds(8);
    static constexpr Clock::duration coalesce = std::chrono::microseconds(500);
    static constexpr std::size_t slots = 4096;
    struct Call;

    [[nodiscard]] static std::uint64_t tick(Clock::duration at) {
        return static_cast<std::uint64_t>(at / slot_time);
    }
    void wake_at(Clock::duration at);
    void on_wake();
    void run_slot(std::size_t slot, Clock::duration now);
    void plan();

    Clock& clock_;
    asio::steady_timer timer_;
    std::array<Timer*, slots> slots_{};
    std::uint64_t done_; // the last tick whose slot was looked at
    Clock::duration wake_ = Clock::duration::max();
    std::size_t calls_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace netbuild::realtime
