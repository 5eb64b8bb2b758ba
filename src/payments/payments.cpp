// SPDX-License-Identifier: Apache-2.0
#include "payments/payments.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "data/payment_records.hpp"
#include "payments/card_numbers.hpp"
#include "payments/currencies.hpp"
#include "wire/json.hpp"

namespace netbuild::payments {
namespace {

using data::payment_events;

constexpr Field exponent_field{.name = "exponent",
                               .type = FieldType::integer,
                               .help = "decimal places that the client reckons with; checked"};
constexpr Field amount_field{.name = "amount",
                             .type = FieldType::integer,
                             .help = "in minor units; all that there is, if it is left out"};
constexpr Field reason_field{.name = "reason", .size_max = 1000};
constexpr Field reference_field{.name = "reference", .size_max = 200};

constexpr Field amount_fields[] = {amount_field, reason_field, reference_field};
constexpr Field plain_fields[] = {reason_field, reference_field};

Error refuse(std::string_view field, std::string_view must) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", field, must));
}

result<void> check_money(const Object& body) {
    const auto exponent = currency_exponent(body.text("currency"));
    if (!exponent) return refuse("currency", "must be a code of ISO 4217, such as EUR");
    if (const Value* given = body.find("exponent"); given && given->integer_or() != *exponent)
        return refuse("exponent", fmt::format("the currency has {} decimal places", *exponent));
    const std::int64_t amount = body.integer("amount");
    if (amount < 1 || amount > amount_max)
        return refuse("amount", fmt::format("must be 1 to {} minor units", amount_max));
    return {};
}

data::KeptAnswer answer_of(int status, const std::string& id, std::int64_t version, Object body) {
    body.set("_id", id);
    body.set("version", version);
    return {status, to_json(shown_payment(std::move(body)))};
}

} // namespace

std::span<const Field> creation_fields() noexcept {
    // The declaration's own fields, and `exponent`, which is not kept.
    static const std::vector<Field> fields = [] {
        std::vector<Field> all(std::begin(data::payment_fields), std::end(data::payment_fields));
        all.push_back(exponent_field);
        return all;
    }();
    return fields;
}

std::span<const Field> action_fields(Action action) noexcept {
    if (action == Action::capture || action == Action::refund) return amount_fields;
    return plain_fields;
}

Value shown_payment(const Value& record) {
    Object shown{{"id", record_id(record)}};
    for (const auto& member : record_body(record))
        shown.append(member.key, member.value);
    const auto exponent = currency_exponent(shown.text("currency"));
    shown.set("exponent", exponent ? Value(*exponent) : Value());
    shown.set("version", record_version(record));
    return shown;
}

Value shown_event(const Value& record) {
    Object shown = record_body(record);
    shown.erase("domainId");
    return shown;
}

result<State> state_of(const Value& record) {
    const Value* status = record.at_path("status");
    State state;
    state.status = parse_status(status ? status->string_or() : std::string_view{});
    if (!state.status) return fail(ErrorCode::corrupt, "a payment without a status");
    const auto& object = *record.get_if<Object>();
    state.balances = {object.integer("amount"), object.integer("authorized"),
                      object.integer("captured"), object.integer("refunded")};
    return state;
}

std::string event_id(std::string_view payment_id, std::int64_t number) {
    return fmt::format("{}/{:06}", payment_id, number);
}

/// Time-ordered (RFC 9562's version 7), so that new payments stand together in every index.
std::string Payments::new_id() {
    const auto ms = static_cast<std::uint64_t>(ports_.clock.utc_us() / 1000);
    const std::uint64_t high = ports_.random.next(), low = ports_.random.next();
    return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}", ms >> 16 & 0xFFFFFFFF, ms & 0xFFFF,
                       high & 0xFFF, 0x8000 | (high >> 12 & 0x3FFF), low & 0xFFFFFFFFFFFF);
}

awaitable<result<data::KeptAnswer>> Payments::create(data::KeyedRequest request, Object body) {
    CO_TRY_VOID(refuse_card_numbers(body));
    CO_TRY_VOID(check_money(body));
    body.erase("exponent");
    if (const Value* metadata = body.find("metadata"); metadata && !metadata->is<Object>())
        co_return refuse("metadata", "must be an object");
    const std::string by = request.subject;
    co_return co_await idempotency_.once(std::move(request),
                                         [&] { return decide_creation(by, body); });
}

awaitable<result<data::KeptAnswer>> Payments::act(data::KeyedRequest request, Action action,
                                                  std::string payment_id, Object body) {
    CO_TRY_VOID(refuse_card_numbers(body));
    const std::string by = request.subject;
    co_return co_await idempotency_.once(
        std::move(request), [&] { return decide_action(by, action, payment_id, body); });
}

