// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "ports/document_store.hpp"
#include "ports/read_model_clock.hpp"
#include "sync/progress.hpp"

namespace netbuild::app {

/// Freshness in a process that only reads: from the checkpoint in the store.
class StoredClock final : public ReadModelClock {
public:
    StoredClock(DocumentStore& store, Clock& clock, std::string engine)
        : store_(store), clock_(clock), engine_(std::move(engine)) {}
    [[nodiscard]] Position applied() const override { return applied_; }
    [[nodiscard]] std::uint64_t definitions_version() const override {
        return definitions_version_;
    }
    [[nodiscard]] std::int64_t lag_ms() const override {
        return checkpoint_us_ == 0
                   ? 0
                   : std::max<std::int64_t>(0, (clock_.utc_us() - checkpoint_us_) / 1000);
    }
    awaitable<result<void>> refresh() {
        CO_TRY(const auto checkpoint, co_await store_.checkpoint(engine_));
        if (checkpoint) {
            applied_ = checkpoint->model_complete() ? checkpoint->position : Position{};
            definitions_version_ = checkpoint->definitions_version;
            checkpoint_us_ = checkpoint->at_us;
        }
        co_return result<void>{};
    }
    /// Looks again and again while `needed`, until cancelled.
    awaitable<result<void>> follow(std::function<bool()> needed) {
        while (true) {
            if (needed()) (void)co_await refresh(); // a store that is away keeps the last Position
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
    std::uint64_t definitions_version_ = 0;
    std::int64_t checkpoint_us_ = 0;
};

/// Freshness in the process that captures; while another worker does, what that one wrote.
class CapturedHere final : public ReadModelClock {
public:
    CapturedHere(sync::Progress& progress, StoredClock& stored)
        : progress_(progress), stored_(stored) {}
    [[nodiscard]] Position applied() const override {
        return standing_by() ? stored_.applied() : progress_.readable();
    }
    [[nodiscard]] std::uint64_t definitions_version() const override {
        return standing_by() ? stored_.definitions_version() : progress_.definitions_version;
    }
    [[nodiscard]] std::int64_t lag_ms() const override {
        if (standing_by()) return stored_.lag_ms();
        if (progress_.applied >= progress_.captured) return 0;
        return std::max<std::int64_t>(
            0, (progress_.captured_commit_us - progress_.applied_commit_us) / 1000);
    }
    awaitable<result<void>> wait_applied(Position position, Clock::duration wait) override {
        return standing_by() ? stored_.wait_applied(position, wait)
                             : progress_.wait_applied(position, wait);
    }
    [[nodiscard]] bool standing_by() const { return progress_.state == sync::State::standby; }

private:
    sync::Progress& progress_;
    StoredClock& stored_;
};

} // namespace netbuild::app
