// SPDX-License-Identifier: Apache-2.0
#include "cursor.hpp"

#include "wire/bson.hpp"

namespace netbuild::query {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string encode(std::string_view bytes) {
    std::string out;
    unsigned buffer = 0;
    int bits = 0;
    for (const char byte : bytes) {
        buffer = buffer << 8 | static_cast<unsigned char>(byte);
        for (bits += 8; bits >= 6; bits -= 6)
            out.push_back(alphabet[buffer >> (bits - 6) & 63]);
    }
    if (bits > 0) out.push_back(alphabet[buffer << (6 - bits) & 63]);
    return out;
}

bool decode(std::string_view text, std::string& out) {
    unsigned buffer = 0;
    int bits = 0;
    for (const char c : text) {
        const auto digit = alphabet.find(c);
        if (digit == std::string_view::npos) return false;
        buffer = buffer << 6 | static_cast<unsigned>(digit);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out.push_back(static_cast<char>(buffer >> bits));
        }
    }
    return true;
}

} // namespace

std::string encode_cursor(const std::vector<Value>& keys) {
    return encode(encode_bson(Object{{"k", Array(keys.begin(), keys.end())}}));
}

result<std::vector<Value>> decode_cursor(std::string_view text, std::size_t keys) {
    const Error error =
        fail(ErrorCode::invalid_argument, "cursor: not one that this list gave out");
    std::string bytes;
    if (!decode(text, bytes)) return error;
    auto decoded = decode_bson(bytes);
    if (!decoded) return error;
    const Value* list = decoded->find("k");
    const auto* values = list ? list->get_if<Array>() : nullptr;
    if (!values || values->size() != keys) return error;
    return *values;
}

} // namespace netbuild::query
