// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netbuild {

/// What somebody may do in a domain. A service may what a member may.
enum class Role : unsigned char { viewer, service, member, admin, owner };

[[nodiscard]] constexpr int rank(Role role) noexcept {
    constexpr int ranks[] = {1, 2, 2, 3, 4};
    return ranks[static_cast<std::size_t>(role)];
}
[[nodiscard]] std::string_view role_name(Role role) noexcept;
[[nodiscard]] std::optional<Role> parse_role(std::string_view name) noexcept;

/// A role in this one is a role in every domain, and the only way to what belongs to none.
inline constexpr std::string_view every_domain = "*";

/// The domains that an answer may be about.
struct Scope {
    bool all = false;
    std::vector<std::string> domains = {};

    [[nodiscard]] static Scope everything() { return {.all = true}; }
    /// An empty domain is that of what belongs to none.
    [[nodiscard]] bool admits(std::string_view domain) const {
        return all || std::find(domains.begin(), domains.end(), domain) != domains.end();
    }
};

/// Who asks.
struct Caller {
    /// A user's id, or an API key's.
    std::string subject;
    /// Of a user that signed in.
    std::string session = {};
    /// By domain; `*` for all of them.
    std::map<std::string, Role, std::less<>> roles = {};
    /// When what shows who it is ends by itself, seconds since 1970.
    std::optional<std::int64_t> expires_s = {};

    /// Whoever can reach the port, where http.auth is "none".
    [[nodiscard]] static Caller anybody() {
        return {.subject = "anybody", .roles = {{std::string(every_domain), Role::owner}}};
    }
    /// The greater of the role in the domain and the role everywhere.
    [[nodiscard]] std::optional<Role> role_in(std::string_view domain) const;
    /// The domains where the role is at least `least`.
    [[nodiscard]] Scope scope(Role least) const;
};

} // namespace netbuild
