// SPDX-License-Identifier: Apache-2.0
#include "order_process.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace netbuild::simulator {

using camunda::ge_bytearray;
using camunda::hi_actinst;
using camunda::hi_procinst;
using camunda::re_deployment;
using camunda::re_procdef;
using camunda::ru_execution;
using camunda::ru_job;
using camunda::ru_jobdef;
using camunda::ru_task;
using camunda::Table;

namespace {

bool is_history(Table table) { return camunda::info(table).name.starts_with("act_hi_"); }

SimRow& add_definition(Draft& draft, std::deque<SimRow>& rows, std::string_view id,
                       std::string_view key, std::string_view name, const std::string& deployment,
                       const std::string& tenant) {
    SimRow& row = rows.emplace_back(Table::re_procdef);
    row.set(re_procdef::id, id).set(re_procdef::category, "lab").set(re_procdef::name, name);
    row.set(re_procdef::key, key).set(re_procdef::version, "1");
    row.set(re_procdef::deployment_id, deployment).set(re_procdef::resource_name, "order.bpmn");
    row.set(re_procdef::suspension_state, "1").set(re_procdef::tenant_id, tenant);
    row.set(re_procdef::history_ttl, "30").set(re_procdef::startable, "t");
    draft.insert(row);
    return row;
}

} // namespace

std::string IdMaker::next() {
    // An odd factor permutes the numbers, so ids differ early, as a clock's low bits make them.
    const auto first = static_cast<std::uint32_t>(number_ * 2654435761u);
    return fmt::format("{:08x}-{:04x}-11f1-{:04x}-{:012x}", first, count_++ & 0xFFFF,
                       0x8000 | (seed_ & 0x3FFF), (seed_ >> 14) & 0xFFFFFFFFFFFF);
}

Deployed deploy(Draft& draft, std::deque<SimRow>& rows, IdMaker ids, std::string tenant,
                std::int64_t now_ms) {
    Deployed deployed;
    const std::string deployment = ids.next();
    SimRow& row = rows.emplace_back(Table::re_deployment);
    row.set(re_deployment::id, deployment).set(re_deployment::name, "order");
    row.set(re_deployment::deploy_time, timestamp_text(now_ms));
    row.set(re_deployment::source, "simulator").set(re_deployment::tenant_id, tenant);
    draft.insert(row);
    SimRow& bpmn = rows.emplace_back(Table::ge_bytearray);
    bpmn.set(ge_bytearray::id, ids.next()).set(ge_bytearray::name, "order.bpmn");
    bpmn.set(ge_bytearray::bytes, order_bpmn_bytea);
    bpmn.set(ge_bytearray::deployment_id, deployment);
    draft.insert(bpmn);
    deployed.order_definition = "order:1:" + ids.next();
    deployed.parent_definition = "parent:1:" + ids.next();
    add_definition(draft, rows, deployed.order_definition, "order", "Order", deployment, tenant)
        .set(re_procdef::version_tag, "v1");
    add_definition(draft, rows, deployed.parent_definition, "parent", "Parent", deployment, tenant);
    const auto add_job_definition = [&](std::string_view activity, std::string_view type) {
        SimRow& job = rows.emplace_back(Table::ru_jobdef);
        job.set(ru_jobdef::id, ids.next()).set(ru_jobdef::act_id, activity);
        job.set(ru_jobdef::job_type, type);
        draft.insert(job);
        return job.id();
    };
    deployed.timer_job_definition = add_job_definition("late", "timer-transition");
    deployed.async_job_definition = add_job_definition("bad", "async-continuation");
    deployed.tenant = std::move(tenant);
    return deployed;
}

OrderProcess::OrderProcess(std::uint64_t seed, std::uint64_t number, const Deployed& deployed)
    : ids_(seed, number),
      random_(seed ^ (number * 0x9E3779B97F4A7C15u)),
      deployed_(deployed),
      plan_(draw_plan(random_)),
      number_(number) {}

std::optional<std::int64_t> OrderProcess::step(Draft& draft, std::int64_t now_ms) {
    now_ms_ = now_ms;
    const Step step = plan_.steps[next_step_++];
    run(step, draft);
    if (next_step_ == plan_.steps.size()) return std::nullopt;
    return 1 + static_cast<std::int64_t>(mean_delay_ms(step) * (0.2 + 1.6 * random_.unit()));
}

