// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/idempotency.hpp"
#include "http/call.hpp"

namespace netbuild::http {

// Writes with an Idempotency-Key: what a route does around data::Idempotency::once().

/// Whose request it is, its key and what the key stands for. invalid_argument: no key, or no good
/// one.
[[nodiscard]] result<data::KeyedRequest> keyed_request(const Call& call, const Value& body);
[[nodiscard]] Reply reply_of(data::KeptAnswer answer);

} // namespace netbuild::http
