// SPDX-License-Identifier: Apache-2.0
#include "status.hpp"

#include <cmath>

#include <fmt/format.h>

#include "app/adapters.hpp"
#include "metric_text.hpp"
#include "model/collections.hpp"
#include "postgres/connection.hpp"
#include "realtime_status.hpp"

namespace netbuild::app {
namespace {

Object position_object(Position position) {
    return Object{{"position", to_string(position)}, {"lsn", to_string(position.lsn())}};
}

Value health(const result<void>& outcome) {
    if (outcome) return Object{{"status", "up"}};
    return Object{{"status", "down"}, {"reason", outcome.error().message()}};
}

Value number_or_null(std::optional<double> number) {
    // Two digits after the point are enough for people, and 0.1 s of clock make more of them noise.
    return number ? Value(std::round(*number * 100) / 100) : Value();
}
Value bytes_or_null(std::optional<std::int64_t> number) {
    return number ? Value(*number) : Value();
}

/// The slot as PostgreSQL sees it, the WAL that it keeps, and how long that may go on.
Object slot_object(const std::string& name, const postgres::SlotReading& slot,
                   std::optional<double> bytes_per_second) {
    Object object{{"name", name}, {"exists", slot.exists}};
    if (slot.exists) {
        object.append("active", slot.active);
        object.append("walStatus", slot.wal_status);
        object.append("confirmedFlushLsn", to_string(slot.confirmed));
        object.append("retainedWalBytes", slot.retained_bytes);
    }
    object.append("limitBytes", bytes_or_null(slot.limit_bytes));
    object.append("safeWalBytes", bytes_or_null(slot.safe_bytes));
    object.append("walBytesPerSecond", number_or_null(bytes_per_second));
    object.append("minutesLeft",
                  number_or_null(postgres::minutes_left(slot.safe_bytes, bytes_per_second)));
    return object;
}

constexpr std::chrono::seconds between_readings{1};

/// Two readings, for the rate.
awaitable<result<Object>> slot_status(StatusPorts& ports, Lsn& flushed) {
    const std::string name = ports.configuration.text("engine.slot");
    CO_TRY(auto connection,
           co_await postgres::Connection::connect(ports.executor, ports.clock,
                                                  postgres_options(ports.configuration)));
    RateWindow wal;
    CO_TRY(auto slot, co_await postgres::read_slot(*connection, name));
    wal.add(ports.clock.monotonic(), static_cast<double>(to_number(slot.wal_end)));
    CO_TRY_VOID(co_await ports.clock.sleep(between_readings));
    CO_TRY(slot, co_await postgres::read_slot(*connection, name));
    wal.add(ports.clock.monotonic(), static_cast<double>(to_number(slot.wal_end)));
    flushed = slot.wal_end;
    co_return slot_object(name, slot, wal.per_second());
}

/// Events that were stored after `applied`, a second: a server that runs knows more.
awaitable<void> add_event_rate(StatusPorts& ports, Position applied, Clock::duration since,
                               Object& answer) {
    Filter newer;
    newer.all.push_back(
        {"lsn", Condition::Operator::greater, static_cast<std::int64_t>(applied.number)});
    const auto count = co_await ports.store.count(collections::events, std::move(newer));
    const double seconds = std::chrono::duration<double>(ports.clock.monotonic() - since).count();
    if (count && seconds > 0) {
        answer.set("rates",
                   Object{{"eventDocumentsPerSecond",
                           number_or_null(std::optional(static_cast<double>(*count) / seconds))},
                          {"eventsPerSecond", Value()},
                          {"documentsPerSecond", Value()}});
    }
}

} // namespace

awaitable<Value> query_status(StatusPorts ports) {
    Object answer{{"engine", ports.engine}, {"source", ports.configuration.text("engine.source")}};
    const auto store_up = co_await ports.store.ping();
    const auto bus_up = co_await ports.bus.ping();
    Position applied;
    std::int64_t applied_at_us = 0;
    const auto began = ports.clock.monotonic();
    if (store_up) {
        const auto checkpoint = co_await ports.store.checkpoint(ports.engine);
        if (checkpoint && *checkpoint) {
            applied = (*checkpoint)->position;
            applied_at_us = (*checkpoint)->at_us;
            answer.set("loading", !(*checkpoint)->model_complete());
            answer.set("checkpointAt", Date{(*checkpoint)->at_us / 1000});
        }
    }
    answer.set("applied", position_object(applied));
    if (store_up) {
        const auto letters = co_await ports.store.count(collections::dead_letters, {});
        if (letters) answer.set("deadLetters", static_cast<std::int64_t>(*letters));
    }
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
            // An idle capture writes its place once a second: what is younger is no lag.
            const std::int64_t ms = (ports.clock.utc_us() - applied_at_us) / 1000;
            answer.set("lag", Object{{"bytes", std::max<std::int64_t>(0, behind)},
                                     {"ms", behind <= 0 || applied_at_us == 0 ? 0 : ms}});
        }
    }
    if (store_up) co_await add_event_rate(ports, applied, began, answer);
    answer.set("servers", std::move(servers));
    co_return answer;
}

