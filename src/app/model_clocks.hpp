// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/document_store.hpp"
#include "ports/read_model_clock.hpp"
#include "sync/progress.hpp"

namespace netbuild::app {

/// Freshness in the process that captures.
class CapturedHere final : public ReadModelClock {
public:
    explicit CapturedHere(sync::Progress& progress) : progress_(progress) {}
    [[nodiscard]] Position applied() const override { return progress_.applied; }
    [[nodiscard]] std::int64_t lag_ms() const override {
        if (progress_.applied >= progress_.captured) return 0;
        return std::max<std::int64_t>(
            0, (progress_.captured_commit_us - progress_.applied_commit_us) / 1000);
    }
    awaitable<result<void>> wait_applied(Position position, Clock::duration wait) override {
        return progress_.wait_applied(position, wait);
    }

private:
    sync::Progress& progress_;
};

/// Freshness in a process that only reads: from the checkpoint in the store.
class StoredClock final : public ReadModelClock {
public:
    StoredClock(DocumentStore& store, Clock& clock, std::string engine)
        : store_(store), clock_(clock), engine_(std::move(engine)) {}
    [[nodiscard]] Position applied() const override { return applied_; }
    [[nodiscard]] std::int64_t lag_ms() const override {
        return checkpoint_us_ == 0
                   ? 0
                   : std::max<std::int64_t>(0, (clock_.utc_us() - checkpoint_us_) / 1000);
    }
    awaitable<result<void>> refresh() {
        CO_TRY(const auto checkpoint, co_await store_.checkpoint(engine_));
        if (checkpoint) {
            applied_ = checkpoint->position;
            checkpoint_us_ = checkpoint->at_us;
        }
        co_return result<void>{};
    }
    /// Looks again and again, until cancelled.
    awaitable<result<void>> follow() {
        while (true) {
            (void)co_await refresh(); // a store that is away keeps the last Position
            CO_TRY_VOID(co_await clock_.sleep(std::chrono::milliseconds(250)));
        }
    }
    awaitable<result<void>> wait_applied(Position position, Clock::duration wait) override {
        const Deadline deadline(clock_, wait);
        while (true) {
            CO_TRY_VOID(co_await refresh());
            if (applied_ >= position) co_return result<void>{};
            if (deadline.passed(clock_)) {
                co_return fail(ErrorCode::not_yet_consistent, "wanted " + to_string(position) +
                                                                  ", the read model is at " +
                                                                  to_string(applied_));
            }
            CO_TRY_VOID(co_await clock_.sleep(
                std::min<Clock::duration>(std::chrono::milliseconds(20), deadline.left(clock_))));
        }
    }

private:
    DocumentStore& store_;
    Clock& clock_;
    std::string engine_;
    Position applied_;
    std::int64_t checkpoint_us_ = 0;
};

} // namespace netbuild::app
