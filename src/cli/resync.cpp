// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>

#include "app/loads.hpp"
#include "postgres/connection.hpp"
#include "wire/json.hpp"

namespace netbuild::cli {
namespace {

struct Options {
    std::vector<std::string> instances;
    std::string definition_key, domain, status, started_after, started_before;

    [[nodiscard]] bool filtered() const {
        return !definition_key.empty() || !domain.empty() || !status.empty() ||
               !started_after.empty() || !started_before.empty();
    }
};

/// Camunda's history states of one of our status names; empty if it is none.
std::string states_of(const std::string& status) {
    if (status == "active") return "{ACTIVE}";
    if (status == "suspended") return "{SUSPENDED}";
    if (status == "completed") return "{COMPLETED}";
    if (status == "terminated") return "{EXTERNALLY_TERMINATED,INTERNALLY_TERMINATED}";
    return {};
}

/// A UTC time as the engine's tables have it: wall time of its JVM, without a zone.
result<std::string> engine_time(const std::string& flag, const std::string& text,
                                const TimeZone& zone) {
    auto date = parse_date(text);
    if (!date)
        return fail(ErrorCode::invalid_argument,
                    flag + ": must be a time such as 2026-01-31T00:00:00Z");
    std::string local = format_utc(Date{zone.to_wall_ms(date->milliseconds)});
    local.pop_back(); // Z
    return local;
}

awaitable<result<std::vector<std::string>>> find_instances(app::Application& application,
                                                           Options options) {
    const auto& configuration = application.configuration();
    CO_TRY(const auto pipeline, app::pipeline_options(configuration));
    postgres::Statement statement{
        fmt::format("select proc_inst_id_ from {}.act_hi_procinst where true",
                    postgres::quote_identifier(configuration.text("engine.schema")))};
    const auto add = [&](std::string_view condition, std::string value) {
        statement.parameters.emplace_back(std::move(value));
        statement.sql += fmt::format(fmt::runtime(condition), statement.parameters.size());
    };
    if (!options.definition_key.empty()) add(" and proc_def_key_ = ${}", options.definition_key);
    if (!options.domain.empty()) add(" and tenant_id_ = ${}", options.domain);
    if (!options.status.empty()) {
        const std::string states = states_of(options.status);
        if (states.empty())
            co_return fail(ErrorCode::invalid_argument,
                           "--status: one of active, suspended, completed, terminated");
        add(" and state_ = any(${}::text[])", states);
    }
    const TimeZone& zone = pipeline.projection.time_zone;
    if (!options.started_after.empty()) {
        CO_TRY(auto time, engine_time("--started-after", options.started_after, zone));
        add(" and start_time_ > ${}::timestamp", std::move(time));
    }
    if (!options.started_before.empty()) {
        CO_TRY(auto time, engine_time("--started-before", options.started_before, zone));
        add(" and start_time_ < ${}::timestamp", std::move(time));
    }
    CO_TRY(auto connection,
           co_await postgres::Connection::connect(application.executor(), application.clock(),
                                                  app::postgres_options(configuration)));
    CO_TRY(const auto rows, co_await connection->query(std::move(statement)));
    for (int i = 0; i < rows.count(); ++i)
        options.instances.emplace_back(rows.text(i, 0));
    co_return std::move(options.instances);
}

awaitable<result<void>> resync(app::Application& application, Options options, bool json) {
    if (application.configuration().text("engine.source") != "wal") {
        co_return fail(ErrorCode::unsupported,
                       "resync needs the engine's database: engine.source = wal");
    }
    CO_TRY_VOID(co_await application.connect(false, {}));
    app::LoadWish wish;
    wish.all = options.instances.empty() && !options.filtered();
    if (options.filtered()) {
        CO_TRY(wish.instances, co_await find_instances(application, std::move(options)));
    } else {
        wish.instances = std::move(options.instances);
    }
    std::uint64_t loaded = 0;
    if (wish.all || !wish.instances.empty()) {
        CO_TRY(loaded, co_await app::load_and_wait(application, std::move(wish)));
    }
    if (json) {
        print_json(Object{{"instances", static_cast<std::int64_t>(loaded)}});
    } else {
        fmt::print("{} process instances loaded anew\n", loaded);
    }
    co_return result<void>{};
}

} // namespace

void add_resync(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* command = registry.add(
        "resync", "load the read model anew from the engine's database, without stopping capture");
    command->add_option("--instance", options->instances,
                        "a process instance's id; may be repeated");
    command->add_option("--definition-key", options->definition_key, "of these process instances");
    command->add_option("--domain", options->domain, "of this tenant");
    command->add_option("--status", options->status, "active, suspended, completed or terminated");
    command->add_option("--started-after", options->started_after, "such as 2026-01-31T00:00:00Z");
    command->add_option("--started-before", options->started_before, "the same");
    command->callback([registry, options] {
        registry.chosen = [registry, options] {
            const bool json = registry.common.json;
            return run(registry.common, [options, json](app::Application& application) {
                return resync(application, *options, json);
            });
        };
    });
}

} // namespace netbuild::cli
