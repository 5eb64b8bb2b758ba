// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>

#include "sync/content_hash.hpp"

namespace netbuild::cli {
namespace {

struct Options {
    bool once = false;
    std::uint64_t instances = 0;
    std::string port = "8080";
    std::string folder = "netbuild-data/demo";
};

awaitable<result<void>> once(app::Application& application, bool json) {
    CO_TRY_VOID(co_await application.connect(true, {}));
    const auto started = application.clock().monotonic();
    CO_TRY_VOID(co_await application.capture());
    const auto elapsed = application.clock().monotonic() - started;
    CO_TRY(const auto content, co_await sync::content_hash(application.store()));
    const auto& progress = application.progress();
    const Object summary{
        {"transactions", static_cast<std::int64_t>(progress.transactions)},
        {"rowChanges", static_cast<std::int64_t>(progress.row_changes)},
        {"events", static_cast<std::int64_t>(progress.events)},
        {"documents", static_cast<std::int64_t>(content.documents)},
        {"contentHash", content.sha256},
        {"position", to_string(progress.applied)},
        {"elapsedMs", std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count()},
        {"source", application.configuration().text("engine.source")}};
    if (json) {
        print_json(summary);
    } else {
        for (const auto& member : summary)
            fmt::print("{:<13} {}\n", member.key, cell(&member.value));
    }
    co_return result<void>{};
}

awaitable<result<void>> serve(app::Application& application) {
    CO_TRY_VOID(co_await application.connect(true, {}));
    const std::string base = "http://127.0.0.1:" + application.configuration().text("http.port");
    fmt::print("NetBuild demo: orders run through the whole pipeline into {}\n\n"
               "  executions   curl '{}/v1/executions?limit=3'\n"
               "  one of them  curl '{}/v1/executions/order-1001'\n"
               "  task list    curl '{}/v1/tasks?limit=3'\n"
               "  live events  curl -N '{}/v1/events'\n"
               "  status       curl '{}/v1/sync'\n\nCtrl-C ends it.\n",
               application.configuration().text("store.path"), base, base, base, base, base);
    std::fflush(stdout);
    co_return co_await application.serve({.sync = true, .api = true});
}

} // namespace

void add_demo(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* command = registry.add("demo", "the main job on the embedded default");
    command->add_flag("--once", options->once, "no server: process, print a summary, exit");
    command->add_option("--instances", options->instances, "simulated orders; 0: without end");
    command->add_option("--port", options->port, "of the HTTP API")->capture_default_str();
    command->add_option("--folder", options->folder, "where the demo's store lies")
        ->capture_default_str();
    command->callback([registry, options] {
        registry.chosen = [registry, options]() -> result<void> {
            // The demo is the embedded default whatever the environment says.
            auto configuration = app::Configuration::load(
                "", {},
                {{"engine.source", "simulator"},
                 {"simulator.instances", std::to_string(options->instances)},
                 {"simulator.rate", options->once ? "0" : "2"},
                 {"http.port", options->port},
                 {"store.path", options->folder}});
            if (!configuration) return std::move(configuration).error();
            if (options->once && options->instances == 0) {
                TRY_VOID(configuration->set("simulator.instances", "500", "demo"));
            }
            std::error_code ignored;
            std::filesystem::remove_all(options->folder, ignored); // a demo begins anew
            const bool json = registry.common.json;
            if (options->once)
                return run(std::move(*configuration), [json](app::Application& application) {
                    return once(application, json);
                });
            return run(std::move(*configuration),
                       [](app::Application& application) { return serve(application); });
        };
    });
}

} // namespace netbuild::cli
