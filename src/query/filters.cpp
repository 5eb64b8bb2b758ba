// SPDX-License-Identifier: Apache-2.0
#include "filters.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "cursor.hpp"
#include "model/collections.hpp"
#include "wire/json.hpp"

namespace netbuild::query {
namespace {

using Op = Condition::Operator;
constexpr std::string_view variable_prefix = "variable.";

Error bad(std::string_view name, std::string_view what) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", name, what));
}

result<bool> boolean(std::string_view name, std::string_view value) {
    if (value == "true") return true;
    if (value == "false") return false;
    return bad(name, "must be true or false");
}

result<Date> date(std::string_view name, std::string_view value) {
    auto parsed = parse_date(value);
    if (!parsed) return bad(name, "must be a time with its zone, such as 2026-01-02T03:04:05Z");
    return *parsed;
}

/// "a,b" as an `in` over the allowed values.
result<Condition> one_of(std::string_view path, std::string_view name, std::string_view value,
                         std::initializer_list<std::string_view> allowed) {
    Array values;
    while (true) {
        const auto comma = value.find(',');
        const std::string_view one = value.substr(0, comma);
        if (std::find(allowed.begin(), allowed.end(), one) == allowed.end()) {
            std::string list;
            for (const auto& known : allowed)
                list += fmt::format("{}{}", list.empty() ? "" : ", ", known);
            return bad(name, "must be of " + list);
        }
        values.emplace_back(one);
        if (comma == std::string_view::npos) break;
        value.remove_prefix(comma + 1);
    }
    return Condition{std::string(path), Op::in, std::move(values)};
}

void equal(Filter& filter, std::string_view path, std::string_view value) {
    filter.all.push_back({std::string(path), Op::equal, Value(value)});
}

result<void> page(const Parameters& parameters, Query& query, std::string_view default_sort,
                  std::initializer_list<std::string_view> sorts) {
    TRY(query.limit, limit_of(parameters));
    std::string_view sort = parameter(parameters, "sort", default_sort);
    const bool descending = sort.starts_with('-');
    if (descending) sort.remove_prefix(1);
    if (std::find(sorts.begin(), sorts.end(), sort) == sorts.end()) {
        std::string list;
        for (const auto& known : sorts)
            list += fmt::format("{}{}", list.empty() ? "" : ", ", known);
        return bad("sort", "must be one of " + list + ", with - in front for descending");
    }
    query.sort = {{std::string(sort), descending}};
    const std::string_view cursor = parameter(parameters, "cursor");
    if (!cursor.empty()) {
        TRY(query.after, decode_cursor(cursor, query.sort.size() + 1));
    }
    return {};
}

bool is_variable(std::string_view name) {
    return name.starts_with(variable_prefix) && name.size() > variable_prefix.size();
}

} // namespace

std::string_view parameter(const Parameters& parameters, std::string_view name,
                           std::string_view otherwise) {
    for (const auto& [key, value] : parameters) {
        if (key == name) return value;
    }
    return otherwise;
}

result<void> only(const Parameters& parameters, std::initializer_list<std::string_view> names) {
    for (const auto& [key, value] : parameters) {
        if (std::find(names.begin(), names.end(), key) == names.end())
            return bad(key, "there is no such parameter");
    }
    return {};
}

result<std::size_t> limit_of(const Parameters& parameters) {
    const std::string_view text = parameter(parameters, "limit");
    if (text.empty()) return list_limit_default;
    std::size_t limit = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (ec != std::errc{} || end != text.data() + text.size() || limit < 1 ||
        limit > list_limit_max) {
        return bad("limit", fmt::format("must be 1 to {}", list_limit_max));
    }
    return limit;
}

result<void> add_variable(Filter& filter, std::string_view name, std::string_view value) {
    Op op = Op::equal;
    for (const auto& [prefix, meaning] : {std::pair{std::string_view("gt:"), Op::greater},
                                          std::pair{std::string_view("lt:"), Op::less},
                                          std::pair{std::string_view("like:"), Op::like}}) {
        if (!value.starts_with(prefix)) continue;
        op = meaning;
        value.remove_prefix(prefix.size());
        break;
    }
    const std::string path = "variables." + escape_key(name);
    std::vector<Condition> alternatives;
    alternatives.push_back({path, op, Value(value)});
    if (op != Op::like) {
        double number = 0;
        std::int64_t integer = 0;
        const char* end = value.data() + value.size();
        if (const auto parsed = std::from_chars(value.data(), end, integer);
            parsed.ec == std::errc{} && parsed.ptr == end) {
            alternatives.push_back({path, op, Value(integer)});
        } else if (const auto real = std::from_chars(value.data(), end, number);
                   real.ec == std::errc{} && real.ptr == end) {
            alternatives.push_back({path, op, Value(number)});
        }
        if (const auto day = parse_date(value)) alternatives.push_back({path, op, Value(*day)});
        if (op == Op::equal && (value == "true" || value == "false"))
            alternatives.push_back({path, op, Value(value == "true")});
    }
    filter.any_of.push_back(std::move(alternatives));
    return {};
}

