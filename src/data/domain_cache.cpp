// SPDX-License-Identifier: Apache-2.0
#include "data/domain_cache.hpp"

#include <algorithm>

#include "data/domain_records.hpp"
#include "telemetry/log.hpp"

namespace netbuild::data {

void DomainCache::begin(Position position) {
    heard_ = position;
    missed(position);
}

void DomainCache::missed(Position position) {
    documents_.outdate(cache::everything, position);
    heard_ = std::max(heard_.value_or(position), position);
}

void DomainCache::hear(const StreamEvent& event) {
    // An id that other programs wrote as no text, or too long, is never kept.
    const bool kept =
        !event.domain_id.empty() && event.domain_id.size() <= CacheStore::key_bytes_max;
    // domain:created, too: that there is none may be known here.
    if (kept && event.type.starts_with("domain:"))
        documents_.outdate(event.domain_id, event.position);
    heard_ = event.position;
}

awaitable<result<ValuePtr>> DomainCache::get(std::string id) {
    if (!heard_ || id.size() > CacheStore::key_bytes_max) {
        CO_TRY(auto loaded, co_await load(std::move(id)));
        co_return std::move(loaded.value);
    }
    if (auto here = documents_.try_get(id)) co_return here;
    std::vector<std::string> tags{id};
    CO_TRY(auto found,
           co_await documents_.get(id, std::move(tags), [this, id] { return load(id); }));
    co_return std::move(found.value);
}

awaitable<result<cache::Loaded<Value>>> DomainCache::load(std::string id) {
    // Before the read: an event is published after what it tells of is in the store.
    const Position heard = heard_.value_or(Position{});
    auto record = co_await records_.one(domains, std::move(id));
    if (!record && record.error().code() == ErrorCode::not_found)
        co_return cache::Loaded<Value>{nullptr, heard};
    if (!record) co_return std::move(record).error();
    co_return cache::Loaded<Value>{std::move(*record), heard};
}

awaitable<void> DomainCache::forget(std::string id) {
    const auto forgotten = co_await documents_.forget(id);
    if (!forgotten)
        log::warning("cache: other nodes hear later that domain {} has changed: {}", id,
                     forgotten.error().message());
}

} // namespace netbuild::data
