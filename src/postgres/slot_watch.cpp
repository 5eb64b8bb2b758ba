// SPDX-License-Identifier: Apache-2.0
#include "postgres/slot_watch.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "telemetry/log.hpp"

namespace netbuild::postgres {
namespace {

constexpr int option_list_since = 150000;
constexpr int failover_slots_since = 170000;
/// One reading may have been taken while the slot was being made anew.
constexpr int bad_readings_believed = 2;

std::int64_t integer(std::string_view text) {
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

} // namespace

awaitable<result<SlotReading>> read_slot(Connection& connection, std::string slot) {
    CO_TRY(const Rows rows,
           co_await connection.query(
               {"select pg_current_wal_flush_lsn(), s.slot_name is not null, s.active, "
                "s.wal_status, s.confirmed_flush_lsn, "
                "pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint, s.safe_wal_size, "
                "(select case when setting::bigint >= 0 then setting::bigint * 1024 * 1024 end "
                "from pg_settings where name = 'max_slot_wal_keep_size') "
                "from (select 1) one left join pg_replication_slots s on s.slot_name = $1",
                {slot},
                "netbuild_slot"}));
    SlotReading reading;
    CO_TRY(reading.wal_end, parse_lsn(rows.text(0, 0)));
    if (!rows.is_null(0, 7)) reading.limit_bytes = integer(rows.text(0, 7));
    reading.exists = rows.text(0, 1) == "t";
    if (!reading.exists) co_return reading;
    reading.active = rows.text(0, 2) == "t";
    reading.wal_status = rows.text(0, 3);
    if (!rows.is_null(0, 4)) {
        CO_TRY(reading.confirmed, parse_lsn(rows.text(0, 4)));
    }
    reading.retained_bytes = integer(rows.text(0, 5));
    if (!rows.is_null(0, 6)) reading.safe_bytes = integer(rows.text(0, 6));
    co_return reading;
}

std::optional<double> minutes_left(std::optional<std::int64_t> safe_bytes,
                                   std::optional<double> bytes_per_second) {
    if (!safe_bytes || !bytes_per_second || *bytes_per_second <= 0) return std::nullopt;
    return std::max(0.0, static_cast<double>(*safe_bytes) / *bytes_per_second / 60);
}

std::string create_slot_command(std::string_view slot, bool temporary, int server_version) {
    const std::string command = fmt::format("CREATE_REPLICATION_SLOT {} {}LOGICAL pgoutput ",
                                            quote_identifier(slot), temporary ? "TEMPORARY " : "");
    if (server_version < option_list_since)
        return command + (temporary ? "NOEXPORT_SNAPSHOT" : "EXPORT_SNAPSHOT");
    if (temporary) return command + "(SNAPSHOT 'nothing')";
    return command + (server_version < failover_slots_since ? "(SNAPSHOT 'export')"
                                                            : "(SNAPSHOT 'export', FAILOVER true)");
}

awaitable<result<void>> SlotWatch::run() {
    captured_moved_at_ = clock_.monotonic();
    while (true) {
        if (const auto looked = co_await look(); !looked) {
            if (looked.error().code() == ErrorCode::cancelled) co_return looked;
            log::debug("the slot cannot be seen: {}", looked.error().message());
            connection_.reset();
            bad_readings_ = 0;
        }
        CO_TRY_VOID(co_await clock_.sleep(options_.interval));
    }
}

awaitable<result<void>> SlotWatch::look() {
    if (!connection_ || connection_->broken()) {
        CO_TRY(connection_, co_await Connection::connect(executor_, clock_, options_.connection));
    }
    CO_TRY(latest_, co_await read_slot(*connection_, options_.slot));
    wal_.add(clock_.monotonic(), static_cast<double>(to_number(latest_->wal_end)));
    judge();
    co_return co_await keep_moving();
}

void SlotWatch::judge() {
    if (latest_->usable()) seen_ = true;
    const bool bad = seen_ && !latest_->usable() && options_.expected();
    bad_readings_ = bad ? bad_readings_ + 1 : 0;
    if (bad_readings_ < bad_readings_believed) return;
    seen_ = false; // until there is one again
    bad_readings_ = 0;
    options_.lost(latest_->exists ? fmt::format("slot {} has lost its WAL (max_slot_wal_keep_size)",
                                                options_.slot)
                                  : fmt::format("replication slot {} is gone", options_.slot));
}

/// Keepalives tell an idle stream how far the cluster's WAL is. Where they do not come, a message
/// of our own does, so that the slot lets go of WAL that holds nothing for us.
awaitable<result<void>> SlotWatch::keep_moving() {
    const Lsn captured = options_.captured();
    const auto now = clock_.monotonic();
    if (captured != captured_ || captured >= latest_->wal_end || !options_.expected()) {
        captured_ = captured;
        captured_moved_at_ = now;
        co_return result<void>{};
    }
    if (options_.heartbeat_interval == Clock::duration::zero() ||
        now - captured_moved_at_ < options_.heartbeat_interval)
        co_return result<void>{};
    captured_moved_at_ = now;
    CO_TRY_VOID(co_await connection_->query(
        {"select pg_logical_emit_message(true, 'netbuild', 'heartbeat')"}));
    ++heartbeats_;
    co_return result<void>{};
}

} // namespace netbuild::postgres
