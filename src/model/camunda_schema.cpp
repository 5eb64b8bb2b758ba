// SPDX-License-Identifier: Apache-2.0
#include "model/camunda_schema.hpp"

#include <algorithm>
#include <array>

namespace netbuild::camunda {
namespace {

using Columns = std::string_view;

constexpr Columns hi_procinst_columns[] = {"id_",
                                           "proc_inst_id_",
                                           "business_key_",
                                           "proc_def_key_",
                                           "proc_def_id_",
                                           "start_time_",
                                           "end_time_",
                                           "duration_",
                                           "start_user_id_",
                                           "super_process_instance_id_",
                                           "root_proc_inst_id_",
                                           "case_inst_id_",
                                           "delete_reason_",
                                           "tenant_id_",
                                           "state_"};
constexpr Columns hi_taskinst_columns[] = {"id_",
                                           "task_def_key_",
                                           "proc_def_key_",
                                           "proc_def_id_",
                                           "proc_inst_id_",
                                           "execution_id_",
                                           "case_execution_id_",
                                           "case_inst_id_",
                                           "case_def_id_",
                                           "parent_task_id_",
                                           "name_",
                                           "description_",
                                           "owner_",
                                           "assignee_",
                                           "start_time_",
                                           "end_time_",
                                           "duration_",
                                           "delete_reason_",
                                           "priority_",
                                           "due_date_",
                                           "follow_up_date_",
                                           "tenant_id_",
                                           "task_state_"};
constexpr Columns hi_actinst_columns[] = {"id_",          "parent_act_inst_id_", "proc_def_key_",
                                          "proc_def_id_", "proc_inst_id_",       "execution_id_",
                                          "act_id_",      "act_name_",           "act_type_",
                                          "task_id_",     "call_proc_inst_id_",  "assignee_",
                                          "start_time_",  "end_time_",           "act_inst_state_",
                                          "tenant_id_"};
constexpr Columns hi_varinst_columns[] = {
    "id_",   "proc_inst_id_", "execution_id_", "act_inst_id_", "task_id_",
    "name_", "var_type_",     "bytearray_id_", "double_",      "long_",
    "text_", "text2_",        "tenant_id_",    "state_"};
constexpr Columns hi_detail_columns[] = {"id_",           "type_",     "proc_inst_id_",
                                         "execution_id_", "task_id_",  "var_inst_id_",
                                         "name_",         "var_type_", "tenant_id_"};
constexpr Columns hi_identitylink_columns[] = {
    "id_",       "timestamp_", "type_",           "user_id_",
    "group_id_", "task_id_",   "operation_type_", "tenant_id_"};
constexpr Columns hi_incident_columns[] = {"id_",
                                           "proc_inst_id_",
                                           "execution_id_",
                                           "create_time_",
                                           "end_time_",
                                           "incident_msg_",
                                           "incident_type_",
                                           "activity_id_",
                                           "failed_activity_id_",
                                           "cause_incident_id_",
                                           "root_cause_incident_id_",
                                           "configuration_",
                                           "incident_state_",
                                           "tenant_id_",
                                           "job_def_id_",
                                           "annotation_"};
constexpr Columns hi_job_log_columns[] = {
    "id_",        "job_id_",       "job_duedate_", "job_retries_",         "job_exception_msg_",
    "job_state_", "job_def_type_", "act_id_",      "process_instance_id_", "tenant_id_"};
constexpr Columns hi_ext_task_log_columns[] = {
    "id_",        "ext_task_id_", "retries_",      "topic_name_", "worker_id_",
    "error_msg_", "act_id_",      "proc_inst_id_", "tenant_id_",  "state_"};
constexpr Columns ru_execution_columns[] = {"id_", "proc_inst_id_"};
constexpr Columns ru_task_columns[] = {
    "id_",           "execution_id_", "proc_inst_id_", "proc_def_id_",    "case_execution_id_",
    "case_inst_id_", "case_def_id_",  "name_",         "parent_task_id_", "description_",
    "task_def_key_", "owner_",        "assignee_",     "delegation_",     "priority_",
    "create_time_",  "last_updated_", "due_date_",     "follow_up_date_", "suspension_state_",
    "tenant_id_",    "task_state_"};
constexpr Columns ru_variable_columns[] = {"id_"};
constexpr Columns ru_job_columns[] = {
    "id_",           "type_",       "process_instance_id_", "retries_",  "duedate_",
    "handler_type_", "job_def_id_", "suspension_state_",    "tenant_id_"};
constexpr Columns ru_jobdef_columns[] = {"id_", "act_id_", "job_type_"};
constexpr Columns re_procdef_columns[] = {
    "id_",        "category_",      "name_",          "key_",
    "version_",   "deployment_id_", "resource_name_", "suspension_state_",
    "tenant_id_", "version_tag_",   "history_ttl_",   "startable_"};
constexpr Columns re_deployment_columns[] = {"id_", "name_", "deploy_time_", "source_",
                                             "tenant_id_"};
constexpr Columns ge_bytearray_columns[] = {"id_", "name_", "bytes_", "deployment_id_"};

constexpr std::array<TableInfo, table_count> all_tables = {{
    {Table::hi_procinst, "act_hi_procinst", hi_procinst_columns},
    {Table::hi_taskinst, "act_hi_taskinst", hi_taskinst_columns},
    {Table::hi_actinst, "act_hi_actinst", hi_actinst_columns},
    {Table::hi_varinst, "act_hi_varinst", hi_varinst_columns},
    {Table::hi_detail, "act_hi_detail", hi_detail_columns},
    {Table::hi_identitylink, "act_hi_identitylink", hi_identitylink_columns},
    {Table::hi_incident, "act_hi_incident", hi_incident_columns},
    {Table::hi_job_log, "act_hi_job_log", hi_job_log_columns},
    {Table::hi_ext_task_log, "act_hi_ext_task_log", hi_ext_task_log_columns},
    {Table::ru_execution, "act_ru_execution", ru_execution_columns},
    {Table::ru_task, "act_ru_task", ru_task_columns},
    {Table::ru_variable, "act_ru_variable", ru_variable_columns},
    {Table::ru_job, "act_ru_job", ru_job_columns},
    {Table::ru_jobdef, "act_ru_jobdef", ru_jobdef_columns},
    {Table::re_procdef, "act_re_procdef", re_procdef_columns},
    {Table::re_deployment, "act_re_deployment", re_deployment_columns},
    {Table::ge_bytearray, "act_ge_bytearray", ge_bytearray_columns},
}};

} // namespace

std::span<const TableInfo> tables() noexcept { return all_tables; }

const TableInfo& info(Table table) noexcept { return all_tables[static_cast<std::size_t>(table)]; }

std::optional<Table> find_table(std::string_view name) noexcept {
    const auto found = std::find_if(all_tables.begin(), all_tables.end(),
                                    [&](const TableInfo& table) { return table.name == name; });
    if (found == all_tables.end()) return std::nullopt;
    return found->table;
}

} // namespace netbuild::camunda
