// SPDX-License-Identifier: Apache-2.0
#include "query_sql.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace netbuild::sqlite {
namespace {

/// Columns hold scalars: an array's elements, objects and bytes are not in them.
bool fits_column(const Value& value) {
    return value.is<std::string>() || value.is<std::int32_t>() || value.is<std::int64_t>() ||
           value.is<double>() || value.is<Date>();
}

std::string column_of(const TableLayout& layout, std::string_view path) {
    if (path == "_id") return "id";
    return layout.columns.contains(path) ? quoted(path) : std::string();
}

const char* comparison(Condition::Operator op) {
    switch (op) {
    case Condition::Operator::equal:
        return "=";
    case Condition::Operator::less:
        return "<";
    case Condition::Operator::less_or_equal:
        return "<=";
    case Condition::Operator::greater:
        return ">";
    case Condition::Operator::greater_or_equal:
        return ">=";
    default:
        return nullptr;
    }
}

void add_condition(const TableLayout& layout, const Condition& condition, QuerySql& sql,
                   std::vector<std::string>& where) {
    const std::string column = column_of(layout, condition.path);
    if (column.empty()) return;
    if (const char* op = comparison(condition.op); op && fits_column(condition.value)) {
        where.push_back(fmt::format("{} {} ?", column, op));
        sql.parameters.push_back(condition.value);
        return;
    }
    const auto* list = condition.value.get_if<Array>();
    if (condition.op == Condition::Operator::in && list && !list->empty() &&
        std::all_of(list->begin(), list->end(), fits_column)) {
        std::vector<std::string> marks(list->size(), "?");
        where.push_back(fmt::format("{} IN ({})", column, fmt::join(marks, ",")));
        sql.parameters.insert(sql.parameters.end(), list->begin(), list->end());
    }
}

/// `column` stands after `value` in the order; null is the smallest.
std::string beyond(const std::string& column, bool descending, const Value& value,
                   std::vector<Value>& parameters) {
    if (value.is_null()) return descending ? "0" : column + " IS NOT NULL";
    parameters.push_back(value);
    return descending ? fmt::format("({0} < ? OR {0} IS NULL)", column) : column + " > ?";
}

/// (a, b, id) after (x, y, z), with a direction for each.
std::string after_cursor(const std::vector<std::pair<std::string, bool>>& keys,
                         const std::vector<Value>& cursor, std::vector<Value>& parameters) {
    std::vector<std::string> alternatives;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        std::vector<std::string> parts;
        for (std::size_t j = 0; j < i; ++j) {
            parts.push_back(keys[j].first + " IS ?");
            parameters.push_back(cursor[j]);
        }
        parts.push_back(beyond(keys[i].first, keys[i].second, cursor[i], parameters));
        alternatives.push_back(fmt::format("({})", fmt::join(parts, " AND ")));
    }
    return fmt::format("({})", fmt::join(alternatives, " OR "));
}

} // namespace

std::string quoted(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"') out.push_back('"');
        out.push_back(c);
    }
    return out + '"';
}

QuerySql query_sql(const TableLayout& layout, const Query& query) {
    QuerySql sql;
    std::vector<std::string> where;
    for (const Condition& condition : query.filter.all)
        add_condition(layout, condition, sql, where);
    std::vector<std::pair<std::string, bool>> keys;
    for (const SortKey& key : query.sort) {
        keys.emplace_back(column_of(layout, key.path), key.descending);
        sql.ordered &= !keys.back().first.empty();
    }
    keys.emplace_back("id", false);
    if (sql.ordered && query.after.size() == keys.size()) {
        where.push_back(after_cursor(keys, query.after, sql.parameters));
    }
    sql.text = "SELECT body FROM " + layout.table;
    if (!where.empty()) sql.text += fmt::format(" WHERE {}", fmt::join(where, " AND "));
    if (!sql.ordered || query.any_order) return sql;
    std::vector<std::string> order;
    for (const auto& [column, descending] : keys)
        order.push_back(column + (descending ? " DESC" : ""));
    sql.text += fmt::format(" ORDER BY {}", fmt::join(order, ", "));
    return sql;
}

} // namespace netbuild::sqlite
