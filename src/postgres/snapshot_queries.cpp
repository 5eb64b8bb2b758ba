// SPDX-License-Identifier: Apache-2.0
#include "snapshot_queries.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace netbuild::postgres {

using camunda::Table;

namespace {

std::string on(std::string_view condition, std::string_view column) {
    std::string out(condition);
    const auto place = out.find("{}");
    return out.replace(place, 2, column);
}

} // namespace

SnapshotQueries::SnapshotQueries(std::string_view schema, const TableColumns& columns)
    : schema_(quote_identifier(schema)), columns_(columns) {}

std::string SnapshotQueries::name(Table table) const {
    return schema_ + "." + quote_identifier(camunda::info(table).name);
}

TableQuery SnapshotQueries::select(Table table, std::string_view source, std::string_view where,
                                   std::size_t owner, std::string_view further_column) const {
    const auto& present = columns_.at(table);
    std::vector<std::string> columns;
    for (const std::string_view column : camunda::info(table).columns) {
        // A column that this Camunda does not have keeps its place.
        columns.push_back(present.contains(column) ? "t." + quote_identifier(column)
                                                   : std::string("null"));
    }
    if (!further_column.empty()) {
        owner = columns.size();
        columns.emplace_back(further_column);
    }
    return {table, fmt::format("select {} from {} {}", fmt::join(columns, ", "), source, where),
            owner};
}

std::vector<TableQuery> SnapshotQueries::definitions() const {
    const std::string definitions = name(Table::re_procdef);
    return {select(Table::re_procdef, definitions + " t", "order by t.id_"),
            select(Table::ge_bytearray, name(Table::ge_bytearray) + " t",
                   fmt::format(
                       "where t.deployment_id_ = any(array(select deployment_id_ from {0})) and "
                       "exists (select from {0} d where d.deployment_id_ = t.deployment_id_ "
                       "and d.resource_name_ = t.name_)",
                       definitions)),
            select(Table::ru_jobdef, name(Table::ru_jobdef) + " t", "")};
}

// The planner may know nothing of the tables, or what was true last year. So that it can only go
// through the index of what is asked for, `offset 0` keeps it from turning the nesting around, and
// num_nulls() from an index that holds all open activities.

TableQuery SnapshotQueries::bytes_of_variables(std::string_view where,
                                               std::string_view owner) const {
    return select(Table::ge_bytearray,
                  fmt::format("(select v.* from {} v where {} and v.bytearray_id_ is not null "
                              "offset 0) v cross join lateral (select b.* from {} b where b.id_ = "
                              "v.bytearray_id_ offset 0) t",
                              name(Table::hi_varinst), where, name(Table::ge_bytearray)),
                  "", 0, owner);
}

TableQuery SnapshotQueries::candidates_of_tasks(std::string_view where,
                                                std::string_view owner) const {
    return select(Table::hi_identitylink,
                  fmt::format("(select h.* from {} h where {} offset 0) h cross join lateral "
                              "(select l.* from {} l where l.task_id_ = h.id_ and l.type_ = "
                              "'candidate' offset 0) t",
                              name(Table::hi_taskinst), where, name(Table::hi_identitylink)),
                  "order by t.timestamp_, t.operation_type_, t.id_", 0, owner);
}

std::vector<TableQuery> SnapshotQueries::instances(std::string_view condition) const {
    const auto rows = [&](Table table, auto owner, std::string_view further = {}) {
        const auto column = static_cast<std::size_t>(owner);
        const std::string named = fmt::format("t.{}", camunda::info(table).columns[column]);
        return select(table, name(table) + " t",
                      fmt::format("where {}{}", on(condition, named), further), column);
    };
    return {
        rows(Table::hi_procinst, camunda::hi_procinst::proc_inst_id),
        rows(Table::hi_taskinst, camunda::hi_taskinst::proc_inst_id),
        // Of activities and incidents only the open ones lie in a document.
        rows(Table::hi_actinst, camunda::hi_actinst::proc_inst_id,
             " and num_nulls(t.end_time_) = 1"),
        rows(Table::hi_incident, camunda::hi_incident::proc_inst_id, " and t.incident_state_ = 0"),
        rows(Table::hi_varinst, camunda::hi_varinst::proc_inst_id,
             " and t.state_ is distinct from 'DELETED'"),
        bytes_of_variables(on(condition, "v.proc_inst_id_"), "v.proc_inst_id_"),
        candidates_of_tasks(on(condition, "h.proc_inst_id_"), "h.proc_inst_id_"),
        rows(Table::ru_task, camunda::ru_task::proc_inst_id),
        rows(Table::ru_job, camunda::ru_job::process_instance_id),
    };
}

std::vector<TableQuery> SnapshotQueries::standalone_tasks(std::string_view condition) const {
    const auto rows = [&](Table table, auto owner, std::string_view further = {}) {
        const auto column = static_cast<std::size_t>(owner);
        const std::string named = fmt::format("t.{}", camunda::info(table).columns[column]);
        return select(
            table, name(table) + " t",
            fmt::format("where t.proc_inst_id_ is null and {}{}", on(condition, named), further),
            column);
    };
    return {
        rows(Table::hi_taskinst, camunda::hi_taskinst::id),
        rows(Table::hi_varinst, camunda::hi_varinst::task_id,
             " and t.state_ is distinct from 'DELETED'"),
        bytes_of_variables("v.proc_inst_id_ is null and " + on(condition, "v.task_id_"),
                           "v.task_id_"),
        candidates_of_tasks("h.proc_inst_id_ is null and " + on(condition, "h.id_"), "h.id_"),
        rows(Table::ru_task, camunda::ru_task::id),
    };
}

std::string copies(const std::vector<TableQuery>& queries) {
    std::string sql;
    for (const TableQuery& query : queries)
        sql += fmt::format("copy ({}) to stdout;", query.sql);
    return sql;
}

std::string SnapshotQueries::count_instances() const {
    return fmt::format("select count(*) from {}", name(Table::hi_procinst));
}

std::string SnapshotQueries::instance_ids(std::string_view id, std::size_t limit) const {
    return fmt::format("select proc_inst_id_ from {} where proc_inst_id_ > {} order by "
                       "proc_inst_id_ limit {}",
                       name(Table::hi_procinst), quote_literal(id), limit);
}

std::string SnapshotQueries::standalone_task_ids(std::string_view id, std::size_t limit) const {
    return fmt::format(
        "select id_ from {} where proc_inst_id_ is null and id_ > {} order by id_ limit {}",
        name(Table::hi_taskinst), quote_literal(id), limit);
}

std::string SnapshotQueries::owners_of_tasks(std::span<const std::string> tasks) const {
    return fmt::format("select distinct proc_inst_id_ from {} where proc_inst_id_ is not null and "
                       "{}",
                       name(Table::hi_taskinst), on(any_of(tasks), "id_"));
}

std::string SnapshotQueries::between(std::string_view first, std::string_view last) {
    return fmt::format("{{}} between {} and {}", quote_literal(first), quote_literal(last));
}

std::string SnapshotQueries::any_of(std::span<const std::string> ids) {
    std::string array = "{";
    for (const std::string& id : ids) {
        if (array.size() > 1) array.push_back(',');
        array.push_back('"');
        for (const char c : id) {
            if (c == '"' || c == '\\') array.push_back('\\');
            array.push_back(c);
        }
        array.push_back('"');
    }
    return "{} = any(" + quote_literal(array + "}") + ")";
}

} // namespace netbuild::postgres
