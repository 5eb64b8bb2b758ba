// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "cache/documents.hpp"
#include "ports/event_bus.hpp"
#include "ports/record_store.hpp"

namespace netbuild::data {

/// Domains that were read, kept until they change: what this fleet writes is forgotten at once,
/// what others write when its event is heard. Of a domain that others delete there is no event: its
/// time to live ends it.
class DomainCache {
public:
    DomainCache(cache::Documents& documents, RecordStore& records)
        : documents_(documents), records_(records) {}

    /// Events of NetBuild's own data are heard from `position` on, and hear() is told of each.
    /// Before, nothing is kept; what was kept earlier may have changed unheard.
    void begin(Position position);
    void hear(const StreamEvent& event);
    /// Some events will not be heard, up to `position`.
    void missed(Position position);

    /// Null: there is none.
    awaitable<result<ValuePtr>> get(std::string id);
    /// After a write of this fleet. Where the store of the cache cannot be told, its event will.
    awaitable<void> forget(std::string id);

private:
    awaitable<result<cache::Loaded<Value>>> load(std::string id);

    cache::Documents& documents_;
    RecordStore& records_;
    std::optional<Position> heard_;
};

} // namespace netbuild::data
