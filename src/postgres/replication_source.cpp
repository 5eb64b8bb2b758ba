// SPDX-License-Identifier: Apache-2.0
#include "postgres/replication_source.hpp"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "postgres/engine_snapshot.hpp"
#include "postgres/slot_watch.hpp"
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
constexpr std::chrono::seconds free_within{5};
/// The server sends each transaction by itself. Who is behind reads many by one system call: at the
/// rate of a WAL sender, about 64 MB/s, this long is less than a socket's buffer.
constexpr std::chrono::milliseconds gather_for{1};
constexpr std::chrono::seconds behind_after{1};
constexpr std::size_t keepalive_size = 1 + 8 + 8 + 1;
/// A new slot waits for the write transactions that are open.
constexpr std::chrono::hours create_slot_time_max{1};

} // namespace

class ReplicationSource::Impl {
public:
    Impl(asio::any_io_executor executor, Clock& clock, Options options)
        : executor_(executor), clock_(clock), options_(std::move(options)) {
        make_tasks();
    }

    awaitable<result<SourceIdentity>> identify() {
        CO_TRY(auto connection, co_await connect_replication());
        co_return co_await identify(*connection);
    }

    awaitable<result<Lsn>> end_of_history() {
        CO_TRY(auto connection, co_await connect());
        CO_TRY(const Rows rows,
               co_await connection->query({"select case when not pg_is_in_recovery() then "
                                           "pg_current_wal_flush_lsn() end"}));
        if (rows.is_null(0, 0)) {
            co_return fail(ErrorCode::unavailable,
                           "the server is a standby: it has a WAL of its own when it is promoted");
        }
        co_return parse_lsn(rows.text(0, 0));
    }

    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) {
        epoch_ = start.epoch;
        CO_TRY(auto connection, co_await connect());
        CO_TRY_VOID(co_await check_free(*connection)); // one that stands by asks for no more
        CO_TRY(auto columns, co_await postgres::check_engine(*connection, options_.schema));
        CO_TRY_VOID(co_await postgres::ensure_publication(*connection, options_.publication,
                                                          options_.schema, columns));
        CO_TRY(stream_, co_await connect_replication());
        if (start.identity) {
            CO_TRY(const SourceIdentity identity, co_await identify(*stream_));
            if (identity != *start.identity)
                co_return fail(ErrorCode::unavailable,
                               "PostgreSQL is another system or timeline than a moment ago");
        }
        std::unique_ptr<EngineSnapshot> snapshot;
        Lsn from{};
        if (start.after) {
            from = start.after->lsn();
            CO_TRY(confirmed_, co_await check_slot(*connection, from));
        } else {
            CO_TRY_VOID(co_await take_load_guard());
            CO_TRY_VOID(co_await drop_slot(*connection));
            CO_TRY(snapshot, co_await create_slot(std::move(columns), from));
        }
        decoder_.emplace(
            PgoutputDecoder::Options{.schema = options_.schema,
                                     .epoch = epoch_,
                                     .part_bytes_max = options_.transaction_memory_max});
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
                CO_TRY_VOID(co_await wait_for_server());
                continue;
            }
            dry_ = false;
            CO_TRY(auto transaction, take_message(*message));
            if (reply_wanted_) {
                reply_wanted_ = false;
                CO_TRY_VOID(co_await send_status());
            }
            if (!transaction) continue;
            behind_ = clock_.utc_us() - transaction->committed_at_us >
                      std::chrono::microseconds(behind_after).count();
            const Extent extent = transaction->extent;
            if (extent != Extent::part)
                received_ = std::max(received_, transaction->position.lsn());
            if (extent == Extent::whole && transaction->empty()) continue;
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
        co_await tasks_->stop();
        make_tasks(); // a group that was stopped stays so
        stream_.reset();
        load_guard_.reset();
        streaming_ = false;
    }

    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) {
        CO_TRY(auto snapshot, co_await postgres::take_snapshot(
                                  executor_, clock_, options_.connection, options_.schema, epoch_,
                                  std::move(taken), options_.load_connections));
        // An idle stream, too, passes the snapshot's Position.
        CO_TRY(auto connection, co_await connect());
        CO_TRY_VOID(co_await connection->query(
            {"select pg_logical_emit_message(true, 'netbuild', 'snapshot')"}));
        co_return std::move(snapshot);
    }

    awaitable<result<void>> drop_slot() {
        CO_TRY(auto connection, co_await connect());
        // The server frees it a moment after our stream's connection has ended.
        const Deadline deadline(clock_, free_within);
        while (true) {
            auto dropped = co_await drop_slot(*connection);
            if (dropped || dropped.error().code() != ErrorCode::slot_in_use ||
                deadline.passed(clock_))
                co_return dropped;
            CO_TRY_VOID(co_await clock_.sleep(std::chrono::milliseconds(50)));
        }
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
    void make_tasks() {
        tasks_.emplace(executor_, [](const std::string& name, const Error& error) {
            log::debug("{}: {}", name, error.message());
        });
    }
    awaitable<result<std::unique_ptr<Connection>>> connect() {
        return Connection::connect(executor_, clock_, options_.connection);
    }
    awaitable<result<std::unique_ptr<Connection>>> connect_replication() {
        auto options = options_.connection;
        options.parameters["replication"] = "database";
        options.parameters["options"] = fmt::format(
            "-c wal_sender_timeout={}",
            std::chrono::duration_cast<std::chrono::milliseconds>(options_.wal_sender_timeout)
                .count());
        return Connection::connect(executor_, clock_, std::move(options));
    }

    static awaitable<result<SourceIdentity>> identify(Connection& connection) {
        CO_TRY(const Rows rows, co_await connection.simple("IDENTIFY_SYSTEM"));
        if (rows.count() != 1) co_return fail(ErrorCode::internal, "IDENTIFY_SYSTEM gave no row");
        SourceIdentity identity;
        identity.kind = "wal";
        identity.system_identifier = rows.text(0, 0);
        const auto timeline = rows.text(0, 1);
        std::from_chars(timeline.data(), timeline.data() + timeline.size(), identity.timeline);
        co_return identity;
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

    awaitable<result<void>> check_free(Connection& connection) {
        if (options_.temporary_slot) co_return result<void>{};
        CO_TRY(const Rows slot, co_await slot_row(connection));
        if (slot.count() > 0 && slot.text(0, 0) == "t") co_return in_use(slot.text(0, 5));
        co_return result<void>{};
    }

    /// Back pressure is no silence: only what is waited for can be late.
    awaitable<result<void>> wait_for_server() {
        if (behind_) {
            if (!std::exchange(dry_, true)) co_return stream_->consume();
            CO_TRY_VOID(co_await clock_.sleep(gather_for));
        }
        waiting_since_ = clock_.monotonic();
        auto readable = co_await stream_->wait_readable();
        waiting_since_.reset();
        if (!std::exchange(silent_, false) || readable) co_return readable;
        co_return fail(
            ErrorCode::unavailable,
            fmt::format("PostgreSQL {}: no byte for {} s, though answers are due",
                        options_.connection.address(),
                        std::chrono::duration_cast<std::chrono::seconds>(options_.receive_timeout)
                            .count()));
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

    /// A slot is in use only once its stream is read, and a first load comes before: meanwhile a
    /// lock of the database keeps another worker from beginning its own. It goes with its
    /// connection, which the server ends if this process hangs.
    awaitable<result<void>> take_load_guard() {
        if (options_.temporary_slot) co_return result<void>{};
        CO_TRY(auto connection, co_await connect());
        CO_TRY_VOID(co_await connection->simple(fmt::format(
            "set idle_session_timeout = {}",
            std::chrono::duration_cast<std::chrono::milliseconds>(options_.wal_sender_timeout)
                .count())));
        CO_TRY(const Rows locked,
               co_await connection->query({"select pg_try_advisory_lock(hashtextextended($1, 0))",
                                           {"netbuild load " + options_.slot}}));
        if (locked.text(0, 0) != "t")
            co_return fail(ErrorCode::slot_in_use,
                           fmt::format("another worker loads for slot {}", options_.slot));
        load_guard_ = std::move(connection);
        tasks_->spawn("load guard", keep_load_guard());
        co_return result<void>{};
    }
    awaitable<result<void>> keep_load_guard() {
        while (const std::shared_ptr<Connection> guard = load_guard_) {
            CO_TRY_VOID(co_await guard->query({"select 1"}));
            CO_TRY_VOID(co_await clock_.sleep(options_.status_interval));
        }
        co_return result<void>{};
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
        CO_TRY(const Rows made, co_await stream_->simple(postgres::create_slot_command(
                                                             options_.slot, options_.temporary_slot,
                                                             stream_->server_version()),
                                                         create_slot_time_max));
        CO_TRY(from, parse_lsn(made.text(0, 1)));
        if (options_.temporary_slot) co_return std::unique_ptr<EngineSnapshot>();
        postgres::SnapshotLoader::Options options;
        options.connection = options_.connection;
        options.schema = options_.schema;
        options.snapshot = made.text(0, 2);
        options.columns = std::move(columns);
        options.position = Position::at(epoch_, from);
        options.at_us = clock_.utc_us();
        options.connections = options_.load_connections;
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
        load_guard_.reset();
        tasks_->spawn("replication status", send_statuses());
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
            if (waiting_since_ && clock_.monotonic() - *waiting_since_ > options_.receive_timeout) {
                silent_ = true;
                stream_->interrupt();
                co_return result<void>{};
            }
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
        status.push_back('\1'); // an answer is wanted: silence then means that the server is away
        return stream_->copy_write(std::move(status));
    }

    asio::any_io_executor executor_;
    Clock& clock_;
    Options options_;
    std::optional<TaskGroup> tasks_; // of one open()
    std::unique_ptr<Connection> stream_;
    std::shared_ptr<Connection> load_guard_;
    std::optional<PgoutputDecoder> decoder_;
    std::uint32_t epoch_ = 0;
    Lsn start_from_{}, received_{}, confirmed_{}, wal_end_{};
    std::optional<Clock::duration> waiting_since_; // for a byte of the server
    bool silent_ = false;
    bool behind_ = false; // the last transaction committed a while ago
    bool dry_ = false;    // the socket was looked at since the last message
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
