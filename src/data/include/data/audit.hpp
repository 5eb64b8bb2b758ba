// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "ports/record_store.hpp"

namespace netbuild::data {

struct AuditEntry {
    /// A user's id, an API key's, or "shell".
    std::string actor;
    /// "role.set", "domain.replace".
    std::string action;
    std::string outcome = "done";
    std::string target = {};
    /// Empty: it is the whole installation's.
    std::string domain = {};
    /// Never a secret, nor what was erased.
    std::string detail = {};
};

/// Belongs into the commit of what it tells. `unique`: no other entry of the millisecond has it.
[[nodiscard]] RecordWrite audit_write(AuditEntry entry, Date at, std::string_view unique);

} // namespace netbuild::data
