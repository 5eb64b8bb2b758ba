// SPDX-License-Identifier: Apache-2.0
// What rows of process instances, activities, incidents, jobs and definitions mean.
#include "sync/cells.hpp"
#include "transaction_projection.hpp"
#include "wire/bpmn.hpp"

namespace netbuild::sync {
namespace {

using camunda::Table;

// Events of one transaction and instance, causes before effects.
enum Rank : int {
    rank_started = 0,
    rank_deployment = 0,
    rank_suspended = 1,
    rank_activated = 2,
    rank_work = 5, // jobs, external tasks, closed incidents
    rank_activity_ended = 6,
    rank_activity_started = 7,
    rank_incident_created = 10,
    rank_process_ended = 11,
};

std::string_view status_of(std::string_view state) {
    if (state == "ACTIVE") return "active";
    if (state == "SUSPENDED") return "suspended";
    if (state == "COMPLETED") return "completed";
    return "terminated"; // EXTERNALLY_TERMINATED, INTERNALLY_TERMINATED
}

bool ended(std::string_view status) { return status == "completed" || status == "terminated"; }

/// `key:version:id`, as Camunda builds a definition's id; null if it is none.
Value version_in(std::string_view definition_id) {
    const auto first = definition_id.find(':');
    const auto second = definition_id.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) return {};
    const auto number =
        parse_integer<std::int32_t>(definition_id.substr(first + 1, second - first - 1));
    return number ? Value(*number) : Value();
}

/// "timer-boundary", "async-continuation" … as the job's type: timer, message.
std::string_view kind_of(std::string_view job_definition_type) {
    if (job_definition_type.starts_with("timer")) return "timer";
    if (job_definition_type.starts_with("async")) return "message";
    return job_definition_type.empty() ? "message" : job_definition_type;
}

} // namespace

Value TransactionProjection::kept(const Cell& cell, const Value* known) {
    if (cell.kind == Cell::Kind::unchanged) return known ? *known : Value();
    return text_value(cell);
}

Object TransactionProjection::definition_of(const Row& row) {
    using Column = camunda::hi_procinst;
    const std::string_view id = row.text(Column::proc_def_id);
    const CachedDocument* document = definition(id);
    const Value* version = document ? document->find("version") : nullptr;
    const Value* name = document ? document->find("name") : nullptr;
    return Object{{"id", id},
                  {"key", row.text(Column::proc_def_key)},
                  {"version", version ? *version : version_in(id)},
                  {"name", name ? *name : Value()}};
}

void TransactionProjection::emit_transition(Instance& instance, std::string_view before,
                                            std::string_view after) {
    if (before == after || !emits(instance)) return;
    const CachedDocument& execution = *instance.execution;
    const Object& defined = execution.object("definition");
    const auto member = [&](const Value* value) { return value ? *value : Value(); };
    Object particulars{{"definitionKey", member(defined.find("key"))},
                       {"definitionId", member(defined.find("id"))}};
    if (before.empty()) {
        Object started = particulars;
        started.set("parentProcessInstanceId", member(execution.find("parentProcessInstanceId")));
        started.set("startUserId", member(execution.find("startUserId")));
        emit(instance, rank_started, "process:started", std::move(started));
        before = "active";
        if (before == after) return;
    }
    if (ended(after)) {
        if (ended(before)) return;
        particulars.set("deleteReason", member(execution.find("deleteReason")));
        emit(instance, rank_process_ended,
             after == "completed" ? "process:completed" : "process:terminated",
             std::move(particulars));
    } else if (after == "suspended") {
        emit(instance, rank_suspended, "process:suspended", std::move(particulars));
    } else {
        emit(instance, rank_activated, "process:activated", std::move(particulars));
    }
}

