// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <charconv>

#include <fmt/format.h>

#include "http/tls_identity.hpp"
#include "postgres/slot_watch.hpp"
#include "redis/redis_bus.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::cli {
namespace {

struct Finding {
    std::string check;
    /// "ok", "warning", "error".
    std::string state;
    std::string detail;
    /// What to do about it; empty if there is nothing to do.
    std::string mend;
};
using Findings = std::vector<Finding>;

void ok(Findings& findings, std::string check, std::string detail) {
    findings.push_back({std::move(check), "ok", std::move(detail), {}});
}

std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void check_settings(const postgres::Rows& rows, Findings& findings) {
    const std::string wal_level(rows.text(0, 0));
    if (wal_level == "logical") {
        ok(findings, "wal_level", wal_level);
    } else {
        findings.push_back(
            {"wal_level", "error", wal_level, "set wal_level = logical and restart PostgreSQL"});
    }
    const std::int64_t version = number(rows.text(0, 1));
    if (version >= 140000) {
        ok(findings, "PostgreSQL version", std::to_string(version / 10000));
    } else {
        findings.push_back({"PostgreSQL version", "error", std::to_string(version / 10000),
                            "use PostgreSQL 14 or later"});
    }
    if (rows.text(0, 2) == "t") {
        ok(findings, "replication right", "granted");
    } else {
        findings.push_back({"replication right", "error", "this role may not replicate",
                            "ALTER ROLE … REPLICATION"});
    }
    const std::int64_t free_slots = number(rows.text(0, 3));
    if (free_slots > 0) {
        ok(findings, "replication slots", fmt::format("{} free", free_slots));
    } else {
        findings.push_back({"replication slots", "error", "none is free",
                            "raise max_replication_slots, or drop unused slots"});
    }
    if (number(rows.text(0, 4)) >= 0) {
        ok(findings, "max_slot_wal_keep_size", std::string(rows.text(0, 5)));
    } else {
        findings.push_back({"max_slot_wal_keep_size", "warning",
                            "unlimited: a stopped capture fills the disk with WAL",
                            "set max_slot_wal_keep_size, such as 50GB"});
    }
    // Created this many seconds ago by the engine's wall clock; empty without an instance.
    if (!rows.is_null(0, 6) && number(rows.text(0, 6)) < -60) {
        findings.push_back({"engine.time_zone", "warning",
                            fmt::format("the newest process instance starts {} s in the future",
                                        -number(rows.text(0, 6))),
                            "set [engine] time_zone to the zone of the engine's JVM"});
    } else {
        ok(findings, "engine.time_zone", "no start time lies in the future");
    }
}

void check_slot(const postgres::SlotReading& slot, Findings& findings) {
    constexpr int little_left_percent = 25;
    if (!slot.exists) {
        ok(findings, "slot", "not there yet: the first start makes it and loads the engine's data");
    } else if (!slot.usable()) {
        findings.push_back({"slot", "error", "its WAL is lost",
                            "start netbuild serve: it loads the read model anew and says the gap"});
    } else if (slot.limit_bytes && slot.safe_bytes &&
               *slot.safe_bytes < *slot.limit_bytes / 100 * little_left_percent) {
        findings.push_back(
            {"slot", "warning",
             fmt::format("{} MB of WAL until it is lost, of {} MB (max_slot_wal_keep_size)",
                         *slot.safe_bytes / 1'000'000, *slot.limit_bytes / 1'000'000),
             slot.active ? "raise max_slot_wal_keep_size; see what slows capture: netbuild status"
                         : "start netbuild serve, or raise max_slot_wal_keep_size"});
    } else {
        ok(findings, "slot",
           fmt::format("{}, WAL {}, {} MB kept", slot.active ? "active" : "not active",
                       slot.wal_status, slot.retained_bytes / 1'000'000));
    }
}

awaitable<result<void>> check_postgres(app::Application& application, Findings& findings) {
    const auto& configuration = application.configuration();
    CO_TRY(auto connection,
           co_await postgres::Connection::connect(application.executor(), application.clock(),
                                                  app::postgres_options(configuration)));
    const std::string schema = postgres::quote_identifier(configuration.text("engine.schema"));
    CO_TRY(const auto tables, co_await connection->query({"select to_regclass($1) is not null",
                                                          {schema + ".act_hi_procinst"}}));
    if (tables.text(0, 0) != "t") {
        findings.push_back({"Camunda's tables", "error", "there is no act_hi_procinst",
                            "check postgres.dbname and engine.schema, and start Camunda once"});
        co_return result<void>{};
    }
    ok(findings, "Camunda's tables", "found");
    CO_TRY(const auto zone, app::pipeline_options(configuration));
    (void)zone;
    CO_TRY(const auto rows,
           co_await connection->query({fmt::format(
               "select current_setting('wal_level'), current_setting('server_version_num'), "
               "(select rolreplication or rolsuper from pg_roles where rolname = current_user), "
               "current_setting('max_replication_slots')::int - (select count(*) from "
               "pg_replication_slots), "
               "(select setting from pg_settings where name = 'max_slot_wal_keep_size'), "
               "current_setting('max_slot_wal_keep_size'), "
               "(select extract(epoch from (now() at time zone 'UTC') - max(start_time_))::bigint "
               "from {}.act_hi_procinst)",
               schema)}));
    check_settings(rows, findings);
    CO_TRY(const auto level,
           co_await connection->query({fmt::format(
               "select value_ from {}.act_ge_property where name_ = 'historyLevel'", schema)}));
    if (level.count() == 1 && level.text(0, 0) == "3") {
        ok(findings, "history level", "full");
    } else {
        findings.push_back({"history level", "error", "not full: events would be missing",
                            "set Camunda's history-level to full"});
    }
    CO_TRY(const auto removal,
           co_await connection->query({fmt::format(
               "select count(*) from (select 1 from {}.act_hi_procinst where end_time_ is null and "
               "removal_time_ is null limit 1) open",
               schema)}));
    if (removal.text(0, 0) == "1") {
        findings.push_back(
            {"history removal time", "warning",
             "the end of a process rewrites all its history rows",
             "Camunda's history-removal-time-strategy: start writes a third less WAL"});
    }
    CO_TRY(const auto slot,
           co_await postgres::read_slot(*connection, configuration.text("engine.slot")));
    check_slot(slot, findings);
    co_return result<void>{};
}

awaitable<result<void>> check_redis(app::Application& application, Findings& findings) {
    auto* redis = dynamic_cast<RedisBus*>(&application.bus());
    if (!redis) co_return result<void>{};
    CO_TRY(const std::string policy, co_await redis->eviction_policy());
    if (policy.starts_with("allkeys-")) {
        findings.push_back({"maxmemory-policy", "error",
                            policy + " can throw the event stream away",
                            "set maxmemory-policy noeviction (or volatile-…)"});
    } else {
        ok(findings, "maxmemory-policy", policy);
    }
    co_return result<void>{};
}

void check_listener(const app::Configuration& configuration, std::int64_t now_s,
                    Findings& findings) {
    constexpr std::int64_t day_s = 24 * 60 * 60, soon_days = 14;
    const http::TlsFiles files{configuration.text("http.tls_certificate"),
                               configuration.text("http.tls_key")};
    if (files.empty()) {
        const std::string& host = configuration.text("http.host");
        if (app::is_loopback(host)) return ok(findings, "http", "on loopback, without TLS");
        findings.push_back(
            {"http", "warning", host + " without TLS: tokens and data can be read on the way",
             "set [http] tls_certificate and tls_key, or listen on loopback behind a proxy"});
        return;
    }
    const auto identity = http::TlsIdentity::load(files);
    if (!identity) {
        findings.push_back({"http", "error", identity.error().detail(),
                            "netbuild serve must read both files, and they must be a pair"});
        return;
    }
    constexpr std::string_view renew =
        "renew the certificate: netbuild serve takes a file that changed by itself";
    const auto days = (identity->valid_until_s() - now_s) / day_s;
    if (now_s >= identity->valid_until_s()) {
        findings.push_back({"http", "error", "the certificate has expired", std::string(renew)});
    } else if (now_s < identity->valid_from_s()) {
        findings.push_back({"http", "error", "the certificate is not valid yet",
                            "check this machine's clock, or wait"});
    } else if (days < soon_days) {
        findings.push_back({"http", "warning",
                            fmt::format("the certificate expires in {} days", days),
                            std::string(renew)});
    } else {
        ok(findings, "http", fmt::format("TLS, the certificate is good for {} days", days));
    }
}

void add_outcome(Findings& findings, std::string check, const result<void>& outcome,
                 std::string mend) {
    if (outcome) {
        ok(findings, std::move(check), "answers");
    } else {
        findings.push_back({std::move(check), "error", outcome.error().message(), std::move(mend)});
    }
}

awaitable<result<void>> doctor(app::Application& application, bool json) {
    const auto& configuration = application.configuration();
    Findings findings;
    add_outcome(findings, std::string(app::store_kind(configuration)),
                co_await application.store().prepare(sync::read_model_collections()),
                "check mongodb.uri, or store.path");
    const auto bus = co_await application.bus().ping();
    add_outcome(findings, std::string(app::bus_kind(configuration)), bus, "check redis.url");
    if (bus) {
        if (const auto checked = co_await check_redis(application, findings); !checked) {
            findings.push_back({"redis", "warning", checked.error().message(), {}});
        }
    }
    check_listener(configuration, application.clock().utc_us() / 1'000'000, findings);
    if (configuration.text("engine.source") == "wal") {
        const auto checked = co_await check_postgres(application, findings);
        add_outcome(findings, "postgres", checked,
                    "check [postgres] host, port, dbname, user, password");
    }
    if (auto rest = app::make_rest_engine(configuration, application.executor())) {
        add_outcome(findings, "camunda", co_await rest->ping(),
                    "check camunda.url: it ends in /engine-rest");
    }
    std::size_t errors = 0;
    Array list;
    std::vector<std::vector<std::string>> rows;
    for (const Finding& one : findings) {
        errors += one.state == "error";
        list.emplace_back(Object{{"check", one.check},
                                 {"state", one.state},
                                 {"detail", one.detail},
                                 {"mend", one.mend}});
        rows.push_back({one.state, one.check, one.detail, one.mend});
    }
    if (json) {
        print_json(Object{{"ok", errors == 0}, {"findings", std::move(list)}});
    } else {
        print_table({"STATE", "CHECK", "FOUND", "MEND"}, rows);
    }
    if (errors > 0)
        co_return fail(ErrorCode::difference_found, fmt::format("{} findings are errors", errors));
    co_return result<void>{};
}

} // namespace

void add_doctor(Registry registry) {
    CLI::App* command =
        registry.add("doctor", "check servers, rights and settings; each finding with its mend");
    command->callback([registry] {
        registry.chosen = [registry] {
            const bool json = registry.common.json;
            return run(registry.common,
                       [json](app::Application& application) { return doctor(application, json); });
        };
    });
}

} // namespace netbuild::cli
