// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

#include "runtime/blocking_pool.hpp"
#include "runtime/clock.hpp"

namespace netbuild::identity {

/// argon2id (RFC 9106) in PHC form. Blocking work, on threads of its own: at most `threads` at a
/// time, and `overloaded` when too many wait.
class Passwords {
public:
    struct Options {
        std::uint32_t memory_kib = 19456;
        std::uint32_t passes = 2;
        std::uint32_t lanes = 1;
        std::size_t threads = 2;
    };
    explicit Passwords(Options options);

    static constexpr std::size_t bytes_min = 10, bytes_max = 1024;

    awaitable<result<std::string>> hash(std::string password);

    struct Verdict {
        bool right = false;
        /// Made with other parameters than today's.
        bool outdated = false;
    };
    /// An empty hash is never right, and takes as long as any.
    awaitable<result<Verdict>> verify(std::string hash, std::string password);

    /// The hash that stands in for one that is not there, made with today's parameters.
    [[nodiscard]] const std::string& nobody() const { return nobody_; }
    /// Runs of argon2 for verify(): the part of a sign-in that takes time.
    [[nodiscard]] std::uint64_t comparisons() const { return comparisons_; }

private:
    [[nodiscard]] result<std::string> hash_now(const std::string& password) const;

    Options options_;
    std::string nobody_;
    std::atomic<std::uint64_t> comparisons_ = 0;
    BlockingPool pool_;
};

} // namespace netbuild::identity
