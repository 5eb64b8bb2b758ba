// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/idempotency.hpp"
#include "model/caller.hpp"
#include "payments/payment_states.hpp"

namespace netbuild::payments {

/// Bodies of POST /v1/payments and of an action on one.
[[nodiscard]] std::span<const Field> creation_fields() noexcept;
[[nodiscard]] std::span<const Field> action_fields(Action action) noexcept;

/// A payment and an event as clients see them.
[[nodiscard]] Value shown_payment(const Value& record);
[[nodiscard]] Value shown_event(const Value& record);
/// What the record says of itself. corrupt: no such status, or balances are missing.
[[nodiscard]] result<State> state_of(const Value& record);

/// Payments, kept as events and the balances that they come to. Every write is one commit of the
/// payment (by its version), the event and the answer to the request's key.
class Payments {
public:
    struct Ports {
        RecordStore& records;
        Clock& clock;
        Random& random;
    };
    explicit Payments(Ports ports)
        : ports_(ports), idempotency_(ports.records, ports.clock, ports.random) {}

    /// `body` as read by creation_fields(). invalid_argument names the field; and see
    /// data::Idempotency::once(). The answer's body is shown_payment() as JSON.
    awaitable<result<data::KeptAnswer>> create(data::KeyedRequest request, Object body);
    /// `body` as read by action_fields(). Also not_found; conflict: the payment is in no state for
    /// it.
    awaitable<result<data::KeptAnswer>> act(data::KeyedRequest request, Action action,
                                            std::string payment_id, Object body);

    /// not_found.
    awaitable<result<ValuePtr>> one(std::string payment_id);
    struct Wish {
        std::string domain_id, status, execution_id, user_id; // empty: any
        std::size_t limit = 50;
        std::string cursor;
    };
    /// The newest first.
    awaitable<result<RecordPage>> list(Wish wish, Scope scope);
    /// The oldest first.
    awaitable<result<RecordPage>> events(std::string payment_id, std::size_t limit,
                                         std::string cursor);

private:
    using Decision = data::Idempotency::Decision;
    /// An event that happens now, by whom the request says.
    struct Happened {
        std::string payment_id;
        std::int64_t number;
        Action action;
        std::optional<Status> from;
        Step step;
        std::string reason;
        std::string by;
        Date at;
    };
    awaitable<result<Decision>> decide_creation(const std::string& by, const Object& body);
    awaitable<result<Decision>> decide_action(const std::string& by, Action action,
                                              const std::string& payment_id, const Object& body);
    [[nodiscard]] static RecordWrite event_write(const Happened& happened, const Object& payment);
    [[nodiscard]] Date now() const { return Date{ports_.clock.utc_us() / 1000}; }
    [[nodiscard]] std::string new_id();

    Ports ports_;
    data::Idempotency idempotency_;
};

/// The record's id of a payment's n-th event.
[[nodiscard]] std::string event_id(std::string_view payment_id, std::int64_t number);

} // namespace netbuild::payments
