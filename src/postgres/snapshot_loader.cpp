// SPDX-License-Identifier: Apache-2.0
#include "snapshot_loader.hpp"

#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace netbuild::postgres {

using camunda::Table;

awaitable<result<std::unique_ptr<SnapshotLoader>>>
SnapshotLoader::open(asio::any_io_executor executor, Clock& clock, Options options) {
    options.connection.statement_timeout = {}; // a chunk takes as long as it takes
    CO_TRY(auto connection, co_await Connection::connect(executor, clock, options.connection));
    CO_TRY_VOID(co_await connection->simple(
        "begin isolation level repeatable read read only; set transaction snapshot " +
        quote_literal(options.snapshot)));
    std::unique_ptr<SnapshotLoader> loader(
        new SnapshotLoader(std::move(options), std::move(connection)));
    const std::string schema = quote_identifier(loader->options_.schema);
    CO_TRY(const Rows bounds, co_await loader->connection_->query(
                                  {fmt::format("select id, total from (select proc_inst_id_ as id, "
                                               "row_number() over (order by proc_inst_id_) as row, "
                                               "count(*) over () as total from {}.act_hi_procinst) "
                                               "numbered where (row - 1) % $1 = 0 order by row",
                                               schema),
                                   {std::to_string(loader->options_.instances)}}));
    for (int i = 0; i < bounds.count(); ++i)
        loader->bounds_.emplace_back(bounds.text(i, 0));
    if (bounds.count() > 0) {
        const auto total = bounds.text(0, 1);
        std::from_chars(total.data(), total.data() + total.size(), loader->instances_);
    }
    co_return loader;
}

SnapshotLoader::Selection
SnapshotLoader::select(Table table, std::string_view from_where,
                       std::vector<std::optional<std::string>> parameters) const {
    const auto& present = options_.columns.at(table);
    std::vector<std::string> columns;
    for (const std::string_view column : camunda::info(table).columns) {
        // A column that this Camunda does not have keeps its place.
        columns.push_back(present.contains(column) ? "t." + quote_identifier(column)
                                                   : std::string("null"));
    }
    return {table,
            {fmt::format("select {} from {}.{} t {}", fmt::join(columns, ", "),
                         quote_identifier(options_.schema),
                         quote_identifier(camunda::info(table).name), from_where),
             std::move(parameters)}};
}

std::vector<SnapshotLoader::Selection> SnapshotLoader::definitions() const {
    const std::string procdef = quote_identifier(options_.schema) + ".act_re_procdef";
    return {
        select(Table::re_procdef, "order by t.id_"),
        select(Table::ge_bytearray,
               fmt::format(
                   "where exists (select from {} d where d.deployment_id_ = t.deployment_id_ and "
                   "d.resource_name_ = t.name_)",
                   procdef)),
        select(Table::ru_jobdef, "")};
}

std::vector<SnapshotLoader::Selection>
SnapshotLoader::instances(std::string_view instance,
                          std::vector<std::optional<std::string>> parameters) const {
    const std::string schema = quote_identifier(options_.schema);
    const auto of = [&](std::string_view column) {
        return fmt::format(fmt::runtime(instance), column);
    };
    return {
        select(Table::hi_procinst, "where " + of("t.proc_inst_id_"), parameters),
        select(Table::hi_taskinst, "where " + of("t.proc_inst_id_"), parameters),
        // Of activities and incidents only the open ones lie in a document.
        select(Table::hi_actinst, "where t.end_time_ is null and " + of("t.proc_inst_id_"),
               parameters),
        select(Table::hi_incident, "where t.incident_state_ = 0 and " + of("t.proc_inst_id_"),
               parameters),
        select(Table::hi_varinst,
               "where t.state_ is distinct from 'DELETED' and " + of("t.proc_inst_id_"),
               parameters),
        select(Table::ge_bytearray,
               fmt::format("join {}.act_hi_varinst v on v.bytearray_id_ = t.id_ where {}", schema,
                           of("v.proc_inst_id_")),
               parameters),
        select(Table::hi_identitylink,
               fmt::format("join {}.act_hi_taskinst h on h.id_ = t.task_id_ where t.type_ = "
                           "'candidate' and {} "
                           "order by t.timestamp_, t.operation_type_, t.id_",
                           schema, of("h.proc_inst_id_")),
               parameters),
        select(Table::ru_task, "where " + of("t.proc_inst_id_"), parameters),
        select(Table::ru_job, "where " + of("t.process_instance_id_"), parameters),
    };
}

awaitable<result<std::optional<Transaction>>> SnapshotLoader::next() {
    const std::size_t chunk = chunk_++;
    if (chunk == 0) co_return co_await read(definitions());
    if (chunk <= bounds_.size()) {
        const std::string& from = bounds_[chunk - 1];
        if (chunk == bounds_.size()) co_return co_await read(instances("{} >= $1", {from}));
        co_return co_await read(instances("{0} >= $1 and {0} < $2", {from, bounds_[chunk]}));
    }
    if (chunk == bounds_.size() + 1) co_return co_await read(instances("{} is null", {}));
    CO_TRY_VOID(co_await connection_->simple("commit"));
    co_return std::optional<Transaction>();
}

awaitable<result<std::optional<Transaction>>>
SnapshotLoader::read(std::vector<Selection> selections) {
    std::vector<Statement> statements;
    for (const Selection& selection : selections)
        statements.push_back(selection.statement);
    CO_TRY(const auto answers, co_await connection_->pipeline(std::move(statements)));
    Transaction transaction;
    transaction.position = options_.position;
    transaction.committed_at_us = options_.at_us;
    std::vector<Cell> cells;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const Rows& rows = answers[i];
        for (int row = 0; row < rows.count(); ++row) {
            cells.clear();
            for (int column = 0; column < rows.columns(); ++column) {
                const auto text = rows.get(row, column);
                cells.push_back(text ? Cell{Cell::Kind::text, *text} : Cell{Cell::Kind::null, {}});
            }
            transaction.add(selections[i].table, RowOperation::insert, cells);
        }
    }
    co_return std::optional(std::move(transaction));
}

} // namespace netbuild::postgres
