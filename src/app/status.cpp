// SPDX-License-Identifier: Apache-2.0
#include "status.hpp"

#include <charconv>

#include <fmt/format.h>

#include "app/adapters.hpp"
#include "postgres/connection.hpp"

namespace netbuild::app {
namespace {

Object position_object(Position position) {
    return Object{{"position", to_string(position)}, {"lsn", to_string(position.lsn())}};
}

Value health(const result<void>& outcome) {
    if (outcome) return Object{{"status", "up"}};
    return Object{{"status", "down"}, {"reason", outcome.error().message()}};
}

std::int64_t integer(std::optional<std::string_view> text) {
    std::int64_t number = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), number);
    return number;
}

/// The slot as PostgreSQL sees it, and the WAL that it keeps.
awaitable<result<Object>> slot_status(StatusPorts& ports, Lsn& flushed) {
    CO_TRY(auto connection,
           co_await postgres::Connection::connect(ports.executor, ports.clock,
                                                  postgres_options(ports.configuration)));
    CO_TRY(
        const auto rows,
        co_await connection->query(
            {"select s.slot_name, s.active, s.wal_status, s.confirmed_flush_lsn, s.safe_wal_size, "
             "pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), pg_current_wal_flush_lsn(), "
             "current_setting('max_slot_wal_keep_size') "
             "from (select 1) one left join pg_replication_slots s on s.slot_name = $1",
             {ports.configuration.text("engine.slot")}}));
    CO_TRY(flushed, parse_lsn(rows.text(0, 6)));
    if (rows.is_null(0, 0))
        co_return Object{{"name", ports.configuration.text("engine.slot")}, {"exists", false}};
    co_return Object{
        {"name", rows.text(0, 0)},
        {"exists", true},
        {"active", rows.text(0, 1) == "t"},
        {"walStatus", rows.text(0, 2)},
        {"confirmedFlushLsn", rows.text(0, 3)},
        {"retainedWalBytes", integer(rows.get(0, 5))},
        {"safeWalBytes", rows.is_null(0, 4) ? Value() : Value(integer(rows.get(0, 4)))},
        {"walBudget", rows.text(0, 7)}};
}

} // namespace

awaitable<Value> query_status(StatusPorts ports) {
    Object answer{{"engine", ports.engine}, {"source", ports.configuration.text("engine.source")}};
    const auto store_up = co_await ports.store.ping();
    const auto bus_up = co_await ports.bus.ping();
    Position applied;
    if (store_up) {
        const auto checkpoint = co_await ports.store.checkpoint(ports.engine);
        if (checkpoint && *checkpoint) {
            applied = (*checkpoint)->position;
            answer.set("loading", !(*checkpoint)->model_complete());
            answer.set("checkpointAt", Date{(*checkpoint)->at_us / 1000});
        }
    }
    answer.set("applied", position_object(applied));
    if (bus_up && bus_kind(ports.configuration) == "redis") {
        const auto last = co_await ports.bus.last();
        if (last) answer.set("published", position_object(*last));
    }
    Object servers{{std::string(store_kind(ports.configuration)), health(store_up)},
                   {std::string(bus_kind(ports.configuration)), health(bus_up)}};
    if (ports.configuration.text("engine.source") == "wal") {
        Lsn flushed{};
        auto slot = co_await slot_status(ports, flushed);
        servers.append("postgres", slot ? health({}) : health(slot.error()));
        if (slot) {
            answer.set("slot", std::move(*slot));
            answer.set("captured", position_object(Position::at(applied.epoch(), flushed)));
            const auto behind = static_cast<std::int64_t>(to_number(flushed)) -
                                static_cast<std::int64_t>(to_number(applied.lsn()));
            answer.set("lag", Object{{"bytes", std::max<std::int64_t>(0, behind)}});
        }
    }
    answer.set("servers", std::move(servers));
    co_return answer;
}

