// SPDX-License-Identifier: Apache-2.0
#include "app/application.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include "http/position_header.hpp"
#include "http/routes.hpp"
#include "model_clocks.hpp"
#include "runtime/task_group.hpp"
#include "status.hpp"
#include "sync/event_retention.hpp"
#include "sync/pipeline.hpp"
#include "telemetry/log.hpp"

namespace netbuild::app {

result<Roles> Roles::parse(std::string_view text) {
    Roles roles{.sync = false, .api = false};
    while (true) {
        const auto comma = text.find(',');
        const std::string_view role = text.substr(0, comma);
        if (role == "sync") {
            roles.sync = true;
        } else if (role == "api") {
            roles.api = true;
        } else if (role != "realtime" && role != "jobs") {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("--roles: {} is none of sync, api, realtime, jobs", role));
        }
        if (comma == std::string_view::npos) return roles;
        text.remove_prefix(comma + 1);
    }
}

class Application::Impl {
public:
    Impl(asio::any_io_executor ex, Configuration settings, sync::PipelineOptions pipeline_settings)
        : executor(std::move(ex)),
          configuration(std::move(settings)),
          options(std::move(pipeline_settings)),
          random(Random::from_system()),
          progress(executor, clock),
          store(make_store(configuration)),
          bus(make_bus(configuration, executor, clock)),
          source(make_source(configuration, executor, clock)),
          spill(make_spill(configuration)),
          pool(make_pool(configuration, executor, clock)),
          engine(make_database_engine(configuration, pool.get(), options.projection.time_zone)),
          rest(make_rest_engine(configuration, executor)),
          engine_clock(make_engine_clock(configuration, executor, clock)),
          stored_clock(*store, clock, options.engine),
          captured_here(progress, stored_clock),
          queries({*store, stored_clock, clock, engine.get(), rest.get(), engine_clock.get()}),
          capture_queries(
              {*store, captured_here, clock, engine.get(), rest.get(), engine_clock.get()}) {}

    awaitable<result<void>> reach(bool with_source) {
        CO_TRY_VOID(co_await store->prepare(sync::read_model_collections()));
        CO_TRY_VOID(co_await bus->ping());
        if (with_source) CO_TRY_VOID(co_await source->identify());
        co_return result<void>{};
    }

    awaitable<result<void>> capture() {
        sync::Pipeline pipeline(
            options, {*source, *store, *bus, clock, random, executor, spill.get()}, progress);
        co_return co_await pipeline.run();
    }

    asio::any_io_executor executor;
    Configuration configuration;
    sync::PipelineOptions options;
    SystemClock clock;
    Random random;
    sync::Progress progress;
    std::unique_ptr<DocumentStore> store;
    std::unique_ptr<EventBus> bus;
    std::unique_ptr<ChangeSource> source;
    std::unique_ptr<SpillArea> spill;
    std::unique_ptr<postgres::Pool> pool;
    std::unique_ptr<ProcessEngine> engine;
    std::unique_ptr<ProcessEngine> rest;
    std::unique_ptr<EngineClock> engine_clock;
    StoredClock stored_clock;
    CapturedHere captured_here;
    query::QueryService queries;         // of a process without capture
    query::QueryService capture_queries; // of the one that captures
    bool capturing = false;
};

