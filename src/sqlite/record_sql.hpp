// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "ports/record_store.hpp"

namespace netbuild::sqlite {

/// The fields that are columns beside `_id`, `_version` and `_body`: the indexed ones.
[[nodiscard]] std::vector<std::string_view> record_columns(const Collection& collection);

struct RecordSql {
    std::string text;
    std::vector<Value> parameters;
};
/// Selects bodies.
[[nodiscard]] RecordSql walk_sql(const RecordStore::Plan& plan);
/// The index's name in the file: names are the database's there.
[[nodiscard]] std::string index_title(const Collection& collection, std::string_view index);
/// The full-text index (https://www.sqlite.org/fts5.html): a table of its own, with the _id and a
/// copy of the text. Rowids would do without the copy, but VACUUM may change them.
[[nodiscard]] std::string search_table(const Collection& collection);
[[nodiscard]] std::string create_search_sql(const Collection& collection);
/// Parameters: id, text.
[[nodiscard]] std::string insert_search_sql(const Collection& collection);
[[nodiscard]] std::string create_index_sql(const Collection& collection, const RecordIndex& index);
/// Parameters: id, version, body, then the columns' values.
[[nodiscard]] std::string insert_sql(const Collection& collection);
/// Parameters: new version, body, the columns' values, then id and old version.
[[nodiscard]] std::string replace_sql(const Collection& collection);

} // namespace netbuild::sqlite
