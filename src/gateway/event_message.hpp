// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "feed/event_ring.hpp"
#include "model/value.hpp"

namespace netbuild::gateway {

/// An event's payload as clients get it, which says what stream it is of.
[[nodiscard]] Value client_payload(Value payload, feed::Source source);
/// {source, from, to, reason}; nothing if the gap is unreadable.
[[nodiscard]] std::optional<Object> gap_payload(const feed::FeedEvent& gap);
/// [type, payload, offset]; nothing if it is a gap that is unreadable.
[[nodiscard]] std::optional<Array> event_message(const feed::FeedEvent& event, std::string offset);

} // namespace netbuild::gateway
