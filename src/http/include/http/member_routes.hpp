// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/routes.hpp"
#include "identity/identity.hpp"

namespace netbuild::http {

/// Who may what in a domain: its users' roles, its services' API keys, and its audit trail.
class MemberRoutes {
public:
    explicit MemberRoutes(identity::Identity& identity) : identity_(identity) {}
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> users(Call& call);
    awaitable<result<Reply>> grant(Call& call);
    awaitable<result<Reply>> revoke(Call& call);
    awaitable<result<Reply>> keys(Call& call);
    awaitable<result<Reply>> create_key(Call& call);
    awaitable<result<Reply>> revoke_key(Call& call);
    awaitable<result<Reply>> trail(Call& call);
    /// forbidden: it is one's own role, or a role that is above one's own is given or taken.
    awaitable<result<void>> may_set(Call& call, Role wanted);

    identity::Identity& identity_;
};

} // namespace netbuild::http