void TransactionProjection::process_inserted_or_updated(const Row& row) {
    using Column = camunda::hi_procinst;
    const std::string_view id = row.text(Column::proc_inst_id);
    if (id.empty()) return;
    Instance& touched = instance(id);
    if (touched.replayed) return;
    const bool known = touched.execution->exists();
    if (!known && row.operation != RowOperation::insert) {
        ++projector_.counters_.orphan_rows;
        return;
    }
    CachedDocument& execution = *touched.execution;
    const std::string before(known ? execution.find("status")->string_or() : std::string_view{});
    const std::string_view after = status_of(row.text(Column::state));
    bool changed = !known;
    const auto set = [&](std::string_view key, Value value) {
        changed |= execution.set(key, std::move(value));
    };
    set("processInstanceId", id);
    set("executionId", nonempty_value(row.cell(Column::business_key)));
    set("domainId", domain(row.cell(Column::tenant_id)));
    set("definition", definition_of(row));
    set("parentProcessInstanceId", text_value(row.cell(Column::super_process_instance_id)));
    set("rootProcessInstanceId", text_value(row.cell(Column::root_proc_inst_id)));
    set("caseInstanceId", text_value(row.cell(Column::case_inst_id)));
    if (!known) set("variables", Object{});
    set("status", after);
    set("startedAt", date(row.cell(Column::start_time)));
    set("endedAt", date(row.cell(Column::end_time)));
    set("durationMs", int64(row.cell(Column::duration)));
    set("startUserId", text_value(row.cell(Column::start_user_id)));
    set("deleteReason", kept(row.cell(Column::delete_reason), execution.find("deleteReason")));
    if (!known) {
        for (const char* map : {"activeTasks", "activeActivities", "incidents", "jobs"}) {
            set(map, Object{});
        }
    }
    touched.changed |= changed;
    emit_transition(touched, before, after);
    if (before != after && touched.task_execution->exists()) touched.tasks_changed = true;
}

void TransactionProjection::process_erased(const Row& row) {
    const std::string_view id = row.text(camunda::hi_procinst::id);
    Instance& touched = instance(id);
    if (!usable(touched)) {
        // What a batch that was cut has left of an instance that it did not come to.
        if (!touched.replayed && touched.task_execution) removed_.push_back(touched.task_execution);
        return;
    }
    CachedDocument& execution = *touched.execution;
    touched.changed = true;
    // A cascading undeploy takes running instances along with their history.
    const std::string before(execution.find("status")->string_or());
    if (!ended(before)) {
        execution.set("status", "terminated");
        execution.set("endedAt", at_);
        for (const char* map : {"activeTasks", "activeActivities", "incidents", "jobs"}) {
            execution.set(map, Object{});
        }
        emit_transition(touched, before, "terminated");
        if (touched.task_execution->exists()) touched.tasks_changed = true;
    }
    execution.set("retainedAt", at_);
    if (options_.retention == Retention::keep) return;
    removed_.push_back(touched.execution);
    removed_.push_back(touched.task_execution);
}

void TransactionProjection::activity(const Row& row) {
    using Column = camunda::hi_actinst;
    Instance& touched = instance(row.text(Column::proc_inst_id));
    if (!usable(touched)) return;
    const std::string_view id = row.text(Column::id);
    const bool inserted = row.operation == RowOperation::insert;
    const bool over = row.has_text(Column::end_time);
    CachedDocument& execution = *touched.execution;
    const Value* known = execution.object("activeActivities").find(id);
    if (!inserted && !known) return; // ended before: rewritten for its removal time
    Object particulars{{"activityInstanceId", id},
                       {"activityId", text_value(row.cell(Column::act_id))},
                       {"activityName", text_value(row.cell(Column::act_name))},
                       {"activityType", text_value(row.cell(Column::act_type))}};
    // An activity that ran through within the transaction began before it ended.
    if (inserted) {
        emit(touched, over ? rank_activity_ended : rank_activity_started, "activity:started",
             particulars);
    }
    if (over) {
        const bool cancelled = row.text(Column::act_inst_state) == "2";
        emit(touched, rank_activity_ended, cancelled ? "activity:cancelled" : "activity:completed",
             std::move(particulars));
        touched.changed |= execution.erase_in("activeActivities", id);
        return;
    }
    Object entry{{"activityId", text_value(row.cell(Column::act_id))},
                 {"name", text_value(row.cell(Column::act_name))},
                 {"type", text_value(row.cell(Column::act_type))},
                 {"parentActivityInstanceId", text_value(row.cell(Column::parent_act_inst_id))},
                 {"executionId", text_value(row.cell(Column::execution_id))},
                 {"taskId", text_value(row.cell(Column::task_id))},
                 {"calledProcessInstanceId", text_value(row.cell(Column::call_proc_inst_id))},
                 {"startedAt", date(row.cell(Column::start_time))}};
    touched.changed |= execution.set_in("activeActivities", id, std::move(entry));
}

