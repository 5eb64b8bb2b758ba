// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model/collections.hpp"
#include "sync/projector.hpp"

namespace netbuild::sync {

/// What the rows of one transaction say about each other: Camunda's history rows alone do not tell
/// a change from a rewrite (every history row is written again when a process ends), the runtime
/// row beside them does.
class CompanionRows {
public:
    explicit CompanionRows(const Transaction& transaction);

    /// The bytes that `bytearray_id` names, as bytea text; nullopt if they are not in the
    /// transaction.
    [[nodiscard]] std::optional<std::string_view> bytes_of(std::string_view bytearray_id) const;
    /// The task has another assignee, or none, after the transaction.
    [[nodiscard]] bool reassigns(std::string_view task_id) const;
    /// An UPDATE of a task that had ended before: retention's bookkeeping, nothing to read in it.
    [[nodiscard]] bool rewrites_ended_task(const Row& row) const;

    std::unordered_set<std::string_view> inserted_history_tasks;
    std::unordered_set<std::string_view> updated_tasks;
    std::unordered_set<std::string_view> erased_tasks;
    std::unordered_set<std::string_view> inserted_variables;
    std::unordered_set<std::string_view> updated_variables;
    std::unordered_set<std::string_view> erased_variables;
    /// act_hi_detail.var_inst_id_ of the variables that were set or deleted.
    std::unordered_set<std::string_view> detailed_variables;
    /// Who had a task and who has it now, by its act_hi_identitylink rows of type assignee.
    struct AssigneeChange {
        std::optional<std::string_view> before, after;
    };
    std::unordered_map<std::string_view, AssigneeChange> assignee_changes;
    /// act_ge_bytearray: id → bytea text (unchanged ones are not in it).
    std::unordered_map<std::string_view, std::string_view> bytes;
    /// act_hi_job_log by job id.
    std::unordered_map<std::string_view, Row> job_logs;
};

/// One transaction on its way into the documents.
class TransactionProjection {
public:
    enum class Mode : unsigned char { stream, snapshot };
    TransactionProjection(Projector& projector, const Transaction& transaction, Mode mode,
                          const ErasedJobs* erased_elsewhere);

    /// corrupt with table and column: a value cannot be read. Documents are half changed then.
    result<void> run();
    void take_events(ProjectedEvents& out);

private:
    struct Event {
        int rank; // causes before effects within an instance
        std::size_t row;
        std::string type;
        Object payload;
    };
    /// A process instance that the transaction touches; or what stands for it: a task that has
    /// none, or nothing (a deployment, a start timer).
    struct Instance {
        std::string_view id; // empty if it is no process instance
        CachedDocument* execution = nullptr;
        CachedDocument* task_execution = nullptr;
        bool replayed = false;      // its document holds this transaction already
        bool part_replayed = false; // one of its tasks' does
        bool changed = false;
        bool tasks_changed = false;
        bool large = false; // its variables have grown: look at the document's size
        std::vector<Event> events;
    };
    /// A task that the transaction touches.
    struct Task {
        CachedDocument* document = nullptr;
        std::string_view instance;
        /// Its document holds this transaction already; its execution's may not (they are written
        /// first), so that the copy in there still has to follow.
        bool replayed = false;
        bool changed = false;
        bool entry_changed = false;
        bool large = false; // as an Instance's
    };

