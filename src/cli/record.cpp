// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <csignal>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <unistd.h>

#include <fmt/format.h>

#include "postgres/replication_source.hpp"
#include "recording/recording_writer.hpp"
#include "telemetry/log.hpp"

namespace netbuild::cli {
namespace {

struct Options {
    std::string file;
    std::string duration;
    bool replace = false;
};

class WriterTap final : public MessageTap {
public:
    explicit WriterTap(RecordingWriter& writer) : writer_(writer) {}
    result<void> on_message(std::string_view pgoutput, Lsn wal_end) override {
        return writer_.on_message(pgoutput, wal_end);
    }

private:
    RecordingWriter& writer_;
};

/// Set once the recording's header is written: the tap has to be there before the source is made.
class LateTap final : public MessageTap {
public:
    MessageTap* target = nullptr;
    result<void> on_message(std::string_view pgoutput, Lsn wal_end) override {
        return target ? target->on_message(pgoutput, wal_end) : result<void>{};
    }
};

awaitable<result<void>> copy(ReplicationSource& source) {
    while (true)
        CO_TRY_VOID(co_await source.next());
}

awaitable<result<void>> wait_for_end(app::Application& application, Clock::duration duration) {
    using namespace asio::experimental::awaitable_operators;
    asio::signal_set signals(application.executor(), SIGINT, SIGTERM);
    const auto token = asio::as_tuple(asio::use_awaitable);
    if (duration == Clock::duration::zero()) {
        co_await signals.async_wait(token);
    } else {
        co_await (signals.async_wait(token) || application.clock().sleep(duration));
    }
    co_return result<void>{};
}

awaitable<result<void>> record(app::Application& application, Options options,
                               Clock::duration duration, bool json) {
    using namespace asio::experimental::awaitable_operators;
    const auto& configuration = application.configuration();
    if (configuration.text("engine.source") != "wal") {
        co_return fail(ErrorCode::unsupported, "record needs a live slot: engine.source = wal");
    }
    CO_TRY(auto connection,
           co_await postgres::Connection::connect(application.executor(), application.clock(),
                                                  app::postgres_options(configuration)));
    CO_TRY(const auto server,
           co_await connection->query({"select current_setting('server_version'), "
                                       "pg_current_wal_flush_lsn()"}));
    LateTap tap;
    ReplicationSource::Options source_options;
    source_options.connection = app::postgres_options(configuration);
    source_options.schema = configuration.text("engine.schema");
    source_options.publication = configuration.text("engine.publication");
    source_options.slot = fmt::format("netbuild_record_{}", getpid());
    source_options.temporary_slot = true;
    source_options.tap = &tap;
    ReplicationSource source(application.executor(), application.clock(),
                             std::move(source_options));
    CO_TRY(const auto identity, co_await source.identify());
    CO_TRY_VOID(co_await source.open({}));
    RecordingHeader header;
    header.system_identifier = identity.system_identifier;
    header.timeline = identity.timeline;
    CO_TRY(header.start, parse_lsn(server.text(0, 1)));
    header.created_at_us = application.clock().utc_us();
    header.server_version = server.text(0, 0);
    header.schema = configuration.text("engine.schema");
    header.time_zone = configuration.text("engine.time_zone");
    CO_TRY(auto writer,
           RecordingWriter::create(options.file, header,
                                   options.replace ? RecordingWriter::IfExists::replace
                                                   : RecordingWriter::IfExists::refuse));
    WriterTap writing(*writer);
    tap.target = &writing;
    log::info("recording into {}; Ctrl-C ends it", options.file);
    auto first = co_await (copy(source) || wait_for_end(application, duration));
    if (first.index() == 0) CO_TRY_VOID(std::get<0>(std::move(first)));
    co_await source.close();
    CO_TRY_VOID(writer->finish());
    const Object summary{{"file", options.file},
                         {"messages", static_cast<std::int64_t>(writer->counts().messages)},
                         {"transactions", static_cast<std::int64_t>(writer->counts().transactions)},
                         {"bytes", static_cast<std::int64_t>(writer->bytes())}};
    if (json) {
        print_json(summary);
    } else {
        for (const auto& member : summary)
            fmt::print("{:<13} {}\n", member.key, cell(&member.value));
    }
    co_return result<void>{};
}

} // namespace

void add_record(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* command = registry.add("record", "write the engine's replication stream to a file");
    command->add_option("file", options->file, "such as camunda.nbrec")->required();
    command->add_option("--duration", options->duration, "such as 60s; without it until Ctrl-C");
    command->add_flag("--replace", options->replace, "overwrite a file that is there");
    command->callback([registry, options] {
        registry.chosen = [registry, options]() -> result<void> {
            Clock::duration duration{};
            if (!options->duration.empty()) {
                auto parsed = app::parse_duration(options->duration);
                if (!parsed) return fail(ErrorCode::invalid_argument, "--duration: such as 60s");
                duration = *parsed;
            }
            const bool json = registry.common.json;
            return run(registry.common, [=](app::Application& application) {
                return record(application, *options, duration, json);
            });
        };
    });
}

} // namespace netbuild::cli
