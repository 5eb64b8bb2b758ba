// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_cache_store.hpp"

#include <algorithm>

namespace netbuild {
namespace {

/// Those of loaders that ended without a word are looked for when there are twice as many.
constexpr std::size_t leases_kept_min = 1000;

std::size_t bytes_of(const std::string& cache, const std::string& key, const CacheRecord& record) {
    constexpr std::size_t overhead = 256;
    return cache.size() + 2 * key.size() + record.value.size() + overhead;
}

} // namespace

CacheStore::Listening MemoryCacheStore::listen(const std::string& cache, Listener listener) {
    const auto place = listeners_.emplace(cache, std::move(listener));
    return {&*place, [this, place](const void*) { listeners_.erase(place); }};
}

void MemoryCacheStore::tell(std::string_view cache, std::string_view key, std::string_view tag) {
    const auto [begin, end] = listeners_.equal_range(cache);
    for (auto at = begin; at != end; ++at)
        at->second({cache, key, tag});
}

CacheTag& MemoryCacheStore::tag(const std::string& cache, const std::string& name) {
    const Name full{cache, name};
    if (const auto found = tags_.find(full); found != tags_.end()) return found->second;
    if (tags_.size() >= options_.tags_max) tags_.clear();
    return tags_.emplace(full, CacheTag{std::to_string(++count_), {}}).first->second;
}

void MemoryCacheStore::drop(const Name& name) {
    const auto found = records_.find(name);
    if (found == records_.end()) return;
    bytes_ -= bytes_of(name.first, name.second, found->second.record);
    records_.erase(found);
}

CacheStore::Seen MemoryCacheStore::see(const CacheKey& key) {
    Seen seen;
    for (const std::string& name : key.tags)
        seen.tags.push_back(tag(key.cache, name));
    const Name name{key.cache, key.key};
    const auto found = records_.find(name);
    if (found == records_.end()) return seen;
    const Stored& stored = found->second;
    CacheRecord record = stored.record;
    record.fresh = stored.fresh_until - clock_.monotonic();
    if (record.fresh + record.stale <= Clock::duration::zero()) {
        drop(name);
        return seen;
    }
    record.generations.clear();
    for (const std::string& wanted : key.tags) {
        const auto at = std::find(stored.tags.begin(), stored.tags.end(), wanted);
        record.generations.push_back(
            at == stored.tags.end()
                ? std::string()
                : stored.record.generations[static_cast<std::size_t>(at - stored.tags.begin())]);
    }
    seen.record = std::move(record);
    return seen;
}

awaitable<result<CacheStore::Seen>> MemoryCacheStore::read(CacheKey key) {
    CO_TRY_VOID(check_cache_key(key));
    co_return see(key);
}

awaitable<result<CacheStore::Lease>> MemoryCacheStore::lease(CacheKey key, std::string token,
                                                             Clock::duration time) {
    CO_TRY_VOID(check_cache_key(key));
    const auto now = clock_.monotonic();
    if (leases_.size() >= leases_swept_ * 2 + leases_kept_min) {
        std::erase_if(leases_, [&](const auto& each) { return each.second.until <= now; });
        leases_swept_ = leases_.size();
    }
    Leased& leased = leases_[{key.cache, key.key}];
    const bool granted = leased.until <= now || leased.token == token;
    if (granted) leased = {std::move(token), now + time};
    co_return Lease{granted, see(key)};
}

awaitable<result<void>> MemoryCacheStore::release(CacheKey key, std::string token) {
    const auto found = leases_.find({key.cache, key.key});
    if (found != leases_.end() && found->second.token == token) leases_.erase(found);
    co_return result<void>{};
}

awaitable<result<bool>> MemoryCacheStore::write(CacheKey key, CacheRecord record,
                                                std::string token) {
    CO_TRY_VOID(check_cache_key(key));
    const auto leased = leases_.find({key.cache, key.key});
    if (leased != leases_.end() && leased->second.token == token) leases_.erase(leased);
    const Name name{key.cache, key.key};
    const auto now = clock_.monotonic();
    if (const auto found = records_.find(name); found != records_.end()) {
        const Stored& old = found->second;
        if (old.fresh_until + old.record.stale > now && old.record.position > record.position)
            co_return false;
    }
    drop(name);
    bytes_ += bytes_of(key.cache, key.key, record);
    const auto fresh_until = now + record.fresh;
    written_.emplace_back(++count_, name);
    records_[name] = {std::move(record), std::move(key.tags), fresh_until, count_};
    while (bytes_ > options_.bytes_max || written_.size() > 2 * records_.size() + 1000) {
        const auto [number, oldest] = std::move(written_.front());
        written_.pop_front();
        const auto found = records_.find(oldest);
        if (found == records_.end()) continue;
        if (found->second.number != number) continue; // written again since
        if (bytes_ > options_.bytes_max)
            drop(oldest);
        else
            written_.emplace_back(number, oldest);
    }
    tell(key.cache, key.key, {});
    co_return true;
}

awaitable<result<void>> MemoryCacheStore::erase(CacheKey key) {
    drop({key.cache, key.key});
    tell(key.cache, key.key, {});
    co_return result<void>{};
}

awaitable<result<void>> MemoryCacheStore::outdate(std::string cache, std::string name,
                                                  Position position) {
    CacheTag& known = tag(cache, name);
    if (position <= known.outdated) co_return result<void>{};
    known.outdated = position;
    tell(cache, {}, name);
    co_return result<void>{};
}

awaitable<result<void>> MemoryCacheStore::forget(std::string cache, std::string name) {
    tag(cache, name).generation = std::to_string(++count_);
    tell(cache, {}, name);
    co_return result<void>{};
}

} // namespace netbuild
