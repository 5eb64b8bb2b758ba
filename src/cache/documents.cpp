// SPDX-License-Identifier: Apache-2.0
#include "cache/documents.hpp"

#include "wire/bson.hpp"

namespace netbuild::cache {

Codec<Value> document_codec() {
    return {
        .encode =
            [](const Value& document) { return encode_bson(*document.get_if<netbuild::Object>()); },
        .decode = [](std::string_view bytes) -> result<std::shared_ptr<const Value>> {
            TRY(netbuild::Object document, decode_bson(bytes));
            return std::make_shared<const Value>(std::move(document));
        },
        .bytes = [](const Value& document) { return approximate_bytes(document); }};
}

} // namespace netbuild::cache
