// SPDX-License-Identifier: Apache-2.0
#include "cursor.hpp"

#include "wire/base64url.hpp"
#include "wire/bson.hpp"

namespace netbuild::query {

std::string encode_cursor(const std::vector<Value>& keys) {
    return encode_base64url(encode_bson(Object{{"k", Array(keys.begin(), keys.end())}}));
}

result<std::vector<Value>> decode_cursor(std::string_view text, std::size_t keys) {
    const Error error =
        fail(ErrorCode::invalid_argument, "cursor: not one that this list gave out");
    std::string bytes;
    if (!decode_base64url(text, bytes)) return error;
    auto decoded = decode_bson(bytes);
    if (!decoded) return error;
    const Value* list = decoded->find("k");
    const auto* values = list ? list->get_if<Array>() : nullptr;
    if (!values || values->size() != keys) return error;
    return *values;
}

} // namespace netbuild::query
