// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <map>

#include "ports/cache_store.hpp"

namespace netbuild {

/// A cache's shared part within one process. One executor, no locks.
class MemoryCacheStore final : public CacheStore {
public:
    struct Options {
        /// Of records, keys included; the oldest written go first.
        std::size_t bytes_max = std::size_t{64} << 20;
        /// With more, all are forgotten, and with them every record.
        std::size_t tags_max = 100'000;
    };
    explicit MemoryCacheStore(Clock& clock, Options options = {.bytes_max = std::size_t{64} << 20,
                                                               .tags_max = 100'000})
        : clock_(clock), options_(options) {}

    [[nodiscard]] Listening listen(const std::string& cache, Listener listener) override;
    [[nodiscard]] bool watching() const override { return true; }
    awaitable<result<Seen>> read(CacheKey key) override;
    awaitable<result<Lease>> lease(CacheKey key, std::string token, Clock::duration time) override;
    awaitable<result<void>> release(CacheKey key, std::string token) override;
    awaitable<result<bool>> write(CacheKey key, CacheRecord record, std::string token) override;
    awaitable<result<void>> erase(CacheKey key) override;
    awaitable<result<void>> outdate(std::string cache, std::string tag, Position position) override;
    awaitable<result<void>> forget(std::string cache, std::string tag) override;

    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    using Name = std::pair<std::string, std::string>; // cache, key or tag
    struct Stored {
        CacheRecord record;
        std::vector<std::string> tags;
        Clock::duration fresh_until{};
        std::uint64_t number = 0;
    };
    struct Leased {
        std::string token;
        Clock::duration until{};
    };
    [[nodiscard]] Seen see(const CacheKey& key);
    CacheTag& tag(const std::string& cache, const std::string& name);
    void drop(const Name& name);
    void tell(std::string_view cache, std::string_view key, std::string_view tag);

    Clock& clock_;
    Options options_;
    std::multimap<std::string, Listener, std::less<>> listeners_;
    std::map<Name, Stored> records_;
    std::deque<std::pair<std::uint64_t, Name>> written_;
    std::map<Name, Leased> leases_;
    std::size_t leases_swept_ = 0; // how many were left then
    std::map<Name, CacheTag> tags_;
    std::size_t bytes_ = 0;
    std::uint64_t count_ = 0;
};

} // namespace netbuild
