// SPDX-License-Identifier: Apache-2.0
#include "sync/progress.hpp"

#include "telemetry/log.hpp"

namespace netbuild::sync {

std::string_view to_string(State state) noexcept {
    constexpr std::string_view names[] = {"starting", "loading",  "streaming",
                                          "standby",  "retrying", "stopped"};
    return names[static_cast<std::size_t>(state)];
}

void Progress::slot_lost(std::string_view why) {
    if (!slot_trouble.empty()) return;
    slot_trouble = "the slot is lost: " + std::string(why);
    ++slots_lost;
    slot_lost_at_us = clock_.utc_us();
    log::error("{}; a gap in the events begins after {}, the read model will be loaded anew",
               slot_trouble, netbuild::to_string(confirmed));
    notify();
}

void Progress::slot_found() {
    if (slot_trouble.empty()) return;
    slot_trouble.clear();
    notify();
}

awaitable<result<void>> Progress::wait_change(Clock::duration wait) {
    return changed_.wait_for(clock_, wait);
}

awaitable<result<void>> Progress::wait_applied(Position position, Clock::duration wait) {
    const Deadline deadline(clock_, wait);
    while (readable() < position) {
        if (deadline.passed(clock_)) {
            co_return fail(ErrorCode::not_yet_consistent,
                           model_complete
                               ? "wanted " + netbuild::to_string(position) +
                                     ", the read model is at " + netbuild::to_string(applied)
                               : "the read model is being loaded");
        }
        CO_TRY_VOID(co_await wait_change(deadline.left(clock_)));
    }
    co_return result<void>{};
}

} // namespace netbuild::sync
