// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "ports/document_store.hpp"

namespace netbuild::sync {

/// Events that nobody will ever get: a history ended after `from`, and the next one begins with the
/// next epoch. What happened in between is in the documents, which are loaded anew.
struct Gap {
    Position from;
    /// "slot_lost", "source_changed", "source_set_back".
    std::string_view reason;
};

/// The gap as the first event of `epoch`, of type `gap`: whoever reads the events in order, from
/// store or stream, comes upon it once and at its place. Its id tells a replay.
[[nodiscard]] DocumentWrite gap_document(const Gap& gap, std::uint32_t epoch, std::int64_t at_us);

} // namespace netbuild::sync
