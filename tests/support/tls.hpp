// SPDX-License-Identifier: Apache-2.0
// Certificates of a moment's worth, and a client's side of TLS that does what the test says.
#pragma once
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "realtime/world.hpp"

namespace netbuild::test {

/// Writes a new key and a certificate for it that it signs itself, good for `days` from now on.
inline void write_identity(const std::string& certificate_file, const std::string& key_file,
                           int days = 2, const char* passphrase = nullptr) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 60 * 60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 24L * 60 * 60 * days);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    ASSERT_NE(X509_sign(certificate, key, EVP_sha256()), 0);
    std::FILE* file = std::fopen(certificate_file.c_str(), "w");
    ASSERT_EQ(PEM_write_X509(file, certificate), 1);
    std::fclose(file);
    file = std::fopen(key_file.c_str(), "w");
    ASSERT_EQ(PEM_write_PrivateKey(file, key, passphrase ? EVP_aes_256_cbc() : nullptr, nullptr, 0,
                                   nullptr, const_cast<char*>(passphrase)),
              1);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/// For realtime::Peer. Verifies nothing; what was agreed on is there to look at.
class TlsLayer final : public realtime::Layer {
public:
    struct Options {
        /// ALPN, each with its length before it; empty: not offered.
        std::string protocols = {};
        int version_min = 0, version_max = 0;
    };
    TlsLayer() : TlsLayer(Options{}) {}
    explicit TlsLayer(const Options& options) : context_(SSL_CTX_new(TLS_client_method())) {
        SSL_CTX_set_min_proto_version(context_, options.version_min);
        SSL_CTX_set_max_proto_version(context_, options.version_max);
        SSL_CTX_set_security_level(context_, 0);
        ssl_ = SSL_new(context_);
        if (!options.protocols.empty())
            SSL_set_alpn_protos(ssl_,
                                reinterpret_cast<const unsigned char*>(options.protocols.data()),
                                static_cast<unsigned>(options.protocols.size()));
        SSL_set_bio(ssl_, in_, out_);
        SSL_set_connect_state(ssl_);
    }
    ~TlsLayer() override {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
    }
    void send(std::string_view bytes) override {
        waiting_ += bytes;
        go_on();
    }
    void receive(std::string_view from_socket) override {
        BIO_write(in_, from_socket.data(), static_cast<int>(from_socket.size()));
        go_on();
    }
    [[nodiscard]] bool open() const { return SSL_is_init_finished(ssl_) == 1; }
    /// The server said that nothing comes any more.
    [[nodiscard]] bool notified() const {
        return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
    }
    [[nodiscard]] std::string protocol() const {
        const unsigned char* chosen = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(ssl_, &chosen, &size);
        return {reinterpret_cast<const char*>(chosen), size};
    }
    [[nodiscard]] SSL* ssl() const { return ssl_; }
    /// The next bytes of ours are new keys, and the server's shall be too.
    void renew_keys() { SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED); }

private:
    void go_on() {
        ERR_clear_error();
        if (!open()) SSL_do_handshake(ssl_);
        if (open() && !waiting_.empty()) {
            EXPECT_EQ(SSL_write(ssl_, waiting_.data(), static_cast<int>(waiting_.size())),
                      static_cast<int>(waiting_.size()));
            waiting_.clear();
        }
        char buffer[16 * 1024];
        for (int size = 0; open() && (size = SSL_read(ssl_, buffer, sizeof buffer)) > 0;)
            received.append(buffer, static_cast<std::size_t>(size));
        for (int size = 0; (size = BIO_read(out_, buffer, sizeof buffer)) > 0;)
            to_socket.append(buffer, static_cast<std::size_t>(size));
    }

    SSL_CTX* context_;
    SSL* ssl_ = nullptr;
    BIO* in_ = BIO_new(BIO_s_mem());
    BIO* out_ = BIO_new(BIO_s_mem());
    std::string waiting_;
};

} // namespace netbuild::test
