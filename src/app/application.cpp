// SPDX-License-Identifier: Apache-2.0
#include "app/application.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include "app/loads.hpp"
#include "base/position_header.hpp"
#include "caches.hpp"
#include "data/ai_contexts.hpp"
#include "data/conversations.hpp"
#include "data/domains.hpp"
#include "data/embedded_passages.hpp"
#include "data/schema.hpp"
#include "health.hpp"
#include "http/auth_routes.hpp"
#include "http/conversation_routes.hpp"
#include "http/domain_routes.hpp"
#include "http/embedding_routes.hpp"
#include "http/member_routes.hpp"
#include "http/payment_routes.hpp"
#include "http/realtime_routes.hpp"
#include "http/routes.hpp"
#include "http/snapshot_routes.hpp"
#include "model_clocks.hpp"
#include "realtime.hpp"
#include "runtime/task_group.hpp"
#include "sessions.hpp"
#include "status.hpp"
#include "sync/event_retention.hpp"
#include "sync/pipeline.hpp"
#include "sync/record_capture.hpp"
#include "telemetry/log.hpp"
#include "telemetry/progress_bar.hpp"
#include "toolkit.hpp"
#include "verification.hpp"

namespace netbuild::app {

result<Roles> Roles::parse(std::string_view text) {
    Roles roles{.sync = false, .api = false, .realtime = false, .jobs = false};
    while (true) {
        const auto comma = text.find(',');
        const std::string_view role = text.substr(0, comma);
        if (role == "sync") {
            roles.sync = true;
        } else if (role == "api") {
            roles.api = true;
        } else if (role == "realtime") {
            roles.realtime = true;
        } else if (role == "jobs") {
            roles.jobs = true;
        } else {
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
          records(make_records(configuration, clock)),
          record_changes(make_record_changes(configuration, clock)),
          bus(make_bus(configuration, executor, clock)),
          documents_bus(make_documents_bus(configuration, executor, clock)),
          source(make_source(configuration, executor, clock)),
          spill(make_spill(configuration)),
          pool(make_pool(configuration, executor, clock)),
          engine(make_database_engine(configuration, pool.get(), options.projection.time_zone)),
          rest(make_rest_engine(configuration, executor)),
          store_health(clock, store_name(configuration), [this] { return store->ping(); }),
          bus_health(clock, bus_name(configuration), [this] { return bus->ping(); }),
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

    [[nodiscard]] std::unique_ptr<postgres::SlotWatch> make_slot_watch() {
        if (configuration.text("engine.source") != "wal") return nullptr;
        postgres::SlotWatch::Options watch;
        watch.connection = postgres_options(configuration);
        watch.slot = configuration.text("engine.slot");
        watch.heartbeat_interval = configuration.duration("engine.heartbeat_interval");
        watch.expected = [this] {
            return progress.state == sync::State::streaming ||
                   progress.state == sync::State::loading ||
                   progress.state == sync::State::retrying;
        };
        watch.lost = [this](std::string_view why) { progress.slot_lost(why); };
        watch.captured = [this] { return progress.captured.lsn(); };
        return std::make_unique<postgres::SlotWatch>(executor, clock, std::move(watch));
    }

    /// Where the engine is captured, own data is: one worker has both.
    [[nodiscard]] bool own_turn() const {
        return progress.state != sync::State::starting && progress.state != sync::State::standby;
    }

    awaitable<result<void>> capture_records() {
        sync::RecordCapture capture(
            {*record_changes, *documents_bus, clock, random, [this] { return own_turn(); }},
            record_progress);
        co_return co_await capture.run();
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
    std::unique_ptr<RecordStore> records;
    std::optional<identity::Identity> identity;
    std::unique_ptr<VectorIndexes> vectors;
    std::unique_ptr<data::EmbeddingCache> embedding_cache;
    std::optional<data::Embeddings> embeddings;
    std::unique_ptr<RecordChanges> record_changes;
    sync::RecordProgress record_progress;
    std::unique_ptr<EventBus> bus, documents_bus;
    std::unique_ptr<ChangeSource> source;
    std::unique_ptr<SpillArea> spill;
    std::unique_ptr<postgres::Pool> pool;
    std::unique_ptr<ProcessEngine> engine;
    std::unique_ptr<ProcessEngine> rest;
    Health store_health, bus_health;
    std::unique_ptr<EngineClock> engine_clock;
    StoredClock stored_clock;
    CapturedHere captured_here;
    query::QueryService queries;         // of a process without capture
    query::QueryService capture_queries; // of the one that captures
    bool capturing = false;
    std::optional<VerifyOutcome> verified;
    ProgressRates rates;
};

Application::Application(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Application::~Application() = default;

result<std::unique_ptr<Application>> Application::create(asio::any_io_executor executor,
                                                         Configuration configuration) {
    TRY(sync::PipelineOptions options, pipeline_options(configuration));
    TRY_VOID(check_sessions(configuration));
    return std::unique_ptr<Application>(new Application(
        std::make_unique<Impl>(std::move(executor), std::move(configuration), std::move(options))));
}

query::QueryService& Application::queries() {
    return impl_->capturing ? impl_->capture_queries : impl_->queries;
}
DocumentStore& Application::store() { return *impl_->store; }
RecordStore& Application::records() { return *impl_->records; }
identity::Identity& Application::identity() {
    // Made when it is first asked for: it hashes a password to compare unknown users' with.
    if (!impl_->identity)
        impl_->identity.emplace(*impl_->records, impl_->clock,
                                identity_options(impl_->configuration));
    return *impl_->identity;
}
VectorIndexes& Application::vectors() {
    if (!impl_->vectors) impl_->vectors = make_vectors(impl_->configuration);
    return *impl_->vectors;
}
data::Embeddings& Application::embeddings() {
    Impl& impl = *impl_;
    if (!impl.embedding_cache)
        impl.embedding_cache = std::make_unique<data::EmbeddingCache>(
            *impl.records, vectors(), impl.clock, impl.executor,
            embedding_options(impl.configuration));
    if (!impl.embeddings)
        impl.embeddings.emplace(*impl.records, *impl.embedding_cache, impl.clock,
                                Random::from_system());
    return *impl.embeddings;
}
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

/// Fewer than these are indexed before anybody would look.
constexpr std::uint64_t records_worth_a_bar = 1000;

awaitable<result<std::vector<SchemaChange>>> Application::prepare_records() {
    // Adapters report from their threads, one call after the other.
    const auto bar = std::make_shared<std::optional<ProgressBar>>();
    return data::apply_schema(*impl_->records,
                              [bar, &clock = impl_->clock](const SchemaChange& change,
                                                           std::uint64_t done, std::uint64_t of) {
                                  const bool begins = of == 0;
                                  if (begins) log::debug("{}", change.text());
                                  if (begins) bar->reset();
                                  if (begins || of < records_worth_a_bar) return;
                                  if (!*bar)
                                      bar->emplace(change.text(), "records", clock.monotonic());
                                  (*bar)->update(done, of, clock.monotonic());
                              });
}

awaitable<result<void>> Application::capture() {
    impl_->capturing = true;
    co_return co_await impl_->capture();
}

awaitable<result<sync::VerifyPorts>> Application::verify_ports() {
    return app::verify_ports(impl_->executor, impl_->clock, impl_->configuration, *impl_->store,
                             queries());
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

constexpr std::chrono::minutes event_retention_interval{1}, expired_records_interval{5};
constexpr std::chrono::milliseconds load_report_interval{500};
constexpr std::chrono::milliseconds snapshots_interval{100}, snapshots_retry{1000};

/// The Position of NetBuild's own data at a time: seconds in the upper half.
Position own_position(std::int64_t ms) {
    return {static_cast<std::uint64_t>(std::max<std::int64_t>(0, ms / 1000)) << 32, 0};
}

/// But for its newest entry, however old: a stream without it has lost its data.
awaitable<result<void>> trim_documents(EventBus& documents, std::int64_t before_ms) {
    CO_TRY(const Position last, co_await documents.last());
    co_return co_await documents.trim_before(std::min(own_position(before_ms), last));
}

awaitable<result<void>> keep_events(DocumentStore& store, EventBus& bus, EventBus& documents,
                                    Clock& clock, Clock::duration keep) {
    // What is kept for seconds is looked at more often than what is kept for days.
    const Clock::duration interval = std::clamp<Clock::duration>(
        keep / 4, std::chrono::milliseconds(500), event_retention_interval);
    while (true) {
        CO_TRY_VOID(co_await clock.sleep(interval));
        const std::int64_t keep_ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(keep).count();
        const auto removed =
            co_await sync::remove_events_before(store, bus, Date{clock.utc_us() / 1000 - keep_ms});
        const auto trimmed = co_await trim_documents(documents, clock.utc_us() / 1000 - keep_ms);
        if (!trimmed) log::warning("old events stay for now: {}", trimmed.error().message());
        if (!removed) {
            log::warning("old events stay for now: {}", removed.error().message());
        } else if (*removed > 0) {
            log::info("{} event documents older than events.keep were removed", *removed);
        }
    }
}

/// Sessions and tokens that nobody can use any more.
awaitable<result<std::string>> remove_expired_records(RecordStore& records, Clock& clock) {
    CO_TRY_VOID(co_await data::remove_expired(records, Date{clock.utc_us() / 1000}));
    co_return std::string();
}

/// Follows the capture: what completed is in a snapshot soon after it is in the read model.
awaitable<result<void>> take_snapshots(snapshots::TaskSnapshots& snapshots,
                                       const sync::Progress& progress, Clock& clock) {
    std::optional<Position> looked_at; // a worker before us may have left some
    bool trouble = false;
    while (true) {
        const Position applied = progress.applied;
        if (applied == looked_at) {
            CO_TRY_VOID(co_await clock.sleep(snapshots_interval));
            continue;
        }
        const auto taken = co_await snapshots.take_completed();
        if (!taken) {
            if (taken.error().error_class() == ErrorClass::cancelled)
                co_return std::move(taken).error();
            if (!std::exchange(trouble, true))
                log::warning("snapshots wait: {}", taken.error().message());
            CO_TRY_VOID(co_await clock.sleep(snapshots_retry));
            continue;
        }
        if (*taken > 0) continue;
        trouble = false;
        looked_at = applied;
    }
}

/// A load may take long: says how far it is.
awaitable<result<void>> report_load(const sync::Progress& progress, Clock& clock) {
    std::optional<ProgressBar> bar;
    std::string shown; // the load that the bar is of
    while (true) {
        CO_TRY_VOID(co_await clock.sleep(load_report_interval));
        if (progress.load_id != shown) {
            shown = progress.load_id;
            bar.reset();
            if (!shown.empty())
                bar.emplace("load " + shown, "process instances", clock.monotonic());
        }
        if (bar)
            bar->update(progress.load_instances, progress.load_instances_estimate,
                        clock.monotonic());
    }
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
    const auto slot_watch = roles.sync ? impl.make_slot_watch() : nullptr;
    StatusSources sources{impl.progress,    impl.configuration,  impl.options.engine,
                          impl.clock,       impl.verified,       impl.rates,
                          slot_watch.get(), impl.record_progress};
    Metrics metrics(sources);
    http::AuthRoutes auth(identity());
    http::MemberRoutes member_routes(identity());
    payments::Payments payments({*impl.records, impl.clock, impl.random});
    http::PaymentRoutes payment_routes(payments);
    snapshots::TaskSnapshots snapshots(
        {*impl.records, *impl.store, impl.clock, impl.random, impl.options.engine});
    http::SnapshotRoutes snapshot_routes(snapshots);
    data::Conversations conversations(*impl.records, impl.clock, impl.executor);
    data::EmbeddedPassages passages(embeddings());
    data::AiContexts ai_contexts(*impl.records, conversations, impl.clock, &passages);
    http::ConversationRoutes conversation_routes(conversations, ai_contexts);
    http::EmbeddingRoutes embedding_routes(embeddings());
    const bool token = impl.configuration.text("http.auth") == "token";
    Toolkit toolkit(impl.configuration, impl.executor, impl.clock);
    Jobs& jobs = toolkit.jobs();
    EventFeed events(impl.configuration, impl.executor, impl.clock, *impl.bus,
                     impl.documents_bus.get(), queries());
    // A stream within a process is heard by the one that fills it; a standby does not fill its own.
    const bool fills = roles.sync && impl.configuration.text("engine.source") != "wal";
    const bool follows = roles.api || roles.realtime;
    Caches caches(impl.configuration, impl.executor, impl.clock, *impl.records, events.feed,
                  fills || impl.configuration.has("redis.url"));
    data::Domains domains(*impl.records, impl.clock, caches.domains());
    http::DomainRoutes domain_routes(domains);
    std::optional<Realtime> realtime;
    if (roles.realtime)
        realtime.emplace(impl.configuration, impl.executor, impl.clock, events.feed, queries(),
                         conversations, token ? &auth : nullptr);
    if (realtime) sources.realtime = &*realtime;
    http::Routes routes({queries(), model, impl.clock,
                         [this, &sources] { return cached_status(sources, impl_->capturing); },
                         [this] {
                             return unready_reasons(impl_->store_health, impl_->bus_health,
                                                    impl_->progress, impl_->capturing);
                         },
                         [&] { return metrics.text() + toolkit.metrics() + caches.metrics(); },
                         token ? &auth : nullptr, impl.documents_bus.get(),
                         [this] { return impl_->record_progress.published; }, &events.feed,
                         impl.configuration.duration("realtime.recheck"),
                         &toolkit.rate_limits().limits()});
    auth.add_to(routes);
    member_routes.add_to(routes);
    domain_routes.add_to(routes);
    payment_routes.add_to(routes);
    snapshot_routes.add_to(routes);
    conversation_routes.add_to(routes);
    embedding_routes.add_to(routes);
    toolkit.add_to(routes);
    std::optional<http::RealtimeRoutes> realtime_routes;
    if (realtime) realtime_routes.emplace(realtime->gateway()).add_to(routes);
    http::Server::Options listener{
        .host = impl.configuration.text("http.host"),
        .port = static_cast<std::uint16_t>(impl.configuration.integer("http.port")),
        .tls = {impl.configuration.text("http.tls_certificate"),
                impl.configuration.text("http.tls_key")},
        .connections_max =
            static_cast<std::size_t>(impl.configuration.integer("http.connections_max")),
        .head_timeout = impl.configuration.duration("http.head_timeout")};
    if (realtime) realtime->take_from(listener);
    const std::string_view scheme = listener.tls.empty() ? "http" : "https";
    http::Server server(impl.executor, std::move(listener), routes);
    // What can fail comes before the first task, which would have to be joined.
    CO_TRY_VOID(toolkit.start());
    CO_TRY_VOID(caches.start());
    if (follows) {
        CO_TRY_VOID(server.listen());
        log::info("listening on {}://{}:{}", scheme, impl.configuration.text("http.host"),
                  server.port());
        tasks.spawn("http", server.run());
        tasks.spawn("engine events", events.feed.follow_engine());
        tasks.spawn("own events", events.feed.follow_documents());
        tasks.spawn("caches", caches.begin());
    }
    queries().keep_definitions(caches.definitions());
    if (realtime) tasks.spawn("realtime", realtime->run());
    if (realtime) tasks.spawn("publisher", realtime->publish());
    if (roles.sync) {
        tasks.spawn("capture", impl.capture());
        tasks.spawn("own data", impl.capture_records());
        if (slot_watch) tasks.spawn("slot watch", slot_watch->run());
        tasks.spawn("snapshots", take_snapshots(snapshots, impl.progress, impl.clock));
        tasks.spawn("rates", impl.rates.follow(impl.progress, impl.clock));
        tasks.spawn("load report", report_load(impl.progress, impl.clock));
        tasks.spawn("event retention",
                    keep_events(*impl.store, *impl.bus, *impl.documents_bus, impl.clock,
                                impl.configuration.duration("events.keep")));
    }
    if (roles.sync && impl.configuration.text("engine.source") == "wal")
        tasks.spawn(
            "verify schedule",
            jobs.schedule(verify_queue, impl.configuration.duration("verify.interval"),
                          // Not while standing by, or loading.
                          [&impl] { return impl.progress.state == sync::State::streaming; }));
    if (roles.jobs) {
        tasks.spawn("verify", jobs.work(verify_queue, [this](const ClaimedJob&) {
            return verify_as_job(impl_->executor, impl_->clock, impl_->configuration,
                                 impl_->options.projection, *impl_->store, queries(),
                                 impl_->verified);
        }));
        tasks.spawn("resync", jobs.work(resync_queue, [this](const ClaimedJob& job) {
            return load_as_job(*this, job.payload);
        }));
        tasks.spawn("expired records schedule",
                    jobs.schedule(expire_queue, expired_records_interval, [] { return true; }));
        tasks.spawn("expired records", jobs.work(expire_queue, [&impl](const ClaimedJob&) {
            return remove_expired_records(*impl.records, impl.clock);
        }));
    }
    tasks.spawn("queues", jobs.watch());
    if (roles.api) tasks.spawn("embeddings", impl.embedding_cache->run());
    tasks.spawn("store health", impl.store_health.watch());
    tasks.spawn("bus health", impl.bus_health.watch());
    tasks.spawn("freshness", impl.stored_clock.follow([&impl] {
        return !impl.capturing || impl.captured_here.standing_by();
    }));
    if (!failure) (void)co_await (wait_for_signal(impl.executor) || ended.wait());
    if (realtime) co_await realtime->stop();
    co_await tasks.stop();
    queries().keep_definitions(nullptr);
    co_await caches.stop();
    co_await toolkit.stop();
    if (failure) co_return *failure;
    co_return result<void>{};
}

} // namespace netbuild::app
