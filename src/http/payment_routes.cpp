// SPDX-License-Identifier: Apache-2.0
#include "http/payment_routes.hpp"

#include <fmt/format.h>

#include "keyed_write.hpp"
#include "page_reply.hpp"
#include "payments/card_numbers.hpp"
#include "wire/json.hpp"

namespace netbuild::http {
namespace {

using payments::Action;

} // namespace

void PaymentRoutes::add_to(Routes& routes) {
    routes.add("POST", "/v1/payments", [this](Call& call) { return create(call); });
    routes.add("GET", "/v1/payments", [this](Call& call) { return list(call); });
    routes.add("GET", "/v1/payments/{paymentId}", [this](Call& call) { return get(call); });
    routes.add("GET", "/v1/payments/{paymentId}/events",
               [this](Call& call) { return events(call); });
    for (const Action action :
         {Action::authorize, Action::capture, Action::refund, Action::fail, Action::cancel}) {
        routes.add("POST",
                   fmt::format("/v1/payments/{{paymentId}}/{}", payments::action_name(action)),
                   [this, action](Call& call) { return act(call, action); });
    }
}

awaitable<result<ValuePtr>> PaymentRoutes::admitted(Call& call) {
    const std::string& id = call.segment("paymentId");
    if (payments::holds_card_number(id)) co_return fail(ErrorCode::not_found, "payment");
    CO_TRY(const ValuePtr payment, co_await payments_.one(id));
    CO_TRY_VOID(call.admit(payment->at_path("domainId")->string_or(), "payment " + id));
    co_return payment;
}

awaitable<result<Reply>> PaymentRoutes::create(Call& call) {
    CO_TRY(const Value sent, call.json_or_empty());
    CO_TRY_VOID(payments::refuse_card_numbers(sent));
    CO_TRY(Object body, read_body(payments::creation_fields(), sent));
    const std::string domain(body.find("domainId")->string_or());
    CO_TRY_VOID(call.admit(domain, "domain " + domain));
    CO_TRY(auto request, keyed_request(call, sent));
    CO_TRY(auto answer, co_await payments_.create(std::move(request), std::move(body)));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> PaymentRoutes::act(Call& call, Action action) {
    CO_TRY_VOID(co_await admitted(call));
    CO_TRY(const Value sent, call.json_or_empty());
    CO_TRY_VOID(payments::refuse_card_numbers(sent));
    CO_TRY(Object body, read_body(payments::action_fields(action), sent));
    CO_TRY(auto request, keyed_request(call, sent));
    CO_TRY(auto answer, co_await payments_.act(std::move(request), action,
                                               call.segment("paymentId"), std::move(body)));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> PaymentRoutes::list(Call& call) {
    CO_TRY_VOID(call.only({"limit", "cursor", "domainId", "status", "executionId", "userId"}));
    payments::Payments::Wish wish;
    CO_TRY(wish.limit, call.limit());
    wish.cursor = call.parameter("cursor");
    wish.domain_id = call.parameter("domainId");
    wish.status = call.parameter("status");
    wish.execution_id = call.parameter("executionId");
    wish.user_id = call.parameter("userId");
    CO_TRY(const RecordPage page, co_await payments_.list(std::move(wish), call.scope()));
    co_return page_reply(page, payments::shown_payment);
}

awaitable<result<Reply>> PaymentRoutes::get(Call& call) {
    CO_TRY_VOID(call.only({}));
    CO_TRY(const ValuePtr payment, co_await admitted(call));
    co_return Reply{.body = payments::shown_payment(*payment)};
}

awaitable<result<Reply>> PaymentRoutes::events(Call& call) {
    CO_TRY_VOID(co_await admitted(call));
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    CO_TRY(const RecordPage page, co_await payments_.events(call.segment("paymentId"), limit,
                                                            std::string(call.parameter("cursor"))));
    co_return page_reply(page, payments::shown_event);
}

} // namespace netbuild::http
