// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "ports/record_store.hpp"

namespace netbuild::data {

/// All of NetBuild's own collections.
[[nodiscard]] std::span<const Collection> own_collections() noexcept;

/// Told of every change before it begins and while it lasts.
using SchemaReport =
    std::function<void(const SchemaChange& change, std::uint64_t done, std::uint64_t of)>;

/// Brings the store to the declaration; what was done. A second time there is nothing to do. Two
/// processes may do it at a time.
awaitable<result<std::vector<SchemaChange>>> apply_schema(RecordStore& records,
                                                          SchemaReport report);

/// Removes what has expired from every collection that says when; how many records it were.
awaitable<result<std::uint64_t>> remove_expired(RecordStore& records, Date now);

} // namespace netbuild::data
