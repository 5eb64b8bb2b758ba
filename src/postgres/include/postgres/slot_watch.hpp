// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/position.hpp"
#include "postgres/connection.hpp"
#include "telemetry/rate_window.hpp"

namespace netbuild::postgres {

/// A replication slot as pg_replication_slots has it
/// (https://www.postgresql.org/docs/current/view-pg-replication-slots.html).
struct SlotReading {
    bool exists = false;
    bool active = false;
    /// "reserved", "extended", "unreserved", "lost".
    std::string wal_status;
    Lsn confirmed{};
    /// The end of the WAL that is on the server's disk.
    Lsn wal_end{};
    std::int64_t retained_bytes = 0;
    /// WAL that can still be written before the slot may be lost; nullopt: unlimited, or lost.
    std::optional<std::int64_t> safe_bytes;
    /// max_slot_wal_keep_size; nullopt: unlimited.
    std::optional<std::int64_t> limit_bytes;

    [[nodiscard]] bool usable() const { return exists && wal_status != "lost"; }
};
awaitable<result<SlotReading>> read_slot(Connection& connection, std::string slot);

/// Minutes until that many bytes are written at that rate; nullopt: never, or nobody knows.
[[nodiscard]] std::optional<double> minutes_left(std::optional<std::int64_t> safe_bytes,
                                                 std::optional<double> bytes_per_second);

/// CREATE_REPLICATION_SLOT as the server understands it. A slot that is to last is a failover slot
/// where there are such (PostgreSQL 17): it is kept on standbys, too.
[[nodiscard]] std::string create_slot_command(std::string_view slot, bool temporary,
                                              int server_version);

/// Looks at the slot from a connection of its own, for the stream may be silent because all is well
/// or because nobody sends any more. Use from its executor only.
class SlotWatch {
public:
    struct Options {
        ConnectionOptions connection;
        std::string slot;
        Clock::duration interval = std::chrono::seconds(1);
        /// An idle stream that the cluster's WAL has left behind for so long gets a message to
        /// read; zero: never.
        Clock::duration heartbeat_interval = std::chrono::seconds(10);
        /// The slot ought to be there and to be ours.
        std::function<bool()> expected;
        /// It is not.
        std::function<void(std::string_view)> lost;
        /// How far the stream has been read.
        std::function<Lsn()> captured;
    };
    SlotWatch(asio::any_io_executor executor, Clock& clock, Options options)
        : executor_(std::move(executor)), clock_(clock), options_(std::move(options)) {}

    /// Until cancelled; a server that is away is asked again.
    awaitable<result<void>> run();

    [[nodiscard]] const std::optional<SlotReading>& latest() const { return latest_; }
    [[nodiscard]] std::optional<double> wal_bytes_per_second() const { return wal_.per_second(); }
    [[nodiscard]] std::uint64_t heartbeats() const { return heartbeats_; }
    [[nodiscard]] const std::string& slot() const { return options_.slot; }

private:
    awaitable<result<void>> look();
    awaitable<result<void>> keep_moving();
    void judge();

    asio::any_io_executor executor_;
    Clock& clock_;
    Options options_;
    std::unique_ptr<Connection> connection_;
    std::optional<SlotReading> latest_;
    RateWindow wal_;
    bool seen_ = false;
    int bad_readings_ = 0;
    std::uint64_t heartbeats_ = 0;
    Lsn captured_{};
    Clock::duration captured_moved_at_{};
};

} // namespace netbuild::postgres
