// SPDX-License-Identifier: Apache-2.0
#include "sync/record_capture.hpp"

#include "ports/stored_events.hpp"
#include "runtime/backoff.hpp"
#include "telemetry/log.hpp"

namespace netbuild::sync {
namespace {

constexpr std::chrono::milliseconds turn_interval{500};
/// An end of the turn, or of the process, is noticed within it.
constexpr std::chrono::milliseconds wait_max{500};
/// A server that lost its data says nothing by itself, and an idle writer does not ask.
constexpr std::chrono::seconds look_interval{2};

Error has_lost(Position last) {
    return fail(ErrorCode::unavailable,
                "the event stream ends at " + to_string(last) + ": it has to be filled");
}

} // namespace

awaitable<result<void>> RecordCapture::run() {
    Backoff backoff({}, ports_.random);
    while (true) {
        if (!ports_.active()) {
            open_ = false;
            CO_TRY_VOID(co_await ports_.clock.sleep(turn_interval));
            continue;
        }
        const auto done = co_await step(wait_max);
        if (done) {
            if (!std::exchange(progress_.trouble, {}).empty()) log::info("own data: events go on");
            backoff.reset();
            // A cancellation during a call that blocks a thread is noticed by a sleep only.
            CO_TRY_VOID(co_await ports_.clock.sleep(Clock::duration::zero()));
            continue;
        }
        if (done.error().error_class() == ErrorClass::cancelled) co_return done.error();
        ++progress_.retries;
        if (progress_.trouble.empty())
            log::warning("own data: events wait: {}", done.error().message());
        progress_.trouble = done.error().message();
        CO_TRY_VOID(co_await ports_.clock.sleep(backoff.next()));
    }
}

awaitable<result<std::size_t>> RecordCapture::step(Clock::duration wait) {
    if (!open_) {
        CO_TRY(const Position published, co_await ports_.bus.last());
        CO_TRY_VOID(co_await ports_.changes.open(published));
        progress_.published = published;
    }
    open_ = false; // unless all goes well
    CO_TRY(const RecordChangeBatch batch, co_await ports_.changes.next(wait));
    CO_TRY_VOID(co_await publish(batch));
    if (batch.changes.empty() && ports_.clock.monotonic() >= looked_at_ + look_interval) {
        CO_TRY(const Position last, co_await ports_.bus.last());
        if (last < progress_.published) co_return has_lost(last);
        looked_at_ = ports_.clock.monotonic();
    }
    CO_TRY_VOID(co_await ports_.changes.confirm());
    open_ = true;
    co_return batch.changes.size();
}

awaitable<result<void>> RecordCapture::publish(const RecordChangeBatch& batch) {
    std::vector<StreamEventPtr> events;
    if (batch.gap()) {
        events.push_back(gap_event(batch.gap_from, batch.gap_upto, batch.gap_reason));
        log::warning("own data: changes between {} and {} are lost ({})", to_string(batch.gap_from),
                     to_string(batch.gap_upto), batch.gap_reason);
    }
    for (const RecordChange& change : batch.changes)
        events.push_back(change.event());
    if (events.empty()) co_return result<void>{};
    const Position newest = events.back()->position;
    // What it has passed it refuses: another worker may have been there.
    CO_TRY(const Position last,
           co_await ports_.bus.append(std::move(events), {progress_.published, announced_}));
    if (last < newest) co_return has_lost(last);
    progress_.published = last;
    announced_ = std::max(announced_, last);
    progress_.events += batch.changes.size();
    progress_.gaps += batch.gap() ? 1 : 0;
    if (!batch.changes.empty())
        progress_.lag_ms =
            std::max<std::int64_t>(0, ports_.clock.utc_us() / 1000 - batch.changes.back().at_ms);
    co_return result<void>{};
}

} // namespace netbuild::sync
