// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "ports/event_bus.hpp"
#include "ports/record_changes.hpp"
#include "runtime/random.hpp"

namespace netbuild::sync {

/// Where the capture of NetBuild's own data stands, for status and metrics.
struct RecordProgress {
    /// In the stream.
    Position published;
    std::uint64_t events = 0, gaps = 0, retries = 0;
    /// How old the newest change was when it got into the stream.
    std::int64_t lag_ms = 0;
    /// Why nothing comes; empty: all is well.
    std::string trouble;
};

/// Puts the changes of NetBuild's own records into a stream of their own: published, then
/// confirmed. A crash in between gives them out again, at the same Positions, and the stream
/// refuses what it has passed: no event is lost, and none is there twice. A stream that ends before
/// what was put into it has lost entries: the source is opened behind its end, and gives again what
/// it still has.
class RecordCapture {
public:
    struct Ports {
        RecordChanges& changes;
        EventBus& bus;
        Clock& clock;
        Random& random;
        /// Is it this process's turn? That two do it at a time costs work, and nothing else.
        std::function<bool()> active;
    };
    RecordCapture(Ports ports, RecordProgress& progress)
        : ports_(std::move(ports)), progress_(progress) {}

    /// Until it is cancelled. Whatever fails is tried again.
    awaitable<result<void>> run();
    /// One batch; how many events it had. After a failure it starts at the confirmed place.
    awaitable<result<std::size_t>> step(Clock::duration wait);

private:
    awaitable<result<void>> publish(const RecordChangeBatch& batch);

    Ports ports_;
    RecordProgress& progress_;
    bool open_ = false;
    /// Given to the channels once: never again.
    Position announced_;
    Clock::duration looked_at_{};
};

} // namespace netbuild::sync
