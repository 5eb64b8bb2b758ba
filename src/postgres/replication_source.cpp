// SPDX-License-Identifier: Apache-2.0
#include "postgres/replication_source.hpp"

#include <charconv>

#include <fmt/format.h>

#include "postgres/engine_snapshot.hpp"
#include "publication.hpp"
#include "runtime/signal.hpp"
#include "runtime/task_group.hpp"
#include "snapshot_loader.hpp"
#include "telemetry/log.hpp"
#include "wire/pgoutput.hpp"

namespace netbuild {

using postgres::Connection;
using postgres::Rows;

namespace {

template <class Number>
Number big_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return static_cast<Number>(value);
}

void append_big_endian(std::string& out, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(value >> shift));
}

constexpr std::size_t xlog_data_header = 1 + 8 + 8 + 8;
constexpr std::size_t keepalive_size = 1 + 8 + 8 + 1;

} // namespace

class ReplicationSource::Impl {
public:
    Impl(asio::any_io_executor executor, Clock& clock, Options options)
        : executor_(executor),
          clock_(clock),
          options_(std::move(options)),
          tasks_(executor, [](const std::string&, const Error& error) {
              log::debug("replication status: {}", error.message());
          }) {}

    awaitable<result<SourceIdentity>> identify() {
        CO_TRY(auto connection, co_await connect_replication());
        CO_TRY(const Rows rows, co_await connection->simple("IDENTIFY_SYSTEM"));
        if (rows.count() != 1) co_return fail(ErrorCode::internal, "IDENTIFY_SYSTEM gave no row");
        SourceIdentity identity;
        identity.kind = "wal";
        identity.system_identifier = rows.text(0, 0);
        const auto timeline = rows.text(0, 1);
        std::from_chars(timeline.data(), timeline.data() + timeline.size(), identity.timeline);
        co_return identity;
    }

    awaitable<result<Lsn>> end_of_history() {
        CO_TRY(auto connection, co_await connect());
        CO_TRY(const Rows rows, co_await connection->query({"select pg_current_wal_flush_lsn()"}));
        co_return parse_lsn(rows.text(0, 0));
    }

    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) {
        epoch_ = start.epoch;
        CO_TRY(auto connection, co_await connect());
        CO_TRY(auto columns, co_await postgres::check_engine(*connection, options_.schema));
        CO_TRY_VOID(co_await postgres::ensure_publication(*connection, options_.publication,
                                                          options_.schema, columns));
        CO_TRY(stream_, co_await connect_replication());
        std::unique_ptr<EngineSnapshot> snapshot;
        Lsn from{};
        if (start.after) {
            from = start.after->lsn();
            CO_TRY(confirmed_, co_await check_slot(*connection, from));
        } else {
            CO_TRY_VOID(co_await drop_slot(*connection));
            CO_TRY(snapshot, co_await create_slot(std::move(columns), from));
        }
        decoder_.emplace(PgoutputDecoder::Options{.schema = options_.schema, .epoch = epoch_});
        // To resume after a transaction is not to say that it is durable.
        if (!start.after) confirmed_ = from;
        received_ = from;
        start_from_ = from;
        if (!snapshot) CO_TRY_VOID(co_await start_replication());
        co_return snapshot;
    }

    awaitable<result<ChangeBatch>> next() {
        if (!streaming_) CO_TRY_VOID(co_await start_replication());
        ChangeBatch batch;
        std::size_t bytes = 0;
        const Lsn known = received_;
        while (true) {
            CO_TRY(const auto message, stream_->copy_read());
            if (!message) {
                if (!batch.transactions.empty() || received_ > known) break;
                CO_TRY_VOID(co_await stream_->wait_readable());
                continue;
            }
            CO_TRY(auto transaction, take_message(*message));
            if (reply_wanted_) {
                reply_wanted_ = false;
                CO_TRY_VOID(co_await send_status());
            }
            if (!transaction) continue;
            received_ = std::max(received_, transaction->position.lsn());
            if (transaction->empty()) continue;
            bytes += transaction->bytes();
            batch.transactions.push_back(std::move(*transaction));
            if (batch.transactions.size() >= options_.batch_transactions_max ||
                bytes >= options_.batch_bytes_max)
                break;
        }
        for (const std::string& note : decoder_->take_notes())
            log::info("{}", note);
        batch.upto = Position::at(epoch_, received_);
        co_return batch;
    }

    void confirm(Position durable) { confirmed_ = std::max(confirmed_, durable.lsn()); }

    awaitable<void> close() {
        co_await tasks_.stop();
        stream_.reset();
        streaming_ = false;
    }

    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) {
        CO_TRY(auto snapshot,
               co_await postgres::take_snapshot(executor_, clock_, options_.connection,
                                                options_.schema, epoch_, std::move(taken)));
        // An idle stream, too, passes the snapshot's Position.
        CO_TRY(auto connection, co_await connect());
        CO_TRY_VOID(co_await connection->query(
            {"select pg_logical_emit_message(true, 'netbuild', 'snapshot')"}));
        co_return std::move(snapshot);
    }

    awaitable<result<void>> drop_slot() {
        CO_TRY(auto connection, co_await connect());
        co_return co_await drop_slot(*connection);
    }

    [[nodiscard]] Counters counters() const {
        Counters counters;
        counters.wal_end = wal_end_;
        if (decoder_) {
            counters.bytes = decoder_->counters().bytes;
            counters.ignored_row_changes = decoder_->counters().ignored_row_changes;
        }
        return counters;
    }

