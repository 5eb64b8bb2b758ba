// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <cstdio>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include "telemetry/log.hpp"
#include "wire/json.hpp"

namespace netbuild::cli {

CLI::App* Registry::add(const std::string& name, const std::string& help) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("--config", common.config_file, "netbuild.toml")->check(CLI::ExistingFile);
    command->add_flag("--json", common.json, "one JSON object on stdout");
    return command;
}

result<app::Configuration> load_configuration(const Common& common) {
    TRY(auto configuration,
        app::Configuration::load(common.config_file, app::Configuration::environment(),
                                 common.flags));
    const std::string& level = configuration.text("log.level");
    log::configure(level == "debug"     ? log::Level::debug
                   : level == "warning" ? log::Level::warning
                   : level == "error"   ? log::Level::error
                                        : log::Level::info,
                   configuration.text("log.format") == "json" ? log::Format::json
                                                              : log::Format::text);
    return configuration;
}

result<void> run(const Common& common,
                 std::function<awaitable<result<void>>(app::Application&)> work) {
    TRY(auto configuration, load_configuration(common));
    return run(std::move(configuration), std::move(work));
}

result<void> run(app::Configuration configuration,
                 std::function<awaitable<result<void>>(app::Application&)> work) {
    asio::io_context context(1);
    TRY(auto application,
        app::Application::create(context.get_executor(), std::move(configuration)));
    std::optional<result<void>> outcome;
    asio::co_spawn(context, work(*application),
                   [&](const std::exception_ptr& escaped, result<void> ended) {
                       if (escaped) {
                           try {
                               std::rethrow_exception(escaped);
                           } catch (const std::exception& exception) {
                               ended = fail(ErrorCode::internal, exception.what());
                           }
                       }
                       outcome.emplace(std::move(ended));
                   });
    while (!outcome && context.run_one() > 0) {
    }
    context.poll(); // what ended with it
    return outcome ? std::move(*outcome)
                   : result<void>(fail(ErrorCode::internal, "the event loop ran dry"));
}

void print_json(const Value& value) { fmt::print("{}\n", to_json(value)); }

std::string cell(const Value* value) {
    if (!value || value->is_null()) return "-";
    if (const auto* text = value->get_if<std::string>()) return *text;
    if (const auto* date = value->get_if<Date>()) return format_utc(*date);
    return to_json(*value);
}

void print_table(const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& title : header)
        widths.push_back(title.size());
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], row[i].size());
    }
    const auto line = [&](const std::vector<std::string>& cells) {
        std::string text;
        for (std::size_t i = 0; i < cells.size(); ++i)
            text += fmt::format("{:<{}}  ", cells[i], widths[i]);
        while (!text.empty() && text.back() == ' ')
            text.pop_back();
        fmt::print("{}\n", text);
    };
    line(header);
    for (const auto& row : rows)
        line(row);
}

} // namespace netbuild::cli
