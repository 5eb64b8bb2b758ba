// SPDX-License-Identifier: Apache-2.0
#include "record_sql.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "query_sql.hpp"

namespace netbuild::sqlite {
namespace {

const char* comparison(RecordCondition::Operator op) {
    constexpr const char* signs[] = {"=", "<", "<=", ">", ">=", "IN"};
    return signs[static_cast<std::size_t>(op)];
}

std::string condition_sql(const RecordCondition& condition, std::vector<Value>& parameters) {
    const std::string column = quoted(condition.field);
    if (condition.value.is_null()) return column + " IS NULL";
    if (const auto* list = condition.value.get_if<Array>()) {
        parameters.insert(parameters.end(), list->begin(), list->end());
        return fmt::format("{} IN ({})", column,
                           fmt::join(std::vector<const char*>(list->size(), "?"), ", "));
    }
    parameters.push_back(condition.value);
    return fmt::format("{} {} ?", column, comparison(condition.op));
}

std::string columns_of(std::span<const std::string_view> fields) {
    std::vector<std::string> columns;
    for (const std::string_view field : fields)
        columns.push_back(quoted(field));
    return fmt::format("{}", fmt::join(columns, ", "));
}

} // namespace

std::vector<std::string_view> record_columns(const Collection& collection) {
    std::vector<std::string_view> columns;
    for (const Field& field : collection.fields) {
        if (collection.indexed(field.name)) columns.push_back(field.name);
    }
    return columns;
}

RecordSql walk_sql(const RecordStore::Plan& plan) {
    RecordSql sql;
    std::vector<std::string> where;
    for (const RecordCondition& condition : plan.where)
        where.push_back(condition_sql(condition, sql.parameters));
    if (!plan.from.empty()) {
        where.push_back(
            fmt::format("({}) {} ({})", columns_of(plan.keys), plan.descending ? "<" : ">",
                        fmt::join(std::vector<const char*>(plan.keys.size(), "?"), ", ")));
        sql.parameters.insert(sql.parameters.end(), plan.from.begin(), plan.from.end());
    }
    if (!plan.words.empty()) {
        where.push_back(fmt::format("_id IN (SELECT record FROM {} WHERE content MATCH ?)",
                                    quoted(search_table(*plan.collection))));
        std::string match; // strings side by side: all of them
        for (const std::string& word : plan.words)
            match += fmt::format("\"{}\" ", word);
        sql.parameters.emplace_back(std::move(match));
    }
    std::vector<std::string> order;
    for (const std::string_view key : plan.keys)
        order.push_back(quoted(key) + (plan.descending ? " DESC" : ""));
    sql.text = fmt::format("SELECT _body FROM {}{}{} ORDER BY {} LIMIT {}",
                           quoted(plan.collection->name), where.empty() ? "" : " WHERE ",
                           fmt::join(where, " AND "), fmt::join(order, ", "), plan.limit);
    return sql;
}

std::string index_title(const Collection& collection, std::string_view index) {
    return fmt::format("{}.{}", collection.name, index);
}

std::string search_table(const Collection& collection) {
    return index_title(collection, search_index_name(collection));
}

std::string create_search_sql(const Collection& collection) {
    return fmt::format("CREATE VIRTUAL TABLE IF NOT EXISTS {} USING fts5(record UNINDEXED, "
                       "content, tokenize = 'unicode61 remove_diacritics 2')",
                       quoted(search_table(collection)));
}

std::string insert_search_sql(const Collection& collection) {
    return fmt::format("INSERT INTO {} (record, content) VALUES (?, ?)",
                       quoted(search_table(collection)));
}

std::string create_index_sql(const Collection& collection, const RecordIndex& index) {
    return fmt::format("CREATE {}INDEX {} ON {} ({}{})", index.unique ? "UNIQUE " : "",
                       quoted(index_title(collection, index_name(index))), quoted(collection.name),
                       columns_of(index.keys()), index.unique ? "" : ", _id");
}

std::string insert_sql(const Collection& collection) {
    const auto columns = record_columns(collection);
    return fmt::format("INSERT INTO {} (_id, _version, _body{}{}) VALUES (?, ?, ?{})",
                       quoted(collection.name), columns.empty() ? "" : ", ", columns_of(columns),
                       fmt::join(std::vector<const char*>(columns.size() + 1, ""), ", ?"));
}

std::string replace_sql(const Collection& collection) {
    std::string assignments = "_version = ?, _body = ?";
    for (const std::string_view column : record_columns(collection))
        assignments += fmt::format(", {} = ?", quoted(column));
    return fmt::format("UPDATE {} SET {} WHERE _id = ? AND _version = ?", quoted(collection.name),
                       assignments);
}

} // namespace netbuild::sqlite
