// SPDX-License-Identifier: Apache-2.0
#include "app/loads.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ports/collection.hpp"
#include "postgres/connection.hpp"
#include "sync/load_request.hpp"
#include "telemetry/progress_bar.hpp"
#include "wire/json.hpp"

namespace netbuild::app {
namespace {

constexpr std::chrono::milliseconds look_interval{100};
/// A worker that streams sees a request within milliseconds; one that starts needs longer.
constexpr std::chrono::seconds taken_within{30};

awaitable<result<std::string>> ask(Application& application, sync::LoadRequest request) {
    const auto& configuration = application.configuration();
    CO_TRY(auto connection,
           co_await postgres::Connection::connect(application.executor(), application.clock(),
                                                  postgres_options(configuration)));
    CO_TRY(const auto lsn, co_await connection->query({"select pg_current_wal_insert_lsn()"}));
    request.slot = configuration.text("engine.slot");
    request.load.id = fmt::format("resync-{}", lsn.text(0, 0)); // one a place in the WAL
    CO_TRY_VOID(co_await connection->query(
        {"select pg_logical_emit_message(true, $1, $2)",
         {std::string(Transaction::request_prefix), sync::to_text(request)}}));
    co_return std::move(request.load.id);
}

awaitable<result<std::uint64_t>> follow(Application& application, std::string engine,
                                        std::string id) {
    Clock& clock = application.clock();
    ProgressBar bar("load " + id, "process instances", clock.monotonic());
    const Deadline taken(clock, taken_within);
    std::uint64_t instances = 0;
    bool seen = false;
    while (true) {
        CO_TRY(const auto checkpoint, co_await application.store().checkpoint(engine));
        if (checkpoint) {
            const auto& done = checkpoint->loads_done;
            if (std::find(done.begin(), done.end(), id) != done.end()) co_return instances;
            for (const LoadState& load : checkpoint->loads) {
                if (load.id != id) continue;
                seen = true;
                instances = load.instances_estimate;
                bar.update(load.instances, load.instances_estimate, clock.monotonic());
            }
        }
        if (!seen && taken.passed(clock)) {
            co_return fail(
                ErrorCode::unavailable,
                fmt::format("no worker has taken request {}: is `netbuild serve` running "
                            "with the role sync? The request stands in the WAL and is "
                            "served when one starts",
                            id));
        }
        CO_TRY_VOID(co_await clock.sleep(look_interval));
    }
}

} // namespace

awaitable<result<std::uint64_t>> load_and_wait(Application& application, LoadWish wish) {
    CO_TRY(const auto options, pipeline_options(application.configuration()));
    std::uint64_t loaded = 0;
    std::size_t next = 0;
    do {
        sync::LoadRequest request;
        request.load.kind = LoadState::Kind::request;
        request.load.all = wish.all;
        request.load.definitions = std::exchange(wish.definitions, false);
        request.load.standalone_tasks = std::exchange(wish.standalone_tasks, false);
        for (; next < wish.instances.size() && request.load.scope.size() < LoadState::scope_max;
             ++next)
            request.load.scope.push_back(wish.instances[next]);
        CO_TRY(auto id, co_await ask(application, std::move(request)));
        CO_TRY(const std::uint64_t instances,
               co_await follow(application, options.engine, std::move(id)));
        loaded += instances;
    } while (next < wish.instances.size());
    co_return loaded;
}

awaitable<result<std::string>> load_as_job(Application& application, std::string payload) {
    if (application.configuration().text("engine.source") != "wal")
        co_return fail(ErrorCode::unsupported,
                       "a load reads the engine's database: engine.source must be wal");
    constexpr Field fields[] = {{.name = "instances", .type = FieldType::list}};
    CO_TRY(const Value sent, parse_json(payload));
    CO_TRY(const Object body, read_body(fields, sent));
    LoadWish wish;
    if (const Value* instances = body.find("instances")) {
        for (const Value& instance : *instances->get_if<Array>())
            wish.instances.emplace_back(instance.string_or());
        wish.all = false;
    }
    CO_TRY(const std::uint64_t loaded, co_await load_and_wait(application, std::move(wish)));
    co_return to_json(Object{{"instances", static_cast<std::int64_t>(loaded)}});
}

} // namespace netbuild::app
