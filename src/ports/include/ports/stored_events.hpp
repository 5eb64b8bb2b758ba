// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "model/value.hpp"
#include "ports/event_bus.hpp"

namespace netbuild {

/// The stored events of a document of `events`, as they are published.
[[nodiscard]] std::vector<StreamEventPtr> stream_events(const Value& document);

} // namespace netbuild
