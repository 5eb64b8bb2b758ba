// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/position.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// One event as it stands in a stream. Shared between the bus, SSE and sockets: never copied.
struct StreamEvent {
    Position position;
    /// "process:started".
    std::string type;
    std::string domain_id; // empty: null
    std::string execution_id;
    std::string process_instance_id;
    /// The event as one JSON object.
    std::string payload;
};
using StreamEventPtr = std::shared_ptr<const StreamEvent>;

/// What the one writer of a stream knows about it.
struct AppendTerms {
    /// The stream's last entry as the writer left it. A stream that ends before it has lost entries
    /// and takes nothing. Zero: any stream will do.
    Position last;
    /// Events at or before it were given to the channels once, or may have been: never again.
    Position announced;
};

/// An ordered stream whose entry ids are Positions, and channels named by event type.
/// Contract: `tests/contract/event_bus_contract.hpp`.
class EventBus {
public:
    virtual ~EventBus() = default;
    virtual awaitable<result<void>> ping() = 0;

    /// Appends those of `events` (ascending by Position) that are past the stream's last entry, in
    /// order, stopping at the first failure, and publishes those of the appended ones that are past
    /// `terms.announced` on the channel of their type. Returns the stream's last entry: less than
    /// `terms.last` means that entries were lost and nothing was appended; less than the last
    /// event's, that the rest has to be appended again. Replayed events add and publish nothing.
    virtual awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                               AppendTerms terms) = 0;
    /// The id of the stream's newest entry; zero if it is empty or gone.
    virtual awaitable<result<Position>> last() = 0;
    /// The oldest id that is still there; zero if the stream is empty.
    virtual awaitable<result<Position>> first() = 0;
    /// Up to `count` events after `after`, oldest first; waits up to `wait` for the first one.
    virtual awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                                Clock::duration wait) = 0;
    /// Drops entries before `position`.
    virtual awaitable<result<void>> trim_before(Position position) = 0;
};

} // namespace netbuild
