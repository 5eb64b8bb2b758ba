// SPDX-License-Identifier: Apache-2.0
#include "identity/tokens.hpp"

#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "wire/base64url.hpp"
#include "wire/json.hpp"

namespace netbuild::identity {
namespace {

constexpr int coordinate_bytes = 32;
constexpr std::size_t token_bytes_max = 8 * 1024;

template <auto function>
struct Deleter {
    template <class T>
    void operator()(T* handle) const noexcept {
        function(handle);
    }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using BignumPtr = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;

void must(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

/// Two numbers of 32 bytes, as JWS has it; OpenSSL's own form is DER.
std::string raw_signature(const std::string& der) {
    const unsigned char* at = bytes_of(der);
    const SignaturePtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
    must(signature != nullptr, "a signature");
    std::string raw(2 * coordinate_bytes, '\0');
    auto* out = reinterpret_cast<unsigned char*>(raw.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, coordinate_bytes);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + coordinate_bytes, coordinate_bytes);
    return raw;
}

std::string der_signature(std::string_view raw) {
    const SignaturePtr signature(ECDSA_SIG_new());
    ECDSA_SIG_set0(signature.get(), BN_bin2bn(bytes_of(raw), coordinate_bytes, nullptr),
                   BN_bin2bn(bytes_of(raw) + coordinate_bytes, coordinate_bytes, nullptr));
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(signature.get(), &der);
    std::string text(reinterpret_cast<char*>(der), static_cast<std::size_t>(std::max(size, 0)));
    OPENSSL_free(der);
    return text;
}

} // namespace

struct SigningKey::Handle {
    std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>> key;
};

SigningKey::SigningKey(std::string id, std::unique_ptr<Handle> handle)
    : id_(std::move(id)), handle_(std::move(handle)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

SigningKey SigningKey::generate(std::string id) {
    auto handle = std::make_unique<Handle>();
    handle->key.reset(EVP_EC_gen("P-256"));
    must(handle->key != nullptr, "no P-256 key");
    return SigningKey(std::move(id), std::move(handle));
}

result<SigningKey> SigningKey::parse(std::string id, const std::string& pem,
                                     const std::string& passphrase) {
    const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    auto handle = std::make_unique<Handle>();
    handle->key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr,
                                              const_cast<char*>(passphrase.c_str())));
    if (!handle->key)
        return fail(ErrorCode::corrupt,
                    "signing key " + id + " cannot be read; is auth.key_passphrase the right one?");
    return SigningKey(std::move(id), std::move(handle));
}

std::string SigningKey::pem(const std::string& passphrase) const {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    const EVP_CIPHER* cipher = passphrase.empty() ? nullptr : EVP_aes_256_cbc();
    must(PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->key.get(), cipher, passphrase.data(),
                                       static_cast<int>(passphrase.size()), nullptr, nullptr) == 1,
         "a key was not written");
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

Object SigningKey::jwk() const {
    Object key{{"kty", "EC"}, {"crv", "P-256"}, {"use", "sig"}, {"alg", "ES256"}, {"kid", id_}};
    for (const auto& [name, parameter] :
         {std::pair{"x", OSSL_PKEY_PARAM_EC_PUB_X}, std::pair{"y", OSSL_PKEY_PARAM_EC_PUB_Y}}) {
        BIGNUM* number = nullptr;
        must(EVP_PKEY_get_bn_param(handle_->key.get(), parameter, &number) == 1, "a coordinate");
        const BignumPtr owned(number);
        std::string bytes(coordinate_bytes, '\0');
        BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()), coordinate_bytes);
        key.append(name, encode_base64url(bytes));
    }
    return key;
}

std::string SigningKey::sign(const Object& claims) const {
    std::string token =
        encode_base64url(to_json(Object{{"alg", "ES256"}, {"typ", "JWT"}, {"kid", id_}})) + "." +
        encode_base64url(to_json(claims));
    const DigestPtr context(EVP_MD_CTX_new());
    std::size_t size = 0;
    must(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, handle_->key.get()) ==
                 1 &&
             EVP_DigestSign(context.get(), nullptr, &size, bytes_of(token), token.size()) == 1,
         "no signature");
    std::string der(size, '\0');
    must(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(der.data()), &size,
                        bytes_of(token), token.size()) == 1,
         "no signature");
    der.resize(size);
    return token + "." + encode_base64url(raw_signature(der));
}

bool SigningKey::verifies(std::string_view signed_part, std::string_view signature) const {
    if (signature.size() != 2 * coordinate_bytes) return false;
    const std::string der = der_signature(signature);
    const DigestPtr context(EVP_MD_CTX_new());
    return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr,
                                handle_->key.get()) == 1 &&
           EVP_DigestVerify(context.get(), bytes_of(der), der.size(), bytes_of(signed_part),
                            signed_part.size()) == 1;
}

result<ParsedToken> parse_token(std::string_view token) {
    const Error error = fail(ErrorCode::unauthorized, "no access token of this server");
    const auto first = token.find('.');
    const auto second = token.find('.', first + 1);
    if (token.size() > token_bytes_max || first == std::string_view::npos ||
        second == std::string_view::npos)
        return error;
    ParsedToken parsed;
    std::string header, claims;
    if (!decode_base64url(token.substr(0, first), header) ||
        !decode_base64url(token.substr(first + 1, second - first - 1), claims) ||
        !decode_base64url(token.substr(second + 1), parsed.signature))
        return error;
    const auto header_json = parse_json(header);
    auto claims_json = parse_json(claims);
    // The algorithm is ours, never the token's wish.
    if (!header_json || !header_json->at_path("alg") ||
        header_json->at_path("alg")->string_or() != "ES256" || !header_json->at_path("kid") ||
        !claims_json || !claims_json->is<Object>())
        return error;
    parsed.key_id = header_json->at_path("kid")->string_or();
    parsed.claims = std::move(*claims_json->get_if<Object>());
    parsed.signed_part = token.substr(0, second);
    return parsed;
}

} // namespace netbuild::identity
