// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace netbuild::sync {

/// FNV-1a (Fowler, Noll, Vo) with a last mix of MurmurHash3: the same on every machine and in every
/// version, for an order may hang on it. Among a million ids two are alike once in 18 million
/// times.
[[nodiscard]] inline std::uint64_t hash_id(std::string_view id, unsigned char kind) noexcept {
    std::uint64_t hash = 0xCBF2'9CE4'8422'2325u ^ kind;
    for (const char c : id)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01B3u;
    hash ^= hash >> 33;
    hash *= 0xFF51'AFD7'ED55'8CCDu;
    hash ^= hash >> 33;
    return hash | 1; // 0 is an empty place
}

/// Hashes of ids → numbers, in 12 bytes a place: what tells the rows of a large transaction where
/// they belong. Open addressing, at most two thirds full.
class IdIndex {
public:
    [[nodiscard]] std::optional<std::uint32_t> find(std::uint64_t hash) const noexcept {
        if (hashes_.empty()) return std::nullopt;
        for (std::size_t at = place(hash); hashes_[at] != 0; at = (at + 1) & mask())
            if (hashes_[at] == hash) return values_[at];
        return std::nullopt;
    }
    /// A hash that is known keeps its number.
    void insert(std::uint64_t hash, std::uint32_t value) {
        if (3 * (size_ + 1) > 2 * hashes_.size()) grow();
        size_ += put(hash, value);
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    [[nodiscard]] std::size_t mask() const noexcept { return hashes_.size() - 1; }
    [[nodiscard]] std::size_t place(std::uint64_t hash) const noexcept {
        return static_cast<std::size_t>(hash >> 1) & mask();
    }
    bool put(std::uint64_t hash, std::uint32_t value) {
        std::size_t at = place(hash);
        for (; hashes_[at] != 0; at = (at + 1) & mask())
            if (hashes_[at] == hash) return false;
        hashes_[at] = hash;
        values_[at] = value;
        return true;
    }
    void grow() {
        std::vector<std::uint64_t> hashes(hashes_.empty() ? 1024 : 2 * hashes_.size());
        std::vector<std::uint32_t> values(hashes.size());
        hashes.swap(hashes_);
        values.swap(values_);
        for (std::size_t i = 0; i < hashes.size(); ++i)
            if (hashes[i] != 0) put(hashes[i], values[i]);
    }

    std::vector<std::uint64_t> hashes_;
    std::vector<std::uint32_t> values_;
    std::size_t size_ = 0;
};

} // namespace netbuild::sync
