// SPDX-License-Identifier: Apache-2.0
#include "keyed_write.hpp"

#include "payments/card_numbers.hpp"

namespace netbuild::http {

result<data::KeyedRequest> keyed_request(const Call& call, const Value& body) {
    TRY(std::string key, data::read_idempotency_key(call.request.header("idempotency-key")));
    if (payments::holds_card_number(key))
        return fail(ErrorCode::invalid_argument,
                    "Idempotency-Key: holds a card number; NetBuild takes none");
    return data::KeyedRequest{
        .subject = call.caller.subject,
        .key = std::move(key),
        .fingerprint = data::request_fingerprint(call.request.method, call.request.path, body)};
}

Reply reply_of(data::KeptAnswer answer) {
    return {.status = answer.status, .body = {}, .text = std::move(answer.body)};
}

} // namespace netbuild::http
