// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "http/routes.hpp"
#include "ports/session_store.hpp"

namespace netbuild::http {

/// /v1/sessions: sessions of other services' users. Where a path has a session's id it may have the
/// signed cookie of Node's express-session instead.
class SessionRoutes {
public:
    /// `secrets`: of these cookies, the newest first; none: there are no cookies.
    SessionRoutes(SessionStore& sessions, std::vector<std::string> secrets)
        : sessions_(sessions), secrets_(std::move(secrets)) {}
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> create(Call& call);
    awaitable<result<Reply>> get(Call& call);
    awaitable<result<Reply>> change(Call& call);
    awaitable<result<Reply>> rotate(Call& call);
    awaitable<result<Reply>> revoke(Call& call);
    awaitable<result<Reply>> list(Call& call);
    awaitable<result<Reply>> revoke_all(Call& call);

    [[nodiscard]] std::string id_in(const Call& call) const;
    [[nodiscard]] Reply made(int status, const NewSession& session) const;

    SessionStore& sessions_;
    std::vector<std::string> secrets_;
};

} // namespace netbuild::http
