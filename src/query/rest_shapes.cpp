// SPDX-License-Identifier: Apache-2.0
#include "query/rest_shapes.hpp"

#include <algorithm>
#include <vector>

#include "model/collections.hpp"
#include "wire/json.hpp"

namespace netbuild::query {
namespace {

Value member(const Object& object, std::string_view key) {
    const Value* found = object.find(key);
    return found ? *found : Value();
}

Value camunda_date(const Object& object, std::string_view key) {
    const Value* found = object.find(key);
    const Date* date = found ? found->get_if<Date>() : nullptr;
    return date ? Value(format_camunda(*date)) : Value();
}

Object task_dto(const Object& execution, const std::string& id, const Object& task) {
    const Value* defined = execution.find("definition");
    const Value* definition_id = defined ? defined->at_path("id") : nullptr;
    return Object{{"id", id},
                  {"name", member(task, "name")},
                  {"assignee", member(task, "assignee")},
                  {"created", camunda_date(task, "createdAt")},
                  {"due", camunda_date(task, "dueAt")},
                  {"followUp", camunda_date(task, "followUpAt")},
                  {"lastUpdated", camunda_date(task, "lastUpdatedAt")},
                  {"delegationState", member(task, "delegationState")},
                  {"description", member(task, "description")},
                  {"executionId", member(task, "executionId")},
                  {"owner", member(task, "owner")},
                  {"parentTaskId", member(task, "parentTaskId")},
                  {"priority", member(task, "priority")},
                  {"processDefinitionId", definition_id ? *definition_id : Value()},
                  {"processInstanceId", member(execution, "processInstanceId")},
                  {"taskDefinitionKey", member(task, "definitionKey")},
                  {"caseExecutionId", member(task, "caseExecutionId")},
                  {"caseInstanceId", member(task, "caseInstanceId")},
                  {"caseDefinitionId", member(task, "caseDefinitionId")},
                  {"suspended", member(task, "suspended")},
                  {"formKey", member(task, "formKey")},
                  {"camundaFormRef", member(task, "camundaFormRef")},
                  {"tenantId", member(execution, "domainId")},
                  {"taskState", member(task, "taskState")}};
}

} // namespace

Object process_state(const Object& execution) {
    const Value* defined = execution.find("definition");
    const auto of_definition = [&](std::string_view key) {
        const Value* found = defined ? defined->at_path(key) : nullptr;
        return found ? *found : Value();
    };
    const Value* status_value = execution.find("status");
    const std::string_view status = status_value ? status_value->string_or() : std::string_view{};
    return Object{{"links", Array{}},
                  {"id", member(execution, "processInstanceId")},
                  {"definitionId", of_definition("id")},
                  {"businessKey", member(execution, "executionId")},
                  {"caseInstanceId", member(execution, "caseInstanceId")},
                  {"ended", status == "completed" || status == "terminated"},
                  {"suspended", status == "suspended"},
                  {"tenantId", member(execution, "domainId")},
                  {"definitionKey", of_definition("key")}};
}

Array active_tasks(const Object& execution) {
    const Value* found = execution.find("activeTasks");
    const auto* tasks = found ? found->get_if<Object>() : nullptr;
    Array answer;
    if (!tasks) return answer;
    std::vector<std::tuple<std::int64_t, std::string_view, const Object*>> order;
    for (const auto& entry : *tasks) {
        const auto* task = entry.value.get_if<Object>();
        if (!task) continue;
        const Value* created = task->find("createdAt");
        const Date* date = created ? created->get_if<Date>() : nullptr;
        order.emplace_back(date ? date->milliseconds : 0, entry.key, task);
    }
    std::sort(order.begin(), order.end());
    answer.reserve(order.size());
    for (const auto& [created, id, task] : order)
        answer.push_back(task_dto(execution, std::string(id), *task));
    return answer;
}

Value shown(const Value& document) {
    Value copy = document;
    auto* object = copy.get_if<Object>();
    if (!object) return copy;
    for (const char* map : {"variables", "forms"}) {
        if (Value* found = object->find(map)) unescape_keys(*found);
    }
    return copy;
}

} // namespace netbuild::query