private:
    awaitable<result<std::unique_ptr<Connection>>> connect() {
        return Connection::connect(executor_, clock_, options_.connection);
    }
    awaitable<result<std::unique_ptr<Connection>>> connect_replication() {
        auto options = options_.connection;
        options.parameters["replication"] = "database";
        return Connection::connect(executor_, clock_, std::move(options));
    }

    awaitable<result<Rows>> slot_row(Connection& connection) {
        return connection.query({"select active, confirmed_flush_lsn, wal_status, plugin, database "
                                 "= current_database(), "
                                 "active_pid from pg_replication_slots where slot_name = $1",
                                 {options_.slot}});
    }
    [[nodiscard]] Error in_use(std::string_view pid) const {
        return fail(ErrorCode::slot_in_use,
                    fmt::format("slot {} is active for pid {}", options_.slot, pid));
    }

    /// Up to where it is confirmed.
    awaitable<result<Lsn>> check_slot(Connection& connection, Lsn after) {
        CO_TRY(const Rows slot, co_await slot_row(connection));
        if (slot.count() == 0) {
            co_return fail(ErrorCode::not_found, "replication slot " + options_.slot);
        }
        if (slot.text(0, 3) != "pgoutput" || slot.text(0, 4) != "t") {
            co_return fail(
                ErrorCode::invalid_configuration,
                fmt::format("slot {} belongs to another plugin or database: set [engine] slot",
                            options_.slot));
        }
        if (slot.text(0, 0) == "t") co_return in_use(slot.text(0, 5));
        if (slot.text(0, 2) == "lost") {
            co_return fail(
                ErrorCode::not_found,
                fmt::format("slot {} has lost its WAL (max_slot_wal_keep_size)", options_.slot));
        }
        CO_TRY(const Lsn confirmed, parse_lsn(slot.text(0, 1)));
        // The server would skip to its own place without a word.
        if (confirmed > after) {
            co_return fail(ErrorCode::not_found,
                           fmt::format("slot {} is confirmed up to {}, past our checkpoint {}",
                                       options_.slot, to_string(confirmed), to_string(after)));
        }
        co_return confirmed;
    }

    awaitable<result<void>> drop_slot(Connection& connection) {
        if (options_.temporary_slot) co_return result<void>{};
        CO_TRY(const Rows slot, co_await slot_row(connection));
        if (slot.count() == 0) co_return result<void>{};
        if (slot.text(0, 0) == "t") co_return in_use(slot.text(0, 5));
        log::warning("slot {} of an earlier capture is dropped", options_.slot);
        CO_TRY_VOID(
            co_await connection.query({"select pg_drop_replication_slot($1)", {options_.slot}}));
        co_return result<void>{};
    }

    awaitable<result<std::unique_ptr<EngineSnapshot>>> create_slot(postgres::TableColumns columns,
                                                                   Lsn& from) {
        log::info("creating slot {}: waits for all open write transactions of the cluster",
                  options_.slot);
        CO_TRY(const Rows made,
               co_await stream_->simple(
                   fmt::format("CREATE_REPLICATION_SLOT {} {} LOGICAL pgoutput {}",
                               postgres::quote_identifier(options_.slot),
                               options_.temporary_slot ? "TEMPORARY" : "",
                               options_.temporary_slot ? "NOEXPORT_SNAPSHOT" : "EXPORT_SNAPSHOT")));
        CO_TRY(from, parse_lsn(made.text(0, 1)));
        if (options_.temporary_slot) co_return std::unique_ptr<EngineSnapshot>();
        postgres::SnapshotLoader::Options options;
        options.connection = options_.connection;
        options.schema = options_.schema;
        options.snapshot = made.text(0, 2);
        options.columns = std::move(columns);
        options.position = Position::at(epoch_, from);
        options.at_us = clock_.utc_us();
        options.instances = options_.load_instances;
        CO_TRY(auto loader,
               co_await postgres::SnapshotLoader::open(executor_, clock_, std::move(options)));
        co_return std::unique_ptr<EngineSnapshot>(std::move(loader));
    }

    awaitable<result<void>> start_replication() {
        if (!stream_) co_return fail(ErrorCode::invalid_argument, "the source is not open");
        CO_TRY_VOID(co_await stream_->start_copy_both(fmt::format(
            "START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {}, "
            "messages 'true')",
            postgres::quote_identifier(options_.slot), to_string(start_from_),
            postgres::quote_literal(postgres::quote_identifier(options_.publication)))));
        streaming_ = true;
        tasks_.spawn("replication status", send_statuses());
        co_return result<void>{};
    }

    result<std::optional<Transaction>> take_message(std::string_view message) {
        const char kind = message.front();
        if (kind == 'k') {
            if (message.size() != keepalive_size)
                return fail(ErrorCode::corrupt, "a keepalive of a wrong size");
            wal_end_ = Lsn{big_endian<std::uint64_t>(message.substr(1))};
            // All that committed before it was sent, unless a transaction is on its way.
            if (!decoder_->in_transaction()) received_ = std::max(received_, wal_end_);
            if (message.back() != 0) reply_wanted_ = true;
            return std::optional<Transaction>();
        }
        if (kind != 'w' || message.size() < xlog_data_header) {
            return fail(ErrorCode::corrupt,
                        fmt::format("replication message '{}' of {} bytes", kind, message.size()));
        }
        const Lsn end{big_endian<std::uint64_t>(message.substr(1 + 8))};
        wal_end_ = std::max(wal_end_, end);
        const std::string_view payload = message.substr(xlog_data_header);
        if (options_.tap) TRY_VOID(options_.tap->on_message(payload, end));
        auto decoded = decoder_->decode(payload);
        if (!decoded)
            return std::move(decoded).error().within(fmt::format("WAL {}", to_string(end)));
        return std::move(*decoded);
    }

    /// Also while nobody reads, for the server ends a silent connection.
    awaitable<result<void>> send_statuses() {
        Lsn told{};
        auto told_at = clock_.monotonic();
        while (true) {
            CO_TRY_VOID(co_await clock_.sleep(std::min<Clock::duration>(
                options_.status_interval, std::chrono::milliseconds(500))));
            if (confirmed_ == told && clock_.monotonic() - told_at < options_.status_interval)
                continue;
            told = confirmed_;
            told_at = clock_.monotonic();
            CO_TRY_VOID(co_await send_status());
        }
    }

    awaitable<result<void>> send_status() {
        std::string status = "r";
        append_big_endian(status, to_number(received_));  // written
        append_big_endian(status, to_number(confirmed_)); // flushed
        append_big_endian(status, to_number(confirmed_)); // applied
        append_big_endian(status, static_cast<std::uint64_t>(clock_.utc_us() - postgres_epoch_us));
        status.push_back('\0');
        return stream_->copy_write(std::move(status));
    }

    asio::any_io_executor executor_;
    Clock& clock_;
    Options options_;
    TaskGroup tasks_;
    std::unique_ptr<Connection> stream_;
    std::optional<PgoutputDecoder> decoder_;
    std::uint32_t epoch_ = 0;
    Lsn start_from_{}, received_{}, confirmed_{}, wal_end_{};
    bool streaming_ = false;
    bool reply_wanted_ = false;
};

ReplicationSource::ReplicationSource(asio::any_io_executor executor, Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, std::move(options))) {}
ReplicationSource::~ReplicationSource() = default;

awaitable<result<SourceIdentity>> ReplicationSource::identify() { return impl_->identify(); }
awaitable<result<Lsn>> ReplicationSource::end_of_history() { return impl_->end_of_history(); }
awaitable<result<std::unique_ptr<EngineSnapshot>>> ReplicationSource::open(SourceStart start) {
    return impl_->open(start);
}
awaitable<result<ChangeBatch>> ReplicationSource::next() { return impl_->next(); }
void ReplicationSource::confirm(Position durable) { impl_->confirm(durable); }
awaitable<void> ReplicationSource::close() { return impl_->close(); }
awaitable<result<std::unique_ptr<EngineSnapshot>>>
ReplicationSource::snapshot(SnapshotTaken taken) {
    return impl_->snapshot(std::move(taken));
}
awaitable<result<void>> ReplicationSource::drop_slot() { return impl_->drop_slot(); }
ReplicationSource::Counters ReplicationSource::counters() const { return impl_->counters(); }

} // namespace netbuild
