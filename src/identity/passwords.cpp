// SPDX-License-Identifier: Apache-2.0
#include "identity/passwords.hpp"

#include <argon2.h>
#include <fmt/format.h>

#include "crypto.hpp"

namespace netbuild::identity {
namespace {

constexpr std::size_t salt_bytes = 16, hash_bytes = 32;

} // namespace

Passwords::Passwords(Options options)
    : options_(options),
      pool_({.name = "passwords", .threads = options.threads, .queued_max = 64}) {
    nobody_ = hash_now(random_text(24)).value();
}

result<std::string> Passwords::hash_now(const std::string& password) const {
    const std::string salt = random_bytes(salt_bytes);
    std::string encoded(argon2_encodedlen(options_.passes, options_.memory_kib, options_.lanes,
                                          salt_bytes, hash_bytes, Argon2_id),
                        '\0');
    const int code = argon2id_hash_encoded(options_.passes, options_.memory_kib, options_.lanes,
                                           password.data(), password.size(), salt.data(),
                                           salt.size(), hash_bytes, encoded.data(), encoded.size());
    if (code != ARGON2_OK)
        return fail(ErrorCode::internal, fmt::format("argon2: {}", argon2_error_message(code)));
    encoded.resize(encoded.find('\0'));
    return encoded;
}

awaitable<result<std::string>> Passwords::hash(std::string password) {
    co_return co_await pool_.run(
        [this, password = std::move(password)] { return hash_now(password); });
}

awaitable<result<Passwords::Verdict>> Passwords::verify(std::string hash, std::string password) {
    co_return co_await pool_.run([this, hash = std::move(hash),
                                  password = std::move(password)]() -> result<Verdict> {
        const std::string& compared = hash.empty() ? nobody_ : hash;
        ++comparisons_;
        const int code = argon2id_verify(compared.c_str(), password.data(), password.size());
        if (code != ARGON2_OK && code != ARGON2_VERIFY_MISMATCH)
            return fail(ErrorCode::internal, fmt::format("argon2: {}", argon2_error_message(code)));
        const std::string today = fmt::format("$argon2id$v=19$m={},t={},p={}$", options_.memory_kib,
                                              options_.passes, options_.lanes);
        return Verdict{code == ARGON2_OK && !hash.empty(), !hash.starts_with(today)};
    });
}

} // namespace netbuild::identity
