// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>
#include <vector>

#include "model/value.hpp"
#include "ports/event_bus.hpp"

namespace netbuild {

/// The type of the event that says {from, to, reason}: events in between do not come any more.
inline constexpr std::string_view gap_event_type = "gap";

/// The stored events of a document of `events`, as they are published.
[[nodiscard]] std::vector<StreamEventPtr> stream_events(const Value& document);

} // namespace netbuild
