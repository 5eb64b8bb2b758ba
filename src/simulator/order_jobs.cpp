// SPDX-License-Identifier: Apache-2.0
// What happens to an order between its user tasks: activities, external task, message, jobs.
#include "order_process.hpp"

#include <fmt/format.h>

namespace netbuild::simulator {

using camunda::hi_actinst;
using camunda::hi_ext_task_log;
using camunda::hi_incident;
using camunda::hi_job_log;
using camunda::ru_execution;
using camunda::ru_job;
using camunda::Table;

namespace {

constexpr std::string_view job_error =
    "Unknown property used in expression: ${execution.getVariable('nosuch').fail()}. Cause: "
    "Cannot find method 'fail'";
constexpr std::int64_t hour_ms = 3'600'000;

} // namespace

SimRow& OrderProcess::open_activity(Draft& draft, std::string_view id, std::string_view name,
                                    std::string_view type, const std::string& execution) {
    SimRow& row = add(draft, Table::hi_actinst, fmt::format("{}:{}", id, ids_.next()));
    row.set(hi_actinst::parent_act_inst_id, instance_).set(hi_actinst::proc_inst_id, instance_);
    row.set(hi_actinst::proc_def_key, "order");
    row.set(hi_actinst::proc_def_id, deployed_.order_definition);
    row.set(hi_actinst::execution_id, execution).set(hi_actinst::act_id, id);
    if (!name.empty()) row.set(hi_actinst::act_name, name);
    row.set(hi_actinst::act_type, type).set(hi_actinst::start_time, now());
    row.set(hi_actinst::act_inst_state, "0").set(hi_actinst::tenant_id, deployed_.tenant);
    return row;
}

void OrderProcess::close_activity(Draft& draft, SimRow& activity, std::string_view state) {
    activity.set(hi_actinst::end_time, now());
    draft.update(activity.set(hi_actinst::act_inst_state, state));
}

// An activity that begins and ends in one transaction.
void OrderProcess::pass_activity(Draft& draft, std::string_view id, std::string_view type,
                                 std::string_view state) {
    close_activity(draft, open_activity(draft, id, {}, type, instance_), state);
}

void OrderProcess::open_execution(Draft& draft) {
    child_execution_ = &add(draft, Table::ru_execution, ids_.next());
    child_execution_->set(ru_execution::proc_inst_id, instance_);
}

void OrderProcess::close_execution(Draft& draft) {
    draft.update(*execution_);
    draft.erase(*child_execution_);
    child_execution_ = nullptr;
}

void OrderProcess::leave_review(Draft& draft) {
    set_variable(draft, "route", string_value(route_text(plan_.route)));
    close_task(draft, true);
    draft.update(*execution_); // it moves on: columns that are not published
    pass_activity(draft, "gw", "exclusiveGateway");
    switch (plan_.route) {
    case Route::charge:
        open_execution(draft);
        waiting_ = &open_activity(draft, "charge", "Charge", "serviceTask", child_execution_->id());
        external_task_ = ids_.next();
        return log_external(draft, "0");
    case Route::wait:
        open_execution(draft);
        waiting_ = &open_activity(draft, "waitPaid", "Wait paid", "intermediateMessageCatch",
                                  child_execution_->id());
        return;
    case Route::bad:
        return add_job(draft, false);
    case Route::none:
        return enter_ship(draft);
    }
}

void OrderProcess::enter_ship(Draft& draft) {
    open_execution(draft);
    add_job(draft, true);
    open_task(draft, "ship", "Ship", child_execution_->id(), {});
}

void OrderProcess::log_external(Draft& draft, std::string_view state, std::string_view error) {
    SimRow& log = add(draft, Table::hi_ext_task_log, ids_.next());
    log.set(hi_ext_task_log::ext_task_id, external_task_);
    if (external_retries_ >= 0) {
        log.set(hi_ext_task_log::retries, std::to_string(external_retries_));
    }
    log.set(hi_ext_task_log::topic_name, "charge").set(hi_ext_task_log::act_id, "charge");
    if (state != "0") log.set(hi_ext_task_log::worker_id, "payment-worker-1");
    if (!error.empty()) log.set(hi_ext_task_log::error_msg, error);
    log.set(hi_ext_task_log::proc_inst_id, instance_).set(hi_ext_task_log::state, state);
    log.set(hi_ext_task_log::tenant_id, deployed_.tenant);
}

void OrderProcess::fail_external(Draft& draft, bool last) {
    constexpr std::string_view error = "payment gateway timed out";
    log_external(draft, "1", error);
    external_retries_ = last ? 0 : 2;
    const std::string details = bytea_text("java.net.SocketTimeoutException: Read timed out");
    add_bytes(draft, "historicExternalTaskLog.exceptionByteArray", details);
    if (!external_error_) {
        external_error_ = &add_bytes(draft, "externalTask.exceptionByteArray", details);
        external_error_->began_ms = 0; // belongs to the runtime, as a running variable's bytes
    }
    if (last) open_incident(draft, "failedExternalTask", error, external_task_);
}

void OrderProcess::resolve_external(Draft& draft) {
    external_retries_ = 1;
    close_incident(draft, "1");
}

void OrderProcess::complete_external(Draft& draft) {
    log_external(draft, "2");
    set_variable(draft, "paid", boolean_value(true));
    close_activity(draft, *waiting_, "4");
    if (external_error_) draft.erase(*external_error_);
    external_error_ = nullptr;
    close_execution(draft);
    enter_ship(draft);
}

void OrderProcess::correlate(Draft& draft) {
    set_variable(draft, "amount", double_value(draw_amount(random_)));
    close_activity(draft, *waiting_, "4");
    close_execution(draft);
    enter_ship(draft);
}

void OrderProcess::add_job(Draft& draft, bool timer) {
    job_ = &add(draft, Table::ru_job, ids_.next());
    job_activity_ = timer ? "late" : "bad";
    job_->set(ru_job::type, timer ? "timer" : "message");
    job_->set(ru_job::process_instance_id, instance_).set(ru_job::retries, "3");
    if (timer) job_->set(ru_job::duedate, timestamp_text(now_ms_ + hour_ms));
    job_->set(ru_job::handler_type, timer ? "timer-transition" : "async-continuation");
    job_->set(ru_job::job_def_id,
              timer ? deployed_.timer_job_definition : deployed_.async_job_definition);
    job_->set(ru_job::suspension_state, "1").set(ru_job::tenant_id, deployed_.tenant);
    log_job(draft, "0");
}

void OrderProcess::log_job(Draft& draft, std::string_view state, std::string_view error) {
    SimRow& log = add(draft, Table::hi_job_log, ids_.next());
    log.set(hi_job_log::job_id, job_->id());
    if (job_->has(ru_job::duedate)) log.set(hi_job_log::job_duedate, job_->get(ru_job::duedate));
    log.set(hi_job_log::job_retries, job_->get(ru_job::retries));
    if (!error.empty()) log.set(hi_job_log::job_exception_msg, error);
    log.set(hi_job_log::job_state, state);
    log.set(hi_job_log::job_def_type, job_->get(ru_job::handler_type));
    log.set(hi_job_log::act_id, job_activity_);
    log.set(hi_job_log::process_instance_id, instance_);
    log.set(hi_job_log::tenant_id, deployed_.tenant);
}

void OrderProcess::fail_job(Draft& draft, bool last) {
    log_job(draft, "1", job_error);
    const std::string trace =
        bytea_text(fmt::format("org.camunda.bpm.engine.ProcessEngineException: {}\n{}", job_error,
                               draw_text(random_, 1'200)));
    add_bytes(draft, "job.exceptionByteArray", trace);
    const int left = last ? 0 : std::stoi(job_->get(ru_job::retries)) - 1;
    draft.update(job_->set(ru_job::retries, std::to_string(left)));
    if (last) open_incident(draft, "failedJob", job_error, job_->id());
}

void OrderProcess::retry_job(Draft& draft) {
    draft.update(job_->set(ru_job::retries, "1"));
    close_incident(draft, "1");
}

void OrderProcess::modify(Draft& draft) {
    log_job(draft, "3");
    close_incident(draft, "2");
    draft.erase(*job_);
    enter_ship(draft);
}

void OrderProcess::move_timer(Draft& draft) { draft.update(job_->set(ru_job::duedate, now())); }

void OrderProcess::open_incident(Draft& draft, std::string_view type, std::string_view message,
                                 const std::string& configuration) {
    const bool of_job = type == "failedJob";
    const std::string id = ids_.next();
    incident_ = &add(draft, Table::hi_incident, id);
    incident_->set(hi_incident::proc_inst_id, instance_);
    incident_->set(hi_incident::execution_id, of_job ? instance_ : child_execution_->id());
    incident_->set(hi_incident::create_time, now()).set(hi_incident::incident_msg, message);
    incident_->set(hi_incident::incident_type, type);
    incident_->set(hi_incident::activity_id, of_job ? "bad" : "charge");
    if (of_job) {
        incident_->set(hi_incident::failed_activity_id, "bad");
        incident_->set(hi_incident::job_def_id, deployed_.async_job_definition);
    }
    incident_->set(hi_incident::cause_incident_id, id);
    incident_->set(hi_incident::root_cause_incident_id, id);
    incident_->set(hi_incident::configuration, configuration);
    incident_->set(hi_incident::incident_state, "0");
    draft.update(of_job ? *execution_ : *child_execution_);
    incident_->set(hi_incident::tenant_id, deployed_.tenant);
}

void OrderProcess::close_incident(Draft& draft, std::string_view state) {
    incident_->set(hi_incident::end_time, now());
    draft.update(incident_->set(hi_incident::incident_state, state));
    incident_ = nullptr;
}

} // namespace netbuild::simulator
