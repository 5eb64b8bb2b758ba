// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

namespace netbuild::sim {

/// Everything that happens in a simulated world, as one number (FNV-1a): equal seeds must give
/// equal traces, or a failure could not be shown again.
class Trace {
public:
    void add(std::string_view text) noexcept {
        for (const char byte : text)
            hash_ = (hash_ ^ static_cast<unsigned char>(byte)) * prime;
    }
    void add(std::uint64_t number) noexcept { hash_ = (hash_ ^ number) * prime; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

private:
    static constexpr std::uint64_t prime = 0x100000001B3u;
    std::uint64_t hash_ = 0xCBF29CE484222325u;
};

} // namespace netbuild::sim
