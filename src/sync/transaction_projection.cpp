// SPDX-License-Identifier: Apache-2.0
#include "transaction_projection.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "row_roles.hpp"
#include "sync/cells.hpp"
#include "wire/json.hpp"

namespace netbuild::sync {

using camunda::Table;

CompanionRows::CompanionRows(const Transaction& transaction) {
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        const bool update = row.operation == RowOperation::update;
        const bool erase = row.operation == RowOperation::erase;
        switch (row.table) {
        case Table::hi_taskinst:
            if (row.operation == RowOperation::insert) {
                inserted_history_tasks.insert(row.text(camunda::hi_taskinst::id));
            }
            break;
        case Table::ru_task:
            if (update) updated_tasks.insert(row.text(camunda::ru_task::id));
            if (erase) erased_tasks.insert(row.text(camunda::ru_task::id));
            break;
        case Table::ru_variable:
            if (update) updated_variables.insert(row.text(camunda::ru_variable::id));
            if (erase) erased_variables.insert(row.text(camunda::ru_variable::id));
            break;
        case Table::hi_varinst:
            if (row.operation == RowOperation::insert) {
                inserted_variables.insert(row.text(camunda::hi_varinst::id));
            }
            break;
        case Table::hi_detail:
            if (row.operation == RowOperation::insert) {
                detailed_variables.insert(row.text(camunda::hi_detail::var_inst_id));
            }
            break;
        case Table::hi_identitylink:
            if (row.operation == RowOperation::insert &&
                row.text(camunda::hi_identitylink::type) == "assignee") {
                // An update of the task writes a link away and back even if the assignee stays.
                const std::string_view task = row.text(camunda::hi_identitylink::task_id);
                const std::string_view user = row.text(camunda::hi_identitylink::user_id);
                AssigneeChange& change = assignee_changes[task];
                if (row.text(camunda::hi_identitylink::operation_type) == "add") {
                    change.after = user;
                } else if (!change.before) {
                    change.before = user;
                }
            }
            break;
        case Table::ge_bytearray:
            // An INSERT's bytes stay known when a later UPDATE leaves them unchanged.
            if (!erase && row.has_text(camunda::ge_bytearray::bytes)) {
                bytes[row.text(camunda::ge_bytearray::id)] = row.text(camunda::ge_bytearray::bytes);
            }
            break;
        case Table::hi_job_log:
            if (row.operation == RowOperation::insert) {
                job_logs.insert_or_assign(row.text(camunda::hi_job_log::job_id), row);
            }
            break;
        default:
            break;
        }
    }
}

std::optional<std::string_view> CompanionRows::bytes_of(std::string_view bytearray_id) const {
    const auto found = bytes.find(bytearray_id);
    return found == bytes.end() ? std::nullopt : std::optional(found->second);
}

bool CompanionRows::reassigns(std::string_view task_id) const {
    const auto found = assignee_changes.find(task_id);
    return found != assignee_changes.end() &&
           found->second.before.value_or("") != found->second.after.value_or("");
}

bool CompanionRows::rewrites_ended_task(const Row& row) const {
    if (row.table != Table::hi_taskinst || row.operation != RowOperation::update) return false;
    const std::string_view id = row.text(camunda::hi_taskinst::id);
    return row.has_text(camunda::hi_taskinst::end_time) && !erased_tasks.contains(id) &&
           !inserted_history_tasks.contains(id);
}

TransactionProjection::TransactionProjection(Projector& projector, const Transaction& transaction,
                                             Mode mode, const ErasedJobs* erased_elsewhere)
    : projector_(projector),
      options_(projector.options_),
      cache_(projector.cache_),
      transaction_(transaction),
      mode_(mode),
      at_{transaction.committed_at_us / 1000},
      companions_(transaction),
      erased_elsewhere_(erased_elsewhere) {}

