// SPDX-License-Identifier: Apache-2.0
#include "crypto.hpp"

#include <stdexcept>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "runtime/secrets.hpp"
#include "wire/base64url.hpp"

namespace netbuild::identity {

std::string random_bytes(std::size_t bytes) { return secret_bytes(bytes); }

std::string random_text(std::size_t bytes) { return encode_base64url(random_bytes(bytes)); }

std::string sha256(std::string_view text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("SHA-256 failed");
    std::string hex;
    for (unsigned i = 0; i < size; ++i)
        hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

bool same(std::string_view left, std::string_view right) noexcept {
    return left.size() == right.size() &&
           CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

} // namespace netbuild::identity
