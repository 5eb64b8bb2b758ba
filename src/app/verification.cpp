// SPDX-License-Identifier: Apache-2.0
#include "verification.hpp"

#include "app/adapters.hpp"
#include "postgres/engine_snapshot.hpp"
#include "telemetry/log.hpp"
#include "wire/json.hpp"

namespace netbuild::app {
namespace {

/// The capture may be a little behind a snapshot.
constexpr std::chrono::seconds catch_up_max{60};

awaitable<result<void>> wait_applied(query::QueryService& queries, Position position) {
    query::Freshness fresh;
    fresh.kind = query::Freshness::Kind::position;
    fresh.position = position;
    fresh.wait = catch_up_max;
    co_return co_await queries.wait(fresh);
}

} // namespace

awaitable<result<sync::VerifyPorts>> verify_ports(asio::any_io_executor executor, Clock& clock,
                                                  const Configuration& configuration,
                                                  DocumentStore& store,
                                                  query::QueryService& queries) {
    if (configuration.text("engine.source") != "wal") {
        co_return fail(ErrorCode::unsupported,
                       "verify compares with the engine's database: engine.source must be wal");
    }
    CO_TRY(const auto options, pipeline_options(configuration));
    CO_TRY(const auto checkpoint, co_await store.checkpoint(options.engine));
    if (!checkpoint)
        co_return fail(ErrorCode::not_found,
                       "the read model is empty: has `netbuild serve` run on it?");
    const auto connection = postgres_options(configuration);
    const std::string schema = configuration.text("engine.schema");
    const std::uint32_t epoch = checkpoint->position.epoch();
    co_return sync::VerifyPorts{
        .snapshot =
            [executor, &clock, connection, schema, epoch] {
                return postgres::take_snapshot(executor, clock, connection, schema, epoch);
            },
        .wait_applied = [&queries](Position position) { return wait_applied(queries, position); },
        .store = store,
        .on_progress = [](const sync::VerifyReport&) {}};
}

Object VerifyOutcome::to_object() const {
    Object object{{"at", Date{at_us / 1000}}, {"tookMs", took_ms}};
    if (!trouble.empty()) {
        object.append("trouble", trouble);
        return object;
    }
    object.append("position", to_string(position));
    object.append("documents", static_cast<std::int64_t>(documents));
    object.append("differenceCount", static_cast<std::int64_t>(differences));
    object.append("newer", static_cast<std::int64_t>(newer));
    object.append("retained", static_cast<std::int64_t>(retained));
    return object;
}

awaitable<result<std::string>> verify_as_job(asio::any_io_executor executor, Clock& clock,
                                             const Configuration& configuration,
                                             const sync::ProjectionOptions& options,
                                             DocumentStore& store, query::QueryService& queries,
                                             std::optional<VerifyOutcome>& newest) {
    VerifyOutcome outcome;
    outcome.at_us = clock.utc_us();
    const auto started = clock.monotonic();
    auto ports = co_await verify_ports(executor, clock, configuration, store, queries);
    auto report = ports ? co_await sync::verify(std::move(*ports), options)
                        : result<sync::VerifyReport>(std::move(ports).error());
    outcome.took_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock.monotonic() - started).count();
    if (!report) {
        if (report.error().error_class() != ErrorClass::cancelled) {
            outcome.trouble = report.error().message();
            log::warning("a verify did not end: {}", outcome.trouble);
            newest = outcome;
        }
        co_return std::move(report).error();
    }
    outcome.position = report->position;
    outcome.documents = report->documents;
    outcome.differences = report->difference_count;
    outcome.newer = report->newer;
    outcome.retained = report->retained;
    newest = outcome;
    if (report->difference_count > 0) {
        const auto& one = report->differences.front();
        log::error("verify: {} differences between the read model and the engine, such as {} {} "
                   "{}: `netbuild verify --repair` mends them",
                   report->difference_count, one.collection, one.id, one.field);
    }
    co_return to_json(outcome.to_object());
}

} // namespace netbuild::app
