// SPDX-License-Identifier: Apache-2.0
#include "mongo/mongo_record_changes.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "clients.hpp"
#include "model/collections.hpp"
#include "telemetry/log.hpp"

namespace netbuild {

using mongo::Bson;
using mongo::Reply;
using mongo::to_error;

namespace {

/// Of the place in `sync_checkpoints`.
constexpr const char* place_id = "records.changes";

/// A token that the server cannot go on from, however often it is asked: FailedToParse
/// (SecantusDB), InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost.
bool is_lost(const bson_error_t& error) {
    return error.domain == MONGOC_ERROR_SERVER &&
           (error.code == 9 || error.code == 260 || error.code == 280 || error.code == 286);
}

/// A timestamp as BSON has it: increment in the low half, seconds in the high one.
std::uint64_t cluster_time(const Value* value) {
    return value ? static_cast<std::uint64_t>(value->integer_or()) : 0;
}

std::string_view bytes_of(const bson_t* document) {
    return {reinterpret_cast<const char*>(bson_get_data(document)), document->len};
}

/// By their dotted path, decoded. A document may hold types that NetBuild does not know; they are
/// nobody's event.
Value member(const bson_t* document, const char* path) {
    bson_iter_t start, found;
    if (!bson_iter_init(&start, document) || !bson_iter_find_descendant(&start, path, &found))
        return {};
    bson_t alone;
    bson_init(&alone);
    bson_append_iter(&alone, "v", 1, &found);
    auto decoded = decode_bson(bytes_of(&alone));
    bson_destroy(&alone);
    if (!decoded) return {};
    const Value* value = decoded->find("v");
    return value ? *value : Value();
}

} // namespace

class MongoRecordChanges::Impl {
public:
    Impl(Options options, Clock& clock)
        : options_(std::move(options)),
          clock_(clock),
          clients_({.uri = options_.uri,
                    .name = "mongodb-changes",
                    .pool_max = 2,
                    .threads = 1,
                    .socket_timeout = options_.socket_timeout,
                    .server_selection_timeout = options_.server_selection_timeout}) {}

    ~Impl() { close(); }

    result<void> open(Position published) {
        close();
        gap_from_ = gap_upto_ = {};
        client_ = std::make_unique<Client>(clients_);
        TRY(const bool known, read_place());
        if (known && published < told_) return open_behind(published);
        if (known) {
            bson_error_t error;
            if (start(error)) return {};
            if (!is_lost(error)) return to_error(error);
            log::warning("the change stream cannot go on where it ended: {}", error.message);
            gap_from_ = given_;
            gap_reason_ = "history_lost";
        }
        // Every later change has a later time than the newest one now.
        TRY(const std::uint64_t now, operation_time());
        token_.clear();
        bson_error_t error;
        if (!start(error)) return to_error(error);
        given_ = {now, 0};
        if (known) gap_upto_ = given_;
        return known ? result<void>{} : store_place();
    }

    result<RecordChangeBatch> next(Clock::duration wait) {
        if (cursor_ == 0) return fail(ErrorCode::unavailable, "the change stream is not open");
        RecordChangeBatch batch;
        if (!gap_upto_.is_zero()) {
            batch.gap_from = std::exchange(gap_from_, {});
            batch.gap_upto = std::exchange(gap_upto_, {});
            batch.gap_reason = gap_reason_;
            told_ = std::max(told_, batch.gap_upto);
            return batch;
        }
        const Deadline deadline(clock_, wait);
        while (true) {
            TRY_VOID(get_more(std::min(options_.await_max, deadline.left(clock_))));
            read(batch);
            if (!batch.changes.empty() || deadline.passed(clock_)) return batch;
        }
    }

    result<void> confirm() {
        const bool moved = given_ > stored_;
        const bool due = clock_.monotonic() - stored_at_ >= options_.idle_store_interval;
        if (!moved && (!due || token_ == stored_token_)) return {};
        return store_place();
    }