void TransactionProjection::incident(const Row& row) {
    using Column = camunda::hi_incident;
    Instance& touched = instance(row.text(Column::proc_inst_id));
    if (!usable(touched)) return;
    CachedDocument& execution = *touched.execution;
    const std::string_view id = row.text(Column::id);
    const std::string_view state =
        row.text(Column::incident_state); // 0 open, 1 resolved, 2 deleted
    const bool inserted = row.operation == RowOperation::insert;
    const Value* known = execution.object("incidents").find(id);
    if (!inserted && !known) return;
    const Value message =
        kept(row.cell(Column::incident_msg), known ? known->at_path("message") : nullptr);
    Object particulars{{"incidentId", id},
                       {"incidentType", text_value(row.cell(Column::incident_type))},
                       {"activityId", text_value(row.cell(Column::activity_id))},
                       {"message", message}};
    if (inserted) emit(touched, rank_incident_created, "incident:created", particulars);
    if (state == "1" || state == "2") {
        emit(touched, rank_work, state == "1" ? "incident:resolved" : "incident:deleted",
             std::move(particulars));
        touched.changed |= execution.erase_in("incidents", id);
        return;
    }
    const Value annotation =
        kept(row.cell(Column::annotation), known ? known->at_path("annotation") : nullptr);
    Object entry{{"type", text_value(row.cell(Column::incident_type))},
                 {"message", message},
                 {"activityId", text_value(row.cell(Column::activity_id))},
                 {"failedActivityId", text_value(row.cell(Column::failed_activity_id))},
                 {"configuration", text_value(row.cell(Column::configuration))},
                 {"causeIncidentId", text_value(row.cell(Column::cause_incident_id))},
                 {"rootCauseIncidentId", text_value(row.cell(Column::root_cause_incident_id))},
                 {"executionId", text_value(row.cell(Column::execution_id))},
                 {"jobDefinitionId", text_value(row.cell(Column::job_def_id))},
                 {"annotation", annotation},
                 {"createdAt", date(row.cell(Column::create_time))}};
    touched.changed |= execution.set_in("incidents", id, std::move(entry));
}

void TransactionProjection::job(const Row& row) {
    using Column = camunda::ru_job;
    Instance& touched = instance(row.text(Column::process_instance_id));
    if (!usable(touched)) return;
    const std::string_view id = row.text(Column::id);
    const Value* known = touched.execution->object("jobs").find(id);
    Value activity_id = known ? *known->at_path("activityId") : Value();
    if (activity_id.is_null()) {
        const auto log = companions_.job_logs.find(id);
        const auto defined =
            projector_.job_definitions_.find(std::string(row.text(Column::job_def_id)));
        if (log != companions_.job_logs.end()) {
            activity_id = text_value(log->second.cell(camunda::hi_job_log::act_id));
        } else if (defined != projector_.job_definitions_.end()) {
            activity_id = defined->second.activity_id;
        }
    }
    const Value retries = int32(row.cell(Column::retries));
    Object entry{{"kind", kind_of(row.text(Column::type))},
                 {"activityId", std::move(activity_id)},
                 {"dueAt", date(row.cell(Column::duedate))},
                 {"retries", retries},
                 {"suspended", row.text(Column::suspension_state) == "2"}};
    touched.changed |= touched.execution->set_in("jobs", id, std::move(entry));
}

void TransactionProjection::job_erased(const Row& row) {
    const std::string_view id = row.text(camunda::ru_job::id);
    // The row has its id only. Its end is in the job log; without one (the log is off) it belongs
    // to one of the instances that the transaction touches.
    const auto log = companions_.job_logs.find(id);
    if (log == companions_.job_logs.end()) return unlogged_jobs_.add(id);
    Instance& touched = instance(log->second.text(camunda::hi_job_log::process_instance_id));
    if (usable(touched)) touched.changed |= touched.execution->erase_in("jobs", id);
}

void TransactionProjection::erase_unlogged_jobs() {
    if (unlogged_jobs_.empty() && !erased_elsewhere_) return;
    unlogged_jobs_.seal();
    for (const std::string_view key : instance_order_) {
        Instance& touched = instances_.at(key);
        if (touched.execution && !touched.replayed && touched.execution->exists())
            erase_unlogged_jobs_of(touched);
    }
}

void TransactionProjection::erase_unlogged_jobs_of(Instance& touched) {
    std::vector<std::string> gone;
    for (const auto& job : touched.execution->object("jobs")) {
        if (unlogged_jobs_.contains(job.key) ||
            (erased_elsewhere_ && erased_elsewhere_->contains(job.key))) {
            gone.push_back(job.key);
        }
    }
    for (const std::string& id : gone)
        touched.changed |= touched.execution->erase_in("jobs", id);
}