result<void> TransactionProjection::run() {
    for (int wanted = 0; wanted < phases; ++wanted) {
        for (std::size_t i = 0; i < transaction_.size(); ++i) {
            const Row row = transaction_.row(i);
            if (phase_of(row) != wanted) continue;
            row_ = &row;
            apply(row);
            if (fault_) return std::move(*fault_);
        }
    }
    row_ = nullptr;
    finish();
    return {};
}

void TransactionProjection::fault(const Cell& cell, std::string_view what) {
    if (fault_) return;
    const auto& info = camunda::info(row_->table);
    const auto column = static_cast<std::size_t>(&cell - row_->cells.data());
    fault_ = fail(ErrorCode::corrupt,
                  fmt::format("{}.{} of row {} {} ({} bytes)", info.name, info.columns[column],
                              row_->cells[0].text, what, cell.text.size()));
}

void TransactionProjection::apply(const Row& row) {
    if (!is_read(row, options_.retention)) return;
    // The order of instances is that of the first rows that name them, whatever comes of the rows:
    // who shares a large transaction out knows it too.
    const std::string_view named = instance_of(row);
    const std::string_view alone = standalone_task_of(row);
    if (!named.empty() || !alone.empty()) instance(named, alone);
    const bool erase = row.operation == RowOperation::erase;
    switch (row.table) {
    case Table::hi_procinst:
        return erase ? process_erased(row) : process_inserted_or_updated(row);
    case Table::hi_taskinst:
        return history_task(row);
    case Table::hi_actinst:
        return erase ? void() : activity(row);
    case Table::hi_varinst:
        return erase ? void() : variable(row);
    case Table::hi_identitylink:
        return row.operation == RowOperation::insert ? identity_link(row) : void();
    case Table::hi_incident:
        return erase ? void() : incident(row);
    case Table::hi_job_log:
        return row.operation == RowOperation::insert ? job_log(row) : void();
    case Table::hi_ext_task_log:
        return row.operation == RowOperation::insert ? external_task_log(row) : void();
    case Table::ru_task:
        return erase ? runtime_task_erased(row) : runtime_task(row);
    case Table::ru_job:
        return erase ? job_erased(row) : job(row);
    case Table::ru_jobdef:
        if (!erase) {
            projector_.job_definitions_[std::string(row.text(camunda::ru_jobdef::id))] = {
                std::string(row.text(camunda::ru_jobdef::act_id))};
        }
        return;
    case Table::re_procdef:
        return definition_row(row);
    case Table::re_deployment:
        return row.operation == RowOperation::insert ? deployment(row) : void();
    case Table::hi_detail:
        return row.operation == RowOperation::insert ? variable_detail(row) : void();
    case Table::ru_execution:
    case Table::ru_variable:
    case Table::ge_bytearray:
        return;
    }
}

TransactionProjection::Instance& TransactionProjection::instance(std::string_view id,
                                                                 std::string_view standalone_task) {
    const std::string_view key = id.empty() ? standalone_task : id;
    if (last_instance_ && key == last_key_) return *last_instance_;
    const auto [found, inserted] = instances_.try_emplace(key);
    Instance& instance = found->second;
    last_key_ = key;
    last_instance_ = &instance;
    if (!inserted) return instance;
    instance_order_.push_back(key);
    instance.id = id;
    if (id.empty()) return instance; // a standalone task, a deployment, a start timer
    const auto document = [&](std::string_view collection) {
        CachedDocument* cached = cache_.find(collection, id);
        return cached ? cached : &cache_.put(collection, std::string(id), nullptr);
    };
    instance.execution = document(collections::workflow_executions);
    instance.task_execution = document(collections::task_executions);
    forget_if_stale(*instance.execution);
    forget_if_stale(*instance.task_execution);
    instance.replayed = instance.execution->lsn() >= transaction_.position.number;
    if (mode_ == Mode::snapshot && !instance.replayed) {
        // A chunk holds the instance whole: nothing of what was known stays.
        instance.execution->remove();
        instance.task_execution->remove();
    }
    replay_seen_ |= instance.replayed;
    return instance;
}

