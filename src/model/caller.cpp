// SPDX-License-Identifier: Apache-2.0
#include "model/caller.hpp"

namespace netbuild {

constexpr std::string_view role_names[] = {"viewer", "service", "member", "admin", "owner"};

std::string_view role_name(Role role) noexcept {
    return role_names[static_cast<std::size_t>(role)];
}

std::optional<Role> parse_role(std::string_view name) noexcept {
    const auto found = std::find(std::begin(role_names), std::end(role_names), name);
    if (found == std::end(role_names)) return std::nullopt;
    return static_cast<Role>(found - std::begin(role_names));
}

std::optional<Role> Caller::role_in(std::string_view domain) const {
    std::optional<Role> best;
    for (const std::string_view key : {domain, every_domain}) {
        const auto found = roles.find(key);
        if (found != roles.end() && (!best || rank(found->second) > rank(*best)))
            best = found->second;
    }
    return best;
}

Scope Caller::scope(Role least) const {
    Scope scope;
    for (const auto& [domain, role] : roles) {
        if (rank(role) < rank(least)) continue;
        scope.all |= domain == every_domain;
        scope.domains.push_back(domain);
    }
    return scope;
}

} // namespace netbuild
