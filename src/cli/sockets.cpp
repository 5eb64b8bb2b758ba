// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>

#include "running_server.hpp"
#include "wire/percent.hpp"

namespace netbuild::cli {
namespace {

constexpr std::size_t items_max = 100'000;

awaitable<result<void>> show(app::Application& application, std::string path,
                             std::vector<std::string> members, std::vector<std::string> header,
                             bool json) {
    CO_TRY(Array items, co_await ask_for_items(application, path + "?limit=500", items_max));
    if (json) {
        print_json(Object{{"items", std::move(items)}});
        co_return result<void>{};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& item : items) {
        auto& row = rows.emplace_back();
        for (const auto& member : members) {
            const Value* value = item.at_path(member);
            const auto* list = value ? value->get_if<Array>() : nullptr;
            row.push_back(list ? std::to_string(list->size()) : cell(value));
        }
    }
    print_table(header, rows);
    co_return result<void>{};
}

awaitable<result<void>> kick(app::Application& application, std::string id, bool json) {
    CO_TRY_VOID(
        co_await ask_as_admin(application, "DELETE", "/v1/realtime/sockets/" + percent_encode(id)));
    if (json) print_json(Object{{"kicked", id}});
    co_return result<void>{};
}

} // namespace

void add_sockets(Registry registry) {
    CLI::App* command = registry.app.add_subcommand(
        "sockets", "Socket.IO clients of the running server: list, rooms, kick");
    command->require_subcommand(1);
    Registry nested{*command, registry.common, registry.chosen};
    nested.add("list", "all of them")->callback([registry] {
        registry.chosen = [registry] {
            return run(
                registry.common, [json = registry.common.json](app::Application& application) {
                    return show(application, "/v1/realtime/sockets",
                                {"id", "subject", "address", "connectedAt", "rooms", "queuedBytes"},
                                {"ID", "SUBJECT", "ADDRESS", "SINCE", "ROOMS", "QUEUED"}, json);
                });
        };
    });
    nested.add("rooms", "rooms, and how many clients are in each")->callback([registry] {
        registry.chosen = [registry] {
            return run(registry.common,
                       [json = registry.common.json](app::Application& application) {
                           return show(application, "/v1/realtime/rooms", {"room", "sockets"},
                                       {"ROOM", "SOCKETS"}, json);
                       });
        };
    });
    auto id = std::make_shared<std::string>();
    CLI::App* one = nested.add("kick", "disconnect one; it does not come back by itself");
    one->add_option("id", *id, "as `list` names it")->required();
    one->callback([registry, id] {
        registry.chosen = [registry, id] {
            return run(registry.common,
                       [id = *id, json = registry.common.json](app::Application& application) {
                           return kick(application, id, json);
                       });
        };
    });
}

} // namespace netbuild::cli
