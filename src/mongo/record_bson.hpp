// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/record_store.hpp"

namespace netbuild::mongo {

/// 24 hex digits: so an ObjectId is read, the `_id` of most other programs' records.
[[nodiscard]] bool is_object_id(std::string_view text) noexcept;
[[nodiscard]] Object walk_filter(const RecordStore::Plan& plan);
[[nodiscard]] Object walk_sort(const RecordStore::Plan& plan);
/// An element of createIndexes' `indexes`.
[[nodiscard]] Object index_object(const Collection& collection, const RecordIndex& index);
[[nodiscard]] Object search_index_object(const Collection& collection);
[[nodiscard]] Object validator_object(const Collection& collection);

} // namespace netbuild::mongo
