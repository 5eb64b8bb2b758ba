// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/collection.hpp"

namespace netbuild::data {

inline constexpr Field idempotency_key_fields[] = {
    {.name = "fingerprint", .required = true, .help = "SHA-256 of method, path and body"},
    {.name = "status", .type = FieldType::integer, .help = "of the answer"},
    {.name = "answer", .size_max = 256 * 1024, .help = "its body, byte for byte"},
    {.name = "refusal", .help = "why the write was refused, where it was"},
    {.name = "createdAt", .type = FieldType::date, .required = true},
    {.name = "expiresAt", .type = FieldType::date, .required = true},
};
inline constexpr RecordIndex idempotency_key_indexes[] = {
    {.fields = {"expiresAt"}, .reason = "removal of what has expired"},
};
/// `_id` is the SHA-256 of who wrote and the key: the key itself is not kept.
inline constexpr Collection idempotency_keys{.name = "idempotency_keys",
                                             .holds = "the answer to a write that has a key",
                                             .fields = idempotency_key_fields,
                                             .indexes = idempotency_key_indexes,
                                             .append_only = true,
                                             .expires = "expiresAt"};

} // namespace netbuild::data