awaitable<result<Payments::Decision>> Payments::decide_creation(const std::string& by,
                                                                const Object& body) {
    CO_TRY(const Step step,
           plan({std::nullopt, {.amount = body.integer("amount")}}, Action::create, std::nullopt));
    const Happened happened{.payment_id = new_id(),
                            .number = 1,
                            .action = Action::create,
                            .from = std::nullopt,
                            .step = step,
                            .reason = {},
                            .by = by,
                            .at = now()};
    Object payment = body;
    payment.set("status", status_name(step.to));
    for (const char* balance : {"authorized", "captured", "refunded"})
        payment.set(balance, std::int64_t{0});
    payment.set("createdAt", happened.at);
    payment.set("createdBy", by);
    payment.set("updatedAt", happened.at);
    Decision decision;
    decision.answer = answer_of(201, happened.payment_id, 1, payment);
    decision.writes.push_back(event_write(happened, payment));
    decision.writes.push_back(
        RecordWrite::insert(data::payments, happened.payment_id, std::move(payment)));
    co_return decision;
}

awaitable<result<Payments::Decision>> Payments::decide_action(const std::string& by, Action action,
                                                              const std::string& payment_id,
                                                              const Object& body) {
    CO_TRY(const ValuePtr record, co_await one(payment_id));
    CO_TRY(const State state, state_of(*record));
    std::optional<std::int64_t> amount;
    if (const Value* given = body.find("amount")) amount = given->integer_or();
    CO_TRY(const Step step, plan(state, action, amount));
    CO_TRY(const State next, after(state, action, step.amount, step.to));
    const std::int64_t version = record_version(*record);
    const Happened happened{.payment_id = payment_id,
                            .number = version + 1,
                            .action = action,
                            .from = state.status,
                            .step = step,
                            .reason = std::string(body.text("reason")),
                            .by = by,
                            .at = now()};
    Object payment = record_body(*record);
    payment.set("status", status_name(step.to));
    payment.set("authorized", next.balances.authorized);
    payment.set("captured", next.balances.captured);
    payment.set("refunded", next.balances.refunded);
    payment.set("updatedAt", happened.at);
    if (!happened.reason.empty()) payment.set("reason", happened.reason);
    if (const Value* reference = body.find("reference")) payment.set("reference", *reference);
    Decision decision;
    decision.answer = answer_of(200, payment_id, version + 1, payment);
    decision.writes.push_back(event_write(happened, payment));
    decision.writes.push_back(
        RecordWrite::replace(data::payments, payment_id, version, std::move(payment)));
    co_return decision;
}

RecordWrite Payments::event_write(const Happened& happened, const Object& payment) {
    Object event{{"paymentId", happened.payment_id},
                 {"number", happened.number},
                 {"domainId", *payment.find("domainId")},
                 {"action", action_name(happened.action)},
                 {"to", status_name(happened.step.to)},
                 {"amount", happened.step.amount},
                 {"currency", *payment.find("currency")},
                 {"at", happened.at},
                 {"by", happened.by}};
    if (happened.from) event.append("from", status_name(*happened.from));
    if (!happened.reason.empty()) event.append("reason", happened.reason);
    return RecordWrite::insert(payment_events, event_id(happened.payment_id, happened.number),
                               std::move(event));
}

awaitable<result<ValuePtr>> Payments::one(std::string payment_id) {
    // An id that no store takes is one that no payment has.
    auto found = co_await ports_.records.one(data::payments, payment_id);
    if (!found && found.error().code() == ErrorCode::not_found)
        co_return fail(ErrorCode::not_found, "payment " + payment_id);
    co_return found;
}

awaitable<result<RecordPage>> Payments::list(Wish wish, Scope scope) {
    using Op = RecordCondition::Operator;
    RecordQuery query{.collection = &data::payments,
                      .sort = {"createdAt"},
                      .descending = true,
                      .limit = wish.limit,
                      .after = wish.cursor};
    if (!wish.status.empty() && !parse_status(wish.status))
        co_return refuse("status", fmt::format("must be one of {}", data::payment_statuses));
    if (!wish.domain_id.empty()) {
        if (!scope.admits(wish.domain_id))
            co_return fail(ErrorCode::not_found, "domain " + wish.domain_id);
        query.where.push_back({"domainId", Op::equal, wish.domain_id});
    } else if (!scope.all) {
        query.where.push_back(
            {"domainId", Op::in, Array(scope.domains.begin(), scope.domains.end())});
    }
    if (!wish.status.empty()) query.where.push_back({"status", Op::equal, wish.status});
    if (!wish.execution_id.empty())
        query.where.push_back({"executionId", Op::equal, wish.execution_id});
    if (!wish.user_id.empty()) query.where.push_back({"userId", Op::equal, wish.user_id});
    co_return co_await ports_.records.find(std::move(query));
}

awaitable<result<RecordPage>> Payments::events(std::string payment_id, std::size_t limit,
                                               std::string cursor) {
    using Op = RecordCondition::Operator;
    co_return co_await ports_.records.find({.collection = &payment_events,
                                            .where = {{"paymentId", Op::equal, payment_id}},
                                            .sort = {"paymentId", "number"},
                                            .limit = limit,
                                            .after = cursor});
}

} // namespace netbuild::payments