    template <class Function>
    auto on_thread(Function function) {
        return clients_.on_thread(std::move(function));
    }

private:
    using Client = mongo::Clients::Client;
    static constexpr const char* changes_of_a_database = "$cmd.aggregate";
    static constexpr auto batch_size = static_cast<std::int64_t>(changes_max);

    void close() {
        if (cursor_ != 0 && client_) {
            // If it does not arrive, the server ends the cursor in its own time.
            (void)client_->command(
                Object{{"killCursors", changes_of_a_database}, {"cursors", Array{cursor_}}});
        }
        cursor_ = 0;
        session_.reset();
        client_.reset();
    }

    /// By hand: the driver's change stream waits for more before it gives what it has.
    bool ask(const bson_t* command, bson_error_t& error) {
        bson_t options;
        bson_init(&options);
        const bool asked =
            mongoc_client_session_append(session_.get(), &options, &error) &&
            mongoc_client_command_with_opts(client_->get(), client_->database(), command, nullptr,
                                            &options, reply_.out(), &error);
        bson_destroy(&options);
        return asked;
    }

    /// The event stream has lost what was confirmed behind `published`: it comes again from
    /// MongoDB's oplog, or as a gap. Of a stream that is empty nobody knows what it had.
    result<void> open_behind(Position published) {
        bson_error_t error;
        if (!published.is_zero()) {
            token_.clear();
            given_ = {published.number - 1, 0}; // the changes of one time count from 0
            if (start(error, published.number)) {
                log::warning("own data: the event stream ends at {} and not at {}: it is filled "
                             "from MongoDB's oplog",
                             to_string(published), to_string(told_));
                return {};
            }
            if (!is_lost(error)) return to_error(error);
            log::warning("own data: the oplog does not reach back to {}: {}", to_string(published),
                         error.message);
        }
        token_ = stored_token_;
        given_ = stored_;
        if (!start(error)) {
            if (!is_lost(error)) return to_error(error);
            TRY(const std::uint64_t now, operation_time());
            token_.clear();
            if (!start(error)) return to_error(error);
            given_ = {now, 0};
        }
        gap_from_ = published;
        gap_upto_ = given_;
        gap_reason_ = "stream_lost";
        return {};
    }

    /// From a time on (that one's changes included), or from token_, or from now.
    bool start(bson_error_t& error, std::uint64_t time = 0) {
        session_.reset(mongoc_client_start_session(client_->get(), nullptr, &error));
        if (!session_) return false;
        Array names;
        for (const RecordEvents& one : options_.events)
            names.emplace_back(one.collection->name);
        const Bson match(Object{
            {"$match",
             Object{{"ns.coll", Object{{"$in", std::move(names)}}},
                    {"operationType", Object{{"$in", Array{"insert", "update", "replace"}}}}}}});
        bson_t command = BSON_INITIALIZER, pipeline, stage, stream, cursor, token;
        bson_append_int32(&command, "aggregate", -1, 1);
        bson_append_array_begin(&command, "pipeline", -1, &pipeline);
        bson_append_document_begin(&pipeline, "0", -1, &stage);
        bson_append_document_begin(&stage, "$changeStream", -1, &stream);
        bson_append_utf8(&stream, "fullDocument", -1, "updateLookup", -1);
        if (time != 0) {
            bson_append_timestamp(&stream, "startAtOperationTime", -1,
                                  static_cast<std::uint32_t>(time >> 32),
                                  static_cast<std::uint32_t>(time));
        } else if (bson_init_static(&token, reinterpret_cast<const std::uint8_t*>(token_.data()),
                                    token_.size())) {
            bson_append_document(&stream, "resumeAfter", -1, &token);
        }
        bson_append_document_end(&stage, &stream);
        bson_append_document_end(&pipeline, &stage);
        bson_append_document(&pipeline, "1", -1, match.get());
        bson_append_array_end(&command, &pipeline);
        bson_append_document_begin(&command, "cursor", -1, &cursor);
        bson_append_int64(&cursor, "batchSize", -1, 0);
        bson_append_document_end(&command, &cursor);
        const bool started = ask(&command, error);
        bson_destroy(&command);
        if (!started) return false;
        cursor_ = reply_.integer("cursor.id");
        // The first batch is empty, and its token is that of now, wherever the stream begins.
        if (token_.empty() && time == 0) remember_token();
        return true;
    }