awaitable<result<void>> ProgressRates::follow(const sync::Progress& progress, Clock& clock) {
    while (true) {
        const auto now = clock.monotonic();
        events.add(now, static_cast<double>(progress.events));
        documents.add(now, static_cast<double>(progress.documents));
        transactions.add(now, static_cast<double>(progress.transactions));
        CO_TRY_VOID(co_await clock.sleep(between_readings));
    }
}

Value cached_status(const StatusSources& sources, bool capturing) {
    const auto& [progress, configuration, engine, clock, verified, rates, slot, records, realtime] =
        sources;
    Object servers;
    for (const auto& [name, trouble] :
         {std::pair{std::string(store_kind(configuration)), &progress.store_trouble},
          std::pair{std::string(bus_kind(configuration)), &progress.bus_trouble},
          std::pair{configuration.text("engine.source"), &progress.source_trouble},
          std::pair{std::string("spill"), &progress.spill_trouble}}) {
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
        {"engine", engine},
        {"state", capturing ? sync::to_string(progress.state) : std::string_view("reading")},
        {"source", configuration.text("engine.source")},
        {"captured", position_object(progress.captured)},
        {"applied", position_object(progress.applied)},
        {"published", position_object(progress.published)},
        {"confirmed", position_object(progress.confirmed)},
        {"lag", Object{{"bytes", std::max<std::int64_t>(0, behind)}, {"ms", behind_ms}}},
        {"rates",
         Object{{"eventsPerSecond", number_or_null(rates.events.per_second())},
                {"documentsPerSecond", number_or_null(rates.documents.per_second())},
                {"transactionsPerSecond", number_or_null(rates.transactions.per_second())}}},
        {"slot", slot && slot->latest() ? Value(slot_object(slot->slot(), *slot->latest(),
                                                            slot->wal_bytes_per_second()))
                                        : Value()},
        {"slotTrouble", progress.slot_trouble.empty() ? Value() : Value(progress.slot_trouble)},
        {"slotsLost", static_cast<std::int64_t>(progress.slots_lost)},
        {"slotLostAt",
         progress.slot_lost_at_us == 0 ? Value() : Value(Date{progress.slot_lost_at_us / 1000})},
        {"heartbeats", static_cast<std::int64_t>(slot ? slot->heartbeats() : 0)},
        {"refilledEvents", static_cast<std::int64_t>(progress.refilled_events)},
        {"counters", Object{{"transactions", static_cast<std::int64_t>(progress.transactions)},
                            {"rowChanges", static_cast<std::int64_t>(progress.row_changes)},
                            {"events", static_cast<std::int64_t>(progress.events)},
                            {"documents", static_cast<std::int64_t>(progress.documents)},
                            {"batches", static_cast<std::int64_t>(progress.batches)},
                            {"orphanRows", static_cast<std::int64_t>(progress.orphan_rows)},
                            {"retries", static_cast<std::int64_t>(progress.retries)}}},
        {"largeTransaction",
         Object{{"seen", static_cast<std::int64_t>(progress.large_transactions)},
                {"rows", static_cast<std::int64_t>(progress.large_rows)},
                {"spillBytes", static_cast<std::int64_t>(progress.large_bytes)},
                {"pieces", static_cast<std::int64_t>(progress.large_pieces)},
                {"piecesDone", static_cast<std::int64_t>(progress.large_pieces_done)}}},
        {"deadLetters", static_cast<std::int64_t>(progress.dead_letters)},
        {"load", Object{{"id", progress.load_id.empty() ? Value() : Value(progress.load_id)},
                        {"instances", static_cast<std::int64_t>(progress.load_instances)},
                        {"estimate", static_cast<std::int64_t>(progress.load_instances_estimate)},
                        {"rows", static_cast<std::int64_t>(progress.load_rows)},
                        {"trouble",
                         progress.load_trouble.empty() ? Value() : Value(progress.load_trouble)}}},
        {"verify", verified ? Value(verified->to_object()) : Value()},
        {"ownData",
         Object{{"published", to_string(records.published)},
                {"events", static_cast<std::int64_t>(records.events)},
                {"gaps", static_cast<std::int64_t>(records.gaps)},
                {"lagMs", records.lag_ms},
                {"retries", static_cast<std::int64_t>(records.retries)},
                {"trouble", records.trouble.empty() ? Value() : Value(records.trouble)}}},
        {"realtime", realtime ? Value(realtime_object(*realtime)) : Value()},
        {"servers", std::move(servers)}};
}

