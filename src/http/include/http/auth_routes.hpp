// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/routes.hpp"
#include "identity/identity.hpp"

namespace netbuild::http {

/// /v1/auth/… and the JWKS; also who a request's token is.
class AuthRoutes final : public Authenticator {
public:
    explicit AuthRoutes(identity::Identity& identity) : identity_(identity) {}
    void add_to(Routes& routes);

    awaitable<result<Caller>> authenticate(std::string authorization) override;

private:
    awaitable<result<Reply>> login(Call& call);
    awaitable<result<Reply>> refresh(Call& call);
    awaitable<result<Reply>> logout(Call& call);
    awaitable<result<Reply>> sessions(Call& call);
    awaitable<result<Reply>> end_session(Call& call);
    awaitable<result<Reply>> change_password(Call& call);
    awaitable<result<Reply>> reset_password(Call& call);
    awaitable<result<Reply>> me(Call& call);
    awaitable<result<Reply>> jwks(Call& call);

    identity::Identity& identity_;
};

} // namespace netbuild::http
