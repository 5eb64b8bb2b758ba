// SPDX-License-Identifier: Apache-2.0
// User tasks and variables of an order.
#include "order_process.hpp"

#include <fmt/format.h>

namespace netbuild::simulator {

using camunda::ge_bytearray;
using camunda::hi_actinst;
using camunda::hi_detail;
using camunda::hi_identitylink;
using camunda::hi_taskinst;
using camunda::hi_varinst;
using camunda::ru_task;
using camunda::Table;

void OrderProcess::open_task(Draft& draft, std::string_view key, std::string_view name,
                             const std::string& execution, std::string_view candidate_group) {
    const std::string id = ids_.next();
    task_.candidate_group = candidate_group;
    task_.activity = &open_activity(draft, key, name, "userTask", execution);
    task_.activity->set(hi_actinst::task_id, id);
    SimRow& runtime = add(draft, Table::ru_task, id);
    runtime.set(ru_task::execution_id, execution).set(ru_task::proc_inst_id, instance_);
    runtime.set(ru_task::proc_def_id, deployed_.order_definition).set(ru_task::name, name);
    runtime.set(ru_task::task_def_key, key).set(ru_task::priority, "50");
    runtime.set(ru_task::create_time, now()).set(ru_task::suspension_state, "1");
    runtime.set(ru_task::tenant_id, deployed_.tenant).set(ru_task::task_state, "Created");
    SimRow& history = add(draft, Table::hi_taskinst, id);
    history.began_ms = now_ms_ + 1; // history's time is taken a moment later
    history.set(hi_taskinst::task_def_key, key).set(hi_taskinst::proc_def_key, "order");
    history.set(hi_taskinst::proc_def_id, deployed_.order_definition);
    history.set(hi_taskinst::proc_inst_id, instance_).set(hi_taskinst::execution_id, execution);
    history.set(hi_taskinst::name, name).set(hi_taskinst::priority, "50");
    history.set(hi_taskinst::start_time, timestamp_text(history.began_ms));
    history.set(hi_taskinst::tenant_id, deployed_.tenant).set(hi_taskinst::task_state, "Created");
    task_.runtime = &runtime;
    task_.history = &history;
    if (!candidate_group.empty()) add_link(draft, "candidate", {}, candidate_group, "add");
}

void OrderProcess::close_task(Draft& draft, bool completed) {
    // The task's local variables go with it; their history stays as it is.
    for (auto at = variables_.begin(); at != variables_.end();) {
        if (!at->second.of_task) {
            ++at;
            continue;
        }
        draft.erase(*at->second.runtime);
        at = variables_.erase(at);
    }
    draft.erase(*task_.runtime);
    close_activity(draft, *task_.activity, completed ? "4" : "2");
    task_.history->set(hi_taskinst::end_time, now());
    task_.history->set(hi_taskinst::duration, duration_of(*task_.history));
    task_.history->set(hi_taskinst::delete_reason, completed ? "completed" : "deleted");
    draft.update(task_.history->set(hi_taskinst::task_state, completed ? "Completed" : "Deleted"));
    task_ = {};
}

void OrderProcess::touch_task(Draft& draft) {
    task_.runtime->set(ru_task::last_updated, now()).set(ru_task::task_state, "Updated");
    draft.update(*task_.runtime);
    draft.update(task_.history->set(hi_taskinst::task_state, "Updated"));
}

void OrderProcess::add_link(Draft& draft, std::string_view type, std::string_view user,
                            std::string_view group, std::string_view operation) {
    SimRow& link = add(draft, Table::hi_identitylink, ids_.next());
    link.set(hi_identitylink::timestamp, now()).set(hi_identitylink::type, type);
    if (!user.empty()) link.set(hi_identitylink::user_id, user);
    if (!group.empty()) link.set(hi_identitylink::group_id, group);
    link.set(hi_identitylink::task_id, task_.history->id());
    link.set(hi_identitylink::operation_type, operation);
    link.set(hi_identitylink::tenant_id, deployed_.tenant);
}

void OrderProcess::assign(Draft& draft, std::optional<std::string> assignee) {
    const std::string before = task_.runtime->get(ru_task::assignee);
    if (!before.empty()) add_link(draft, "assignee", before, {}, "delete");
    if (assignee) {
        add_link(draft, "assignee", *assignee, {}, "add");
        task_.runtime->set(ru_task::assignee, *assignee);
        task_.history->set(hi_taskinst::assignee, *assignee);
        task_.activity->set(hi_actinst::assignee, *assignee);
    } else {
        task_.runtime->set_null(ru_task::assignee);
        task_.history->set_null(hi_taskinst::assignee);
        task_.activity->set_null(hi_actinst::assignee);
    }
    draft.update(*task_.activity);
    touch_task(draft);
}

void OrderProcess::delegate(Draft& draft) {
    const std::string owner = task_.runtime->get(ru_task::assignee);
    if (!owner.empty()) {
        add_link(draft, "owner", owner, {}, "add");
        task_.runtime->set(ru_task::owner, owner);
        task_.history->set(hi_taskinst::owner, owner);
    }
    task_.runtime->set(ru_task::delegation, "PENDING");
    assign(draft, std::string(draw_packer(random_)));
}

void OrderProcess::resolve(Draft& draft) {
    task_.runtime->set(ru_task::delegation, "RESOLVED");
    const std::string owner = task_.runtime->get(ru_task::owner);
    assign(draft, owner.empty() ? std::nullopt : std::optional(owner));
}

void OrderProcess::add_candidate(Draft& draft) {
    add_link(draft, "candidate", draw_packer(random_), {}, "add");
    touch_task(draft);
}

void OrderProcess::edit_task(Draft& draft) {
    const std::string priority = std::to_string(40 + 5 * random_.below(10));
    const std::string due = timestamp_text(now_ms_ + 86'400'000 - now_ms_ % 1'000);
    task_.runtime->set(ru_task::priority, priority).set(ru_task::due_date, due);
    task_.runtime->set(ru_task::description, "Check the address first");
    task_.history->set(hi_taskinst::priority, priority).set(hi_taskinst::due_date, due);
    task_.history->set(hi_taskinst::description, "Check the address first");
    touch_task(draft);
}

SimRow& OrderProcess::add_bytes(Draft& draft, const std::string& name, std::string_view bytes) {
    SimRow& row = add(draft, Table::ge_bytearray, ids_.next());
    row.set(ge_bytearray::name, name).set(ge_bytearray::bytes, bytes);
    return row;
}

void OrderProcess::add_detail(Draft& draft, const Variable& variable, const std::string& name,
                              std::string_view type) {
    SimRow& detail = add(draft, Table::hi_detail, ids_.next());
    detail.set(hi_detail::type, "VariableUpdate").set(hi_detail::proc_inst_id, instance_);
    detail.set(hi_detail::execution_id, variable.history->get(hi_varinst::execution_id));
    if (variable.of_task) {
        detail.set(hi_detail::task_id, variable.history->get(hi_varinst::task_id));
    }
    detail.set(hi_detail::var_inst_id, variable.id).set(hi_detail::name, name);
    detail.set(hi_detail::var_type, type).set(hi_detail::tenant_id, deployed_.tenant);
}

void OrderProcess::set_variable(Draft& draft, const std::string& name, const VariableValue& value,
                                bool of_task) {
    const auto [at, created] = variables_.try_emplace(name);
    Variable& variable = at->second;
    if (created) {
        variable.id = ids_.next();
        variable.of_task = of_task;
        SimRow& row = add(draft, Table::hi_varinst, variable.id);
        const std::string& execution =
            of_task ? task_.runtime->get(ru_task::execution_id) : instance_;
        row.set(hi_varinst::proc_inst_id, instance_).set(hi_varinst::execution_id, execution);
        row.set(hi_varinst::act_inst_id, of_task ? task_.activity->id() : instance_);
        if (of_task) row.set(hi_varinst::task_id, task_.runtime->id());
        row.set(hi_varinst::name, name).set(hi_varinst::tenant_id, deployed_.tenant);
        row.set(hi_varinst::state, "CREATED");
        variable.history = &row;
        variable.runtime = &add(draft, Table::ru_variable, variable.id);
        if (of_task) touch_task(draft);
    } else {
        draft.update(*variable.runtime);
        draft.update(*variable.history);
    }
    add_detail(draft, variable, name, value.type);
    set_value(draft, variable, name, value);
}

void OrderProcess::set_value(Draft& draft, Variable& variable, const std::string& name,
                             const VariableValue& value) {
    SimRow& row = *variable.history;
    const auto set_or_null = [&](hi_varinst column, const std::optional<std::string>& text) {
        if (text) {
            row.set(column, *text);
        } else {
            row.set_null(column);
        }
    };
    row.set(hi_varinst::var_type, value.type);
    set_or_null(hi_varinst::long_, value.long_);
    set_or_null(hi_varinst::double_, value.double_);
    set_or_null(hi_varinst::text, value.text);
    set_or_null(hi_varinst::text2, value.text2);
    for (SimRow* old : {variable.runtime_bytes, variable.history_bytes}) {
        if (old) draft.erase(*old);
    }
    variable.runtime_bytes = variable.history_bytes = nullptr;
    row.set_null(hi_varinst::bytearray_id);
    if (!value.bytes) return;
    // Three copies: the running variable's, the detail's, and the one that history shows.
    const std::string text = bytea_text(*value.bytes);
    variable.runtime_bytes = &add_bytes(draft, name, text);
    variable.runtime_bytes->began_ms = 0; // the mark by which erase_runtime() knows it
    add_bytes(draft, name, text);
    variable.history_bytes = &add_bytes(draft, name, text);
    row.set(hi_varinst::bytearray_id, variable.history_bytes->id());
}

void OrderProcess::delete_variable(Draft& draft, const std::string& name) {
    const auto at = variables_.find(name);
    Variable& variable = at->second;
    add_detail(draft, variable, name, variable.history->get(hi_varinst::var_type));
    draft.erase(*variable.runtime);
    if (variable.runtime_bytes) draft.erase(*variable.runtime_bytes);
    draft.update(variable.history->set(hi_varinst::state, "DELETED"));
    variables_.erase(at);
}

} // namespace netbuild::simulator
