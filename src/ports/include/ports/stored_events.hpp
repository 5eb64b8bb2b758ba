// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>
#include <vector>

#include "model/value.hpp"
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"

namespace netbuild {

/// The type of the event that says {from, to, reason}: events in between do not come any more.
inline constexpr std::string_view gap_event_type = "gap";

/// The stored events of a document of `events`, as they are published.
[[nodiscard]] std::vector<StreamEventPtr> stream_events(const Value& document);

/// A gap as its reader is told of it: nothing after `from` up to `to` comes any more.
[[nodiscard]] StreamEventPtr gap_event(Position from, Position to, std::string_view reason);

/// How far stored events were removed because of their age, so that a reader who comes from before
/// it can be told: the write that makes it known, and what is known (zero: nothing was removed).
[[nodiscard]] DocumentWrite event_horizon_write(Position removed_upto);
[[nodiscard]] Position event_horizon(const Value* document);
inline constexpr std::string_view event_horizon_id = "events.removed";

} // namespace netbuild