std::vector<std::string> unready_reasons(const Health& store, const Health& bus,
                                         const sync::Progress& progress, bool capturing) {
    std::vector<std::string> reasons;
    for (const Health* health : {&store, &bus}) {
        if (auto trouble = health->trouble()) reasons.push_back(std::move(*trouble));
    }
    if (capturing) {
        for (const auto* trouble :
             {&progress.slot_trouble, &progress.source_trouble, &progress.spill_trouble})
            if (!trouble->empty()) reasons.push_back(*trouble);
        if (progress.state == sync::State::starting || progress.state == sync::State::loading) {
            reasons.push_back(fmt::format("capture is {}", sync::to_string(progress.state)));
        }
    }
    return reasons;
}

std::string Metrics::text() const {
    const auto& [progress, configuration, engine, clock, verified, rates, slot, records, realtime] =
        sources_;
    std::string out;
    const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                         auto value) { append_metric(out, name, type, help, value); };
    add("netbuild_captured_position", "gauge", "Position::number given out by the source",
        progress.captured.number);
    add("netbuild_applied_position", "gauge", "Position::number that is in the store",
        progress.applied.number);
    add("netbuild_published_position", "gauge", "Position::number that is in the event stream",
        progress.published.number);
    add("netbuild_confirmed_position", "gauge", "Position::number confirmed to the source",
        progress.confirmed.number);
    const double lag = progress.applied >= progress.captured
                           ? 0
                           : static_cast<double>(clock.utc_us() - progress.applied_commit_us) / 1e6;
    add("netbuild_lag_seconds", "gauge",
        "How long ago the newest applied transaction committed, while behind", lag);
    add("netbuild_transactions_total", "counter", "Transactions projected", progress.transactions);
    add("netbuild_row_changes_total", "counter", "Row changes projected", progress.row_changes);
    add("netbuild_events_total", "counter", "Process events", progress.events);
    add("netbuild_documents_total", "counter", "Document writes", progress.documents);
    add("netbuild_batches_total", "counter", "Batches made durable", progress.batches);
    add("netbuild_orphan_rows_total", "counter",
        "Rows of process instances that are not in the read model", progress.orphan_rows);
    add("netbuild_large_transactions_total", "counter",
        "Transactions too large for memory, through the spill file", progress.large_transactions);
    add("netbuild_spill_bytes", "gauge", "Bytes of row changes in the spill file",
        progress.large_bytes);
    add("netbuild_dead_letters", "gauge",
        "Transactions that were skipped because they cannot be projected", progress.dead_letters);
    add("netbuild_retries_total", "counter", "Tries of a server that was away", progress.retries);
    add("netbuild_load_instances", "gauge", "Process instances that the newest load has read",
        progress.load_instances);
    add("netbuild_load_instances_estimate", "gauge", "Process instances that it will read",
        progress.load_instances_estimate);
    add("netbuild_load_rows_total", "counter", "Rows that loads have read", progress.load_rows);
    add("netbuild_lag_bytes", "gauge", "WAL that is captured and not applied",
        progress.captured.number - std::min(progress.applied.number, progress.captured.number));
    add("netbuild_slots_lost_total", "counter", "How often the slot was lost or gone",
        progress.slots_lost);
    add("netbuild_slot_lost", "gauge", "1 from then on until the read model is whole again",
        progress.slot_trouble.empty() ? 0 : 1);
    add("netbuild_refilled_events_total", "counter",
        "Stored events that were put into the event stream again", progress.refilled_events);
    add("netbuild_own_events_total", "counter", "Events of NetBuild's own data", records.events);
    add("netbuild_own_gaps_total", "counter", "How often changes of it were lost", records.gaps);
    add("netbuild_own_lag_seconds", "gauge", "How old its newest change was when it was published",
        static_cast<double>(records.lag_ms) / 1e3);
    add("netbuild_own_retries_total", "counter", "Tries of its store and stream that failed",
        records.retries);
    add("netbuild_own_up", "gauge", "Whether its changes come", records.trouble.empty() ? 1 : 0);
    if (slot && slot->latest()) {
        const auto rate = slot->wal_bytes_per_second();
        add("netbuild_slot_retained_wal_bytes", "gauge", "WAL that the slot keeps",
            slot->latest()->retained_bytes);
        if (rate)
            add("netbuild_wal_bytes_per_second", "gauge", "WAL that the cluster writes", *rate);
        if (slot->latest()->safe_bytes)
            add("netbuild_slot_safe_wal_bytes", "gauge",
                "WAL until max_slot_wal_keep_size ends the slot", *slot->latest()->safe_bytes);
        if (const auto left = postgres::minutes_left(slot->latest()->safe_bytes, rate))
            add("netbuild_slot_minutes_left", "gauge", "The same in minutes at the present rate",
                *left);
        add("netbuild_heartbeats_total", "counter", "Messages written to move an idle stream",
            slot->heartbeats());
    }
    if (verified && verified->trouble.empty()) {
        add("netbuild_verify_timestamp_seconds", "gauge", "When the newest scheduled verify began",
            static_cast<double>(verified->at_us) / 1e6);
        add("netbuild_verify_documents", "gauge", "Documents that it compared",
            verified->documents);
        add("netbuild_verify_differences", "gauge", "Differences that it found",
            verified->differences);
    }
    if (realtime) out += realtime_metrics(*realtime);
    for (const auto& [server, trouble] :
         {std::pair{"store", &progress.store_trouble}, std::pair{"bus", &progress.bus_trouble},
          std::pair{"source", &progress.source_trouble},
          std::pair{"spill", &progress.spill_trouble}}) {
        if (server == std::string_view("store"))
            append_metric_head(out, "netbuild_up", "gauge", "Whether a server answers");
        out += fmt::format("netbuild_up{{server=\"{}\"}} {}\n", server, trouble->empty() ? 1 : 0);
    }
    return out;
}

} // namespace netbuild::app
