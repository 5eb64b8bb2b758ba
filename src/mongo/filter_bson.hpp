// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/document_store.hpp"

namespace netbuild::mongo {

/// A filter as MongoDB's query document.
[[nodiscard]] Object filter_object(const Filter& filter);
/// The filter of a query with its cursor: only what comes after it.
[[nodiscard]] Object query_object(const Query& query);
/// {path: 1 or -1, …, _id: 1}.
[[nodiscard]] Object sort_object(const Query& query);

} // namespace netbuild::mongo