bool TransactionProjection::usable(Instance& instance) {
    if (instance.replayed || !instance.execution) return false;
    if (instance.execution->exists()) return true;
    ++projector_.counters_.orphan_rows;
    return false;
}

/// A document of a history that has ended says nothing of what comes now; the load that is under
/// way replaces or removes it.
void TransactionProjection::forget_if_stale(CachedDocument& document) const {
    if (document.exists() && document.lsn() < projector_.known_from_) document.remove();
}

/// Of a process instance that the model does not have, nothing can be said of a task either.
bool TransactionProjection::orphaned(const Task& task, std::string_view id) {
    Instance& owner = owner_of(task, id);
    if (owner.replayed || !owner.execution || owner.execution->exists()) return false;
    ++projector_.counters_.orphan_rows;
    return true;
}

TransactionProjection::Task* TransactionProjection::task(std::string_view id,
                                                         std::string_view instance_id) {
    if (id.empty()) return nullptr;
    const auto [found, inserted] = tasks_.try_emplace(id);
    Task& task = found->second;
    if (inserted) {
        task_order_.push_back(id);
        task.document = cache_.find(collections::tasks, id);
        if (!task.document)
            task.document = &cache_.put(collections::tasks, std::string(id), nullptr);
        task.instance = instance_id;
    }
    if (task.instance.empty()) {
        task.instance = instance_id;
        const Value* known = task.document->find("processInstanceId");
        if (instance_id.empty() && known && !known->string_or().empty())
            task.instance = ids_.emplace_back(known->string_or());
    }
    if (inserted) forget_if_stale(*task.document);
    if (task.document->lsn() >= transaction_.position.number) {
        if (!std::exchange(task.replayed, true)) owner_of(task, id).part_replayed = true;
        replay_seen_ = true;
    } else if (mode_ == Mode::snapshot && !task.instance.empty() &&
               instance(task.instance).replayed) {
        task.replayed = true; // its instance is past the snapshot, and so is all that it has
    } else if (inserted && mode_ == Mode::snapshot) {
        task.document->remove();
    }
    return &task;
}

bool TransactionProjection::emits(const Instance& instance) const {
    if (mode_ == Mode::snapshot || instance.replayed) return false;
    // Of an instance that the model does not have, nobody could say whose it is.
    return !instance.execution || instance.execution->exists();
}

void TransactionProjection::emit(Instance& instance, int rank, std::string_view type,
                                 Object particulars) {
    if (!emits(instance)) return;
    instance.events.push_back({rank, 0, std::string(type), std::move(particulars)});
    instance.changed =
        true; // an event always moves its instance's `sync`, so that a replay is seen
}

Value TransactionProjection::date(const Cell& cell) {
    if (cell.kind != Cell::Kind::text) return {};
    const auto value = date_value(cell, options_.time_zone);
    if (!value) fault(cell, "is not a timestamp");
    return value ? Value(*value) : Value();
}

Value TransactionProjection::int32(const Cell& cell) {
    if (cell.kind != Cell::Kind::text) return {};
    const auto number = parse_integer<std::int32_t>(cell.text);
    if (!number) fault(cell, "is not a number");
    return number ? Value(*number) : Value();
}

Value TransactionProjection::int64(const Cell& cell) {
    if (cell.kind != Cell::Kind::text) return {};
    const auto number = parse_integer<std::int64_t>(cell.text);
    if (!number) fault(cell, "is not a number");
    return number ? Value(*number) : Value();
}

std::optional<std::size_t> TransactionProjection::code(const Cell& cell, std::size_t count) {
    if (cell.kind != Cell::Kind::text) return std::nullopt;
    const auto number = parse_integer<std::size_t>(cell.text);
    if (!number) fault(cell, "is not a number");
    return number && *number < count ? std::optional(*number) : std::nullopt;
}

Value TransactionProjection::domain(const Cell& tenant) const {
    if (!tenant.text.empty()) return tenant.text;
    return options_.default_domain.empty() ? Value() : Value(options_.default_domain);
}

