// SPDX-License-Identifier: Apache-2.0
// Reads a slot up to a place in the WAL through decoder and projector into nothing.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>

#include "bench.hpp"
#include "null_ports.hpp"
#include "postgres/replication_source.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::bench {
namespace {

awaitable<result<void>> capture(const Arguments& arguments, asio::io_context& context) {
    using namespace asio::experimental::awaitable_operators;
    SystemClock clock;
    ReplicationSource::Options options;
    options.connection.parameters = parse_conninfo(arguments.text("conninfo"));
    options.slot = arguments.text("slot");
    options.publication = arguments.text("publication");
    ReplicationSource source(context.get_executor(), clock, options);
    CO_TRY(auto connection, co_await postgres::Connection::connect(context.get_executor(), clock,
                                                                   options.connection));
    CO_TRY(const auto rows,
           co_await connection->query(
               {"select confirmed_flush_lsn from pg_replication_slots where slot_name = $1",
                {options.slot}}));
    CO_TRY(const Lsn from, parse_lsn(rows.text(0, 0)));
    CO_TRY(const Lsn end, parse_lsn(arguments.text("end-lsn")));
    NullStore store;
    NullBus bus;
    store.start.emplace();
    CO_TRY(store.start->source, co_await source.identify());
    store.start->position = Position::at(0, from);
    Random random(1);
    sync::Progress progress(context.get_executor(), clock);
    sync::PipelineOptions pipeline_options;
    sync::Pipeline pipeline(pipeline_options,
                            {source, store, bus, clock, random, context.get_executor()}, progress);
    const auto started = SteadyClock::now();
    auto first = co_await (pipeline.run() ||
                           progress.wait_applied(Position::at(0, end), std::chrono::minutes(10)));
    if (first.index() == 0) CO_TRY_VOID(std::get<0>(std::move(first)));
    if (first.index() == 1) CO_TRY_VOID(std::get<1>(std::move(first)));
    fmt::print("{{\"row_changes\":{},\"transactions\":{},\"events\":{},\"documents\":{},\"stream_"
               "s\":{:.3f}}}\n",
               progress.row_changes, progress.transactions, progress.events, store.documents,
               seconds_since(started));
    co_return result<void>{};
}

} // namespace

int run_capture(const Arguments& arguments) {
    asio::io_context context(1);
    bool failed = false;
    asio::co_spawn(context, capture(arguments, context),
                   [&](const std::exception_ptr& escaped, const result<void>& outcome) {
                       if (escaped) std::rethrow_exception(escaped);
                       if (!outcome) die(outcome.error().message());
                       context.stop();
                   });
    context.run();
    return failed ? 1 : 0;
}

} // namespace netbuild::bench
