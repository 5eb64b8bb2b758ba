// SPDX-License-Identifier: Apache-2.0
#include "snapshot_loader.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <unordered_map>

#include <fmt/format.h>

namespace netbuild::postgres {
namespace {

/// Ids that are planned at once.
constexpr std::size_t plan_ids = 10'000;

// Ranges are read through Camunda's indexes, whatever the statistics say (see SnapshotQueries), and
// a snapshot lives as long as its load, idle or not.
constexpr std::string_view session = "set local enable_seqscan = off; set local jit = off; "
                                     "set local max_parallel_workers_per_gather = 0; "
                                     "set local idle_in_transaction_session_timeout = 0; "
                                     "set local standard_conforming_strings = on";

awaitable<result<std::unique_ptr<Connection>>> enter(asio::any_io_executor executor, Clock& clock,
                                                     ConnectionOptions options,
                                                     std::string snapshot) {
    CO_TRY(auto connection, co_await Connection::connect(executor, clock, std::move(options)));
    CO_TRY_VOID(
        co_await connection->simple(fmt::format("begin isolation level repeatable read read only; "
                                                "set transaction snapshot {}; {}",
                                                quote_literal(snapshot), session)));
    co_return std::move(connection);
}

std::uint64_t count(std::string_view text) {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

} // namespace

awaitable<result<std::unique_ptr<SnapshotLoader>>>
SnapshotLoader::open(asio::any_io_executor executor, Clock& clock, Options options) {
    options.connection.statement_timeout = {}; // a chunk takes as long as it takes
    options.connections = std::clamp<std::size_t>(options.connections, 1, connections_max);
    std::unique_ptr<SnapshotLoader> loader(new SnapshotLoader(executor, std::move(options)));
    const Options& chosen = loader->options_;
    CO_TRY(loader->lookups_, co_await enter(executor, clock, chosen.connection, chosen.snapshot));
    for (std::size_t i = 0; i < chosen.connections; ++i) {
        CO_TRY(auto connection,
               co_await enter(executor, clock, chosen.connection, chosen.snapshot));
        loader->idle_.push_back(connection.get());
        loader->connections_.push_back(std::move(connection));
    }
    CO_TRY(const Rows total,
           co_await loader->lookups_->query({loader->queries_.count_instances()}));
    loader->instances_ = count(total.text(0, 0));
    co_return loader;
}

void SnapshotLoader::start_after(std::string process_instance_id) {
    planned_upto_ = std::move(process_instance_id);
}

// --- ranges, read ahead

awaitable<result<std::optional<EngineChunk>>> SnapshotLoader::next() {
    if (!std::exchange(definitions_read_, true)) {
        EngineChunk chunk;
        CO_TRY(chunk.rows, co_await all_rows(*connections_.front(), queries_.definitions()));
        co_return std::optional(std::move(chunk));
    }
    while (ready_.empty()) {
        while (!idle_.empty()) {
            CO_TRY(auto reading, co_await start_next(*idle_.back()));
            if (!reading) break;
            idle_.pop_back();
            under_way_.push_back(std::move(*reading));
        }
        if (under_way_.empty()) co_return std::optional<EngineChunk>();
        Reading reading = std::move(under_way_.front());
        under_way_.pop_front();
        CO_TRY_VOID(co_await finish(std::move(reading)));
    }
    EngineChunk chunk = std::move(ready_.front());
    ready_.pop_front();
    co_return std::optional(std::move(chunk));
}

/// Waits for a range's chunks and gives its connection the next one: the server goes on while these
/// are projected.
awaitable<result<void>> SnapshotLoader::finish(Reading reading) {
    CO_TRY(auto found, co_await chunks(reading));
    Connection& connection = *reading.connection;
    std::vector<std::string>& ids = reading.range.ids;
    if (!found) {
        const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(ids.size() / 2);
        halves_.push_back({reading.range.stage, {middle, ids.end()}});
        ids.erase(middle, ids.end());
        chunk_ids_ = std::max<std::size_t>(reading.chunk_ids / 2, 1);
        CO_TRY(auto half, co_await start(connection, std::move(reading.range)));
        under_way_.push_front(std::move(half));
        co_return result<void>{};
    }
    std::size_t rows = 0;
    for (std::size_t i = 0; i < found->size(); ++i) {
        EngineChunk chunk;
        chunk.rows = std::move((*found)[i]);
        rows += chunk.rows.size();
        const std::size_t last = std::min((i + 1) * reading.chunk_ids, ids.size());
        if (reading.range.stage == Stage::instances) {
            chunk.instances = last - i * reading.chunk_ids;
            chunk.upto = ids[last - 1];
        }
        ready_.push_back(std::move(chunk));
    }
    adapt(ids.size(), rows);
    if (!halves_.empty()) {
        Range half = std::move(halves_.back());
        halves_.pop_back();
        CO_TRY(auto next, co_await start(connection, std::move(half)));
        under_way_.push_front(std::move(next));
        co_return result<void>{};
    }
    CO_TRY(auto next, co_await start_next(connection));
    if (next) {
        under_way_.push_back(std::move(*next));
    } else {
        idle_.push_back(&connection);
    }
    co_return result<void>{};
}

/// The next range on `connection`, which is free; nullopt if there is none.
awaitable<result<std::optional<SnapshotLoader::Reading>>>
SnapshotLoader::start_next(Connection& connection) {
    while (ids_.empty() && stage_ != Stage::end)
        CO_TRY_VOID(co_await plan(connection));
    if (ids_.empty()) co_return std::optional<Reading>();
    Range range{stage_, {}};
    const auto last = ids_.begin() + static_cast<std::ptrdiff_t>(
                                         std::min(ids_.size(), chunk_ids_ * options_.range_chunks));
    range.ids.assign(std::move_iterator(ids_.begin()), std::move_iterator(last));
    ids_.erase(ids_.begin(), last);
    CO_TRY(auto reading, co_await start(connection, std::move(range)));
    co_return std::optional(std::move(reading));
}

/// More of `ids_`, or another stage.
awaitable<result<void>> SnapshotLoader::plan(Connection& connection) {
    if (planned_all_) {
        stage_ = stage_ == Stage::instances ? Stage::standalone_tasks : Stage::end;
        planned_upto_.clear();
        planned_all_ = false;
        co_return result<void>{};
    }
    CO_TRY(const Rows ids, co_await connection.query(
                               {stage_ == Stage::instances
                                    ? queries_.instance_ids(planned_upto_, plan_ids)
                                    : queries_.standalone_task_ids(planned_upto_, plan_ids)}));
    for (int i = 0; i < ids.count(); ++i)
        ids_.emplace_back(ids.text(i, 0));
    if (!ids_.empty()) planned_upto_ = ids_.back();
    planned_all_ = ids_.size() < plan_ids;
    co_return result<void>{};
}

awaitable<result<SnapshotLoader::Reading>> SnapshotLoader::start(Connection& connection,
                                                                 Range range) {
    const std::string condition = SnapshotQueries::between(range.ids.front(), range.ids.back());
    Reading reading{&connection, std::move(range), chunk_ids_, {}};
    reading.queries = reading.range.stage == Stage::instances
                          ? queries_.instances(condition)
                          : queries_.standalone_tasks(condition);
    CO_TRY_VOID(co_await connection.start_copies(copies(reading.queries)));
    co_return std::move(reading);
}

awaitable<result<std::optional<std::vector<Transaction>>>>
SnapshotLoader::chunks(const Reading& reading) {
    const std::vector<std::string>& ids = reading.range.ids;
    std::vector<Transaction> chunks;
    std::unordered_map<std::string_view, std::size_t> chunk_of;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (i % reading.chunk_ids == 0) chunks.push_back(transaction());
        chunk_of.emplace(ids[i], chunks.size() - 1);
    }
    std::size_t bytes = 0;
    bool too_much = false;
    const Place place = [&](const TableQuery& query, std::span<const Cell> cells) -> Transaction* {
        if (too_much) return nullptr; // only the connection has to come to its end
        const auto found = chunk_of.find(cells[query.owner].text);
        if (found == chunk_of.end()) return nullptr; // what is left of one that is not there
        Transaction& chunk = chunks[found->second];
        for (const Cell& cell : cells)
            bytes += sizeof(Cell) + cell.text.size();
        // One process instance alone is taken whatever its size.
        too_much =
            ids.size() > 1 && (bytes > options_.range_bytes_max ||
                               (reading.chunk_ids > 1 && chunk.size() >= options_.chunk_rows_max));
        if (too_much) chunks.clear();
        return too_much ? nullptr : &chunk;
    };
    CO_TRY_VOID(co_await rows(*reading.connection, reading.queries, place));
    if (too_much) co_return std::optional<std::vector<Transaction>>();
    co_return std::optional(std::move(chunks));
}

awaitable<result<void>> SnapshotLoader::rows(Connection& connection,
                                             const std::vector<TableQuery>& queries,
                                             const Place& place) {
    for (const TableQuery& query : queries) {
        CO_TRY(const bool started, co_await connection.next_copy());
        if (!started) co_return fail(ErrorCode::internal, "a COPY did not begin");
        const std::size_t columns = camunda::info(query.table).columns.size();
        const std::size_t selected = std::max(columns, query.owner + 1);
        while (true) {
            std::span<char> row;
            CO_TRY(const auto seen, connection.copy_row(row));
            if (seen == Connection::CopyOut::end) break;
            if (seen == Connection::CopyOut::wait) {
                CO_TRY_VOID(co_await connection.wait_readable());
                continue;
            }
            CO_TRY(const auto cells, decoder_.decode(row, selected));
            if (Transaction* to = place(query, cells))
                to->add(query.table, RowOperation::insert, cells.first(columns));
        }
    }
    CO_TRY(const bool more, co_await connection.next_copy());
    if (more) co_return fail(ErrorCode::internal, "a COPY too many");
    co_return result<void>{};
}

awaitable<result<Transaction>> SnapshotLoader::all_rows(Connection& connection,
                                                        std::vector<TableQuery> queries) {
    Transaction all = transaction();
    const Place place = [&](const TableQuery&, std::span<const Cell>) { return &all; };
    CO_TRY_VOID(co_await connection.start_copies(copies(queries)));
    CO_TRY_VOID(co_await rows(connection, queries, place));
    co_return std::move(all);
}

Transaction SnapshotLoader::transaction() const {
    Transaction transaction;
    transaction.position = options_.position;
    transaction.committed_at_us = options_.at_us;
    return transaction;
}

/// Follows the number of rows that a process instance has.
void SnapshotLoader::adapt(std::size_t ids, std::size_t rows) {
    const std::size_t wanted = ids * options_.chunk_rows / std::max<std::size_t>(rows, 1);
    const std::size_t least = std::max<std::size_t>(chunk_ids_ / 2, 1);
    const std::size_t most = std::min(chunk_ids_ * 2, options_.chunk_instances_max);
    chunk_ids_ = std::clamp(wanted, std::min(least, most), most);
}

// --- lookups, beside the ranges

awaitable<result<Transaction>> SnapshotLoader::read(InstanceSelection selection) {
    while (looking_up_)
        CO_TRY_VOID(co_await looked_up_.wait());
    looking_up_ = true;
    auto found = co_await look_up(std::move(selection));
    looking_up_ = false;
    looked_up_.notify_all();
    co_return std::move(found);
}

awaitable<result<Transaction>> SnapshotLoader::look_up(InstanceSelection selection) {
    std::vector<std::string> ids = std::move(selection.instances);
    std::vector<TableQuery> queries;
    if (!selection.tasks.empty()) {
        CO_TRY(const Rows owners,
               co_await lookups_->query({queries_.owners_of_tasks(selection.tasks)}));
        for (int i = 0; i < owners.count(); ++i)
            ids.emplace_back(owners.text(i, 0));
    }
    if (!ids.empty()) queries = queries_.instances(SnapshotQueries::any_of(ids));
    const auto add = [&](std::vector<TableQuery> more) {
        std::move(more.begin(), more.end(), std::back_inserter(queries));
    };
    if (selection.standalone_tasks) {
        add(queries_.standalone_tasks("{} is not null"));
    } else if (!selection.tasks.empty()) {
        add(queries_.standalone_tasks(SnapshotQueries::any_of(selection.tasks)));
    }
    co_return co_await all_rows(*lookups_, std::move(queries));
}

} // namespace netbuild::postgres
