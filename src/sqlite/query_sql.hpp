// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <set>
#include <string>
#include <vector>

#include "ports/document_store.hpp"

namespace netbuild::sqlite {

/// A collection as it is stored.
struct TableLayout {
    std::string table;
    /// Indexed paths, each a column of that name.
    std::set<std::string, std::less<>> columns;
};

/// SQL that gives at least the documents that match, in the wanted order if `ordered`.
struct QuerySql {
    std::string text;
    std::vector<Value> parameters;
    /// False: the sort has a path that is no column; the caller sorts and pages.
    bool ordered = true;
};
[[nodiscard]] QuerySql query_sql(const TableLayout& layout, const Query& query);
/// A name as an SQL identifier.
[[nodiscard]] std::string quoted(std::string_view name);

} // namespace netbuild::sqlite
