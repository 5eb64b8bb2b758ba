// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>

#include "running_server.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::cli {
namespace {

/// Nested members as "slot.active".
void flatten(const Value& value, const std::string& path,
             std::vector<std::vector<std::string>>& rows) {
    if (const auto* object = value.get_if<Object>()) {
        for (const auto& member : *object)
            flatten(member.value, path.empty() ? member.key : path + "." + member.key, rows);
    } else {
        rows.push_back({path, cell(&value)});
    }
}

awaitable<result<void>> status(app::Application& application, bool json) {
    Value answer = co_await application.status();
    // A server that runs knows better how far it is and how fast; one that only reads does not.
    const auto server = co_await ask_running_server(application);
    const Value* state = server ? server->find("state") : nullptr;
    const bool known = state && state->string_or() != "reading" && state->string_or() != "standby";
    if (known) {
        for (const auto& member : *server) {
            if (member.key != "servers" && !member.value.is_null())
                answer.get_if<Object>()->set(member.key, member.value);
        }
    }
    // What its clients have, whoever captures.
    const Value* realtime = server ? server->find("realtime") : nullptr;
    if (realtime && !realtime->is_null()) answer.get_if<Object>()->set("realtime", *realtime);
    answer.get_if<Object>()->set("from", known ? "a running server" : "two readings");
    if (json) {
        print_json(answer);
    } else {
        std::vector<std::vector<std::string>> rows;
        flatten(answer, "", rows);
        print_table({"WHAT", "VALUE"}, rows);
    }
    const Value* servers = answer.at_path("servers");
    for (const auto& server : *servers->get_if<Object>()) {
        if (const Value* reason = server.value.at_path("reason")) {
            co_return fail(ErrorCode::unavailable,
                           server.key + ": " + std::string(reason->string_or()));
        }
    }
    co_return result<void>{};
}

} // namespace

void add_status(Registry registry) {
    CLI::App* command = registry.add("status", "Positions, lag, the slot, the servers");
    command->callback([registry] {
        registry.chosen = [registry]() -> result<void> {
            const bool json = registry.common.json;
            return run(
                registry.common, [json](app::Application& application) -> awaitable<result<void>> {
                    (void)co_await application.store().prepare(sync::read_model_collections());
                    co_return co_await status(application, json);
                });
        };
    });
}

} // namespace netbuild::cli
