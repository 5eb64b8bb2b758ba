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

    result<void> open() {
        close();
        gap_from_ = gap_upto_ = {};
        client_ = std::make_unique<Client>(clients_);
        TRY(const bool known, read_place());
        if (known) {
            bson_error_t error;
            if (start(error)) return {};
            if (!is_lost(error)) return to_error(error);
            log::warning("the change stream cannot go on where it ended: {}", error.message);
            gap_from_ = given_;
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
            batch.gap_reason = "history_lost";
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
    bool ask(const Object& command, bson_error_t& error) {
        const Bson body(command);
        bson_t options;
        bson_init(&options);
        const bool asked =
            mongoc_client_session_append(session_.get(), &options, &error) &&
            mongoc_client_command_with_opts(client_->get(), client_->database(), body.get(),
                                            nullptr, &options, reply_.out(), &error);
        bson_destroy(&options);
        return asked;
    }

    /// From token_, or from now.
    bool start(bson_error_t& error) {
        session_.reset(mongoc_client_start_session(client_->get(), nullptr, &error));
        if (!session_) return false;
        Array names;
        for (const RecordEvents& one : options_.events)
            names.emplace_back(one.collection->name);
        Object filter{{"ns.coll", Object{{"$in", std::move(names)}}},
                      {"operationType", Object{{"$in", Array{"insert", "update", "replace"}}}}};
        Object stream{{"fullDocument", "updateLookup"}};
        if (!token_.empty()) {
            if (auto token = decode_bson(token_)) stream.append("resumeAfter", std::move(*token));
        }
        const Object command{{"aggregate", 1},
                             {"pipeline", Array{Object{{"$changeStream", std::move(stream)}},
                                                Object{{"$match", std::move(filter)}}}},
                             {"cursor", Object{{"batchSize", std::int64_t{0}}}}};
        if (!ask(command, error)) return false;
        cursor_ = reply_.integer("cursor.id");
        // The first batch is empty, and its token is that of now, wherever the stream begins.
        if (token_.empty()) remember_token();
        return true;
    }

    result<void> get_more(Clock::duration wait) {
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
        bson_error_t error;
        if (!ask(Object{{"getMore", cursor_},
                        {"collection", changes_of_a_database},
                        {"batchSize", batch_size},
                        {"maxTimeMS", std::max<std::int64_t>(1, ms)}},
                 error)) {
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
        given_ = stored_ = {};
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
        const Bson update(Object{{"$set", Object{{"token", Binary{token_}},
                                                 {"number", number},
                                                 {"ordinal", ordinal},
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

awaitable<result<void>> MongoRecordChanges::open(Position /*published*/) {
    co_return co_await impl_->on_thread([impl = impl_.get()] { return impl->open(); });
}

awaitable<result<RecordChangeBatch>> MongoRecordChanges::next(Clock::duration wait) {
    co_return co_await impl_->on_thread([impl = impl_.get(), wait] { return impl->next(wait); });
}

awaitable<result<void>> MongoRecordChanges::confirm() {
    co_return co_await impl_->on_thread([impl = impl_.get()] { return impl->confirm(); });
}

} // namespace netbuild
