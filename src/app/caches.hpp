// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "app/configuration.hpp"
#include "data/domain_cache.hpp"
#include "feed/event_feed.hpp"

namespace netbuild {
class RedisCacheStore;
}

namespace netbuild::app {

/// What the API has read and keeps while it is current: domains until an event of theirs,
/// definitions while none in the model changes. Shared by the fleet where `redis.url` is set.
class Caches {
public:
    /// `heard`: this process hears of what others write to domains. Where it does not, those are
    /// not kept; definitions need no message.
    Caches(const Configuration& configuration, asio::any_io_executor executor, Clock& clock,
           RecordStore& records, feed::EventFeed& events, bool heard);
    ~Caches();

    result<void> start();
    awaitable<void> stop();
    /// From the moment that the events are followed on, domains are kept.
    awaitable<result<void>> begin();

    /// Null: nothing is kept.
    [[nodiscard]] data::DomainCache* domains() { return domain_cache_ ? &*domain_cache_ : nullptr; }
    [[nodiscard]] cache::Documents* definitions() {
        return definitions_ ? &*definitions_ : nullptr;
    }
    /// Prometheus' text format.
    [[nodiscard]] std::string metrics() const;

private:
    feed::EventFeed& events_;
    std::unique_ptr<RedisCacheStore> redis_; // null without redis.url
    std::unique_ptr<CacheStore> memory_;     // null with it
    std::optional<cache::Documents> domains_, definitions_;
    std::optional<data::DomainCache> domain_cache_;
    feed::EventFeed::Listening listening_;
};

} // namespace netbuild::app
