// SPDX-License-Identifier: Apache-2.0
#include "wire/base64url.hpp"

namespace netbuild {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

} // namespace

std::string encode_base64url(std::string_view bytes) {
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

bool decode_base64url(std::string_view text, std::string& out) {
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

} // namespace netbuild
