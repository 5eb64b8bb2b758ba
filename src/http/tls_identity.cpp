// SPDX-License-Identifier: Apache-2.0
#include "http/tls_identity.hpp"

#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>

#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <fmt/format.h>

#include "telemetry/log.hpp"

namespace netbuild::http {
namespace {

template <auto free>
struct With {
    template <class T>
    void operator()(T* one) const noexcept {
        free(one);
    }
};
using File = std::unique_ptr<std::FILE, With<[](std::FILE* file) { std::fclose(file); }>>;
using Certificate = std::unique_ptr<X509, With<[](X509* one) { X509_free(one); }>>;
using Key = std::unique_ptr<EVP_PKEY, With<[](EVP_PKEY* one) { EVP_PKEY_free(one); }>>;

Error bad(std::string_view setting, const std::string& file, std::string_view why) {
    return fail(ErrorCode::invalid_configuration, fmt::format("{} {}: {}", setting, file, why));
}

result<File> open(std::string_view setting, const std::string& path) {
    File file(std::fopen(path.c_str(), "re"));
    if (!file) return bad(setting, path, std::strerror(errno));
    return file;
}

Certificate first_certificate(std::FILE* file) {
    return Certificate(PEM_read_X509(file, nullptr, nullptr, nullptr));
}

/// A key with a passphrase is none to us: without this OpenSSL would ask for it on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

std::int64_t seconds_of(const ASN1_TIME* time) {
    std::tm parts{};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? std::int64_t{timegm(&parts)} : 0;
}

constexpr unsigned char protocol[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/// HTTP/1.1 for whoever offers it; another gets no word on it, and may speak HTTP/1.1 all the same.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void*) {
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, size, protocol, sizeof protocol, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

void set_up(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    // Of TLS 1.2; those of 1.3 are all as good.
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     // HTTP and WebSocket say themselves where they end.
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    // Clients come back with tickets, which cost the server no memory.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
}

} // namespace

void TlsIdentity::Free::operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }

TlsIdentity::Stamp TlsIdentity::stamp_of(const std::string& file) noexcept {
    struct stat found{};
    if (::stat(file.c_str(), &found) != 0) return {};
    return {std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec,
            std::int64_t{found.st_size}, std::uint64_t{found.st_ino}};
}

result<TlsIdentity> TlsIdentity::load(TlsFiles files) {
    constexpr std::string_view certificate_setting = "http.tls_certificate";
    constexpr std::string_view key_setting = "http.tls_key";
    TlsIdentity identity;
    // Before they are read: what changes meanwhile is read again.
    identity.stamps_ = {stamp_of(files.certificate), stamp_of(files.key)};
    ERR_clear_error();
    TRY(const File chain, open(certificate_setting, files.certificate));
    const Certificate certificate = first_certificate(chain.get());
    identity.context_.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* context = identity.context_.get();
    if (!context) return fail(ErrorCode::internal, "OpenSSL gives no context");
    set_up(context);
    if (!certificate || SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
        return bad(certificate_setting, files.certificate, "it holds no certificate (PEM)");
    TRY(const File key_file, open(key_setting, files.key));
    const Key key(PEM_read_PrivateKey(key_file.get(), nullptr, no_passphrase, nullptr));
    if (!key)
        return bad(key_setting, files.key, "it holds no private key (PEM, without a passphrase)");
    if (X509_check_private_key(certificate.get(), key.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context, key.get()) != 1)
        return bad(
            key_setting, files.key,
            fmt::format("it is not the key of {} {}", certificate_setting, files.certificate));
    identity.valid_from_s_ = seconds_of(X509_get0_notBefore(certificate.get()));
    identity.valid_until_s_ = seconds_of(X509_get0_notAfter(certificate.get()));
    identity.files_ = std::move(files);
    return identity;
}

SSL_CTX* TlsIdentity::context() {
    const std::array now{stamp_of(files_.certificate), stamp_of(files_.key)};
    if (now == stamps_) return context_.get();
    auto fresh = load(files_);
    if (fresh) {
        *this = std::move(*fresh);
        log::info("TLS: took the new certificate of {}", files_.certificate);
    } else {
        stamps_ = now;
        log::warning("TLS: {}; the certificate from before stays", fresh.error().message());
    }
    return context_.get();
}

bool shows_certificate(SSL* connection, const std::string& file) {
    const auto opened = open({}, file);
    const Certificate shown(SSL_get1_peer_certificate(connection));
    const Certificate own = opened ? first_certificate(opened->get()) : nullptr;
    return shown && own && X509_cmp(shown.get(), own.get()) == 0;
}

} // namespace netbuild::http