void TransactionProjection::job_log(const Row& row) {
    using Column = camunda::hi_job_log;
    static constexpr std::string_view types[] = {"job:created", "job:failed", "job:completed",
                                                 "job:cancelled"};
    const auto state = code(row.cell(Column::job_state), std::size(types));
    if (!state) return;
    const std::string_view id = row.text(Column::process_instance_id);
    Instance& touched = instance(id);
    if (!id.empty() && !usable(touched)) return;
    Object particulars{{"jobId", row.text(Column::job_id)},
                       {"kind", kind_of(row.text(Column::job_def_type))},
                       {"activityId", text_value(row.cell(Column::act_id))},
                       {"dueAt", date(row.cell(Column::job_duedate))},
                       {"retries", int32(row.cell(Column::job_retries))}};
    if (*state == 1) particulars.set("message", text_value(row.cell(Column::job_exception_msg)));
    if (id.empty()) particulars.set("domainId", domain(row.cell(Column::tenant_id)));
    emit(touched, rank_work, types[*state], std::move(particulars));
}

void TransactionProjection::external_task_log(const Row& row) {
    using Column = camunda::hi_ext_task_log;
    static constexpr std::string_view types[] = {"externalTask:created", "externalTask:failed",
                                                 "externalTask:completed"};
    const auto state = code(row.cell(Column::state), std::size(types));
    if (!state) return; // 3: deleted with its instance
    Instance& touched = instance(row.text(Column::proc_inst_id));
    if (!usable(touched)) return;
    Object particulars{{"externalTaskId", row.text(Column::ext_task_id)},
                       {"topicName", text_value(row.cell(Column::topic_name))},
                       {"activityId", text_value(row.cell(Column::act_id))},
                       {"workerId", text_value(row.cell(Column::worker_id))},
                       {"retries", int32(row.cell(Column::retries))}};
    if (*state == 1) particulars.set("message", text_value(row.cell(Column::error_msg)));
    emit(touched, rank_work, types[*state], std::move(particulars));
}

std::optional<std::string_view> TransactionProjection::resource(std::string_view deployment_id,
                                                                std::string_view name) const {
    using Column = camunda::ge_bytearray;
    for (std::size_t i = 0; i < transaction_.size(); ++i) {
        const Row row = transaction_.row(i);
        if (row.table == Table::ge_bytearray && row.text(Column::name) == name &&
            row.text(Column::deployment_id) == deployment_id && row.has_text(Column::bytes)) {
            return row.text(Column::bytes);
        }
    }
    return std::nullopt;
}

void TransactionProjection::definition_row(const Row& row) {
    using Column = camunda::re_procdef;
    const std::string_view id = row.text(Column::id);
    CachedDocument* found = cache_.find(collections::process_definitions, id);
    CachedDocument& document =
        found ? *found : cache_.put(collections::process_definitions, std::string(id), nullptr);
    if (document.lsn() >= transaction_.position.number) return;
    if (mode_ == Mode::snapshot) document.remove();
    if (row.operation == RowOperation::erase) {
        if (!document.exists()) return;
        document.remove();
        changed_definitions_.push_back(&document);
        return;
    }
    bool changed = document.set("key", row.text(Column::key));
    const auto set = [&](std::string_view key, Value value) {
        changed |= document.set(key, std::move(value));
    };
    set("version", int32(row.cell(Column::version)));
    set("name", text_value(row.cell(Column::name)));
    set("domainId", domain(row.cell(Column::tenant_id)));
    set("category", text_value(row.cell(Column::category)));
    set("versionTag", text_value(row.cell(Column::version_tag)));
    set("deploymentId", text_value(row.cell(Column::deployment_id)));
    set("resourceName", text_value(row.cell(Column::resource_name)));
    set("suspended", row.text(Column::suspension_state) == "2");
    set("historyTimeToLive", int32(row.cell(Column::history_ttl)));
    set("startableInTasklist", row.text(Column::startable) != "f");
    const auto bpmn = resource(row.text(Column::deployment_id), row.text(Column::resource_name));
    if (bpmn) {
        auto xml = decode_bytea(*bpmn);
        if (!xml) return fault(row.cell(Column::resource_name), "names bytes that are no bytea");
        set("forms", bpmn_task_forms(*xml, row.text(Column::key)));
        set("bpmnXml", std::move(*xml));
    } else if (!document.find("bpmnXml")) {
        set("forms", Object{});
        set("bpmnXml", nullptr);
    }
    if (changed) changed_definitions_.push_back(&document);
}

void TransactionProjection::deployment(const Row& row) {
    using Column = camunda::re_deployment;
    emit(instance({}), rank_deployment, "deployment:created",
         Object{{"domainId", domain(row.cell(Column::tenant_id))},
                {"deploymentId", row.text(Column::id)},
                {"name", text_value(row.cell(Column::name))},
                {"deploymentSource", text_value(row.cell(Column::source))}});
}

} // namespace netbuild::sync
