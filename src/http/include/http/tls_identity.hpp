// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include <openssl/types.h>

#include "base/result.hpp"

namespace netbuild::http {

/// PEM files: the certificate with those that lead to its authority, and its key.
struct TlsFiles {
    std::string certificate, key;
    [[nodiscard]] bool empty() const noexcept { return certificate.empty() && key.empty(); }
};

/// What the listener shows of itself: TLS 1.2 and 1.3, forward secret AEAD ciphers only, HTTP/1.1.
class TlsIdentity {
public:
    /// invalid_configuration: names http.tls_certificate or http.tls_key, its file, and whether it
    /// cannot be read, is not what it should be, or is the key of another certificate.
    static result<TlsIdentity> load(TlsFiles files);

    /// For a new handshake, of the files as they are now. Files that changed and are not good, such
    /// as a certificate whose key comes a moment later, are said in the log; the last good pair
    /// stays until they change again.
    [[nodiscard]] SSL_CTX* context();

    /// The certificate's days, in seconds since 1970.
    [[nodiscard]] std::int64_t valid_from_s() const noexcept { return valid_from_s_; }
    [[nodiscard]] std::int64_t valid_until_s() const noexcept { return valid_until_s_; }

private:
    struct Free {
        void operator()(SSL_CTX* context) const noexcept;
    };
    /// Of one file: when it was written, its size, its inode.
    struct Stamp {
        std::int64_t written_ns = 0, size = 0;
        std::uint64_t inode = 0;
        bool operator==(const Stamp&) const = default;
    };
    TlsIdentity() = default;
    [[nodiscard]] static Stamp stamp_of(const std::string& file) noexcept;

    TlsFiles files_;
    std::array<Stamp, 2> stamps_;
    std::unique_ptr<SSL_CTX, Free> context_;
    std::int64_t valid_from_s_ = 0, valid_until_s_ = 0;
};

/// The peer of a client's connection shows the first certificate of this file.
[[nodiscard]] bool shows_certificate(SSL* connection, const std::string& file);

} // namespace netbuild::http
