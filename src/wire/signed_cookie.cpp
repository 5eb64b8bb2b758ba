// SPDX-License-Identifier: Apache-2.0
#include "wire/signed_cookie.hpp"

#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "wire/base64.hpp"

namespace netbuild {
namespace {

constexpr std::string_view mark = "s:";

std::string signature(std::string_view id, std::string_view secret) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
              reinterpret_cast<const unsigned char*>(id.data()), id.size(), digest, &size))
        throw std::runtime_error("HMAC-SHA256 failed");
    std::string text = encode_base64({reinterpret_cast<const char*>(digest), size});
    while (text.ends_with('='))
        text.pop_back();
    return text;
}

} // namespace

std::string sign_cookie(std::string_view id, std::string_view secret) {
    std::string cookie(mark);
    cookie += id;
    cookie += '.';
    cookie += signature(id, secret);
    return cookie;
}

std::optional<std::string> unsign_cookie(std::string_view cookie,
                                         std::span<const std::string> secrets) {
    const auto dot = cookie.rfind('.');
    if (!cookie.starts_with(mark) || dot == std::string_view::npos) return std::nullopt;
    const std::string_view id = cookie.substr(mark.size(), dot - mark.size());
    const std::string_view given = cookie.substr(dot + 1);
    bool signed_by_one = false;
    for (const std::string& secret : secrets) {
        const std::string right = signature(id, secret);
        signed_by_one |= right.size() == given.size() &&
                         CRYPTO_memcmp(right.data(), given.data(), right.size()) == 0;
    }
    if (!signed_by_one) return std::nullopt;
    return std::string(id);
}

} // namespace netbuild
