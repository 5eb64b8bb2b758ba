// SPDX-License-Identifier: Apache-2.0
#include "camunda/database_engine.hpp"

#include <charconv>
#include <map>

#include <fmt/format.h>

#include "wire/json.hpp"
#include "wire/wall_time.hpp"

namespace netbuild {
namespace {

/// Instances of one business key that are told of.
constexpr int instances_max = 20;

Value text(std::optional<std::string_view> cell) { return cell ? Value(*cell) : Value(); }

std::int32_t number(std::optional<std::string_view> cell) {
    std::int32_t value = 0;
    if (cell) std::from_chars(cell->data(), cell->data() + cell->size(), value);
    return value;
}

} // namespace

Value DatabaseEngine::date(std::optional<std::string_view> cell) const {
    const auto wall_ms = cell ? parse_wall_time(*cell) : std::nullopt;
    return wall_ms ? Value(format_camunda(Date{zone_.to_utc_ms(*wall_ms)})) : Value();
}

awaitable<result<void>> DatabaseEngine::ping() {
    CO_TRY(auto connection, co_await pool_.acquire());
    CO_TRY_VOID(co_await connection->query({"select 1", {}, "ping"}));
    co_return result<void>{};
}

awaitable<result<std::vector<EngineExecution>>> DatabaseEngine::executions(InstanceKey key) {
    const bool by_id = key.kind == InstanceKey::Kind::process_instance_id;
    const std::string selected =
        fmt::format("(select id_ from {}.act_ru_execution where parent_id_ is null and {} = $1)",
                    schema_, by_id ? "id_" : "business_key_");
    const std::string suffix = by_id ? "_by_id" : "_by_key";
    std::vector<postgres::Statement> statements;
    // Both reads see one snapshot.
    statements.push_back({"begin isolation level repeatable read read only", {}, "begin"});
    statements.push_back(
        {fmt::format(
             "select e.id_, e.proc_def_id_, e.business_key_, e.case_inst_id_, e.suspension_state_, "
             "e.tenant_id_, d.key_ from {0}.act_ru_execution e "
             "join {0}.act_re_procdef d on d.id_ = e.proc_def_id_ "
             "left join {0}.act_hi_procinst h on h.id_ = e.id_ where e.id_ in {1} "
             "order by h.start_time_ desc, e.id_ limit {2}",
             schema_, selected, instances_max),
         {key.value},
         "instances" + suffix});
    statements.push_back(
        {fmt::format(
             "select id_, name_, assignee_, create_time_, due_date_, follow_up_date_, "
             "last_updated_, "
             "delegation_, description_, execution_id_, owner_, parent_task_id_, priority_, "
             "proc_def_id_, "
             "proc_inst_id_, task_def_key_, case_execution_id_, case_inst_id_, case_def_id_, "
             "suspension_state_, tenant_id_, task_state_ from {}.act_ru_task where proc_inst_id_ "
             "in {} "
             "order by create_time_, id_",
             schema_, selected),
         {key.value},
         "tasks" + suffix});
    statements.push_back({"commit", {}, "commit"});
    CO_TRY(auto connection, co_await pool_.acquire());
    CO_TRY(const auto answers, co_await connection->pipeline(std::move(statements)));
    const postgres::Rows& instances = answers[1];
    const postgres::Rows& tasks = answers[2];
    std::vector<EngineExecution> found;
    std::map<std::string_view, std::size_t> places;
    for (int i = 0; i < instances.count(); ++i) {
        EngineExecution execution;
        execution.process_instance_id = instances.text(i, 0);
        execution.business_key = instances.text(i, 2);
        execution.process_state = Object{{"links", Array{}},
                                         {"id", instances.text(i, 0)},
                                         {"definitionId", instances.text(i, 1)},
                                         {"businessKey", text(instances.get(i, 2))},
                                         {"caseInstanceId", text(instances.get(i, 3))},
                                         {"ended", false},
                                         {"suspended", number(instances.get(i, 4)) == 2},
                                         {"tenantId", text(instances.get(i, 5))},
                                         {"definitionKey", instances.text(i, 6)}};
        places.emplace(instances.text(i, 0), found.size());
        found.push_back(std::move(execution));
    }
    for (int i = 0; i < tasks.count(); ++i) {
        const auto place = places.find(tasks.text(i, 14));
        if (place == places.end()) continue;
        const auto of = [&](int column) { return text(tasks.get(i, column)); };
        found[place->second].active_tasks.emplace_back(
            Object{{"id", of(0)},
                   {"name", of(1)},
                   {"assignee", of(2)},
                   {"created", date(tasks.get(i, 3))},
                   {"due", date(tasks.get(i, 4))},
                   {"followUp", date(tasks.get(i, 5))},
                   {"lastUpdated", date(tasks.get(i, 6))},
                   {"delegationState", of(7)},
                   {"description", of(8)},
                   {"executionId", of(9)},
                   {"owner", of(10)},
                   {"parentTaskId", of(11)},
                   {"priority", number(tasks.get(i, 12))},
                   {"processDefinitionId", of(13)},
                   {"processInstanceId", of(14)},
                   {"taskDefinitionKey", of(15)},
                   {"caseExecutionId", of(16)},
                   {"caseInstanceId", of(17)},
                   {"caseDefinitionId", of(18)},
                   {"suspended", number(tasks.get(i, 19)) == 2},
                   {"formKey", nullptr},
                   {"camundaFormRef", nullptr},
                   {"tenantId", of(20)},
                   {"taskState", of(21)}});
    }
    co_return found;
}

} // namespace netbuild
