// SPDX-License-Identifier: Apache-2.0
#include "clients.hpp"

#include <mutex>

#include <fmt/format.h>

namespace netbuild::mongo {
namespace {

void initialise_driver() {
    static std::once_flag once;
    std::call_once(once, [] {
        mongoc_init();
        // The driver's own log lines may hold values; what matters comes back as errors.
        mongoc_log_set_handler([](mongoc_log_level_t, const char*, const char*, void*) {}, nullptr);
    });
}

} // namespace

Error to_error(const bson_error_t& error, const Reply* reply) {
    std::string detail = fmt::format("MongoDB: {}", error.message);
    if (error.domain == MONGOC_ERROR_SERVER_SELECTION)
        return fail(ErrorCode::unavailable, std::move(detail));
    if (error.domain == MONGOC_ERROR_STREAM)
        return fail(ErrorCode::outcome_unknown, std::move(detail));
    if (error.domain == MONGOC_ERROR_CLIENT && error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
        return fail(ErrorCode::unauthorized, std::move(detail));
    }
    if (reply && (reply->has_label("RetryableWriteError") ||
                  reply->has_label("TransientTransactionError"))) {
        return fail(ErrorCode::unavailable, std::move(detail));
    }
    switch (error.code) {
    case 13:
    case 18:
        return fail(ErrorCode::unauthorized, std::move(detail));
    case 50:
        return fail(ErrorCode::deadline_exceeded, std::move(detail)); // MaxTimeMSExpired
    case 10334:
    case 17280:
    case 17419:
        return fail(ErrorCode::payload_too_large, std::move(detail));
    case 11000: // two upserts of one _id at a time: the other one was there first
    case 112:
        return fail(ErrorCode::unavailable, std::move(detail)); // WriteConflict
    case 11600:
    case 11602:
    case 10107:
    case 13435:
    case 189:
        return fail(ErrorCode::unavailable, std::move(detail)); // no primary, stepping down
    default:
        return fail(ErrorCode::internal, fmt::format("{} (code {})", detail, error.code));
    }
}

result<std::vector<ValuePtr>> read_cursor(mongoc_cursor_t* cursor, std::size_t most) {
    std::vector<ValuePtr> documents;
    const bson_t* document = nullptr;
    while (documents.size() < most && mongoc_cursor_next(cursor, &document)) {
        TRY(Object object,
            decode_bson({reinterpret_cast<const char*>(bson_get_data(document)), document->len}));
        documents.push_back(std::make_shared<const Value>(std::move(object)));
    }
    bson_error_t error;
    if (mongoc_cursor_error(cursor, &error)) return to_error(error);
    return documents;
}

Clients::Clients(Options options) : pool_({.name = options.name, .threads = options.threads}) {
    initialise_driver();
    bson_error_t error;
    uri_.reset(mongoc_uri_new_with_error(options.uri.c_str(), &error));
    if (!uri_) {
        configuration_error_ =
            fail(ErrorCode::invalid_configuration, fmt::format("mongodb.uri: {}", error.message));
        return;
    }
    const auto ms = [](Clock::duration time) {
        return static_cast<std::int32_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
    };
    mongoc_uri_set_option_as_int32(uri_.get(), MONGOC_URI_MAXPOOLSIZE,
                                   static_cast<std::int32_t>(options.pool_max));
    mongoc_uri_set_option_as_int32(uri_.get(), MONGOC_URI_SOCKETTIMEOUTMS,
                                   ms(options.socket_timeout));
    mongoc_uri_set_option_as_int32(uri_.get(), MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                   ms(options.server_selection_timeout));
    mongoc_uri_set_option_as_bool(uri_.get(), MONGOC_URI_RETRYWRITES, true);
    mongoc_uri_set_appname(uri_.get(), "netbuild");
    if (mongoc_uri_get_username(uri_.get()) && !mongoc_uri_get_auth_mechanism(uri_.get())) {
        mongoc_uri_set_auth_mechanism(uri_.get(), "SCRAM-SHA-256");
    }
    mongoc_write_concern_t* concern = mongoc_write_concern_new();
    mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_write_concern_set_journal(concern, true);
    mongoc_uri_set_write_concern(uri_.get(), concern);
    mongoc_write_concern_destroy(concern);
    // What a failover could take back is not read either: a checkpoint, a record's version.
    mongoc_read_concern_t* read = mongoc_read_concern_new();
    mongoc_read_concern_set_level(read, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_read_concern(uri_.get(), read);
    mongoc_read_concern_destroy(read);
    const char* database = mongoc_uri_get_database(uri_.get());
    database_ = database && *database ? database : "netbuild";
    clients_.reset(mongoc_client_pool_new(uri_.get()));
    mongoc_client_pool_set_error_api(clients_.get(), MONGOC_ERROR_API_VERSION_2);
}
Clients::~Clients() = default;

Clients::Client::Client(Clients& clients)
    : clients_(clients), client_(mongoc_client_pool_pop(clients.clients_.get())) {}
Clients::Client::~Client() { mongoc_client_pool_push(clients_.clients_.get(), client_); }

CollectionPtr Clients::Client::collection(std::string_view name) const {
    return CollectionPtr(mongoc_client_get_collection(client_, clients_.database_.c_str(),
                                                      std::string(name).c_str()));
}

result<void> Clients::Client::run(const Object& command, Reply& reply) const {
    const Bson body(command);
    bson_error_t error;
    if (!mongoc_client_command_simple(client_, clients_.database_.c_str(), body.get(), nullptr,
                                      reply.out(), &error))
        return to_error(error, &reply);
    return {};
}

result<void> Clients::Client::command(const Object& command) const {
    Reply reply;
    return run(command, reply);
}

result<Value> Clients::Client::ask(const Object& command) const {
    Reply reply;
    TRY_VOID(run(command, reply));
    TRY(Object answer, reply.document());
    return Value(std::move(answer));
}

} // namespace netbuild::mongo
