// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild::identity {

/// A P-256 key: signs and verifies JSON Web Tokens with ES256 (RFC 7515, RFC 7518 section 3.4).
class SigningKey {
public:
    [[nodiscard]] static SigningKey generate(std::string id);
    /// PKCS #8 as PEM; corrupt. With a passphrase it was encrypted by.
    [[nodiscard]] static result<SigningKey> parse(std::string id, const std::string& pem,
                                                  const std::string& passphrase);
    SigningKey(SigningKey&&) noexcept;
    SigningKey& operator=(SigningKey&&) noexcept;
    ~SigningKey();

    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    /// Encrypted with AES-256 unless the passphrase is empty.
    [[nodiscard]] std::string pem(const std::string& passphrase) const;
    /// The public half (RFC 7517).
    [[nodiscard]] Object jwk() const;

    [[nodiscard]] std::string sign(const Object& claims) const;
    [[nodiscard]] bool verifies(std::string_view signed_part, std::string_view signature) const;

private:
    struct Handle;
    SigningKey(std::string id, std::unique_ptr<Handle> handle);

    std::string id_;
    std::unique_ptr<Handle> handle_;
};

/// A token's parts, not yet to be trusted.
struct ParsedToken {
    std::string key_id;
    Object claims;
    /// What was signed, and the signature's bytes.
    std::string signed_part, signature;
};
/// unauthorized: no token, or one of another algorithm than ES256.
[[nodiscard]] result<ParsedToken> parse_token(std::string_view token);

} // namespace netbuild::identity