    result<void> get_more(Clock::duration wait) {
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
        const Bson command(Object{{"getMore", cursor_},
                                  {"collection", changes_of_a_database},
                                  {"batchSize", batch_size},
                                  {"maxTimeMS", std::max<std::int64_t>(1, ms)}});
        bson_error_t error;
        if (!ask(command.get(), error)) {
            Error failure = to_error(error, &reply_);
            cursor_ = 0; // what is wrong with it, open() finds out
            // Whatever it is, another try may go on; what cannot, open() says.
            return failure.transient() ? failure : fail(ErrorCode::unavailable, failure.detail());
        }
        cursor_ = reply_.integer("cursor.id");
        return {};
    }

    void remember_token() {
        bson_iter_t start, found;
        const std::uint8_t* bytes = nullptr;
        std::uint32_t length = 0;
        if (!bson_iter_init(&start, reply_.get()) ||
            !bson_iter_find_descendant(&start, "cursor.postBatchResumeToken", &found) ||
            !BSON_ITER_HOLDS_DOCUMENT(&found))
            return;
        bson_iter_document(&found, &length, &bytes);
        token_.assign(reinterpret_cast<const char*>(bytes), length);
    }

    void read(RecordChangeBatch& batch) {
        bson_iter_t start, found, element;
        if (bson_iter_init(&start, reply_.get()) &&
            bson_iter_find_descendant(&start, "cursor.nextBatch", &found) &&
            bson_iter_recurse(&found, &element)) {
            while (bson_iter_next(&element)) {
                const std::uint8_t* bytes = nullptr;
                std::uint32_t length = 0;
                if (!BSON_ITER_HOLDS_DOCUMENT(&element)) continue;
                bson_iter_document(&element, &length, &bytes);
                bson_t change;
                if (bson_init_static(&change, bytes, length)) add(&change, batch);
            }
        }
        remember_token();
    }

    void add(const bson_t* change, RecordChangeBatch& batch) {
        const std::uint64_t time = [&] {
            const Value value = member(change, "clusterTime");
            return cluster_time(&value);
        }();
        // The changes of one transaction have one time.
        given_ = time == given_.number ? Position{time, given_.ordinal + 1} : Position{time, 0};
        const Value name = member(change, "ns.coll");
        const RecordEvents* of = RecordEvents::find(options_.events, name.string_or());
        if (!of) return;
        RecordChange one{.position = given_,
                         .of = of,
                         .inserted = member(change, "operationType").string_or() == "insert",
                         .at_ms = static_cast<std::int64_t>(time >> 32) * 1000};
        if (const Value wall = member(change, "wallTime"); wall.is<Date>())
            one.at_ms = wall.get_if<Date>()->milliseconds;
        Object record{{"_id", member(change, "documentKey._id")}};
        const auto take = [&](std::string_view field) {
            if (field.empty() || record.contains(field)) return;
            Value value = member(change, fmt::format("fullDocument.{}", field).c_str());
            if (!value.is_null()) record.append(std::string(field), std::move(value));
        };
        take("version");
        take(of->domain);
        take(of->state_number);
        for (const std::string_view field : of->fields)
            take(field);
        one.record = of->pick(record);
        told_ = std::max(told_, given_);
        batch.changes.push_back(std::move(one));
    }

    result<std::uint64_t> operation_time() {
        TRY(const Value answer, client_->ask(Object{{"ping", 1}}));
        const Value* time = answer.at_path("operationTime");
        if (!time)
            return fail(ErrorCode::unsupported, "MongoDB: change streams need a replica set");
        return cluster_time(time);
    }