CachedDocument* TransactionProjection::definition(std::string_view id) {
    CachedDocument* found =
        id.empty() ? nullptr : cache_.find(collections::process_definitions, id);
    return found && found->exists() ? found : nullptr;
}

Value TransactionProjection::task_form(std::string_view definition_id, std::string_view task_key,
                                       std::string_view member) {
    const CachedDocument* document = definition(definition_id);
    const Value* form = document ? document->object("forms").find(escape_key(task_key)) : nullptr;
    const Value* value = form ? form->at_path(member) : nullptr;
    return value ? *value : Value();
}

void TransactionProjection::finish() {
    const std::uint64_t lsn = transaction_.position.number;
    erase_unlogged_jobs();
    for (CachedDocument* document : changed_definitions_)
        cache_.stamp(*document, lsn, at_);
    // A task and its copy in the execution carry the same sync.lsn: a reader tells by it whether
    // the two are of one Position.
    for (const std::string_view id : task_order_) {
        Task& task = tasks_.at(id);
        if (!task.changed && !task.entry_changed && !task.replayed) continue;
        Instance& owner = owner_of(task, id);
        const std::uint64_t task_lsn = task.replayed ? task.document->lsn() : lsn;
        if (owner.execution && !owner.replayed) {
            if (owner.execution->object("activeTasks").contains(id)) {
                Object& entries = owner.execution->edit().object_at("activeTasks");
                entries.object_at(id).set("sync",
                                          Object{{"lsn", static_cast<std::int64_t>(task_lsn)}});
            }
            owner.changed |= owner.execution->exists();
        }
        if (task.replayed) continue;
        if (task.large) shrink(*task.document);
        cache_.stamp(*task.document, lsn, at_);
    }
    for (const std::string_view id : instance_order_) {
        Instance& touched = instances_.at(id);
        if (!touched.execution || touched.replayed) continue;
        if (touched.tasks_changed && touched.execution->exists())
            refresh_task_execution(id, touched);
        if (!touched.changed) continue;
        if (touched.large) shrink(*touched.execution);
        cache_.stamp(*touched.execution, lsn, at_);
    }
    for (CachedDocument* document : removed_) {
        if (!document->exists()) continue;
        document->remove();
        cache_.stamp(*document, lsn, at_);
    }
}

/// Causes before effects; of one rank in the order of the rows.
void TransactionProjection::sort_by_rank(std::vector<Event>& events) {
    for (std::size_t i = 0; i < events.size(); ++i)
        events[i].row = i;
    std::sort(events.begin(), events.end(), [](const Event& left, const Event& right) {
        return std::pair(left.rank, left.row) < std::pair(right.rank, right.row);
    });
}

void TransactionProjection::take_events(ProjectedEvents& out) {
    out.replay_seen = replay_seen_ |= out.replay_seen;
    for (const std::string_view key : instance_order_) {
        Instance& touched = instances_.at(key);
        if (touched.events.empty() && !replay_seen_) continue;
        sort_by_rank(touched.events);
        const CachedDocument* execution = touched.execution;
        const auto member = [&](std::string_view name) {
            const Value* value = execution ? execution->find(name) : nullptr;
            return value ? *value : Value();
        };
        InstanceEvents instance;
        instance.instance_id = touched.id.empty() ? Value() : Value(touched.id);
        instance.execution_id = member("executionId");
        instance.domain_id = member("domainId");
        instance.replayed = touched.replayed || touched.part_replayed;
        instance.events.reserve(touched.events.size());
        for (Event& event : touched.events)
            instance.events.push_back({std::move(event.type), std::move(event.payload)});
        projector_.counters_.events += instance.events.size();
        if (replay_seen_) {
            instance.key = key;
            out.unnumbered.push_back(std::move(instance));
        } else {
            out.number(std::move(instance), transaction_.position, at_);
        }
    }
}

} // namespace netbuild::sync
