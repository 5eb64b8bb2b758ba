// SPDX-License-Identifier: Apache-2.0
#include "row_roles.hpp"

namespace netbuild::sync {

using camunda::Table;

std::string_view instance_of(const Row& row) {
    switch (row.table) {
    case Table::hi_procinst:
        // A DELETE carries the primary key only; the two are equal.
        return row.operation == RowOperation::erase ? row.text(camunda::hi_procinst::id)
                                                    : row.text(camunda::hi_procinst::proc_inst_id);
    case Table::hi_taskinst:
        return row.text(camunda::hi_taskinst::proc_inst_id);
    case Table::hi_actinst:
        return row.text(camunda::hi_actinst::proc_inst_id);
    case Table::hi_varinst:
        return row.text(camunda::hi_varinst::proc_inst_id);
    case Table::hi_detail:
        return row.text(camunda::hi_detail::proc_inst_id);
    case Table::hi_incident:
        return row.text(camunda::hi_incident::proc_inst_id);
    case Table::hi_job_log:
        return row.text(camunda::hi_job_log::process_instance_id);
    case Table::hi_ext_task_log:
        return row.text(camunda::hi_ext_task_log::proc_inst_id);
    case Table::ru_task:
        return row.text(camunda::ru_task::proc_inst_id);
    case Table::ru_job:
        return row.text(camunda::ru_job::process_instance_id);
    default:
        return {};
    }
}

std::string_view task_of(const Row& row) {
    switch (row.table) {
    case Table::hi_taskinst:
    case Table::ru_task:
        return row.text(camunda::hi_taskinst::id);
    case Table::hi_varinst:
        return row.text(camunda::hi_varinst::task_id);
    case Table::hi_detail:
        return row.text(camunda::hi_detail::task_id);
    case Table::hi_identitylink:
        return row.text(camunda::hi_identitylink::task_id);
    default:
        return {};
    }
}

std::string_view definition_of(const Row& row) {
    switch (row.table) {
    case Table::hi_procinst:
        return row.text(camunda::hi_procinst::proc_def_id);
    case Table::ru_task:
        return row.text(camunda::ru_task::proc_def_id);
    case Table::re_procdef:
        return row.text(camunda::re_procdef::id);
    default:
        return {};
    }
}

std::string_view standalone_task_of(const Row& row) {
    if (!instance_of(row).empty()) return {};
    switch (row.table) {
    case Table::hi_taskinst:
    case Table::ru_task:
        return row.operation == RowOperation::erase ? std::string_view{} : task_of(row);
    case Table::hi_varinst:
    case Table::hi_detail:
        return task_of(row);
    default:
        return {};
    }
}

int phase_of(const Row& row) {
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
}

bool is_read(const Row& row, Retention retention) {
    const bool insert = row.operation == RowOperation::insert;
    const bool erase = row.operation == RowOperation::erase;
    if (row.operation == RowOperation::truncate) return false;
    switch (row.table) {
    case Table::hi_taskinst:
        return !erase || retention == Retention::follow;
    case Table::hi_actinst:
    case Table::hi_varinst:
    case Table::hi_incident:
    case Table::ru_jobdef:
    case Table::ge_bytearray:
        return !erase;
    case Table::hi_detail:
    case Table::hi_identitylink:
    case Table::hi_job_log:
    case Table::hi_ext_task_log:
    case Table::re_deployment:
        return insert;
    case Table::ru_variable:
        return !insert;
    case Table::ru_execution:
        return false;
    case Table::hi_procinst:
    case Table::ru_task:
    case Table::ru_job:
    case Table::re_procdef:
        return true;
    }
    return true;
}

} // namespace netbuild::sync