    // transaction_projection.cpp
    void apply(const Row& row);
    void finish();
    Instance& instance(std::string_view id, std::string_view standalone_task = {});
    Instance& owner_of(const Task& task, std::string_view task_id) {
        return instance(task.instance, task_id);
    }
    [[nodiscard]] bool usable(Instance& instance);
    [[nodiscard]] bool orphaned(const Task& task, std::string_view id);
    void forget_if_stale(CachedDocument& document) const;
    Task* task(std::string_view id, std::string_view instance_id);
    static void sort_by_rank(std::vector<Event>& events);
    /// False if emit() would drop what it is given.
    [[nodiscard]] bool emits(const Instance& instance) const;
    void emit(Instance& instance, int rank, std::string_view type, Object particulars);
    /// The cell's text; `known` where an UPDATE left a TOASTed value alone.
    [[nodiscard]] static Value kept(const Cell& cell, const Value* known);
    /// Null, absent and unchanged are null; what cannot be read is a fault.
    [[nodiscard]] Value date(const Cell& cell);
    [[nodiscard]] Value int32(const Cell& cell);
    [[nodiscard]] Value int64(const Cell& cell);
    /// A number that stands for one of `count` things; nullopt: a later Camunda's.
    [[nodiscard]] std::optional<std::size_t> code(const Cell& cell, std::size_t count);
    /// The first one ends the projection. Says where, never what: it is logged.
    void fault(const Cell& cell, std::string_view what);
    [[nodiscard]] Value domain(const Cell& tenant) const;
    [[nodiscard]] CachedDocument* definition(std::string_view id);
    [[nodiscard]] Value task_form(std::string_view definition_id, std::string_view task_key,
                                  std::string_view member);

    // process_rows.cpp
    [[nodiscard]] Object definition_of(const Row& row);
    void emit_transition(Instance& instance, std::string_view before, std::string_view after);
    /// The deployed file of that name, as bytea text, if the transaction brings it.
    [[nodiscard]] std::optional<std::string_view> resource(std::string_view deployment_id,
                                                           std::string_view name) const;
    void process_inserted_or_updated(const Row& row);
    void process_erased(const Row& row);
    void activity(const Row& row);
    void incident(const Row& row);
    void job(const Row& row);
    void job_erased(const Row& row);
    void erase_unlogged_jobs();
    void erase_unlogged_jobs_of(Instance& touched);
    void job_log(const Row& row);
    void external_task_log(const Row& row);
    void definition_row(const Row& row);
    void deployment(const Row& row);

    // task_rows.cpp
    void history_task(const Row& row);
    void runtime_task(const Row& row);
    void runtime_task_erased(const Row& row);
    void identity_link(const Row& row);
    void variable(const Row& row);
    void variable_detail(const Row& row);
    void erase_entry(Instance& owner, std::string_view task_id);
    void copy_candidates(Task& task, std::string_view id);
    void end_task(Task& task, std::string_view id, bool completed, Value ended_at);
    void emit_variable(Instance& owner, std::string_view type, std::string_view id,
                       std::string_view name, std::string_view variable_type,
                       std::string_view scope, std::string_view task_id, const Value* value);
    void store_variable(const Row& row, const Value& value);
    void erase_variable(const Row& row);
    [[nodiscard]] Object task_particulars(std::string_view id,
                                          const CachedDocument& document) const;
    void refresh_task_execution(std::string_view id, Instance& instance);
    void shrink(CachedDocument& document);

    Projector& projector_;
    const ProjectionOptions& options_;
    DocumentCache& cache_;
    const Transaction& transaction_;
    const Mode mode_;
    const Date at_;
    const CompanionRows companions_;
    // In order of first appearance: what shows outside does not depend on hashing.
    std::vector<std::string_view> instance_order_;
    std::unordered_map<std::string_view, Instance> instances_;
    // Rows of one instance stand together: the one that was asked for last.
    std::string_view last_key_;
    Instance* last_instance_ = nullptr;
    std::vector<std::string_view> task_order_;
    std::unordered_map<std::string_view, Task> tasks_;
    std::vector<CachedDocument*> changed_definitions_;
    /// By retention, where the read model follows it.
    std::vector<CachedDocument*> removed_;
    bool replay_seen_ = false;
    ErasedJobs unlogged_jobs_;
    const ErasedJobs* const erased_elsewhere_;
    std::deque<std::string> ids_; // read from documents, which change
    const Row* row_ = nullptr;    // that is being applied
    std::optional<Error> fault_;
};

} // namespace netbuild::sync
