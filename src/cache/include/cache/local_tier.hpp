// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/position.hpp"
#include "runtime/clock.hpp"

namespace netbuild::cache {

using Object = std::shared_ptr<const void>;

/// What this process knows of a tag. Held by the entries and loads that have the tag.
struct LocalTag {
    Position outdated;
    /// Counts what makes everything with the tag invalid, whatever its Position.
    std::uint64_t changes = 0;
};
using LocalTagPtr = std::shared_ptr<LocalTag>;

struct LocalEntry {
    struct Tag {
        LocalTagPtr tag;
        std::uint64_t changes = 0;
    };
    std::string key;
    /// Null: it is known that there is none.
    Object object;
    Position position;
    std::vector<Tag> tags;
    Clock::duration fresh_until{}, stale_until{}, load_time{};
    /// From then on each look draws whether this one loads anew; before fresh_until.
    Clock::duration early_from{};
    std::size_t bytes = 0;
    std::size_t place = 0; // in the ring
    bool used = false;

    [[nodiscard]] bool valid() const noexcept {
        for (const Tag& each : tags) {
            if (each.changes != each.tag->changes || each.tag->outdated > position) return false;
        }
        return true;
    }
};

/// Values of one cache in this process, within a number of bytes: CLOCK, so that a hit writes one
/// byte. One executor, no locks.
class LocalTier {
public:
    explicit LocalTier(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    /// Null: not here. The next call that is not const may end the entry.
    [[nodiscard]] LocalEntry* find(std::string_view key) noexcept {
        const auto found = entries_.find(key);
        return found == entries_.end() ? nullptr : found->second.get();
    }
    /// `entry.bytes` are the object's; the entry's own are added. What is larger than all is not
    /// kept.
    void put(LocalEntry entry);
    void erase(std::string_view key);
    void clear();

    [[nodiscard]] std::size_t size() const noexcept { return ring_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint64_t evicted() const noexcept { return evicted_; }

private:
    void evict_one();

    std::size_t bytes_max_;
    // The keys' bytes are the entries'.
    std::unordered_map<std::string_view, std::unique_ptr<LocalEntry>> entries_;
    std::vector<LocalEntry*> ring_;
    std::size_t hand_ = 0, bytes_ = 0;
    std::uint64_t evicted_ = 0;
};

} // namespace netbuild::cache
