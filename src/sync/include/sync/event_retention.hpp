// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"

namespace netbuild::sync {

/// Removes events that committed before `cutoff`, oldest first, from the store and then from the
/// stream:
/// `[events] keep`. How many event documents went. Safe to repeat and to cut anywhere.
awaitable<result<std::uint64_t>> remove_events_before(DocumentStore& store, EventBus& bus,
                                                      Date cutoff);

} // namespace netbuild::sync
