// SPDX-License-Identifier: Apache-2.0
#include "data/audit.hpp"

#include <fmt/format.h>

#include "data/identity_records.hpp"

namespace netbuild::data {

RecordWrite audit_write(AuditEntry entry, Date at, std::string_view unique) {
    Object body{{"at", at},
                {"actor", std::move(entry.actor)},
                {"action", std::move(entry.action)},
                {"outcome", std::move(entry.outcome)}};
    if (!entry.target.empty()) body.append("target", std::move(entry.target));
    if (!entry.domain.empty()) body.append("domainId", std::move(entry.domain));
    if (!entry.detail.empty()) body.append("detail", std::move(entry.detail));
    return RecordWrite::insert(audit, fmt::format("{:013}-{}", at.milliseconds, unique),
                               std::move(body));
}

} // namespace netbuild::data
