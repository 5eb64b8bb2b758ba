// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace netbuild::camunda {

/// The tables of Camunda 7's schema that the projection reads
/// (https://docs.camunda.org/manual/7.24/user-guide/process-engine/database/database-schema/).
enum class Table : unsigned char {
    hi_procinst,
    hi_taskinst,
    hi_actinst,
    hi_varinst,
    hi_detail,
    hi_identitylink,
    hi_incident,
    hi_job_log,
    hi_ext_task_log,
    ru_execution,
    ru_task,
    ru_variable,
    ru_job,
    ru_jobdef,
    re_procdef,
    re_deployment,
    ge_bytearray,
};
inline constexpr std::size_t table_count = 17;

// One enum a table: the columns that the projection reads, in the order of a Row's cells.
// A column that Camunda has and that is not here is neither published nor kept.
enum class hi_procinst {
    id,
    proc_inst_id,
    business_key,
    proc_def_key,
    proc_def_id,
    start_time,
    end_time,
    duration,
    start_user_id,
    super_process_instance_id,
    root_proc_inst_id,
    case_inst_id,
    delete_reason,
    tenant_id,
    state
};
enum class hi_taskinst {
    id,
    task_def_key,
    proc_def_key,
    proc_def_id,
    proc_inst_id,
    execution_id,
    case_execution_id,
    case_inst_id,
    case_def_id,
    parent_task_id,
    name,
    description,
    owner,
    assignee,
    start_time,
    end_time,
    duration,
    delete_reason,
    priority,
    due_date,
    follow_up_date,
    tenant_id,
    task_state
};
enum class hi_actinst {
    id,
    parent_act_inst_id,
    proc_def_key,
    proc_def_id,
    proc_inst_id,
    execution_id,
    act_id,
    act_name,
    act_type,
    task_id,
    call_proc_inst_id,
    assignee,
    start_time,
    end_time,
    act_inst_state,
    tenant_id
};
enum class hi_varinst {
    id,
    proc_inst_id,
    execution_id,
    act_inst_id,
    task_id,
    name,
    var_type,
    bytearray_id,
    double_,
    long_,
    text,
    text2,
    tenant_id,
    state
};
enum class hi_detail {
    id,
    type,
    proc_inst_id,
    execution_id,
    task_id,
    var_inst_id,
    name,
    var_type,
    tenant_id
};
enum class hi_identitylink {
    id,
    timestamp,
    type,
    user_id,
    group_id,
    task_id,
    operation_type,
    tenant_id
};
enum class hi_incident {
    id,
    proc_inst_id,
    execution_id,
    create_time,
    end_time,
    incident_msg,
    incident_type,
    activity_id,
    failed_activity_id,
    cause_incident_id,
    root_cause_incident_id,
    configuration,
    incident_state,
    tenant_id,
    job_def_id,
    annotation
};
enum class hi_job_log {
    id,
    job_id,
    job_duedate,
    job_retries,
    job_exception_msg,
    job_state,
    job_def_type,
    act_id,
    process_instance_id,
    tenant_id
};
enum class hi_ext_task_log {
    id,
    ext_task_id,
    retries,
    topic_name,
    worker_id,
    error_msg,
    act_id,
    proc_inst_id,
    tenant_id,
    state
};
enum class ru_execution { id, proc_inst_id };
enum class ru_task {
    id,
    execution_id,
    proc_inst_id,
    proc_def_id,
    case_execution_id,
    case_inst_id,
    case_def_id,
    name,
    parent_task_id,
    description,
    task_def_key,
    owner,
    assignee,
    delegation,
    priority,
    create_time,
    last_updated,
    due_date,
    follow_up_date,
    suspension_state,
    tenant_id,
    task_state
};
enum class ru_variable { id };
enum class ru_job {
    id,
    type,
    process_instance_id,
    retries,
    duedate,
    handler_type,
    job_def_id,
    suspension_state,
    tenant_id
};
enum class ru_jobdef { id, act_id, job_type };
enum class re_procdef {
    id,
    category,
    name,
    key,
    version,
    deployment_id,
    resource_name,
    suspension_state,
    tenant_id,
    version_tag,
    history_ttl,
    startable
};
enum class re_deployment { id, name, deploy_time, source, tenant_id };
enum class ge_bytearray { id, name, bytes, deployment_id };

struct TableInfo {
    Table table;
    /// "act_hi_procinst".
    std::string_view name;
    /// Database column names ("id_", "proc_inst_id_"), index = the table's enum; [0] is the primary
    /// key.
    std::span<const std::string_view> columns;
};

/// All tables, index = Table.
[[nodiscard]] std::span<const TableInfo> tables() noexcept;
[[nodiscard]] const TableInfo& info(Table table) noexcept;
/// By database name, without schema; nullopt for a table that the projection does not read.
[[nodiscard]] std::optional<Table> find_table(std::string_view name) noexcept;

} // namespace netbuild::camunda
