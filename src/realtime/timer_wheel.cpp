// SPDX-License-Identifier: Apache-2.0
#include "timer_wheel.hpp"

#include <algorithm>

namespace netbuild::realtime {

void Timer::disarm() noexcept {
    if (!at_) return;
    *at_ = next_;
    if (next_) next_->at_ = at_;
    at_ = nullptr;
    next_ = nullptr;
}

struct TimerWheel::Call final : Timer {
    Call(TimerWheel& of, std::function<void()> what) : wheel(of), work(std::move(what)) {}
    void on_deadline() override {
        const std::unique_ptr<Call> self(this);
        --wheel.calls_;
        work();
    }
    TimerWheel& wheel;
    std::function<void()> work;
    Call* next = nullptr;
};

TimerWheel::TimerWheel(asio::any_io_executor executor, Clock& clock)
    : clock_(clock), timer_(std::move(executor)), done_(tick(clock.monotonic())) {}

TimerWheel::~TimerWheel() {
    *alive_ = false;
    for (auto& slot : slots_) {
        while (Timer* timer = slot) {
            timer->disarm();
            if (auto* call = dynamic_cast<Call*>(timer)) delete call;
        }
    }
}

void TimerWheel::arm(Timer& timer, Clock::duration deadline) {
    timer.disarm();
    timer.deadline_ = deadline;
    // What is due already goes where the next look is.
    Timer*& slot = slots_[std::max(tick(deadline), done_) % slots];
    timer.next_ = slot;
    if (slot) slot->at_ = &timer.next_;
    slot = &timer;
    timer.at_ = &slot;
    if (deadline + coalesce < wake_) wake_at(deadline);
}

bool TimerWheel::call_after(Clock::duration time, std::function<void()> work) {
    if (calls_ >= calls_max) return false;
    ++calls_;
    arm_after(*new Call(*this, std::move(work)), time);
    return true;
}

void TimerWheel::wake_at(Clock::duration at) {
    wake_ = at;
    timer_.expires_after(std::max(at - clock_.monotonic(), Clock::duration::zero()));
    timer_.async_wait([this, alive = alive_](const boost::system::error_code& ec) {
        if (ec || !*alive) return;
        on_wake();
    });
}

void TimerWheel::on_wake() {
    const auto now = clock_.monotonic();
    wake_ = Clock::duration::max();
    const std::uint64_t last = tick(now);
    if (last - done_ >= slots) done_ = last - slots + 1;
    for (std::uint64_t at = done_; at <= last; ++at) {
        done_ = at;
        run_slot(at % slots, now);
    }
    plan();
}

void TimerWheel::run_slot(std::size_t slot, Clock::duration now) {
    // What is due moves to a list of its own first: a callback may arm and disarm any timer.
    Timer* due = nullptr;
    for (Timer* timer = slots_[slot]; timer;) {
        Timer* next = timer->next_;
        if (timer->deadline_ <= now) {
            timer->disarm();
            timer->next_ = due;
            if (due) due->at_ = &timer->next_;
            due = timer;
            timer->at_ = &due;
        }
        timer = next;
    }
    while (Timer* timer = due) {
        timer->disarm();
        timer->on_deadline();
    }
}

void TimerWheel::plan() {
    const std::uint64_t first = done_;
    for (std::uint64_t at = first; at < first + slots; ++at) {
        auto earliest = Clock::duration::max();
        for (const Timer* timer = slots_[at % slots]; timer; timer = timer->next_)
            if (tick(timer->deadline_) <= at) earliest = std::min(earliest, timer->deadline_);
        if (earliest == Clock::duration::max()) continue;
        if (earliest < wake_) wake_at(earliest + coalesce);
        return;
    }
    // Nothing within a turn of the wheel; what is later has its look after one.
    if (wake_ == Clock::duration::max() &&
        std::any_of(slots_.begin(), slots_.end(), [](const Timer* slot) { return slot; }))
        wake_at(clock_.monotonic() + slot_time * static_cast<std::int64_t>(slots - 1));
}

} // namespace netbuild::realtime
