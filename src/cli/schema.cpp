// SPDX-License-Identifier: Apache-2.0
// schema diff, schema apply: NetBuild's own collections as they are declared (data/).
#include "command.hpp"

#include <fmt/format.h>

#include "data/schema.hpp"

namespace netbuild::cli {
namespace {

void print_changes(const std::vector<SchemaChange>& changes, const char* member, bool json) {
    if (json) {
        Array list;
        for (const SchemaChange& change : changes)
            list.emplace_back(change.text());
        return print_json(Object{{member, std::move(list)}});
    }
    for (const SchemaChange& change : changes) {
        const RecordIndex* index = change.kind == SchemaChange::Kind::create_index
                                       ? find_index(*change.collection, change.index)
                                       : nullptr;
        fmt::print("{}{}{}\n", change.text(), index ? "  # " : "", index ? index->reason : "");
    }
    if (changes.empty()) fmt::print("the store is as declared\n");
}

awaitable<result<void>> diff(app::Application& application, bool json) {
    CO_TRY(const auto changes,
           co_await application.records().schema_changes(data::own_collections()));
    print_changes(changes, "differences", json);
    if (changes.empty()) co_return result<void>{};
    co_return fail(ErrorCode::difference_found,
                   fmt::format("{} changes are to be made: netbuild schema apply", changes.size()));
}

awaitable<result<void>> apply(app::Application& application, bool json) {
    CO_TRY(const auto done, co_await application.prepare_records());
    print_changes(done, "applied", json);
    co_return result<void>{};
}

} // namespace

void add_schema(Registry registry) {
    CLI::App* group = registry.app.add_subcommand(
        "schema", "NetBuild's own collections, their validators and indexes");
    group->require_subcommand(1);
    Registry inner{*group, registry.common, registry.chosen};
    for (const bool applies : {false, true}) {
        CLI::App* command =
            applies
                ? inner.add("apply", "make the store as declared; a second time changes nothing")
                : inner.add("diff", "what apply would do; exit 5 if anything");
        command->callback([registry, applies] {
            registry.chosen = [registry, applies] {
                const bool json = registry.common.json;
                return run(registry.common, [=](app::Application& application) {
                    return applies ? apply(application, json) : diff(application, json);
                });
            };
        });
    }
}

} // namespace netbuild::cli
