// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <functional>
#include <optional>

#include "ports/event_bus.hpp"
#include "runtime/signal.hpp"

namespace netbuild::sim {

/// A Redis: one stream and its channels, and what can happen to them. It outlives the processes.
class FakeRedis final : public EventBus {
public:
    FakeRedis(const asio::any_io_executor& executor, Clock& clock)
        : clock_(clock), appended_(executor) {}

    // What goes wrong.
    /// Restarted without its append-only file.
    void lose_all();
    /// Restarted with a file that was last synced `count` entries ago (appendfsync everysec).
    void lose_newest(std::size_t count);
    /// Full after `count` more entries; the next append after that one finds room again.
    void run_out_of_memory_after(std::size_t count) { room_ = count; }

    awaitable<result<void>> ping() override;
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override;
    awaitable<result<Position>> last() override;
    awaitable<result<Position>> first() override;
    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) override;
    awaitable<result<void>> trim_before(Position position) override;

    [[nodiscard]] const std::deque<StreamEventPtr>& entries() const { return entries_; }
    [[nodiscard]] Position newest() const { return last_; }
    /// Everything that was ever sent on the channels, in order; bounded by the simulated history.
    [[nodiscard]] const std::vector<StreamEventPtr>& published() const { return published_; }
    /// Entries were lost, so that what is put in again is published again.
    [[nodiscard]] bool lost() const { return lost_; }

    // Planted faults that only the server's script can have.
    bool goes_on_after_failure = false;
    bool says_all_after_failure = false;
    bool accepts_equal_ids = false;
    bool forgets_to_publish = false;
    bool forgets_what_it_had = false;

private:
    Clock& clock_;
    Signal appended_;
    std::deque<StreamEventPtr> entries_;
    std::vector<StreamEventPtr> published_;
    Position last_;
    std::optional<std::size_t> room_;
    bool lost_ = false;
};

} // namespace netbuild::sim
