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

TableQuery SnapshotQueries::select(Table table, std::string_view from_where) const {
    const auto& present = columns_.at(table);
    std::vector<std::string> columns;
    for (const std::string_view column : camunda::info(table).columns) {
        // A column that this Camunda does not have keeps its place.
        columns.push_back(present.contains(column) ? "t." + quote_identifier(column)
                                                   : std::string("null"));
    }
    return {table, fmt::format("select {} from {} t {}", fmt::join(columns, ", "), name(table),
                               from_where)};
}

std::vector<TableQuery> SnapshotQueries::definitions() const {
    return {
        select(Table::re_procdef, "order by t.id_"),
        select(Table::ge_bytearray,
               fmt::format(
                   "where exists (select from {} d where d.deployment_id_ = t.deployment_id_ and "
                   "d.resource_name_ = t.name_)",
                   name(Table::re_procdef))),
        select(Table::ru_jobdef, "")};
}

std::vector<TableQuery> SnapshotQueries::instances(std::string_view condition) const {
    const std::string where = "where " + on(condition, "t.proc_inst_id_");
    return {
        select(Table::hi_procinst, where),
        select(Table::hi_taskinst, where),
        // Of activities and incidents only the open ones lie in a document.
        select(Table::hi_actinst, where + " and t.end_time_ is null"),
        select(Table::hi_incident, where + " and t.incident_state_ = 0"),
        select(Table::hi_varinst, where + " and t.state_ is distinct from 'DELETED'"),
        select(Table::ge_bytearray,
               fmt::format("join {} v on v.bytearray_id_ = t.id_ where {}", name(Table::hi_varinst),
                           on(condition, "v.proc_inst_id_"))),
        select(Table::hi_identitylink,
               fmt::format("join {} h on h.id_ = t.task_id_ where t.type_ = 'candidate' and {} "
                           "order by t.timestamp_, t.operation_type_, t.id_",
                           name(Table::hi_taskinst), on(condition, "h.proc_inst_id_"))),
        select(Table::ru_task, where),
        select(Table::ru_job, "where " + on(condition, "t.process_instance_id_")),
    };
}

std::vector<TableQuery> SnapshotQueries::standalone_tasks(std::string_view condition) const {
    const std::string where = "where t.proc_inst_id_ is null and ";
    return {
        select(Table::hi_taskinst, where + on(condition, "t.id_")),
        select(Table::hi_varinst,
               where + on(condition, "t.task_id_") + " and t.state_ is distinct from 'DELETED'"),
        select(Table::ge_bytearray,
               fmt::format("join {} v on v.bytearray_id_ = t.id_ where v.proc_inst_id_ is null and "
                           "{}",
                           name(Table::hi_varinst), on(condition, "v.task_id_"))),
        select(Table::hi_identitylink,
               fmt::format("join {} h on h.id_ = t.task_id_ where t.type_ = 'candidate' and "
                           "h.proc_inst_id_ is null and {} "
                           "order by t.timestamp_, t.operation_type_, t.id_",
                           name(Table::hi_taskinst), on(condition, "h.id_"))),
        select(Table::ru_task, where + on(condition, "t.id_")),
    };
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
