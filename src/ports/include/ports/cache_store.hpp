// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/position.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// One value of a cache, as all nodes share it.
struct CacheRecord {
    /// Everything up to here was in it when it was loaded.
    Position position;
    /// How long the load took.
    Clock::duration load_time{};
    /// Written: how long it is fresh, and how long after that it may be served while somebody loads
    /// anew. Read: what is left of `fresh` (negative: stale for so long), and `stale` as written.
    Clock::duration fresh{}, stale{};
    /// It is known that there is none; `value` is empty.
    bool negative = false;
    /// Of the tags, in the order of CacheKey::tags, as they were before the load.
    std::vector<std::string> generations;
    std::string value;
};

/// What is known of a tag.
struct CacheTag {
    /// Another one after forget(), or after the store lost it: what has the old one is not valid.
    std::string generation;
    /// Of the latest event that outdates what has the tag.
    Position outdated;
};

struct CacheKey {
    /// Both bytes of any kind, of 1 to key_bytes_max; tags alike. Adapters escape them.
    std::string cache, key;
    /// A key has the same tags each time.
    std::vector<std::string> tags;
};

/// What caches of several nodes share: records, leases of loaders, tags. No promise of durability:
/// a store may lose any record, lease or tag at any time, and nothing outdated becomes valid by it.
///
/// A record is valid if each of its tags has the generation that the record has, and no `outdated`
/// beyond the record's Position. So invalidation is O(1), and an event beats a loader that read
/// before it, whichever of them comes first: tags may lie on other servers than records.
///
/// Every call: unavailable, outcome_unknown, out_of_memory; invalid_argument (a key too long);
/// unsupported (something else lies at the key).
class CacheStore {
public:
    static constexpr std::size_t key_bytes_max = 512;
    struct Seen {
        std::optional<CacheRecord> record;
        /// In the order of CacheKey::tags; made where missing.
        std::vector<CacheTag> tags;
    };
    struct Lease {
        bool granted = false;
        Seen seen; // after the lease was granted or refused
    };
    /// What may have changed: a key, a tag, or (both empty) anything.
    struct Change {
        std::string_view cache, key, tag;
    };
    using Listener = std::function<void(const Change&)>;

    virtual ~CacheStore() = default;

    /// Told of changes of whatever was read, own ones too, as long as what it gives is held; that
    /// ends before the store.
    using Listening = std::shared_ptr<const void>;
    [[nodiscard]] virtual Listening listen(const std::string& cache, Listener listener) = 0;
    /// Whether listeners are told now. Where not, what was read may be outdated unheard.
    [[nodiscard]] virtual bool watching() const = 0;

    virtual awaitable<result<Seen>> read(CacheKey key) = 0;
    /// Granted to one `token` at a time, for at most `time`.
    virtual awaitable<result<Lease>> lease(CacheKey key, std::string token,
                                           Clock::duration time) = 0;
    virtual awaitable<result<void>> release(CacheKey key, std::string token) = 0;
    /// Gives the token's lease back. False: a record of a later Position is there, and stays.
    virtual awaitable<result<bool>> write(CacheKey key, CacheRecord record, std::string token) = 0;
    virtual awaitable<result<void>> erase(CacheKey key) = 0;
    /// An event at `position`; an earlier one than is known changes nothing.
    virtual awaitable<result<void>> outdate(std::string cache, std::string tag,
                                            Position position) = 0;
    /// Whatever has the tag now is not valid any more, at any Position.
    virtual awaitable<result<void>> forget(std::string cache, std::string tag) = 0;
};

/// invalid_argument: empty or too long.
[[nodiscard]] inline result<void> check_cache_key(const CacheKey& key) {
    const auto fits = [](std::string_view text) {
        return !text.empty() && text.size() <= CacheStore::key_bytes_max;
    };
    bool good = fits(key.cache) && fits(key.key);
    for (const std::string& tag : key.tags)
        good = good && fits(tag);
    if (!good) return fail(ErrorCode::invalid_argument, "cache key: must be 1 to 512 bytes");
    return {};
}

} // namespace netbuild