void OrderProcess::run(Step step, Draft& draft) {
    switch (step) {
    case Step::start:
        return start(draft);
    case Step::assign:
    case Step::claim:
        return assign(draft, std::string(draw_reviewer(random_)));
    case Step::unclaim:
        return assign(draft, std::nullopt);
    case Step::delegate:
        return delegate(draft);
    case Step::resolve:
        return resolve(draft);
    case Step::add_candidate:
        return add_candidate(draft);
    case Step::edit_task:
        return edit_task(draft);
    case Step::set_task_variable:
        return set_variable(draft, "checked", boolean_value(true), true);
    case Step::update_variable:
        return set_variable(draft, "amount", double_value(draw_amount(random_)));
    case Step::put_same_value: {
        Variable& variable = variables_.at("items");
        add_detail(draft, variable, "items", "integer");
        return draft.update(*variable.runtime);
    }
    case Step::update_json:
        return set_variable(draft, "address", json_value(draw_address_json(random_)));
    case Step::change_type:
        return set_variable(draft, "items", json_value(R"({"sku":"A-1","count":3})"));
    case Step::create_variable:
        return set_variable(draft, "hint", string_value("call before delivery"));
    case Step::delete_variable:
        return delete_variable(draft, "hint");
    case Step::suspend:
        return set_suspended(draft, true);
    case Step::activate:
        return set_suspended(draft, false);
    case Step::complete_review:
        return leave_review(draft);
    case Step::fail_external:
        return fail_external(draft, false);
    case Step::fail_external_for_good:
        return fail_external(draft, true);
    case Step::retry_external:
        return resolve_external(draft);
    case Step::complete_external:
        return complete_external(draft);
    case Step::correlate:
        return correlate(draft);
    case Step::lock_job:
        return draft.update(*job_); // lock columns only: nothing of it is published
    case Step::fail_job:
        return fail_job(draft, false);
    case Step::fail_job_for_good:
        return fail_job(draft, true);
    case Step::retry_job:
        return retry_job(draft);
    case Step::modify:
        return modify(draft);
    case Step::claim_ship:
        return assign(draft, std::string(draw_packer(random_)));
    case Step::move_timer:
        return move_timer(draft);
    case Step::fire_timer:
        close_task(draft, false);
        log_job(draft, "2");
        pass_activity(draft, "late", "boundaryTimer");
        return finish(draft, "lateEnd");
    case Step::complete_ship:
        close_task(draft, true);
        log_job(draft, "3");
        return finish(draft, "end");
    case Step::withdraw:
        return terminate(draft, draw_cancel_reason(random_));
    case Step::delete_history:
        return delete_history(draft);
    }
}

SimRow& OrderProcess::add(Draft& draft, Table table, std::string id) {
    SimRow& row = rows_.emplace_back(table);
    row.set(hi_procinst::id, id); // every table's first column is its key
    row.began_ms = now_ms_;
    draft.insert(row);
    return row;
}

SimRow& OrderProcess::add_instance(Draft& draft, const std::string& id, std::string_view key,
                                   const std::string& definition) {
    SimRow& process = add(draft, Table::hi_procinst, id);
    process.set(hi_procinst::proc_inst_id, id).set(hi_procinst::business_key, business_key_);
    process.set(hi_procinst::proc_def_key, key).set(hi_procinst::proc_def_id, definition);
    process.set(hi_procinst::start_time, now()).set(hi_procinst::root_proc_inst_id, id);
    process.set(hi_procinst::tenant_id, deployed_.tenant).set(hi_procinst::state, "ACTIVE");
    SimRow& execution = add(draft, Table::ru_execution, id);
    execution.set(ru_execution::proc_inst_id, id);
    if (!execution_) execution_ = &execution;
    return process;
}

void OrderProcess::start_parent(Draft& draft) {
    const std::string parent = ids_.next();
    parent_process_ = &add_instance(draft, parent, "parent", deployed_.parent_definition);
    const std::string calling = ids_.next();
    add(draft, Table::ru_execution, calling).set(ru_execution::proc_inst_id, parent);
    const auto activity = [&](std::string_view id, std::string_view type) -> SimRow& {
        SimRow& row = add(draft, Table::hi_actinst, fmt::format("{}:{}", id, ids_.next()));
        row.set(hi_actinst::parent_act_inst_id, parent).set(hi_actinst::proc_inst_id, parent);
        row.set(hi_actinst::proc_def_key, "parent");
        row.set(hi_actinst::proc_def_id, deployed_.parent_definition);
        row.set(hi_actinst::act_id, id).set(hi_actinst::act_type, type);
        row.set(hi_actinst::start_time, now()).set(hi_actinst::tenant_id, deployed_.tenant);
        return row;
    };
    call_activity_ = &activity("call", "callActivity");
    call_activity_->set(hi_actinst::execution_id, calling).set(hi_actinst::act_name, "Run order");
    call_activity_->set(hi_actinst::call_proc_inst_id, instance_);
    call_activity_->set(hi_actinst::act_inst_state, "0");
    SimRow& begun = activity("pstart", "messageStartEvent");
    begun.set(hi_actinst::execution_id, parent).set(hi_actinst::end_time, now());
    begun.set(hi_actinst::act_inst_state, "4");
    process_->set(hi_procinst::super_process_instance_id, parent);
    process_->set(hi_procinst::root_proc_inst_id, parent);
}

