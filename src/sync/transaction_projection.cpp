// SPDX-License-Identifier: Apache-2.0
#include "transaction_projection.hpp"

#include <algorithm>

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
                                             Mode mode)
    : projector_(projector),
      options_(projector.options_),
      cache_(projector.cache_),
      transaction_(transaction),
      mode_(mode),
      at_{transaction.committed_at_us / 1000},
      companions_(transaction) {}

void TransactionProjection::run() {
    // Row order inside a transaction is not causal (Camunda flushes by entity): what others refer
    // to comes first, the end of things last.
    const auto phase = [](const Row& row) {
        switch (row.table) {
        case Table::re_procdef:
        case Table::re_deployment:
        case Table::ru_jobdef:
            return 0;
        case Table::hi_procinst:
            return row.operation == RowOperation::erase ? 4 : 1;
        case Table::hi_taskinst:
            return row.operation == RowOperation::erase ? 4 : 2;
        default:
            return 3;
        }
    };
    for (int wanted = 0; wanted <= 4; ++wanted) {
        for (std::size_t i = 0; i < transaction_.size(); ++i) {
            const Row row = transaction_.row(i);
            if (phase(row) == wanted) apply(row);
        }
    }
    finish();
}

void TransactionProjection::apply(const Row& row) {
    if (row.operation == RowOperation::truncate) return;
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

TransactionProjection::Instance& TransactionProjection::instance(std::string_view id) {
    const auto [found, inserted] = instances_.try_emplace(id);
    Instance& instance = found->second;
    if (!inserted) return instance;
    instance_order_.push_back(id);
    if (id.empty()) return instance; // a standalone task, a deployment, a start timer
    const auto document = [&](std::string_view collection) {
        CachedDocument* cached = cache_.find(collection, id);
        return cached ? cached : &cache_.put(collection, std::string(id), nullptr);
    };
    instance.execution = document(collections::workflow_executions);
    instance.task_execution = document(collections::task_executions);
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
        const Value* known = task.document->find("processInstanceId");
        task.instance = !instance_id.empty() ? instance_id
                        : known              ? known->string_or()
                                             : std::string_view{};
    }
    if (task.document->lsn() >= transaction_.position.number) {
        replay_seen_ = task.replayed = true;
    } else if (mode_ == Mode::snapshot && !task.instance.empty() &&
               instance(task.instance).replayed) {
        task.replayed = true; // its instance is past the snapshot, and so is all that it has
    } else if (inserted && mode_ == Mode::snapshot) {
        task.document->remove();
    }
    return &task;
}

void TransactionProjection::emit(Instance& instance, int rank, std::string_view type,
                                 Object particulars) {
    if (mode_ == Mode::snapshot || instance.replayed) return;
    // Of an instance that the model does not have, nobody could say whose it is.
    if (instance.execution && !instance.execution->exists()) return;
    instance.events.push_back({rank, 0, std::string(type), std::move(particulars)});
    instance.changed =
        true; // an event always moves its instance's `sync`, so that a replay is seen
}

Value TransactionProjection::date(const Cell& cell) const {
    return cell.kind == Cell::Kind::text ? date_value(cell, options_.time_zone) : Value();
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
    for (CachedDocument* document : changed_definitions_)
        cache_.stamp(*document, lsn, at_);
    // A task and its copy in the execution carry the same sync.lsn: a reader tells by it whether
    // the two are of one Position.
    for (const std::string_view id : task_order_) {
        Task& task = tasks_.at(id);
        if (!task.changed && !task.entry_changed && !task.replayed) continue;
        Instance& owner = instance(task.instance);
        const std::uint64_t task_lsn = task.replayed ? task.document->lsn() : lsn;
        if (owner.execution && !owner.replayed) {
            if (owner.execution->object("activeTasks").contains(id)) {
                Object& entries = owner.execution->edit().object_at("activeTasks");
                entries.object_at(id).set("sync",
                                          Object{{"lsn", static_cast<std::int64_t>(task_lsn)}});
            }
            owner.changed |= owner.execution->exists();
        }
        if (!task.replayed) cache_.stamp(*task.document, lsn, at_);
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
    std::uint32_t ordinal = 0;
    for (const std::string_view id : instance_order_) {
        Instance& touched = instances_.at(id);
        if (touched.events.empty()) continue;
        sort_by_rank(touched.events);
        const CachedDocument* execution = touched.execution;
        const auto member = [&](std::string_view key) {
            const Value* value = execution ? execution->find(key) : nullptr;
            return value ? *value : Value();
        };
        const Value execution_id = member("executionId");
        const Value instance_id = id.empty() ? Value() : Value(id);
        const Value domain_id = execution ? member("domainId") : Value();
        const Position first{transaction_.position.number, ordinal};
        Array entries;
        for (Event& event : touched.events) {
            const Position position{transaction_.position.number, ordinal};
            const Value* own_domain = event.payload.find("domainId");
            const Value event_domain = own_domain ? *own_domain : domain_id;
            Object payload{{"position", to_string(position)},
                           {"at", at_},
                           {"domainId", event_domain},
                           {"processInstanceId", instance_id},
                           {"executionId", execution_id}};
            for (auto& part : event.payload) {
                if (part.key != "domainId")
                    payload.append(std::move(part.key), std::move(part.value));
            }
            auto published = std::make_shared<StreamEvent>();
            published->position = position;
            published->type = event.type;
            published->domain_id = event_domain.string_or();
            published->execution_id = execution_id.string_or();
            published->process_instance_id = id;
            append_json(published->payload, payload);
            out.stream.push_back(std::move(published));
            entries.push_back(Object{{"ordinal", static_cast<std::int32_t>(ordinal)},
                                     {"type", std::move(event.type)},
                                     {"payload", std::move(payload)}});
            ++ordinal;
        }
        DocumentWrite write;
        write.kind = DocumentWrite::Kind::insert_only;
        write.collection = collections::events;
        write.id = to_string(first);
        write.lsn = first.number;
        auto body = std::make_shared<const Value>(
            Object{{"_id", write.id},
                   {"lsn", static_cast<std::int64_t>(first.number)},
                   {"ordinal", static_cast<std::int32_t>(first.ordinal)},
                   {"processInstanceId", instance_id},
                   {"executionId", execution_id},
                   {"domainId", domain_id},
                   {"at", at_},
                   {"events", std::move(entries)}});
        write.partition = body->at_path("processInstanceId")->string_or();
        write.body = std::move(body);
        out.documents.push_back(std::move(write));
    }
    projector_.counters_.events += ordinal;
    out.replay_seen |= replay_seen_;
}

} // namespace netbuild::sync
