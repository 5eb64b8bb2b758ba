// SPDX-License-Identifier: Apache-2.0
#include "sync/projector.hpp"

#include <algorithm>

#include "row_roles.hpp"
#include "transaction_projection.hpp"

namespace netbuild::sync {
namespace {

using camunda::Table;
namespace collections = netbuild::collections;

/// UPDATEs of tasks that had ended before (CompanionRows::rewrites_ended_task), without all that a
/// projection needs to know: this is asked of every transaction more than once.
class EndedTasks {
public:
    explicit EndedTasks(const Transaction& transaction) {
        for (std::size_t i = 0; i < transaction.size(); ++i) {
            const Row row = transaction.row(i);
            if (row.table == Table::ru_task && row.operation == RowOperation::erase) {
                touched_.push_back(row.text(camunda::ru_task::id));
            } else if (row.table == Table::hi_taskinst && row.operation == RowOperation::insert) {
                touched_.push_back(row.text(camunda::hi_taskinst::id));
            }
        }
        std::sort(touched_.begin(), touched_.end());
    }
    [[nodiscard]] bool rewritten_by(const Row& row) const {
        return row.table == Table::hi_taskinst && row.operation == RowOperation::update &&
               row.has_text(camunda::hi_taskinst::end_time) &&
               !std::binary_search(touched_.begin(), touched_.end(),
                                   row.text(camunda::hi_taskinst::id));
    }

private:
    std::vector<std::string_view> touched_;
};

} // namespace

void Projector::collect_missing(const Transaction& transaction, bool inserts_are_new,
                                std::set<DocumentKey>& missing) {
    const auto put_new = [&](std::string_view collection, std::string_view id) {
        if (!cache_.find(collection, id)) cache_.put(collection, std::string(id), nullptr);
    };
    if (inserts_are_new) {
        for (std::size_t i = 0; i < transaction.size(); ++i) {
            const Row row = transaction.row(i);
            if (row.operation != RowOperation::insert) continue;
            if (row.table == Table::hi_procinst) {
                put_new(collections::workflow_executions, instance_of(row));
                put_new(collections::task_executions, instance_of(row));
            } else if (row.table == Table::hi_taskinst) {
                put_new(collections::tasks, task_of(row));
            } else if (row.table == Table::re_procdef) {
                put_new(collections::process_definitions, definition_of(row));
            }
        }
    }
    const auto want = [&](std::string_view collection, std::string_view id) {
        if (!id.empty() && !cache_.find(collection, id)) missing.emplace(collection, id);
    };
    const EndedTasks ended(transaction);
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        const std::string_view instance = instance_of(row);
        want(collections::workflow_executions, instance);
        want(collections::task_executions, instance);
        if (!ended.rewritten_by(row)) want(collections::tasks, task_of(row));
        // A row that names its task only leads to the process instance through the task's document.
        const CachedDocument* task =
            task_of(row).empty() ? nullptr : cache_.find(collections::tasks, task_of(row));
        const Value* owner = task ? task->find("processInstanceId") : nullptr;
        if (owner) {
            want(collections::workflow_executions, owner->string_or());
            want(collections::task_executions, owner->string_or());
        }
        want(collections::process_definitions, definition_of(row));
    }
}

InstanceSelection Projector::unloaded(const Transaction& transaction, std::uint64_t base) {
    std::set<std::string_view> instances, tasks, inserted;
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        if (row.operation != RowOperation::insert) continue;
        if (row.table == Table::hi_procinst) inserted.insert(instance_of(row));
        if (row.table == Table::hi_taskinst) inserted.insert(task_of(row));
    }
    InstanceSelection selection;
    const auto add_instance = [&](std::string_view id) {
        if (id.empty() || inserted.contains(id)) return;
        const CachedDocument* document = cache_.find(collections::workflow_executions, id);
        if (document && document->lsn() < base) instances.insert(id);
    };
    const EndedTasks ended(transaction);
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        add_instance(instance_of(row));
        const std::string_view id = task_of(row);
        if (id.empty() || inserted.contains(id) || ended.rewritten_by(row)) continue;
        const CachedDocument* task = cache_.find(collections::tasks, id);
        const Value* owner = task ? task->find("processInstanceId") : nullptr;
        if (owner && !owner->is_null()) {
            add_instance(owner->string_or());
        } else if (task && task->lsn() < base && instance_of(row).empty()) {
            // Of an instance that is not there, or of none.
            selection.standalone_tasks |= task->exists();
            tasks.insert(id);
        }
    }
    selection.instances.assign(instances.begin(), instances.end());
    selection.tasks.assign(tasks.begin(), tasks.end());
    return selection;
}

result<void> Projector::project(const Transaction& transaction, ProjectedEvents& events,
                                const ErasedJobs* erased_elsewhere) {
    TransactionProjection projection(*this, transaction, TransactionProjection::Mode::stream,
                                     erased_elsewhere);
    TRY_VOID(projection.run());
    projection.take_events(events);
    if (transaction.extent == Extent::whole) {
        ++counters_.transactions;
        counters_.row_changes += transaction.size();
    }
    return {};
}

result<void> Projector::project_snapshot(const Transaction& chunk) {
    counters_.row_changes += chunk.size();
    return TransactionProjection(*this, chunk, TransactionProjection::Mode::snapshot, nullptr)
        .run();
}

} // namespace netbuild::sync
