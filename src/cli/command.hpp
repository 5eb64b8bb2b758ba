// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <string>

#include <CLI/CLI.hpp>

#include "app/application.hpp"

namespace netbuild::cli {

/// What every command has.
struct Common {
    std::string config_file;
    bool json = false;
    /// Settings that flags override: key → value.
    std::map<std::string, std::string> flags;
};

/// Commands add themselves: options now, work when chosen. The work's failure becomes the exit
/// code.
using Work = std::function<result<void>()>;
struct Registry {
    CLI::App& app;
    Common& common;
    Work& chosen;
    /// A subcommand with --config and --json.
    CLI::App* add(const std::string& name, const std::string& help);
};

void add_serve(Registry registry);
void add_demo(Registry registry);
void add_status(Registry registry);
void add_queries(Registry registry);
void add_events(Registry registry);
void add_verify(Registry registry);
/// verify payments, verify snapshots.
void add_verify_data(Registry registry);
void add_verify_embeddings(Registry registry);
void add_embeddings(Registry registry);
void add_resync(Registry registry);
void add_record(Registry registry);
void add_deadletter(Registry registry);
void add_doctor(Registry registry);
void add_schema(Registry registry);
void add_user(Registry registry);
void add_config(Registry registry);
void add_queue(Registry registry);
void add_sockets(Registry registry);
void add_realtime_testbed(Registry registry);

/// The configuration with a command's flags; logging is set by it.
result<app::Configuration> load_configuration(const Common& common);
/// Runs `work` on an event loop of its own.
result<void> run(const Common& common,
                 std::function<awaitable<result<void>>(app::Application&)> work);
/// The same with a configuration at hand.
result<void> run(app::Configuration configuration,
                 std::function<awaitable<result<void>>(app::Application&)> work);

void print_json(const Value& value);
/// Columns are aligned; a header line comes first.
void print_table(const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows);
/// A value for a cell: text without quotes, null as "-".
std::string cell(const Value* value);

} // namespace netbuild::cli
