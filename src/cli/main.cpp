// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <csignal>
#include <cstdio>

#include <fmt/format.h>

int main(int argc, char** argv) {
    using namespace netbuild;
    std::signal(SIGPIPE, SIG_IGN); // a closed pipe or socket is an error where it is written to
    std::signal(SIGXFSZ, SIG_IGN); // so is a file that may not grow: a full disk
    CLI::App app("NetBuild's data layer: Camunda 7, MongoDB and Redis on one clock", "netbuild");
    app.set_version_flag("--version", "netbuild 0.1.0");
    app.require_subcommand(1);
    cli::Common common;
    cli::Work chosen;
    const cli::Registry registry{app, common, chosen};
    cli::add_demo(registry);
    cli::add_serve(registry);
    cli::add_status(registry);
    cli::add_queries(registry);
    cli::add_events(registry);
    cli::add_verify(registry);
    cli::add_resync(registry);
    cli::add_record(registry);
    cli::add_deadletter(registry);
    cli::add_doctor(registry);
    cli::add_schema(registry);
    cli::add_user(registry);
    cli::add_embeddings(registry);
    cli::add_config(registry);
    cli::add_queue(registry);
    cli::add_sockets(registry);
    cli::add_realtime_testbed(registry);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        const auto outcome = chosen();
        if (outcome) return 0;
        fmt::print(stderr, "netbuild: {}\n", outcome.error().message());
        return exit_code_of(outcome.error().code());
    } catch (const std::exception& exception) {
        fmt::print(stderr, "netbuild: {}\n", exception.what());
        return 1;
    }
}