Value cached_status(const sync::Progress& progress, const Configuration& configuration,
                    const Clock& clock, bool capturing) {
    Object servers;
    for (const auto& [name, trouble] :
         {std::pair{std::string(store_kind(configuration)), &progress.store_trouble},
          std::pair{std::string(bus_kind(configuration)), &progress.bus_trouble},
          std::pair{configuration.text("engine.source"), &progress.source_trouble}}) {
        servers.append(name, trouble->empty() ? Object{{"status", "up"}}
                                              : Object{{"status", "down"}, {"reason", *trouble}});
    }
    const auto behind = static_cast<std::int64_t>(progress.captured.number) -
                        static_cast<std::int64_t>(progress.applied.number);
    const std::int64_t behind_ms =
        behind <= 0
            ? 0
            : std::max<std::int64_t>(0, (clock.utc_us() - progress.applied_commit_us) / 1000);
    return Object{
        {"state", capturing ? sync::to_string(progress.state) : std::string_view("reading")},
        {"source", configuration.text("engine.source")},
        {"captured", position_object(progress.captured)},
        {"applied", position_object(progress.applied)},
        {"published", position_object(progress.published)},
        {"confirmed", position_object(progress.confirmed)},
        {"lag", Object{{"bytes", std::max<std::int64_t>(0, behind)}, {"ms", behind_ms}}},
        {"counters", Object{{"transactions", static_cast<std::int64_t>(progress.transactions)},
                            {"rowChanges", static_cast<std::int64_t>(progress.row_changes)},
                            {"events", static_cast<std::int64_t>(progress.events)},
                            {"documents", static_cast<std::int64_t>(progress.documents)},
                            {"batches", static_cast<std::int64_t>(progress.batches)},
                            {"orphanRows", static_cast<std::int64_t>(progress.orphan_rows)},
                            {"retries", static_cast<std::int64_t>(progress.retries)}}},
        {"load", Object{{"instances", static_cast<std::int64_t>(progress.load_instances)},
                        {"estimate", static_cast<std::int64_t>(progress.load_instances_estimate)}}},
        {"servers", std::move(servers)}};
}

awaitable<std::vector<std::string>> unready_reasons(DocumentStore& store, EventBus& bus,
                                                    const sync::Progress& progress,
                                                    bool capturing) {
    std::vector<std::string> reasons;
    if (const auto up = co_await store.ping(); !up) reasons.push_back(up.error().message());
    if (const auto up = co_await bus.ping(); !up) reasons.push_back(up.error().message());
    if (capturing) {
        if (!progress.source_trouble.empty()) reasons.push_back(progress.source_trouble);
        if (progress.state == sync::State::starting || progress.state == sync::State::loading) {
            reasons.push_back(fmt::format("capture is {}", sync::to_string(progress.state)));
        }
    }
    co_return reasons;
}

std::string Metrics::text() const {
    std::string out;
    const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                         auto value) {
        out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
    };
    add("netbuild_captured_position", "gauge", "Position::number given out by the source",
        progress_.captured.number);
    add("netbuild_applied_position", "gauge", "Position::number that is in the store",
        progress_.applied.number);
    add("netbuild_published_position", "gauge", "Position::number that is in the event stream",
        progress_.published.number);
    add("netbuild_confirmed_position", "gauge", "Position::number confirmed to the source",
        progress_.confirmed.number);
    const double lag =
        progress_.applied >= progress_.captured
            ? 0
            : static_cast<double>(clock_.utc_us() - progress_.applied_commit_us) / 1e6;
    add("netbuild_lag_seconds", "gauge",
        "How long ago the newest applied transaction committed, while behind", lag);
    add("netbuild_transactions_total", "counter", "Transactions projected", progress_.transactions);
    add("netbuild_row_changes_total", "counter", "Row changes projected", progress_.row_changes);
    add("netbuild_events_total", "counter", "Process events", progress_.events);
    add("netbuild_documents_total", "counter", "Document writes", progress_.documents);
    add("netbuild_batches_total", "counter", "Batches made durable", progress_.batches);
    add("netbuild_orphan_rows_total", "counter",
        "Rows of process instances that are not in the read model", progress_.orphan_rows);
    add("netbuild_retries_total", "counter", "Tries of a server that was away", progress_.retries);
    for (const auto& [server, trouble] :
         {std::pair{"store", &progress_.store_trouble}, std::pair{"bus", &progress_.bus_trouble},
          std::pair{"source", &progress_.source_trouble}}) {
        if (server == std::string_view("store"))
            out += "# HELP netbuild_up Whether a server answers\n# TYPE netbuild_up gauge\n";
        out += fmt::format("netbuild_up{{server=\"{}\"}} {}\n", server, trouble->empty() ? 1 : 0);
    }
    return out;
}

} // namespace netbuild::app
