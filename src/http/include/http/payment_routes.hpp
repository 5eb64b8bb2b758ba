// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/routes.hpp"
#include "payments/payments.hpp"

namespace netbuild::http {

/// /v1/payments. A body with a card number in it is refused before anything else is done with it.
class PaymentRoutes {
public:
    explicit PaymentRoutes(payments::Payments& payments) : payments_(payments) {}
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> create(Call& call);
    awaitable<result<Reply>> act(Call& call, payments::Action action);
    awaitable<result<Reply>> list(Call& call);
    awaitable<result<Reply>> get(Call& call);
    awaitable<result<Reply>> events(Call& call);
    /// The payment that the path names, if the caller may see it.
    awaitable<result<ValuePtr>> admitted(Call& call);

    payments::Payments& payments_;
};

} // namespace netbuild::http
