// SPDX-License-Identifier: Apache-2.0
// What rows of user tasks and variables mean.
#include <algorithm>

#include "sync/cells.hpp"
#include "sync/variable_value.hpp"
#include "transaction_projection.hpp"

namespace netbuild::sync {
namespace {

// Events of one transaction and instance, causes before effects; with those of process_rows.cpp.
enum Rank : int {
    rank_variable = 3,
    rank_task_ended = 4,
    rank_task_created = 8,
    rank_task_changed = 9
};

/// A String column has at most 4,000 characters; larger variables are asked for where they lie.
constexpr std::size_t event_value_bytes_max = 16 * 1024;
/// From here on a document's size is looked at when it changes.
constexpr std::size_t large_variable_bytes = 64 * 1024;
constexpr std::size_t many_variables = 200;

bool open_status(std::string_view status) { return status == "pending" || status == "in_progress"; }

/// The value as an event carries it: scalars only.
bool fits_event(const Value& value) {
    if (const auto* text = value.get_if<std::string>())
        return text->size() <= event_value_bytes_max;
    return !value.is<Object>() && !value.is<Array>() && !value.is<Binary>();
}

/// Worth a look at the document's size, which costs time.
bool grows_large(const Value& value, const CachedDocument& document) {
    return approximate_bytes(value) > large_variable_bytes ||
           document.object("variables").size() > many_variables;
}

Object no_candidates() { return Object{{"users", Array{}}, {"groups", Array{}}}; }

} // namespace

Object TransactionProjection::task_particulars(std::string_view id,
                                               const CachedDocument& document) const {
    Object particulars{{"taskId", id}};
    for (const char* key : {"name", "definitionKey", "assignee", "owner", "priority", "status"}) {
        const Value* value = document.find(key);
        particulars.append(key, value ? *value : Value());
    }
    return particulars;
}

void TransactionProjection::history_task(const Row& row) {
    using Column = camunda::hi_taskinst;
    const std::string_view id = row.text(Column::id);
    if (row.operation == RowOperation::erase) {
        if (options_.retention == Retention::keep) return;
        if (Task* found = task(id, {}); found && !found->replayed && found->document->exists()) {
            removed_.push_back(found->document);
        }
        return;
    }
    if (companions_.rewrites_ended_task(row)) return;
    const std::string_view instance_id = row.text(Column::proc_inst_id);
    Instance& owner = instance(instance_id, id);
    Task* found = task(id, instance_id);
    if (!found || orphaned(*found, id)) return;
    if (found->replayed) {
        if (row.has_text(Column::end_time)) erase_entry(owner, id);
        owner.tasks_changed = true;
        return;
    }
    CachedDocument& document = *found->document;
    const bool known = document.exists();
    if (!known && row.operation != RowOperation::insert) {
        ++projector_.counters_.orphan_rows;
        return;
    }
    const std::string before(known ? document.find("status")->string_or() : std::string_view{});
    if (known && !open_status(before)) return; // ended: nothing is ever changed again
    const CachedDocument* execution = owner.execution;
    const Value* execution_id = execution ? execution->find("executionId") : nullptr;
    const auto set = [&](std::string_view key, Value value) {
        found->changed |= document.set(key, std::move(value));
    };
    const auto set_kept = [&](std::string_view key, Column column) {
        set(key, kept(row.cell(column), document.find(key)));
    };
    set("processInstanceId", instance_id.empty() ? Value() : Value(instance_id));
    set("executionId", execution_id ? *execution_id : Value());
    set("domainId", domain(row.cell(Column::tenant_id)));
    set("processDefinitionKey", text_value(row.cell(Column::proc_def_key)));
    set("processDefinitionId", text_value(row.cell(Column::proc_def_id)));
    set("name", text_value(row.cell(Column::name)));
    set("definitionKey", text_value(row.cell(Column::task_def_key)));
    set_kept("description", Column::description);
    set("assignee", text_value(row.cell(Column::assignee)));
    set("owner", text_value(row.cell(Column::owner)));
    if (!known) set("candidates", no_candidates());
    set("priority", int32(row.cell(Column::priority)));
    set("createdAt", date(row.cell(Column::start_time)));
    set("dueAt", date(row.cell(Column::due_date)));
    set("followUpAt", date(row.cell(Column::follow_up_date)));
    set("parentTaskId", text_value(row.cell(Column::parent_task_id)));
    const bool assigned = row.has_text(Column::assignee);
    if (!known || open_status(before)) set("status", assigned ? "in_progress" : "pending");
    if (!known) {
        set("endedAt", nullptr);
        set("durationMs", nullptr);
        set("deleteReason", nullptr);
        set("variables", Object{});
        owner.tasks_changed = true;
        if (emits(owner))
            emit(owner, rank_task_created, "task:created", task_particulars(id, document));
    }
    if (row.has_text(Column::end_time)) {
        set("durationMs", int64(row.cell(Column::duration)));
        set_kept("deleteReason", Column::delete_reason);
        const bool completed = row.text(Column::task_state) == "Completed" ||
                               row.text(Column::delete_reason) == "completed";
        end_task(*found, id, completed, date(row.cell(Column::end_time)));
    } else if (known && companions_.updated_tasks.contains(id)) {
        emit(owner, rank_task_changed, companions_.reassigns(id) ? "task:assigned" : "task:updated",
             task_particulars(id, document));
        found->changed = true;
    }
}

void TransactionProjection::end_task(Task& task, std::string_view id, bool completed,
                                     Value ended_at) {
    CachedDocument& document = *task.document;
    document.set("status", completed ? "completed" : "cancelled");
    document.set("endedAt", std::move(ended_at));
    task.changed = true;
    Instance& owner = owner_of(task, id);
    owner.tasks_changed = true;
    if (emits(owner)) {
        Object particulars = task_particulars(id, document);
        particulars.append("deleteReason", *document.find("deleteReason"));
        emit(owner, rank_task_ended, completed ? "task:completed" : "task:cancelled",
             std::move(particulars));
    }
    erase_entry(owner, id);
}

void TransactionProjection::erase_entry(Instance& owner, std::string_view task_id) {
    if (owner.execution && !owner.replayed && owner.execution->exists()) {
        owner.changed |= owner.execution->erase_in("activeTasks", task_id);
    }
}

void TransactionProjection::runtime_task(const Row& row) {
    using Column = camunda::ru_task;
    const std::string_view id = row.text(Column::id);
    const std::string_view instance_id = row.text(Column::proc_inst_id);
    Instance& owner = instance(instance_id, id);
    Task* found = task(id, instance_id);
    if (!found || !usable(owner)) return;
    CachedDocument& execution = *owner.execution;
    const Value* known = execution.object("activeTasks").find(id);
    if (!known && execution.object("activeTasks").size() >= options_.active_tasks_max) {
        owner.changed |= execution.set("activeTasksTruncated", true);
        return;
    }
    const Value* candidates = found->document->find("candidates");
    const std::string_view definition_id = row.text(Column::proc_def_id);
    const std::string_view key = row.text(Column::task_def_key);
    Object entry{{"name", text_value(row.cell(Column::name))},
                 {"definitionKey", text_value(row.cell(Column::task_def_key))},
                 {"assignee", text_value(row.cell(Column::assignee))},
                 {"owner", text_value(row.cell(Column::owner))},
                 {"delegationState", text_value(row.cell(Column::delegation))},
                 {"description", kept(row.cell(Column::description),
                                      known ? known->at_path("description") : nullptr)},
                 {"candidates", candidates ? *candidates : Value(no_candidates())},
                 {"priority", int32(row.cell(Column::priority))},
                 {"createdAt", date(row.cell(Column::create_time))},
                 {"lastUpdatedAt", date(row.cell(Column::last_updated))},
                 {"dueAt", date(row.cell(Column::due_date))},
                 {"followUpAt", date(row.cell(Column::follow_up_date))},
                 {"executionId", text_value(row.cell(Column::execution_id))},
                 {"parentTaskId", text_value(row.cell(Column::parent_task_id))},
                 {"caseDefinitionId", text_value(row.cell(Column::case_def_id))},
                 {"caseExecutionId", text_value(row.cell(Column::case_execution_id))},
                 {"caseInstanceId", text_value(row.cell(Column::case_inst_id))},
                 {"suspended", row.text(Column::suspension_state) == "2"},
                 {"taskState", text_value(row.cell(Column::task_state))},
                 {"formKey", task_form(definition_id, key, "formKey")},
                 {"camundaFormRef", task_form(definition_id, key, "camundaFormRef")}};
    if (known) {
        if (const Value* sync = known->at_path("sync")) entry.append("sync", *sync);
    }
    if (execution.set_in("activeTasks", id, std::move(entry))) {
        owner.changed = found->entry_changed = owner.tasks_changed = true;
    }
}

void TransactionProjection::runtime_task_erased(const Row& row) {
    const std::string_view id = row.text(camunda::ru_task::id);
    Task* found = task(id, {});
    if (!found || !found->document->exists() || orphaned(*found, id)) return;
    Instance& owner = owner_of(*found, id);
    if (found->replayed) return erase_entry(owner, id);
    // Its end stands in its history row, except after a cascading undeploy.
    if (open_status(found->document->find("status")->string_or())) end_task(*found, id, false, at_);
}

void TransactionProjection::identity_link(const Row& row) {
    using Column = camunda::hi_identitylink;
    const std::string_view id = row.text(Column::task_id);
    if (id.empty() || row.text(Column::type) != "candidate") return;
    Task* found = task(id, {});
    if (!found || !found->document->exists()) return;
    // Its instance takes its place in the order, whatever comes of the row.
    if (orphaned(*found, id)) return;
    if (found->replayed) return copy_candidates(*found, id);
    const bool of_user = row.has_text(Column::user_id);
    const std::string_view kind = of_user ? "users" : "groups";
    const std::string_view name = row.text(of_user ? Column::user_id : Column::group_id);
    Object candidates = found->document->object("candidates");
    const Value* list = candidates.find(kind);
    Array names = list && list->is<Array>() ? *list->get_if<Array>() : Array{};
    const auto place = std::lower_bound(
        names.begin(), names.end(), name,
        [](const Value& left, std::string_view right) { return left.string_or() < right; });
    const bool present = place != names.end() && place->string_or() == name;
    if (row.text(Column::operation_type) == "delete") {
        if (present) names.erase(place);
    } else if (!present) {
        names.insert(place, Value(name));
    }
    candidates.set(kind, std::move(names));
    if (!found->document->set("candidates", std::move(candidates))) return;
    found->changed = true;
    copy_candidates(*found, id);
}

void TransactionProjection::copy_candidates(Task& task, std::string_view id) {
    Instance& owner = owner_of(task, id);
    if (!owner.execution || owner.replayed ||
        !owner.execution->object("activeTasks").contains(id)) {
        return;
    }
    Object& entries = owner.execution->edit().object_at("activeTasks");
    entries.object_at(id).set("candidates", task.document->object("candidates"));
    task.entry_changed = owner.changed = true;
}

void TransactionProjection::variable(const Row& row) {
    using Column = camunda::hi_varinst;
    const bool deleted = row.text(Column::state) == "DELETED";
    if (deleted) {
        if (mode_ == Mode::stream && companions_.erased_variables.contains(row.text(Column::id))) {
            erase_variable(row);
        }
        return;
    }
    const VariableValue read =
        variable_value(row, companions_.bytes_of(row.text(Column::bytearray_id)), options_);
    if (read.unreadable)
        return fault(row.cell(*read.unreadable), "is not what the variable's type says");
    const std::optional<Value>& value = read.value;
    if (value) store_variable(row, *value);
    if (row.operation != RowOperation::insert)
        return; // an update's event is its act_hi_detail row's
    Instance& owner = instance(row.text(Column::proc_inst_id));
    if (!usable(owner) || !emits(owner)) return;
    emit_variable(owner, "variable:created", row.text(Column::id), row.text(Column::name),
                  row.text(Column::var_type), row.text(Column::execution_id),
                  row.text(Column::task_id), value ? &*value : nullptr);
}

void TransactionProjection::variable_detail(const Row& row) {
    using Column = camunda::hi_detail;
    const std::string_view id = row.text(Column::var_inst_id);
    if (id.empty() || companions_.inserted_variables.contains(id)) return;
    const bool updated = companions_.updated_variables.contains(id);
    const bool deleted = companions_.erased_variables.contains(id);
    if (!updated && !deleted) return;
    Instance& owner = instance(row.text(Column::proc_inst_id));
    if (!usable(owner)) return;
    emit_variable(owner, updated ? "variable:updated" : "variable:deleted", id,
                  row.text(Column::name), row.text(Column::var_type),
                  row.text(Column::execution_id), row.text(Column::task_id), nullptr);
}

void TransactionProjection::emit_variable(Instance& owner, std::string_view type,
                                          std::string_view id, std::string_view name,
                                          std::string_view variable_type, std::string_view scope,
                                          std::string_view task_id, const Value* value) {
    Object particulars{
        {"variableName", name}, {"variableInstanceId", id}, {"variableType", variable_type}};
    if (!task_id.empty()) {
        particulars.append("taskId", task_id);
    } else if (scope != owner.execution->id()) {
        particulars.append("scopeId", scope);
    }
    if (value && fits_event(*value)) particulars.append("value", *value);
    emit(owner, rank_variable, type, std::move(particulars));
}

void TransactionProjection::store_variable(const Row& row, const Value& value) {
    using Column = camunda::hi_varinst;
    const std::string_view instance_id = row.text(Column::proc_inst_id);
    const std::string_view task_id = row.text(Column::task_id);
    const std::string key = escape_key(row.text(Column::name));
    if (!task_id.empty()) {
        Task* found = task(task_id, instance_id);
        if (!found || found->replayed || !found->document->exists()) return;
        if (orphaned(*found, task_id)) return;
        found->changed |= found->document->set_in("variables", key, value);
        found->large |= grows_large(value, *found->document);
        return;
    }
    if (row.text(Column::execution_id) != instance_id) return; // local to an inner scope
    Instance& owner = instance(instance_id);
    if (!usable(owner)) return;
    owner.changed |= owner.execution->set_in("variables", key, value);
    owner.large |= grows_large(value, *owner.execution);
}

void TransactionProjection::erase_variable(const Row& row) {
    using Column = camunda::hi_varinst;
    const std::string_view instance_id = row.text(Column::proc_inst_id);
    const std::string_view task_id = row.text(Column::task_id);
    const std::string key = escape_key(row.text(Column::name));
    if (!task_id.empty()) {
        Task* found = task(task_id, instance_id);
        if (found && !found->replayed && found->document->exists() && !orphaned(*found, task_id)) {
            found->changed |= found->document->erase_in("variables", key);
        }
        return;
    }
    if (row.text(Column::execution_id) != instance_id) return;
    Instance& owner = instance(instance_id);
    if (usable(owner)) owner.changed |= owner.execution->erase_in("variables", key);
}

void TransactionProjection::refresh_task_execution(std::string_view id, Instance& touched) {
    const CachedDocument& execution = *touched.execution;
    const Object& open = execution.object("activeTasks");
    const Object::Member* current = nullptr;
    for (const auto& entry : open) {
        const auto created = [](const Object::Member& task) {
            const auto* at = task.value.at_path("createdAt")->get_if<Date>();
            return at ? at->milliseconds : 0;
        };
        if (!current || created(entry) > created(*current) ||
            (created(entry) == created(*current) && entry.key > current->key)) {
            current = &entry;
        }
    }
    const std::string_view process = execution.find("status")->string_or();
    const std::string_view status = process == "completed"    ? "completed"
                                    : process == "terminated" ? "cancelled"
                                    : current                 ? "in_progress"
                                                              : "pending";
    CachedDocument& document = *touched.task_execution;
    bool changed = document.set("processInstanceId", id);
    changed |= document.set("executionId", *execution.find("executionId"));
    changed |= document.set("domainId", *execution.find("domainId"));
    changed |= document.set("currentTaskId", current ? Value(current->key) : Value());
    changed |= document.set("currentTaskName", current ? *current->value.at_path("name") : Value());
    changed |= document.set("status", status);
    if (changed) cache_.stamp(document, transaction_.position.number, at_);
}

void TransactionProjection::shrink(CachedDocument& document) {
    const Object& variables = document.object("variables");
    std::size_t total = 0;
    std::vector<std::pair<std::size_t, std::string>> sizes;
    for (const auto& variable : variables) {
        sizes.emplace_back(approximate_bytes(variable.value), variable.key);
        total += sizes.back().first;
    }
    std::sort(sizes.rbegin(), sizes.rend());
    for (const auto& [bytes, name] : sizes) {
        if (total <= options_.document_bytes_max) return;
        const Value* type = variables.find(name)->at_path("type");
        Object mark{{"type", type && type->is<std::string>() ? *type : Value("Json")},
                    {"sizeBytes", static_cast<std::int64_t>(bytes)},
                    {"truncated", true}};
        document.set_in("variables", name, std::move(mark));
        total -= bytes;
    }
}

} // namespace netbuild::sync
