// SPDX-License-Identifier: Apache-2.0
#include "cache/local_tier.hpp"

#include "base/shrink.hpp"

namespace netbuild::cache {
namespace {

/// The tables' nodes and buckets beside the entry.
constexpr std::size_t entry_overhead = 96;

std::size_t bytes_of(const LocalEntry& entry) {
    return entry.bytes + entry.key.size() + entry.tags.size() * sizeof(LocalEntry::Tag) +
           sizeof(LocalEntry) + entry_overhead;
}

} // namespace

void LocalTier::put(LocalEntry entry) {
    erase(entry.key);
    entry.bytes = bytes_of(entry);
    if (entry.bytes > bytes_max_) return;
    while (bytes_ + entry.bytes > bytes_max_)
        evict_one();
    auto kept = std::make_unique<LocalEntry>(std::move(entry));
    kept->place = ring_.size();
    ring_.push_back(kept.get());
    bytes_ += kept->bytes;
    const std::string_view key = kept->key;
    entries_.emplace(key, std::move(kept));
}

void LocalTier::erase(std::string_view key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    // Its key is the table's: it ends after the table has let go of it.
    const auto entry = std::move(found->second);
    entries_.erase(found);
    bytes_ -= entry->bytes;
    ring_[entry->place] = ring_.back();
    ring_[entry->place]->place = entry->place;
    ring_.pop_back();
    shrink(entries_);
}

void LocalTier::evict_one() {
    while (true) {
        if (hand_ >= ring_.size()) hand_ = 0;
        LocalEntry& entry = *ring_[hand_];
        if (!entry.used || !entry.valid()) break;
        entry.used = false;
        ++hand_;
    }
    ++evicted_;
    erase(ring_[hand_]->key);
}

void LocalTier::clear() {
    ring_.clear();
    entries_.clear();
    bytes_ = 0;
    hand_ = 0;
}

} // namespace netbuild::cache
