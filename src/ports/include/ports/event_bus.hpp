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

/// An ordered stream whose entry ids are Positions, and channels named by event type.
/// Contract: `tests/contract/event_bus_contract.hpp`.
class EventBus {
public:
    virtual ~EventBus() = default;
    virtual awaitable<result<void>> ping() = 0;

    /// Appends those of `events` (ascending by Position) that are past the stream's last id, in
    /// order, stopping at the first failure, and publishes exactly the appended ones on the channel
    /// of their type. Returns the stream's last id: less than the last event's means that the rest
    /// has to be appended again. Replayed events add and publish nothing. `known` is a last id that
    /// the stream had: one that ends before it has lost entries and takes nothing, for what is
    /// appended past a hole closes it for ever.
    virtual awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                               Position known = {}) = 0;
    /// The newest id of the stream; zero if it is empty or gone.
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