Application::Application(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Application::~Application() = default;

result<std::unique_ptr<Application>> Application::create(asio::any_io_executor executor,
                                                         Configuration configuration) {
    TRY(sync::PipelineOptions options, pipeline_options(configuration));
    return std::unique_ptr<Application>(new Application(
        std::make_unique<Impl>(std::move(executor), std::move(configuration), std::move(options))));
}

query::QueryService& Application::queries() {
    return impl_->capturing ? impl_->capture_queries : impl_->queries;
}
DocumentStore& Application::store() { return *impl_->store; }
EventBus& Application::bus() { return *impl_->bus; }
ChangeSource& Application::source() { return *impl_->source; }
Clock& Application::clock() { return impl_->clock; }
sync::Progress& Application::progress() { return impl_->progress; }
const Configuration& Application::configuration() const { return impl_->configuration; }
asio::any_io_executor Application::executor() const { return impl_->executor; }

awaitable<result<void>> Application::connect(bool source, Clock::duration wait) {
    const Deadline deadline(impl_->clock, wait);
    while (true) {
        auto reached = co_await impl_->reach(source);
        if (reached || !reached.error().transient() || deadline.passed(impl_->clock)) {
            if (reached && !impl_->capturing) CO_TRY_VOID(co_await impl_->stored_clock.refresh());
            co_return reached;
        }
        log::warning("{}; trying again", reached.error().message());
        CO_TRY_VOID(co_await impl_->clock.sleep(
            std::min<Clock::duration>(std::chrono::seconds(1), deadline.left(impl_->clock))));
    }
}

awaitable<result<void>> Application::capture() {
    impl_->capturing = true;
    co_return co_await impl_->capture();
}

awaitable<Value> Application::status() {
    StatusPorts ports{impl_->configuration,
                      impl_->options.engine,
                      *impl_->store,
                      *impl_->bus,
                      impl_->executor,
                      impl_->clock,
                      impl_->capturing ? &impl_->progress : nullptr};
    return query_status(ports);
}

namespace {

awaitable<result<void>> wait_for_signal(asio::any_io_executor executor) {
    asio::signal_set signals(executor, SIGINT, SIGTERM);
    const auto [ec, number] = co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
    if (ec) co_return fail(ErrorCode::cancelled, "signals");
    log::info("signal {}: ending", number);
    co_return result<void>{};
}

} // namespace

namespace {

constexpr std::chrono::minutes event_retention_interval{1};
constexpr std::chrono::seconds load_report_interval{2};

awaitable<result<void>> keep_events(DocumentStore& store, EventBus& bus, Clock& clock,
                                    Clock::duration keep) {
    while (true) {
        CO_TRY_VOID(co_await clock.sleep(event_retention_interval));
        const std::int64_t keep_ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(keep).count();
        const auto removed =
            co_await sync::remove_events_before(store, bus, Date{clock.utc_us() / 1000 - keep_ms});
        if (!removed) {
            log::warning("old events stay for now: {}", removed.error().message());
        } else if (*removed > 0) {
            log::info("{} event documents older than events.keep were removed", *removed);
        }
    }
}

/// The first load may take long: says how far it is.
awaitable<result<void>> report_load(const sync::Progress& progress, Clock& clock) {
    const auto started = clock.monotonic();
    while (progress.state == sync::State::starting || progress.state == sync::State::loading) {
        CO_TRY_VOID(co_await clock.sleep(load_report_interval));
        if (progress.state != sync::State::loading) continue;
        const double seconds = std::chrono::duration<double>(clock.monotonic() - started).count();
        log::info("loading: {} of about {} process instances ({:.0f} %), {:.0f} a second",
                  progress.load_instances, progress.load_instances_estimate,
                  progress.load_instances_estimate == 0
                      ? 100.0
                      : 100.0 * static_cast<double>(progress.load_instances) /
                            static_cast<double>(progress.load_instances_estimate),
                  static_cast<double>(progress.load_instances) / seconds);
    }
    co_return result<void>{};
}

} // namespace

awaitable<result<void>> Application::serve(Roles roles) {
    using namespace asio::experimental::awaitable_operators;
    Impl& impl = *impl_;
    impl.capturing = roles.sync;
    Signal ended(impl.executor);
    std::optional<Error> failure;
    TaskGroup tasks(impl.executor, [&](const std::string& name, const Error& error) {
        if (!failure) failure = Error(error).within(name);
        ended.notify_all();
    });
    ReadModelClock& model =
        roles.sync ? static_cast<ReadModelClock&>(impl.captured_here) : impl.stored_clock;
    Metrics metrics(impl.progress, impl.clock);
    http::Routes routes({queries(), model, *impl.bus, impl.clock,
                         [this] {
                             return cached_status(impl_->progress, impl_->configuration,
                                                  impl_->clock, impl_->capturing);
                         },
                         [this] {
                             return unready_reasons(*impl_->store, *impl_->bus, impl_->progress,
                                                    impl_->capturing);
                         },
                         [&metrics] { return metrics.text(); }});
    http::Server server(
        impl.executor,
        {.host = impl.configuration.text("http.host"),
         .port = static_cast<std::uint16_t>(impl.configuration.integer("http.port")),
         .connections_max =
             static_cast<std::size_t>(impl.configuration.integer("http.connections_max"))},
        routes);
    if (roles.api) {
        CO_TRY_VOID(server.listen());
        log::info("listening on http://{}:{}", impl.configuration.text("http.host"), server.port());
        tasks.spawn("http", server.run());
    }
    if (roles.sync) {
        tasks.spawn("capture", impl.capture());
        tasks.spawn("load report", report_load(impl.progress, impl.clock));
        tasks.spawn("event retention", keep_events(*impl.store, *impl.bus, impl.clock,
                                                   impl.configuration.duration("events.keep")));
    }
    tasks.spawn("freshness", impl.stored_clock.follow([&impl] {
        return !impl.capturing || impl.captured_here.standing_by();
    }));
    if (!failure) (void)co_await (wait_for_signal(impl.executor) || ended.wait());
    co_await tasks.stop();
    if (failure) co_return *failure;
    co_return result<void>{};
}

} // namespace netbuild::app
