// SPDX-License-Identifier: Apache-2.0
#include "snapshot_loader.hpp"

#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace netbuild::postgres {

using camunda::Table;

namespace {

awaitable<result<std::unique_ptr<Connection>>> enter(asio::any_io_executor executor, Clock& clock,
                                                     ConnectionOptions options,
                                                     std::string snapshot) {
    CO_TRY(auto connection, co_await Connection::connect(executor, clock, std::move(options)));
    CO_TRY_VOID(co_await connection->simple(
        "begin isolation level repeatable read read only; set transaction snapshot " +
        quote_literal(snapshot)));
    co_return std::move(connection);
}

std::size_t count(std::string_view text) {
    std::size_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

/// '{"a","b"}', PostgreSQL's text[].
std::string array_literal(const std::vector<std::string>& items) {
    std::string out = "{";
    for (const std::string& item : items) {
        if (out.size() > 1) out.push_back(',');
        out.push_back('"');
        for (const char c : item) {
            if (c == '"' || c == '\\') out.push_back('\\');
            out.push_back(c);
        }
        out.push_back('"');
    }
    return out + "}";
}

} // namespace

awaitable<result<std::unique_ptr<SnapshotLoader>>>
SnapshotLoader::open(asio::any_io_executor executor, Clock& clock, Options options) {
    options.connection.statement_timeout = {}; // a chunk takes as long as it takes
    CO_TRY(auto chunks, co_await enter(executor, clock, options.connection, options.snapshot));
    CO_TRY(auto lookups, co_await enter(executor, clock, options.connection, options.snapshot));
    std::unique_ptr<SnapshotLoader> loader(
        new SnapshotLoader(std::move(options), std::move(chunks), std::move(lookups)));
    const std::string schema = quote_identifier(loader->options_.schema);
    CO_TRY(const Rows total, co_await loader->chunks_->query(
                                 {fmt::format("select count(*) from {}.act_hi_procinst", schema)}));
    loader->instances_ = count(total.text(0, 0));
    co_return loader;
}

/// Ranges in the order of the server's own collation: only that one has an index.
awaitable<result<void>> SnapshotLoader::divide() {
    CO_TRY(const Rows ranges,
           co_await chunks_->query(
               {fmt::format("select min(id), max(id), count(*) from "
                            "(select proc_inst_id_ as id, (row_number() over (order by "
                            "proc_inst_id_) - 1) / $1 as range "
                            "from {}.act_hi_procinst where proc_inst_id_ > $2) numbered "
                            "group by range order by range",
                            quote_identifier(options_.schema)),
                {std::to_string(options_.instances), start_after_}}));
    for (int i = 0; i < ranges.count(); ++i) {
        ranges_.push_back({std::string(ranges.text(i, 0)), std::string(ranges.text(i, 1)),
                           count(ranges.text(i, 2))});
    }
    co_return result<void>{};
}

void SnapshotLoader::start_after(std::string process_instance_id) {
    start_after_ = std::move(process_instance_id);
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

awaitable<result<std::optional<EngineChunk>>> SnapshotLoader::next() {
    const std::size_t at = chunk_++;
    EngineChunk chunk;
    if (at == 0) {
        CO_TRY_VOID(co_await divide());
        CO_TRY(chunk.rows, co_await read(*chunks_, definitions()));
    } else if (at <= ranges_.size()) {
        const Range& range = ranges_[at - 1];
        chunk.upto = range.last;
        chunk.instances = range.instances;
        CO_TRY(chunk.rows, co_await read(*chunks_, instances("{0} between $1 and $2",
                                                             {range.first, range.last})));
    } else if (at == ranges_.size() + 1) {
        CO_TRY(chunk.rows, co_await read(*chunks_, instances("{} is null", {})));
    } else {
        co_return std::optional<EngineChunk>();
    }
    co_return std::optional(std::move(chunk));
}

awaitable<result<Transaction>> SnapshotLoader::read(InstanceSelection selection) {
    if (selection.standalone_tasks) co_return co_await read(*lookups_, instances("{} is null", {}));
    std::vector<std::string> ids = std::move(selection.instances);
    if (!selection.tasks.empty()) {
        CO_TRY(const Rows owners,
               co_await lookups_->query(
                   {fmt::format("select distinct proc_inst_id_ from {}.act_hi_taskinst where id_ = "
                                "any($1) and proc_inst_id_ is not null",
                                quote_identifier(options_.schema)),
                    {array_literal(selection.tasks)}}));
        for (int i = 0; i < owners.count(); ++i)
            ids.emplace_back(owners.text(i, 0));
    }
    co_return co_await read(*lookups_, instances("{} = any($1)", {array_literal(ids)}));
}

awaitable<result<Transaction>> SnapshotLoader::read(Connection& connection,
                                                    std::vector<Selection> selections) {
    std::vector<Statement> statements;
    for (const Selection& selection : selections)
        statements.push_back(selection.statement);
    CO_TRY(const auto answers, co_await connection.pipeline(std::move(statements)));
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
    co_return std::move(transaction);
}

} // namespace netbuild::postgres
