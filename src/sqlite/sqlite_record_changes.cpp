// SPDX-License-Identifier: Apache-2.0
#include "sqlite/sqlite_record_changes.hpp"

#include <algorithm>

#include "change_log.hpp"
#include "runtime/blocking_pool.hpp"
#include "wire/bson.hpp"

namespace netbuild {

using sqlite::Database;
using sqlite::Statement;

namespace {

Position position_at(const Statement& statement, int column) {
    return {static_cast<std::uint64_t>(statement.integer(column)),
            static_cast<std::uint32_t>(statement.integer(column + 1))};
}

void bind(Statement& statement, int index, Position position) {
    statement.bind(index, static_cast<std::int64_t>(position.number));
    statement.bind(index + 1, std::int64_t{position.ordinal});
}

} // namespace

class SqliteRecordChanges::Impl {
public:
    explicit Impl(Options options) : options_(std::move(options)) {}

    result<void> open(Position published) {
        if (!database_) {
            TRY(database_,
                Database::open({options_.path, options_.busy_timeout_ms, 2048, true, true}));
            TRY_VOID(sqlite::create_change_log(*database_));
        }
        TRY(Statement place, database_->prepare("SELECT confirmed_number, confirmed_ordinal FROM "
                                                "_changes_place"));
        TRY_VOID(place.step());
        confirmed_ = position_at(place, 0);
        given_ = std::min(confirmed_, published);
        return {};
    }

    result<RecordChangeBatch> next() {
        if (!database_) return fail(ErrorCode::unavailable, "the change log is not open");
        RecordChangeBatch batch;
        // One transaction: what is given up meanwhile is either read or noticed.
        TRY(auto transaction, sqlite::Transaction::begin(*database_));
        {
            TRY(Statement gone,
                database_->prepare("SELECT gone_number, gone_ordinal FROM _changes_place"));
            TRY_VOID(gone.step());
            const Position upto = position_at(gone, 0);
            const Position known = std::max(given_, confirmed_);
            if (known < upto) {
                batch.gap_from = known;
                batch.gap_upto = upto;
                batch.gap_reason = "capture_away";
            }
        }
        if (batch.gap()) given_ = batch.gap_upto;
        TRY_VOID(read(batch));
        TRY_VOID(transaction.commit());
        return batch;
    }

    result<void> confirm() {
        if (!database_) return fail(ErrorCode::unavailable, "the change log is not open");
        if (given_ <= confirmed_) return {};
        TRY(auto transaction, sqlite::Transaction::begin(*database_, "BEGIN IMMEDIATE"));
        {
            TRY(Statement move,
                database_->prepare("UPDATE _changes_place SET confirmed_number = ?1, "
                                   "confirmed_ordinal = ?2 WHERE (confirmed_number, "
                                   "confirmed_ordinal) < (?1, ?2)"));
            bind(move, 1, given_);
            TRY_VOID(move.run());
            TRY(Statement trim,
                database_->prepare("DELETE FROM _changes WHERE sequence <= (SELECT max(sequence) "
                                   "FROM _changes) - ? AND (number, ordinal) <= (?, ?)"));
            trim.bind(1, options_.kept_max);
            bind(trim, 2, given_);
            TRY_VOID(trim.run());
        }
        TRY_VOID(transaction.commit());
        confirmed_ = given_;
        return {};
    }

    template <class Function>
    auto on_thread(Function function) -> awaitable<std::invoke_result_t<Function&>> {
        co_return co_await pool_.run(std::move(function));
    }

private:
    result<void> read(RecordChangeBatch& batch) {
        TRY(Statement rows,
            database_->prepare("SELECT number, ordinal, collection, inserted, at, record FROM "
                               "_changes WHERE (number, ordinal) > (?, ?) ORDER BY number, ordinal "
                               "LIMIT ?"));
        bind(rows, 1, given_);
        rows.bind(3, static_cast<std::int64_t>(changes_max));
        while (true) {
            TRY(const bool found, rows.step());
            if (!found) return {};
            given_ = position_at(rows, 0);
            const RecordEvents* of = RecordEvents::find(options_.events, rows.text(2));
            if (!of) continue; // a collection that is not told of any more
            RecordChange change{.position = given_,
                                .of = of,
                                .inserted = rows.integer(3) != 0,
                                .at_ms = rows.integer(4)};
            TRY(change.record, decode_bson(rows.blob(5)));
            batch.changes.push_back(std::move(change));
        }
    }

    Options options_;
    std::unique_ptr<Database> database_; // of the thread alone
    Position given_, confirmed_;
    BlockingPool pool_{{.name = "record-changes", .threads = 1}}; // ends before the rest does
};

SqliteRecordChanges::SqliteRecordChanges(Options options, Clock& clock)
    : clock_(clock),
      poll_interval_(options.poll_interval),
      impl_(std::make_unique<Impl>(std::move(options))) {}
SqliteRecordChanges::~SqliteRecordChanges() = default;

awaitable<result<void>> SqliteRecordChanges::open(Position published) {
    co_return co_await impl_->on_thread(
        [impl = impl_.get(), published] { return impl->open(published); });
}

awaitable<result<RecordChangeBatch>> SqliteRecordChanges::next(Clock::duration wait) {
    const Deadline deadline(clock_, wait);
    while (true) {
        CO_TRY(RecordChangeBatch batch,
               co_await impl_->on_thread([impl = impl_.get()] { return impl->next(); }));
        if (!batch.changes.empty() || batch.gap() || deadline.passed(clock_)) co_return batch;
        CO_TRY_VOID(co_await clock_.sleep(std::min(poll_interval_, deadline.left(clock_))));
    }
}

awaitable<result<void>> SqliteRecordChanges::confirm() {
    co_return co_await impl_->on_thread([impl = impl_.get()] { return impl->confirm(); });
}

} // namespace netbuild