    /// False: nobody was here before.
    result<bool> read_place() {
        token_.clear();
        given_ = stored_ = told_ = {};
        const auto places = client_->collection(collections::sync_checkpoints);
        const Bson filter(Object{{"_id", place_id}});
        const mongo::CursorPtr cursor(
            mongoc_collection_find_with_opts(places.get(), filter.get(), nullptr, nullptr));
        TRY(const auto found, mongo::read_cursor(cursor.get()));
        if (found.empty()) return false;
        const Value* token = found.front()->at_path("token");
        const Value* number = found.front()->at_path("number");
        const Value* ordinal = found.front()->at_path("ordinal");
        if (!token || !token->is<Binary>() || !number || !ordinal)
            return fail(ErrorCode::corrupt, "sync_checkpoints: records.changes");
        stored_token_ = token_ = token->get_if<Binary>()->bytes;
        given_ = stored_ = {static_cast<std::uint64_t>(number->integer_or()),
                            static_cast<std::uint32_t>(ordinal->integer_or())};
        const Value* told_number = found.front()->at_path("toldNumber");
        const Value* told_ordinal = found.front()->at_path("toldOrdinal");
        if (told_number && told_ordinal)
            told_ = {static_cast<std::uint64_t>(told_number->integer_or()),
                     static_cast<std::uint32_t>(told_ordinal->integer_or())};
        return true;
    }

    /// Never back: a worker that was stopped and wakes up changes nothing.
    result<void> store_place() {
        if (token_.empty())
            return fail(ErrorCode::unsupported, "MongoDB: the change stream has no resume token");
        const auto places = client_->collection(collections::sync_checkpoints);
        const auto number = static_cast<std::int64_t>(given_.number);
        const std::int64_t ordinal = given_.ordinal;
        const Bson filter(Object{
            {"_id", place_id},
            {"$or", Array{Object{{"number", Object{{"$lt", number}}}},
                          Object{{"number", number}, {"ordinal", Object{{"$lte", ordinal}}}}}}});
        const Bson update(
            Object{{"$set", Object{{"token", Binary{token_}},
                                   {"number", number},
                                   {"ordinal", ordinal},
                                   {"toldNumber", static_cast<std::int64_t>(told_.number)},
                                   {"toldOrdinal", std::int64_t{told_.ordinal}},
                                   {"at", Date{clock_.utc_us() / 1000}}}}});
        const Bson options(Object{{"upsert", true}});
        Reply reply;
        bson_error_t error;
        if (!mongoc_collection_update_one(places.get(), filter.get(), update.get(), options.get(),
                                          reply.out(), &error)) {
            // Another one is further: its place stays.
            constexpr std::uint32_t duplicate_key = 11000;
            if (error.code != duplicate_key) return to_error(error, &reply);
        }
        stored_ = given_;
        stored_token_ = token_;
        stored_at_ = clock_.monotonic();
        return {};
    }

    Options options_;
    Clock& clock_;
    // Of the one thread alone.
    std::string token_, stored_token_;
    Position given_, stored_, gap_from_, gap_upto_;
    std::string gap_reason_;
    Position told_; // the newest that the stream was given: the place may be one that nothing had
    Clock::duration stored_at_{};
    Reply reply_;
    std::int64_t cursor_ = 0;
    mongo::Clients clients_;
    std::unique_ptr<Client> client_; // goes before the pool that it is of
    mongo::SessionPtr session_;      // goes before its client
};

MongoRecordChanges::MongoRecordChanges(Options options, Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), clock)) {}
MongoRecordChanges::~MongoRecordChanges() = default;

awaitable<result<void>> MongoRecordChanges::open(Position published) {
    co_return co_await impl_->on_thread(
        [impl = impl_.get(), published] { return impl->open(published); });
}

awaitable<result<RecordChangeBatch>> MongoRecordChanges::next(Clock::duration wait) {
    co_return co_await impl_->on_thread([impl = impl_.get(), wait] { return impl->next(wait); });
}

awaitable<result<void>> MongoRecordChanges::confirm() {
    co_return co_await impl_->on_thread([impl = impl_.get()] { return impl->confirm(); });
}

} // namespace netbuild
