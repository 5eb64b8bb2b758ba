// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "data/domain_cache.hpp"
#include "model/caller.hpp"
#include "ports/record_store.hpp"

namespace netbuild::data {

/// Tenants' configuration. Every version is kept; the record's version counts them.
class Domains {
public:
    /// `cache` null: each one that is asked for is read.
    Domains(RecordStore& records, Clock& clock, DomainCache* cache = nullptr)
        : records_(records), clock_(clock), cache_(cache) {}

    /// not_found.
    awaitable<result<ValuePtr>> get(std::string id);
    /// As it is in the store at this moment; not_found.
    awaitable<result<ValuePtr>> get_stored(std::string id);
    /// Creates it (no `expected`) or replaces the version `expected`; `body` is as domain_fields
    /// have it. precondition_failed: it is there already, or at another version.
    awaitable<result<ValuePtr>> put(std::string id, Object body,
                                    std::optional<std::int64_t> expected, std::string actor);
    awaitable<result<RecordPage>> list(Scope scope, std::size_t limit, std::string after);
    /// Newest first.
    awaitable<result<RecordPage>> versions(std::string id, std::size_t limit, std::string after);

private:
    RecordStore& records_;
    Clock& clock_;
    DomainCache* cache_;
};

} // namespace netbuild::data
