// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/transaction.hpp"
#include "ports/change_source.hpp"
#include "ports/event_bus.hpp"
#include "sync/document_cache.hpp"
#include "sync/options.hpp"

namespace netbuild::sync {

/// A document that has to be in the cache before a transaction can be projected.
using DocumentKey = std::pair<std::string_view, std::string>; // collection, id

/// What one transaction meant for one process instance, or for a task without one.
struct InstanceEvents {
    struct Event {
        std::string type;
        /// Particulars, before the members that all events have.
        Object payload;
    };
    /// The process instance's id, the standalone task's, or empty (a deployment).
    std::string key;
    Value instance_id, execution_id, domain_id;
    /// A document of it held the transaction already: it was applied before, in part at least, and
    /// events are missing here. All of them were stored then (events come first): use those.
    bool replayed = false;
    std::vector<Event> events;
};
/// The key of the instance that a stored event document is about.
[[nodiscard]] std::string_view instance_key(const Value& event_document);

/// What transactions meant: the event documents, and the same events as they are published.
struct ProjectedEvents {
    std::vector<DocumentWrite> documents;
    std::vector<StreamEventPtr> stream;
    /// The ordinal of the next event: goes on from piece to piece of a large transaction.
    std::uint32_t next_ordinal = 0;
    /// Some instance is `replayed`, or the caller knew before that events of the transaction may be
    /// stored: nothing was numbered, all instances are in `unnumbered`.
    bool replay_seen = false;
    std::vector<InstanceEvents> unnumbered;

    /// Gives the events their Positions.
    void number(InstanceEvents&& instance, Position transaction, Date at);
    /// Events that have theirs, and are stored.
    void take_stored(const std::vector<StreamEventPtr>& events);
};

/// Jobs that were deleted without a row that says of which process instance (the job log is off):
/// any instance that the transaction touches may have had them. Views texts that outlive it.
class ErasedJobs {
public:
    void add(std::string_view id) { ids_.push_back(id); }
    /// Before contains() is asked.
    void seal() { std::sort(ids_.begin(), ids_.end()); }
    [[nodiscard]] bool empty() const noexcept { return ids_.empty(); }
    [[nodiscard]] bool contains(std::string_view id) const {
        return std::binary_search(ids_.begin(), ids_.end(), id);
    }

private:
    std::vector<std::string_view> ids_;
};

/// Counted, and shown in /metrics.
struct ProjectionCounters {
    std::uint64_t transactions = 0;
    std::uint64_t row_changes = 0;
    std::uint64_t events = 0;
    /// Rows whose process instance is not in the read model (its history was deleted).
    std::uint64_t orphan_rows = 0;
};

/// Folds transactions into documents: `design/camunda-capture` is its table of rules. Pure but for
/// the cache: no waiting, no clock, no order that depends on hashing.
class Projector {
public:
    Projector(const ProjectionOptions& options, DocumentCache& cache)
        : options_(options), cache_(cache) {}

    /// The documents that `transaction` reads or changes and that are not in the cache; call it
    /// again after they were put there, until there are none (a task names its execution). With
    /// `inserts_are_new`, documents that its INSERTs make are put into the cache as missing
    /// instead.
    void collect_missing(const Transaction& transaction, bool inserts_are_new,
                         std::set<DocumentKey>& missing);

    /// What `transaction` changes and the read model does not hold as of a load's snapshot: process
    /// instances whose document is older than `base` (a Position::number) or missing, and tasks
    /// that alone could name theirs. All that collect_missing() named is in the cache.
    [[nodiscard]] InstanceSelection unloaded(const Transaction& transaction, std::uint64_t base);

    /// Folds one committed transaction, or one piece of a large one (sync/large_transaction.hpp),
    /// with the jobs that the rest of it deleted. All that collect_missing() named is in the cache.
    /// A process instance whose document already holds the transaction (a replay) is left alone.
    /// corrupt: a value cannot be read; the cached documents are of no use any more.
    result<void> project(const Transaction& transaction, ProjectedEvents& events,
                         const ErasedJobs* erased_elsewhere = nullptr);

    /// The same for rows of a snapshot that are whole for their process instances: each takes the
    /// place of what was known of it, unless that is of a later Position. States only, no events.
    result<void> project_snapshot(const Transaction& chunk);

    /// While all is loaded anew: documents of an earlier Position::number are of a history that has
    /// ended, and are taken for missing by the stream. 0: none are.
    void know_from(std::uint64_t number) noexcept { known_from_ = number; }

    /// A large transaction, whose pieces do not count.
    void count_large(std::uint64_t rows) noexcept {
        ++counters_.transactions;
        counters_.row_changes += rows;
    }

    [[nodiscard]] const ProjectionCounters& counters() const noexcept { return counters_; }

private:
    friend class TransactionProjection;
    struct JobDefinition {
        std::string activity_id;
    };

    const ProjectionOptions& options_;
    DocumentCache& cache_;
    ProjectionCounters counters_;
    std::uint64_t known_from_ = 0;
    /// act_ru_jobdef, as far as seen.
    std::unordered_map<std::string, JobDefinition> job_definitions_;
};

} // namespace netbuild::sync
