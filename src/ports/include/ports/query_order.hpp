// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <utility>
#include <vector>

#include "ports/document_store.hpp"

namespace netbuild {

/// A document with its sort keys and id: for stores, or queries, whose engine does not sort.
using OrderedDocument = std::pair<std::vector<Value>, ValuePtr>;

/// The sort keys of `query` and the _id, as Query::after takes them.
[[nodiscard]] std::vector<Value> cursor_of(const Query& query, const Value& document);
/// Adds a matching document unless it is at or before `query.after`.
void add_ordered(const Query& query, ValuePtr document, std::vector<OrderedDocument>& found);
/// Sorted, at most `query.limit`, without the members of `query.without`.
[[nodiscard]] std::vector<ValuePtr> take_page(const Query& query,
                                              std::vector<OrderedDocument> found);
/// The document without the members of `query.without`.
[[nodiscard]] ValuePtr without_members(const Query& query, ValuePtr document);

} // namespace netbuild
