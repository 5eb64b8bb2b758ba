// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/record_changes.hpp"

namespace netbuild::data {

/// The collections whose changes become events, and what those say. Sessions, keys and the audit
/// trail are none of them: that somebody signed in is nobody's business.
[[nodiscard]] std::span<const RecordEvents> record_events() noexcept;

} // namespace netbuild::data
