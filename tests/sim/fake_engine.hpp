// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ports/change_source.hpp"
#include "runtime/signal.hpp"

namespace netbuild::sim {

/// A row as the database holds it; null: no value.
using StoredRow = std::vector<std::optional<std::string>>;
/// By table and primary key.
using Tables = std::map<std::pair<camunda::Table, std::string>, std::shared_ptr<const StoredRow>>;

/// A transaction in the write-ahead log.
struct Committed {
    Lsn end{};
    std::shared_ptr<const Transaction> transaction;
    /// The script's entry that it is, to be done again if it is lost; nullopt: history clean-up.
    std::optional<std::size_t> entry;
};

/// Camunda's PostgreSQL, as far as logical replication sees it: committed rows, a log, one slot.
/// It outlives every process that follows it, and is what faults of a database are done to.
class FakeEngine {
public:
    struct Slot {
        Lsn confirmed{};
        /// The connection that follows it; 0: none.
        std::uint64_t owner = 0;
    };
    FakeEngine(const asio::any_io_executor& executor, std::string system_identifier);

    // What Camunda does.
    /// The transaction's end.
    Lsn commit(const Transaction& transaction, std::optional<std::size_t> entry,
               std::int64_t committed_at_us);
    /// A finished process instance's history goes, as Camunda's clean-up job does it. False if
    /// there is none.
    bool clean_up_history(std::uint64_t draw, std::int64_t committed_at_us);
    /// Other databases of the cluster, messages, checkpoints: the log grows, with nothing for us.
    void write_elsewhere(std::uint64_t bytes);

    // What goes wrong; all of it ends the connections.
    void drop_slot();
    void disconnect();
    /// Somebody makes the slot anew, at the log's present end.
    void recreate_slot();
    /// A standby without the newest `lost` transactions is promoted; the slot is on it or not.
    /// What was lost, newest last, comes back.
    std::vector<Committed> fail_over(std::size_t lost, bool with_slot);
    /// Dumped and restored into a new cluster, whose log begins where that cluster's does.
    void dump_and_restore(std::string system_identifier);

    [[nodiscard]] const SourceIdentity& identity() const { return identity_; }
    [[nodiscard]] Lsn wal_end() const { return wal_end_; }
    /// Where the last transaction ended.
    [[nodiscard]] Lsn last_commit() const { return log_.empty() ? Lsn{} : log_.back().end; }
    [[nodiscard]] const std::vector<Committed>& log() const { return log_; }
    /// Everything that the tables come from, oldest first; what was committed in clusters before
    /// this one has small LSNs of its own.
    [[nodiscard]] std::vector<Committed> history() const;
    /// Starts with such a history, and a slot that has seen nothing of it.
    void adopt(std::vector<Committed> history, SourceIdentity identity);
    [[nodiscard]] const Tables& tables() const { return tables_; }
    [[nodiscard]] std::optional<Slot>& slot() { return slot_; }
    /// Connections of another generation are broken.
    [[nodiscard]] std::uint64_t generation() const { return generation_; }
    [[nodiscard]] std::uint64_t next_owner() { return ++owners_; }
    Signal& changed() { return changed_; }

private:
    void write_rows(const Transaction& transaction);
    void rebuild_tables();

    SourceIdentity identity_;
    Lsn wal_end_{0x1000028};
    std::uint32_t next_xid_ = 735;
    std::vector<Committed> log_;
    std::vector<Committed> before_;
    Tables tables_;
    std::optional<Slot> slot_;
    std::uint64_t generation_ = 0;
    std::uint64_t owners_ = 0;
    Signal changed_;
};

/// A copy of the tables, read as postgres/snapshot_loader.cpp reads them: later commits do not
/// show. `alive` says whether the connection that keeps it is still there.
class FakeSnapshot final : public EngineSnapshot {
public:
    FakeSnapshot(Tables tables, Position position, std::size_t chunk_instances,
                 std::function<bool()> alive);
    [[nodiscard]] Position position() const override { return position_; }
    [[nodiscard]] std::uint64_t instances_estimate() const override { return instances_.size(); }
    void start_after(std::string process_instance_id) override;
    awaitable<result<std::optional<EngineChunk>>> next() override;
    awaitable<result<Transaction>> read(InstanceSelection selection) override;

private:
    [[nodiscard]] Transaction empty_chunk() const;
    [[nodiscard]] Transaction definitions() const;
    [[nodiscard]] Transaction instances(const std::vector<std::string>& ids) const;
    /// The instance that a task belongs to; empty if the snapshot does not have it.
    [[nodiscard]] std::string owner_of(const std::string& task) const;

    Tables tables_;
    Position position_;
    std::size_t chunk_instances_;
    std::function<bool()> alive_;
    std::vector<std::string> instances_; // in order
    std::size_t from_ = 0;               // of instances_: where the next chunk begins
    enum class Stage : unsigned char { definitions, instances, standalone, end };
    Stage stage_ = Stage::definitions;
};

} // namespace netbuild::sim
