// SPDX-License-Identifier: Apache-2.0
// get execution, list executions, list tasks: the unified query from the shell.
#include "command.hpp"

#include <fmt/format.h>

#include "wire/json.hpp"

namespace netbuild::cli {
namespace {

struct Options {
    std::string id;
    std::string by = "executionId";
    std::string consistency = "model";
    std::vector<std::string> filters;
    std::string limit = "50";
    std::string cursor;
};

result<query::Parameters> parameters_of(const Options& options) {
    query::Parameters parameters;
    for (const std::string& filter : options.filters) {
        const auto equals = filter.find('=');
        if (equals == std::string::npos)
            return fail(ErrorCode::invalid_argument, filter + ": a filter is NAME=VALUE");
        parameters.emplace_back(filter.substr(0, equals), filter.substr(equals + 1));
    }
    parameters.emplace_back("limit", options.limit);
    if (!options.cursor.empty()) parameters.emplace_back("cursor", options.cursor);
    return parameters;
}

void print_items(const Value& body, std::initializer_list<const char*> columns) {
    std::vector<std::vector<std::string>> rows;
    for (const Value& item : *body.at_path("items")->get_if<Array>()) {
        std::vector<std::string> row;
        for (const char* column : columns)
            row.push_back(cell(item.at_path(column)));
        rows.push_back(std::move(row));
    }
    print_table({columns.begin(), columns.end()}, rows);
    const Value* next = body.at_path("nextCursor");
    if (next && !next->is_null()) fmt::print("more: --cursor {}\n", cell(next));
    fmt::print("position {}\n", cell(body.at_path("position.engine")));
}

awaitable<result<void>> get(app::Application& application, Options options, bool json) {
    CO_TRY_VOID(co_await application.connect(false, {}));
    CO_TRY(const auto answer,
           co_await application.queries().execution(
               options.id, {{"by", options.by}, {"consistency", options.consistency}}));
    if (json) {
        print_json(answer.body);
        co_return result<void>{};
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& member : *answer.body.get_if<Object>()) {
        const auto* map = member.value.get_if<Object>();
        if (member.key == "variables" && map) {
            for (const auto& variable : *map)
                rows.push_back({"variables." + variable.key, cell(&variable.value)});
        } else if (member.key != "sync" && !(map && map->empty())) {
            rows.push_back({member.key, cell(&member.value)});
        }
    }
    print_table({"FIELD", "VALUE"}, rows);
    co_return result<void>{};
}

awaitable<result<void>> list(app::Application& application, Options options, bool tasks,
                             bool json) {
    CO_TRY_VOID(co_await application.connect(false, {}));
    CO_TRY(query::Parameters parameters, parameters_of(options));
    auto answer = tasks ? co_await application.queries().tasks(std::move(parameters))
                        : co_await application.queries().executions(std::move(parameters));
    if (!answer) co_return std::move(answer).error();
    if (json) {
        print_json(answer->body);
    } else if (tasks) {
        print_items(answer->body, {"taskId", "name", "status", "assignee", "executionId",
                                   "domainId", "createdAt"});
    } else {
        print_items(answer->body, {"executionId", "status", "definition.key", "domainId",
                                   "startedAt", "processInstanceId"});
    }
    co_return result<void>{};
}

} // namespace

void add_queries(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* get_command = registry.app.add_subcommand("get", "one object");
    get_command->require_subcommand(1);
    Registry inner{*get_command, registry.common, registry.chosen};
    CLI::App* execution = inner.add("execution", "by business key");
    execution->add_option("id", options->id, "business key")->required();
    execution->add_option("--by", options->by, "executionId or processInstanceId")
        ->capture_default_str();
    execution->add_option("--consistency", options->consistency, "model, engine or rest")
        ->capture_default_str();
    execution->callback([registry, options] {
        registry.chosen = [registry, options] {
            const bool json = registry.common.json;
            return run(registry.common, [=](app::Application& application) {
                return get(application, *options, json);
            });
        };
    });
    CLI::App* list_command = registry.app.add_subcommand("list", "executions or tasks");
    list_command->require_subcommand(1);
    Registry lists{*list_command, registry.common, registry.chosen};
    for (const bool tasks : {false, true}) {
        CLI::App* command = lists.add(tasks ? "tasks" : "executions",
                                      "newest first; FILTER is NAME=VALUE as in the HTTP API");
        command->add_option("filter", options->filters, "such as status=active");
        command->add_option("--limit", options->limit, "1 to 500")->capture_default_str();
        command->add_option("--cursor", options->cursor, "of the page before");
        command->callback([registry, options, tasks] {
            registry.chosen = [registry, options, tasks] {
                const bool json = registry.common.json;
                return run(registry.common, [=](app::Application& application) {
                    return list(application, *options, tasks, json);
                });
            };
        });
    }
}

} // namespace netbuild::cli
