// SPDX-License-Identifier: Apache-2.0
// Loads a database from its snapshot through decoder and projector into nothing.
#include <ctime>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>

#include "bench.hpp"
#include "null_ports.hpp"
#include "postgres/replication_source.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::bench {
namespace {

double thread_cpu_ms() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

/// The most CPU that the event loop takes while a timer of 1 ms waits for its turn: what live
/// transactions wait for the load, on a machine that is not shared.
awaitable<result<void>> watch_loop(SystemClock& clock, double& busiest_ms) {
    while (true) {
        const double before = thread_cpu_ms();
        CO_TRY_VOID(co_await clock.sleep(std::chrono::milliseconds(1)));
        busiest_ms = std::max(busiest_ms, thread_cpu_ms() - before);
    }
}

awaitable<result<void>> wait_complete(sync::Progress& progress) {
    while (!progress.model_complete)
        CO_TRY_VOID(co_await progress.wait_change(std::chrono::minutes(1)));
    co_return result<void>{};
}

awaitable<result<void>> load(const Arguments& arguments, asio::io_context& context) {
    using namespace asio::experimental::awaitable_operators;
    SystemClock clock;
    ReplicationSource::Options options;
    options.connection.parameters = parse_conninfo(arguments.text("conninfo"));
    options.slot = "netbuild_bench_load";
    options.load_connections = static_cast<std::size_t>(arguments.number("connections", 2));
    ReplicationSource source(context.get_executor(), clock, options);
    NullStore store;
    NullBus bus;
    Random random(1);
    sync::Progress progress(context.get_executor(), clock);
    sync::PipelineOptions pipeline_options;
    sync::Pipeline pipeline(pipeline_options,
                            {source, store, bus, clock, random, context.get_executor()}, progress);
    double busiest_ms = 0;
    const auto started = SteadyClock::now();
    auto first =
        co_await (pipeline.run() || wait_complete(progress) || watch_loop(clock, busiest_ms));
    const double seconds = seconds_since(started);
    if (first.index() == 0) CO_TRY_VOID(std::get<0>(std::move(first)));
    co_await source.close();
    CO_TRY_VOID(co_await source.drop_slot());
    fmt::print("{{\"rows\":{},\"instances\":{},\"documents\":{},\"load_s\":{:.3f},"
               "\"loop_busy_ms\":{:.1f}}}\n",
               progress.load_rows, progress.load_instances, store.documents, seconds, busiest_ms);
    co_return result<void>{};
}

} // namespace

int run_load(const Arguments& arguments) {
    asio::io_context context(1);
    asio::co_spawn(context, load(arguments, context),
                   [&](const std::exception_ptr& escaped, const result<void>& outcome) {
                       if (escaped) std::rethrow_exception(escaped);
                       if (!outcome) die(outcome.error().message());
                       context.stop();
                   });
    context.run();
    return 0;
}

} // namespace netbuild::bench
