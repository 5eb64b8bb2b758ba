// SPDX-License-Identifier: Apache-2.0
#include "publication.hpp"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace netbuild::postgres {
namespace {

constexpr int column_lists_since = 150000;
constexpr int attempts_max = 5;

/// "{a,b}" of PostgreSQL's name[]; Camunda's column names need no quotes.
std::set<std::string, std::less<>> parse_array(std::string_view text) {
    std::set<std::string, std::less<>> names;
    if (text.size() < 2) return names;
    text = text.substr(1, text.size() - 2);
    while (!text.empty()) {
        const auto comma = text.find(',');
        names.emplace(text.substr(0, comma));
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return names;
}

/// Tables with their column lists, as CREATE and ALTER PUBLICATION take them.
std::string table_list(const std::string& schema, const TableColumns& columns, bool with_columns) {
    std::vector<std::string> parts;
    for (const auto& [table, present] : columns) {
        const auto& info = camunda::info(table);
        std::string part = quote_identifier(schema) + "." + quote_identifier(info.name);
        if (with_columns) {
            std::vector<std::string> names;
            for (const std::string_view column : info.columns) {
                if (present.contains(column)) names.push_back(quote_identifier(column));
            }
            part += fmt::format(" ({})", fmt::join(names, ", "));
        }
        parts.push_back(std::move(part));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

} // namespace

awaitable<result<TableColumns>> check_engine(Connection& connection, std::string schema) {
    CO_TRY(const Rows rows,
           co_await connection.query(
               {"select c.relname, a.attname from pg_class c join pg_namespace n on n.oid = "
                "c.relnamespace "
                "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
                "where n.nspname = $1 and c.relkind in ('r', 'p') and c.relname like 'act\\_%'",
                {schema}}));
    TableColumns columns;
    for (int i = 0; i < rows.count(); ++i) {
        const auto table = camunda::find_table(rows.text(i, 0));
        if (!table) continue;
        for (const std::string_view known : camunda::info(*table).columns) {
            if (known == rows.text(i, 1)) columns[*table].emplace(known);
        }
    }
    for (const auto& info : camunda::tables()) {
        if (!columns.contains(info.table)) {
            co_return fail(
                ErrorCode::invalid_configuration,
                fmt::format(
                    "schema {} has no table {}: is it a Camunda 7 database, and has Camunda been "
                    "started on it? Check [postgres] dbname and [engine] schema",
                    schema, info.name));
        }
    }
    CO_TRY(const Rows level,
           co_await connection.query(
               {fmt::format("select value_ from {}.act_ge_property where name_ = 'historyLevel'",
                            quote_identifier(schema))}));
    if (level.count() == 1 && level.text(0, 0) != "3") {
        co_return fail(
            ErrorCode::invalid_configuration,
            fmt::format("the engine's history level is {}, events would be missing: set Camunda's "
                        "`history-level` to full and restart it",
                        level.text(0, 0)));
    }
    co_return columns;
}

namespace {

/// What makes a publication of that name serve; empty when it does already.
awaitable<result<std::string>> publication_statement(Connection& connection, std::string name,
                                                     std::string schema,
                                                     const TableColumns& columns) {
    const bool with_columns = connection.server_version() >= column_lists_since;
    CO_TRY(const Rows exists,
           co_await connection.query(
               {"select pubinsert and pubupdate and pubdelete and pubtruncate from pg_publication "
                "where pubname = $1",
                {name}}));
    const std::string list = table_list(schema, columns, with_columns);
    if (exists.count() == 0)
        co_return fmt::format("create publication {} for table {}", quote_identifier(name), list);
    CO_TRY(const Rows tables,
           co_await connection.query(
               {with_columns ? "select tablename, attnames from pg_publication_tables where "
                               "pubname = $1 and schemaname = $2"
                             : "select tablename, null from pg_publication_tables where "
                               "pubname = $1 and schemaname = $2",
                {name, schema}}));
    std::map<std::string, std::set<std::string, std::less<>>, std::less<>> published;
    for (int i = 0; i < tables.count(); ++i) {
        published[std::string(tables.text(i, 0))] = parse_array(tables.text(i, 1));
    }
    bool serves = exists.text(0, 0) == "t";
    for (const auto& [table, wanted] : columns) {
        const auto found = published.find(camunda::info(table).name);
        serves &= found != published.end();
        if (!serves || !with_columns) continue;
        for (const auto& column : wanted)
            serves &= found->second.contains(column);
    }
    if (serves) co_return std::string();
    co_return fmt::format("alter publication {} set table {}", quote_identifier(name), list);
}

} // namespace

awaitable<result<void>> ensure_publication(Connection& connection, std::string name,
                                           std::string schema, const TableColumns& columns) {
    for (int attempt = 1;; ++attempt) {
        CO_TRY(const std::string sql,
               co_await publication_statement(connection, name, schema, columns));
        if (sql.empty()) co_return result<void>{};
        auto done = co_await connection.query({sql});
        if (done) co_return result<void>{};
        if (done.error().code() == ErrorCode::forbidden)
            co_return fail(ErrorCode::forbidden,
                           fmt::format("publication {} cannot be made by this role: let the owner "
                                       "of Camunda's tables run: {}",
                                       name, sql));
        // Another worker that starts at the same moment has made or changed it: look again.
        if (attempt == attempts_max) co_return std::move(done).error();
    }
}

} // namespace netbuild::postgres
