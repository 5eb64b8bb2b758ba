// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "demo_recording.hpp"
#include "sync/content_hash.hpp"

namespace netbuild::cli {
namespace {

struct Options {
    bool once = false;
    std::uint64_t instances = 0;
    std::string port = "8080";
    std::string folder = "netbuild-data/demo", auth = "none";
};

constexpr std::chrono::hours token_ttl{24};

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

/// With http.auth = "token", a line that gives the shell one for all that follows.
awaitable<result<std::string>> sign_in(app::Application& application) {
    if (application.configuration().text("http.auth") != "token") co_return std::string();
    CO_TRY(const std::string token,
           co_await application.identity().sign("demo", {{std::string(every_domain), Role::owner}},
                                                token_ttl));
    co_return fmt::format("  token        auth='Authorization: Bearer {}'\n", token);
}

awaitable<result<void>> serve(app::Application& application) {
    CO_TRY_VOID(co_await application.connect(true, {}));
    CO_TRY_VOID(co_await application.prepare_records());
    CO_TRY(const std::string token, co_await sign_in(application));
    const std::string_view curl = token.empty() ? "curl" : "curl -H \"$auth\"";
    const std::string base = "http://127.0.0.1:" + application.configuration().text("http.port");
    fmt::print("\nThe recording is in; now orders run through the whole pipeline into {0}.\n\n{3}"
               "  executions   {2} '{1}/v1/executions?limit=3'\n"
               "  one of them  {2} '{1}/v1/executions/order-1001'\n"
               "  task list    {2} '{1}/v1/tasks?limit=3'\n"
               "  live events  {2} -N '{1}/v1/events'\n"
               "  status       {2} '{1}/v1/sync'\n\nCtrl-C ends it.\n",
               application.configuration().text("store.path"), base, curl, token);
    std::fflush(stdout);
    co_return co_await application.serve({.sync = true, .api = true});
}

/// The demo is the embedded default, whatever the environment says.
result<app::Configuration> configuration_of(const Options& options, std::string source) {
    return app::Configuration::load("", {},
                                    {{"engine.source", std::move(source)},
                                     {"engine.recording", options.folder + "/camunda.nbrec"},
                                     {"simulator.instances", std::to_string(options.instances)},
                                     {"simulator.rate", "2"},
                                     {"http.port", options.port},
                                     {"http.auth", options.auth},
                                     {"store.path", options.folder}});
}

result<void> unpack_recording(const std::string& folder) {
    std::error_code ec;
    std::filesystem::remove_all(folder, ec); // a demo begins anew
    std::filesystem::create_directories(folder, ec);
    std::ofstream file(folder + "/camunda.nbrec", std::ios::binary);
    const auto bytes = demo_recording();
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) return fail(ErrorCode::unavailable, folder + " cannot be written to");
    return {};
}

result<void> demo(const Options& options, bool json) {
    TRY_VOID(unpack_recording(options.folder));
    TRY(auto recorded, configuration_of(options, "recording"));
    TRY_VOID(run(std::move(recorded),
                 [&](app::Application& application) { return once(application, json); }));
    if (options.once) return {};
    TRY(auto simulated, configuration_of(options, "simulator"));
    return run(std::move(simulated),
               [](app::Application& application) { return serve(application); });
}

} // namespace

void add_demo(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* command = registry.add(
        "demo",
        "the main job on the embedded default: a recording of a real Camunda, then live orders");
    command->add_flag("--once", options->once, "no server: the recording only, a summary, exit");
    command->add_option("--instances", options->instances, "simulated orders; 0: without end");
    command->add_option("--port", options->port, "of the HTTP API")->capture_default_str();
    command->add_option("--auth", options->auth, "none, or token: then one is printed")
        ->check(CLI::IsMember({"none", "token"}))
        ->capture_default_str();
    command->add_option("--folder", options->folder, "where the demo's store lies")
        ->capture_default_str();
    command->callback([registry, options] {
        registry.chosen = [registry, options] { return demo(*options, registry.common.json); };
    });
}

} // namespace netbuild::cli
