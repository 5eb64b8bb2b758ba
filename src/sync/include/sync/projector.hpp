// SPDX-License-Identifier: Apache-2.0
#pragma once
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

/// What transactions meant: the event documents, and the same events as they are published.
struct ProjectedEvents {
    std::vector<DocumentWrite> documents;
    std::vector<StreamEventPtr> stream;
    /// A document held the transaction already: it was applied before, in part at least, and what
    /// was computed here may lack events. All of them were stored then (events come first): use
    /// those.
    bool replay_seen = false;
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

    /// Folds one committed transaction. All that collect_missing() named is in the cache. A process
    /// instance whose document already holds the transaction (a replay) is left alone.
    void project(const Transaction& transaction, ProjectedEvents& events);

    /// The same for rows of a snapshot that are whole for their process instances: each takes the
    /// place of what was known of it, unless that is of a later Position. States only, no events.
    void project_snapshot(const Transaction& chunk);

    [[nodiscard]] const ProjectionCounters& counters() const noexcept { return counters_; }

private:
    friend class TransactionProjection;
    struct JobDefinition {
        std::string activity_id;
    };

    const ProjectionOptions& options_;
    DocumentCache& cache_;
    ProjectionCounters counters_;
    /// act_ru_jobdef, as far as seen.
    std::unordered_map<std::string, JobDefinition> job_definitions_;
};

} // namespace netbuild::sync