result<ListRequest> executions_request(const Parameters& parameters) {
    ListRequest request;
    request.query.collection = collections::workflow_executions;
    Filter& filter = request.query.filter;
    for (const auto& [name, value] : parameters) {
        if (name == "limit" || name == "cursor" || name == "sort") continue;
        if (name == "domainId") {
            equal(filter, "domainId", value);
        } else if (name == "executionId") {
            equal(filter, "executionId", value);
        } else if (name == "definitionKey") {
            equal(filter, "definition.key", value);
        } else if (name == "status") {
            TRY(Condition condition,
                one_of("status", name, value, {"active", "suspended", "completed", "terminated"}));
            filter.all.push_back(std::move(condition));
        } else if (name == "startedAfter" || name == "startedBefore") {
            TRY(const Date at, date(name, value));
            filter.all.push_back(
                {"startedAt", name == "startedAfter" ? Op::greater : Op::less, at});
        } else if (name == "hasIncident") {
            TRY(const bool has, boolean(name, value));
            filter.all.push_back({"incidents", Op::empty, !has});
        } else if (is_variable(name)) {
            TRY_VOID(
                add_variable(filter, std::string_view(name).substr(variable_prefix.size()), value));
        } else {
            return bad(name, "there is no such filter");
        }
    }
    TRY_VOID(page(parameters, request.query, "-startedAt",
                  {"startedAt", "endedAt", "executionId", "status"}));
    return request;
}

result<ListRequest> tasks_request(const Parameters& parameters) {
    ListRequest request;
    request.query.collection = collections::tasks;
    Filter& filter = request.query.filter;
    bool has_status = false, candidate = false, include_assigned = false;
    for (const auto& [name, value] : parameters) {
        if (name == "limit" || name == "cursor" || name == "sort") continue;
        if (name == "domainId" || name == "assignee" || name == "executionId" ||
            name == "processInstanceId") {
            equal(filter, name, value);
        } else if (name == "candidateGroup" || name == "candidateUser") {
            equal(filter, name == "candidateGroup" ? "candidates.groups" : "candidates.users",
                  value);
            candidate = true;
        } else if (name == "includeAssigned") {
            TRY(include_assigned, boolean(name, value));
        } else if (name == "definitionKey") {
            equal(filter, "processDefinitionKey", value);
        } else if (name == "taskDefinitionKey") {
            equal(filter, "definitionKey", value);
        } else if (name == "status") {
            TRY(Condition condition, one_of("status", name, value,
                                            {"pending", "in_progress", "completed", "cancelled"}));
            filter.all.push_back(std::move(condition));
            has_status = true;
        } else if (name == "dueBefore") {
            TRY(const Date at, date(name, value));
            filter.all.push_back({"dueAt", Op::less, at});
        } else if (is_variable(name)) {
            request.variables.emplace_back(name.substr(variable_prefix.size()), value);
        } else {
            return bad(name, "there is no such filter");
        }
    }
    if (!has_status) filter.all.push_back({"status", Op::in, Array{"pending", "in_progress"}});
    if (candidate && !include_assigned) filter.all.push_back({"assignee", Op::equal, nullptr});
    TRY_VOID(
        page(parameters, request.query, "-createdAt", {"createdAt", "dueAt", "priority", "name"}));
    return request;
}

result<ListRequest> definitions_request(const Parameters& parameters) {
    ListRequest request;
    request.query.collection = collections::process_definitions;
    for (const auto& [name, value] : parameters) {
        if (name == "limit" || name == "cursor" || name == "sort") continue;
        if (name != "key" && name != "domainId") return bad(name, "there is no such filter");
        equal(request.query.filter, name, value);
    }
    TRY_VOID(page(parameters, request.query, "key", {"key", "version", "name"}));
    request.query.without = {"bpmnXml"};
    return request;
}

} // namespace netbuild::query
