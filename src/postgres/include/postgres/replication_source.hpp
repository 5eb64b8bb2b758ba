// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/change_source.hpp"
#include "postgres/connection.hpp"

namespace netbuild {

/// Sees every pgoutput message as it comes: `netbuild record`.
class MessageTap {
public:
    virtual ~MessageTap() = default;
    virtual result<void> on_message(std::string_view pgoutput, Lsn wal_end) = 0;
};

/// Camunda's transactions from a logical replication slot
/// (https://www.postgresql.org/docs/current/protocol-replication.html), PostgreSQL 14 to 17.
class ReplicationSource final : public ChangeSource {
public:
    struct Options {
        postgres::ConnectionOptions connection;
        std::string schema = "public";
        std::string publication = "netbuild";
        std::string slot = "netbuild";
        std::size_t batch_transactions_max = 512;
        std::size_t batch_bytes_max = 1024 * 1024;
        /// A transaction of more row changes comes in parts; 0: never.
        std::size_t transaction_memory_max = 0;
        /// Status messages go out at least this often, and ask for an answer.
        Clock::duration status_interval = std::chrono::seconds(2);
        /// How long the server waits for one before it gives the slot to another worker: for one
        /// that hangs, or whose network is cut. A process that dies gives it up at once.
        Clock::duration wal_sender_timeout = std::chrono::seconds(10);
        /// Without a byte for so long, though answers are due, the connection counts as lost.
        Clock::duration receive_timeout = std::chrono::seconds(30);
        /// Connections of a snapshot that read process instances side by side.
        std::size_t load_connections = 2;
        MessageTap* tap = nullptr;
        /// A slot that ends with the connection, and no snapshot: `record`, benches.
        bool temporary_slot = false;
    };
    struct Counters {
        std::uint64_t bytes = 0;
        std::uint64_t ignored_row_changes = 0;
        /// The server's WAL end, as it last said.
        Lsn wal_end{};
    };

    ReplicationSource(asio::any_io_executor executor, Clock& clock, Options options);
    ~ReplicationSource() override;

    awaitable<result<SourceIdentity>> identify() override;
    awaitable<result<Lsn>> end_of_history() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override;
    awaitable<result<ChangeBatch>> next() override;
    void confirm(Position durable) override;
    awaitable<void> close() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) override;

    /// After close(): the WAL is kept for nobody any more.
    awaitable<result<void>> drop_slot();

    [[nodiscard]] Counters counters() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
