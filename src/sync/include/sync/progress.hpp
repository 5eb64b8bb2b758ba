// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/position.hpp"
#include "runtime/clock.hpp"
#include "runtime/signal.hpp"

namespace netbuild::sync {

/// What a capture is doing.
enum class State : unsigned char {
    starting,
    /// The first load from the engine's snapshot.
    loading,
    streaming,
    /// Another worker has the stream; this one waits for its end.
    standby,
    /// A server is away; see `Progress::trouble`.
    retrying,
    /// The source has ended, or a failure that no retry mends.
    stopped,
};
[[nodiscard]] std::string_view to_string(State state) noexcept;

/// Where a capture stands, for status, readiness and read-your-writes. Use from its executor only.
class Progress {
public:
    Progress(const asio::any_io_executor& executor, Clock& clock)
        : clock_(clock), changed_(executor) {}

    State state = State::starting;
    /// Given out by the source; folded and durable in the store; in the event stream.
    Position captured, applied, published;
    /// As of `applied`: another one after any process definition changed; 0: not known yet.
    std::uint64_t definitions_version = 0;
    /// Confirmed to the source: need not come again.
    Position confirmed;
    /// Commit time of the last transaction captured and applied, µs since 1970 UTC.
    std::int64_t captured_commit_us = 0, applied_commit_us = 0;
    std::uint64_t transactions = 0, row_changes = 0, events = 0, documents = 0, batches = 0,
                  retries = 0;
    std::uint64_t orphan_rows = 0;
    /// The load that is on its way, if there is one; the newest one's figures stay.
    std::string load_id;
    std::uint64_t load_instances = 0, load_instances_estimate = 0, load_rows = 0;
    /// Everything up to `applied` is in the model: no first load or reconcile is on its way.
    bool model_complete = false;
    /// Transactions that came in parts so far; of the one on its way, rows and bytes in the spill
    /// file, pieces that there are and that were projected.
    std::uint64_t large_transactions = 0, large_rows = 0, large_bytes = 0, large_pieces = 0,
                  large_pieces_done = 0;
    /// Transactions that were skipped because they cannot be projected and still wait.
    std::uint64_t dead_letters = 0;
    /// Events that were put into the stream again, or for the first time after a crash.
    std::uint64_t refilled_events = 0;
    /// How often the stream's place in the WAL was lost, when last, and why, until all is well
    /// again.
    std::uint64_t slots_lost = 0;
    std::int64_t slot_lost_at_us = 0;
    std::string slot_trouble;
    /// Which server is away and why; empty if none is.
    std::string store_trouble, bus_trouble, source_trouble, load_trouble, spill_trouble;

    /// Says loudly, once, that what comes after `confirmed` will not come any more.
    void slot_lost(std::string_view why);
    void slot_found();
    void notify() { changed_.notify_all(); }
    /// What a reader may rely on: nothing before a load has made the model complete.
    [[nodiscard]] Position readable() const noexcept {
        return model_complete ? applied : Position{};
    }
    /// Waits until `position` is readable. not_yet_consistent after `wait`; cancelled.
    awaitable<result<void>> wait_applied(Position position, Clock::duration wait);
    /// Waits for any change, at most `wait`.
    awaitable<result<void>> wait_change(Clock::duration wait);

private:
    Clock& clock_;
    Signal changed_;
};

} // namespace netbuild::sync
