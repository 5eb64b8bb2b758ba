// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/position.hpp"
#include "model/transaction.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// Which history a source's LSNs belong to. A change of any of it means that LSNs may go backwards.
struct SourceIdentity {
    /// "wal", "recording", "simulator".
    std::string kind;
    /// PostgreSQL's system identifier; a recording's or simulation's own.
    std::string system_identifier;
    std::uint32_t timeline = 0;
    friend bool operator==(const SourceIdentity&, const SourceIdentity&) = default;
};

/// Whole transactions in commit order; one that is too large for memory in parts that follow each
/// other, over several batches if need be, with nothing in between.
struct ChangeBatch {
    std::vector<Transaction> transactions;
    /// Everything at or before it has been given out; may be past the last transaction (keepalive).
    Position upto;
    /// The last one: a recording has ended.
    bool end = false;

    [[nodiscard]] std::size_t bytes() const noexcept {
        std::size_t sum = 0;
        for (const auto& transaction : transactions)
            sum += transaction.bytes();
        return sum;
    }
};

/// Whole process instances, as a chunk of a load.
struct EngineChunk {
    /// INSERTs at the snapshot's Position: every row of every table for its process instances.
    Transaction rows;
    /// The last process instance in it; empty for definitions and tasks without a process.
    std::string upto;
    std::size_t instances = 0;
};

/// Process instances by their ids, by a task of theirs, or the tasks that have none.
struct InstanceSelection {
    std::vector<std::string> instances;
    std::vector<std::string> tasks;
    bool standalone_tasks = false;
    static constexpr std::size_t ids_max = 1000;
};

/// The engine's tables as one consistent snapshot. It lives beside the stream, for as long as it is
/// kept; every call fails with a transient error once its connection is lost, and a new snapshot
/// has to be taken.
class EngineSnapshot {
public:
    virtual ~EngineSnapshot() = default;
    /// The snapshot holds exactly the transactions at or before it.
    [[nodiscard]] virtual Position position() const = 0;
    /// Process instances in all, for the progress bar; an estimate.
    [[nodiscard]] virtual std::uint64_t instances_estimate() const = 0;
    /// Before the first next(): process instances up to and with this one were read before.
    virtual void start_after(std::string process_instance_id) = 0;
    /// The first chunk holds job and process definitions with their BPMN, then come process
    /// instances in the engine's own order of ids, at last tasks without a process.
    /// nullopt after the last.
    virtual awaitable<result<std::optional<EngineChunk>>> next() = 0;
    /// The rows of those of the selection that the snapshot has; at most InstanceSelection::ids_max
    /// of each kind. Also while a next() waits.
    virtual awaitable<result<Transaction>> read(InstanceSelection selection) = 0;
};

/// What a source is opened with.
struct SourceStart {
    /// Put into the number of every Position given out.
    std::uint32_t epoch = 0;
    /// Give out what committed after it; nullopt: nothing is known, load first.
    std::optional<Position> after;
    /// Whose stream it is to be: unavailable if it has become another's since identify().
    std::optional<SourceIdentity> identity = {};
};

/// A stream of committed transactions with Positions.
/// Contract: next() gives each transaction after `after` once, in commit order, for as long as one
/// open() lasts; after a new open() all that was not confirmed comes again. One consumer.
class ChangeSource {
public:
    virtual ~ChangeSource() = default;

    /// Who it is, without taking the stream. unavailable, unauthorized.
    virtual awaitable<result<SourceIdentity>> identify() = 0;
    /// The newest LSN that `identify`'s history has (WAL end), to notice one that went backwards.
    virtual awaitable<result<Lsn>> end_of_history() = 0;

    /// Takes the stream. With `after` empty it starts at a new consistent point and returns the
    /// snapshot taken there; null if the source has nothing to load. slot_in_use while another
    /// worker has the stream; not_found if `after` is given and the stream to resume (the slot) is
    /// gone.
    virtual awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) = 0;
    /// Waits for at least one transaction or an advance of the position. corrupt: stop, confirm
    /// nothing.
    virtual awaitable<result<ChangeBatch>> next() = 0;
    /// All at or before it is durable downstream and need not come again. Sent by the source in its
    /// own time. Never goes back.
    virtual void confirm(Position durable) = 0;
    /// Called with a snapshot's Position as soon as that is known; false gives the snapshot up.
    using SnapshotTaken = std::function<bool(Position)>;
    /// A snapshot of now, beside the open stream, which is sure to pass the snapshot's Position.
    /// Null if the source has nothing to load; overloaded if `taken` gave it up.
    virtual awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) = 0;
    /// Gives the stream up; open() may follow.
    virtual awaitable<void> close() = 0;
};

} // namespace netbuild
