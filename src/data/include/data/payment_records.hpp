// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/collection.hpp"

namespace netbuild::data {

inline constexpr std::string_view payment_statuses =
    "created|authorized|captured|partially_refunded|refunded|failed|cancelled";

inline constexpr Field payment_fields[] = {
    {.name = "domainId", .required = true, .size_max = 200},
    {.name = "amount",
     .type = FieldType::integer,
     .required = true,
     .help = "in the currency's minor unit, such as cents"},
    {.name = "currency", .required = true, .size_max = 3, .help = "ISO 4217"},
    {.name = "executionId", .size_max = 255},
    {.name = "processInstanceId", .size_max = 64},
    {.name = "taskId", .size_max = 64},
    {.name = "conversationId", .size_max = 64},
    {.name = "userId", .size_max = 64},
    {.name = "reference", .size_max = 200, .help = "the payment provider's"},
    {.name = "description", .size_max = 1000},
    {.name = "metadata", .type = FieldType::json},
    {.name = "status", .required = true, .server = true, .choices = payment_statuses},
    {.name = "authorized", .type = FieldType::integer, .required = true, .server = true},
    {.name = "captured", .type = FieldType::integer, .required = true, .server = true},
    {.name = "refunded", .type = FieldType::integer, .required = true, .server = true},
    {.name = "reason", .server = true, .size_max = 1000, .help = "of a failure, a cancellation"},
    {.name = "createdAt", .type = FieldType::date, .required = true, .server = true},
    {.name = "createdBy", .required = true, .server = true},
    {.name = "updatedAt", .type = FieldType::date, .required = true, .server = true},
};
inline constexpr RecordIndex payment_indexes[] = {
    {.fields = {"createdAt"}, .reason = "the list of payments"},
    {.fields = {"domainId", "createdAt"}, .reason = "a domain's payments"},
    {.fields = {"status", "createdAt"}, .reason = "what is open"},
    {.fields = {"executionId", "createdAt"}, .reason = "an execution's payments"},
    {.fields = {"userId", "createdAt"}, .reason = "a user's payments"},
};
/// The record's version is the number of the payment's newest event.
inline constexpr Collection payments{.name = "payments",
                                     .holds = "a payment's state and balances",
                                     .fields = payment_fields,
                                     .indexes = payment_indexes,
                                     .shared = true};

inline constexpr Field payment_event_fields[] = {
    {.name = "paymentId", .required = true},
    {.name = "number", .type = FieldType::integer, .required = true, .help = "1, 2, 3 …"},
    {.name = "domainId", .required = true},
    {.name = "action", .required = true, .choices = "create|authorize|capture|refund|fail|cancel"},
    {.name = "from", .choices = payment_statuses},
    {.name = "to", .required = true, .choices = payment_statuses},
    {.name = "amount", .type = FieldType::integer, .required = true},
    {.name = "currency", .required = true},
    {.name = "reason", .size_max = 1000},
    {.name = "at", .type = FieldType::date, .required = true},
    {.name = "by", .required = true},
};
inline constexpr RecordIndex payment_event_indexes[] = {
    {.fields = {"paymentId", "number"}, .unique = true, .reason = "a payment's events in order"},
};
/// `_id` is "PAYMENT/NUMBER".
inline constexpr Collection payment_events{.name = "payment_events",
                                           .holds = "what happened to a payment",
                                           .fields = payment_event_fields,
                                           .indexes = payment_event_indexes,
                                           .append_only = true};

} // namespace netbuild::data