void OrderProcess::start(Draft& draft) {
    instance_ = ids_.next();
    business_key_ = fmt::format("order-{}", 1'000 + number_);
    process_ = &add_instance(draft, instance_, "order", deployed_.order_definition);
    if (plan_.called) start_parent(draft);
    for (const auto& [name, value] : draw_start_variables(random_, number_, plan_.rich, now_ms_)) {
        set_variable(draft, name, value);
    }
    pass_activity(draft, "start", "startEvent");
    open_task(draft, "review", "Review", instance_, "reviewers");
}

void OrderProcess::set_suspended(Draft& draft, bool suspended) {
    const std::string_view state = suspended ? "2" : "1";
    for (SimRow& row : rows_) {
        if (row.erased()) continue;
        if (row.table() == Table::ru_job) draft.update(row.set(ru_job::suspension_state, state));
        if (row.table() == Table::ru_task) draft.update(row.set(ru_task::suspension_state, state));
        if (row.table() == Table::ru_execution &&
            row.get(ru_execution::proc_inst_id) == instance_) {
            draft.update(row);
        }
    }
    draft.update(process_->set(hi_procinst::state, suspended ? "SUSPENDED" : "ACTIVE"));
}

void OrderProcess::erase_runtime(Draft& draft) {
    for (SimRow& row : rows_) {
        const bool runtime_bytes =
            row.table() == Table::ge_bytearray && row.began_ms == 0; // see add_bytes()
        const bool runtime = camunda::info(row.table()).name.starts_with("act_ru_");
        if ((runtime || runtime_bytes) && !row.erased()) draft.erase(row);
    }
}

// The removal time is written to every history row of the instance, ended ones included.
void OrderProcess::rewrite_history(Draft& draft) {
    for (SimRow& row : rows_) {
        const bool history = is_history(row.table()) || row.table() == Table::ge_bytearray;
        if (history && !row.erased() && row.table() != Table::hi_procinst) draft.rewrite(row);
    }
    if (parent_process_) draft.rewrite(*parent_process_);
    draft.rewrite(*process_);
}

void OrderProcess::end_instance(Draft& draft, SimRow& process, std::string_view state) {
    process.set(hi_procinst::end_time, now()).set(hi_procinst::duration, duration_of(process));
    draft.update(process.set(hi_procinst::state, state));
}

void OrderProcess::finish(Draft& draft, std::string_view end_activity) {
    pass_activity(draft, end_activity, "noneEndEvent", "1");
    if (parent_process_) {
        close_activity(draft, *call_activity_, "4");
        SimRow& end = add(draft, Table::hi_actinst, "pend:" + ids_.next());
        const std::string& parent = parent_process_->id();
        end.set(hi_actinst::parent_act_inst_id, parent).set(hi_actinst::proc_inst_id, parent);
        end.set(hi_actinst::execution_id, parent).set(hi_actinst::act_id, "pend");
        end.set(hi_actinst::proc_def_key, "parent");
        end.set(hi_actinst::proc_def_id, deployed_.parent_definition);
        end.set(hi_actinst::act_type, "noneEndEvent").set(hi_actinst::start_time, now());
        end.set(hi_actinst::end_time, now()).set(hi_actinst::act_inst_state, "1");
        end.set(hi_actinst::tenant_id, deployed_.tenant);
        end_instance(draft, *parent_process_, "COMPLETED");
    }
    end_instance(draft, *process_, "COMPLETED");
    erase_runtime(draft);
    rewrite_history(draft);
}

void OrderProcess::terminate(Draft& draft, std::string_view reason) {
    if (task_.runtime) close_task(draft, false);
    if (job_) log_job(draft, "3");
    if (incident_) close_incident(draft, "2");
    for (SimRow* process : {parent_process_, process_}) {
        if (!process) continue;
        process->set(hi_procinst::delete_reason, reason);
        end_instance(draft, *process, "EXTERNALLY_TERMINATED");
    }
    if (call_activity_) close_activity(draft, *call_activity_, "2");
    erase_runtime(draft);
    rewrite_history(draft);
}

void OrderProcess::delete_history(Draft& draft) {
    for (SimRow& row : rows_) {
        if (!row.erased() && row.table() != Table::hi_procinst) draft.erase(row);
    }
    if (parent_process_) draft.erase(*parent_process_);
    draft.erase(*process_);
}

} // namespace netbuild::simulator
