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
    /// Which server is away and why; empty if none is.
    std::string store_trouble, bus_trouble, source_trouble, load_trouble;

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
