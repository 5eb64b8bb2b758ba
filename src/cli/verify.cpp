// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <unistd.h>

#include <fmt/format.h>

#include "postgres/engine_snapshot.hpp"
#include "sync/verify.hpp"

namespace netbuild::cli {
namespace {

/// The capture may be a little behind the snapshot.
constexpr std::chrono::seconds catch_up_max{60};

void print(const sync::VerifyReport& report, bool json) {
    if (json) {
        Array differences;
        for (const auto& one : report.differences) {
            differences.emplace_back(Object{{"collection", one.collection},
                                            {"id", one.id},
                                            {"field", one.field},
                                            {"expected", one.expected},
                                            {"found", one.found}});
        }
        print_json(Object{{"position", to_string(report.position)},
                          {"documents", static_cast<std::int64_t>(report.documents)},
                          {"differenceCount", static_cast<std::int64_t>(report.difference_count)},
                          {"newer", static_cast<std::int64_t>(report.newer)},
                          {"retained", static_cast<std::int64_t>(report.retained)},
                          {"differences", std::move(differences)}});
        return;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& one : report.differences) {
        rows.push_back({std::string(one.collection), one.id, one.field.empty() ? "-" : one.field,
                        one.expected.substr(0, 60), one.found.substr(0, 60)});
    }
    if (!rows.empty()) print_table({"COLLECTION", "ID", "FIELD", "ENGINE", "STORED"}, rows);
    fmt::print("{} documents compared at {}: {} differences, {} changed since, {} outlived their "
               "history\n",
               report.documents, to_string(report.position), report.difference_count, report.newer,
               report.retained);
}

awaitable<result<void>> verify(app::Application& application, bool json) {
    const auto& configuration = application.configuration();
    if (configuration.text("engine.source") != "wal") {
        co_return fail(ErrorCode::unsupported,
                       "verify compares with Camunda's database: engine.source must be wal");
    }
    CO_TRY_VOID(co_await application.connect(false, {}));
    CO_TRY(const auto options, app::pipeline_options(configuration));
    CO_TRY(const auto checkpoint, co_await application.store().checkpoint(options.engine));
    if (!checkpoint)
        co_return fail(ErrorCode::not_found,
                       "the read model is empty: has `netbuild serve` run on it?");
    CO_TRY(auto snapshot,
           co_await postgres::take_snapshot(
               application.executor(), application.clock(), app::postgres_options(configuration),
               configuration.text("engine.schema"), checkpoint->position.epoch()));
    query::Freshness fresh;
    fresh.kind = query::Freshness::Kind::position;
    fresh.position = snapshot->position();
    fresh.wait = catch_up_max;
    CO_TRY_VOID(co_await application.queries().wait(fresh));
    const bool terminal = isatty(STDERR_FILENO) == 1;
    const auto estimate = snapshot->instances_estimate();
    CO_TRY(const auto report,
           co_await sync::verify(*snapshot, application.store(), options.projection,
                                 [=](const sync::VerifyReport& so_far) {
                                     if (terminal)
                                         fmt::print(stderr, "\r{} documents of {} instances",
                                                    so_far.documents, estimate);
                                 }));
    if (terminal) fmt::print(stderr, "\n");
    print(report, json);
    if (report.difference_count > 0) {
        co_return fail(ErrorCode::difference_found,
                       fmt::format("{} differences", report.difference_count));
    }
    co_return result<void>{};
}

} // namespace

void add_verify(Registry registry) {
    CLI::App* command =
        registry.add("verify", "compare every document with the engine's tables at one Position");
    command->callback([registry] {
        registry.chosen = [registry] {
            const bool json = registry.common.json;
            return run(registry.common,
                       [json](app::Application& application) { return verify(application, json); });
        };
    });
}

} // namespace netbuild::cli
