// SPDX-License-Identifier: Apache-2.0
#include "mongo/mongo_records.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "clients.hpp"
#include "record_bson.hpp"
#include "runtime/backoff.hpp"

namespace netbuild {

using mongo::Bson;
using mongo::read_cursor;
using mongo::Reply;
using mongo::to_error;

namespace {

constexpr std::uint32_t duplicate_key = 11000, document_validation_failure = 121;
// What a server answers that does not know $text, and one that has no index for it.
constexpr std::uint32_t bad_value = 2, index_not_found = 27, command_not_supported = 115;

/// A document that takes a session in.
class CallOptions {
public:
    explicit CallOptions(const Object& object = {}) {
        const Bson encoded(object);
        bson_copy_to(encoded.get(), &options_);
    }
    ~CallOptions() { bson_destroy(&options_); }
    CallOptions(const CallOptions&) = delete;
    result<void> in(mongoc_client_session_t* session) {
        bson_error_t error;
        if (session && !mongoc_client_session_append(session, &options_, &error))
            return to_error(error);
        return {};
    }
    [[nodiscard]] const bson_t* get() const noexcept { return &options_; }

private:
    bson_t options_;
};

bool has_choice(std::string_view choices, std::string_view text) {
    for (std::string_view left = choices; !choices.empty();) {
        const auto bar = left.find('|');
        if (left.substr(0, bar) == text) return true;
        if (bar == std::string_view::npos) return false;
        left.remove_prefix(bar + 1);
    }
    return true;
}

bool has_form(const Field& field, FieldType type, const Value& value);

/// All that is required, and nothing of another type; further members do not matter.
bool has_form(std::span<const Field> fields, const Object& body) {
    return std::ranges::all_of(fields, [&](const Field& field) {
        const Value* value = body.find(field.name);
        if (!value || value->is_null()) return !field.required;
        return has_form(field, field.type, *value);
    });
}

bool has_form(const Field& field, FieldType type, const Value& value) {
    switch (type) {
    case FieldType::json:
        return true;
    case FieldType::binary:
        return value.is<Binary>();
    case FieldType::object:
        return value.is<Object>() && has_form(field.fields, *value.get_if<Object>());
    case FieldType::list:
        return value.is<Array>() &&
               std::ranges::all_of(*value.get_if<Array>(), [&](const Value& element) {
                   return has_form(field, field.element, element);
               });
    default: {
        Field scalar = field;
        scalar.type = type;
        return is_scalar_of(scalar, value) && has_choice(field.choices, value.string_or());
    }
    }
}

/// What another program wrote is shown where it has the declared form, with the declared members
/// alone: whoever reads a record relies on its declaration. Null: it has another form.
ValuePtr as_declared(const Collection& collection, const ValuePtr& record) {
    const bool foreign = collection.shared &&
                         (record_version(*record) == 0 || mongo::is_object_id(record_id(*record)));
    if (!foreign) return record;
    const auto* body = record->get_if<Object>();
    if (!body || !has_form(collection.fields, *body)) return nullptr;
    Object declared{{"_id", record_id(*record)}, {"version", record_version(*record)}};
    for (const Field& field : collection.fields) {
        const Value* value = body->find(field.name);
        if (value && !value->is_null()) declared.append(std::string(field.name), *value);
    }
    return std::make_shared<const Value>(std::move(declared));
}

/// {_id: {$in: ids}}, where what reads like an ObjectId may be one.
class IdsFilter {
public:
    explicit IdsFilter(const std::vector<std::string>& ids) {
        bson_t condition, list;
        bson_append_document_begin(&filter_, "_id", -1, &condition);
        bson_append_array_begin(&condition, "$in", -1, &list);
        std::uint32_t at = 0;
        const auto key = [&at] { return std::to_string(at++); };
        for (const std::string& id : ids) {
            bson_append_utf8(&list, key().c_str(), -1, id.data(), static_cast<int>(id.size()));
            if (!mongo::is_object_id(id)) continue;
            bson_oid_t object_id;
            bson_oid_init_from_string(&object_id, id.c_str());
            bson_append_oid(&list, key().c_str(), -1, &object_id);
        }
        bson_append_array_end(&condition, &list);
        bson_append_document_end(&filter_, &condition);
    }
    ~IdsFilter() { bson_destroy(&filter_); }
    IdsFilter(const IdsFilter&) = delete;
    [[nodiscard]] const bson_t* get() const noexcept { return &filter_; }

private:
    bson_t filter_ = BSON_INITIALIZER;
};

/// "E11000 duplicate key error collection: db.users index: nb_unique_emailKey dup key: { … }": the
/// index says it, and the value is nobody's business.
Error taken(const Collection& collection, std::string_view message) {
    constexpr std::string_view before = "index: ";
    const auto at = message.find(before);
    std::string_view name = at == std::string_view::npos ? "" : message.substr(at + before.size());
    name = name.substr(0, name.find(' '));
    const RecordIndex* index = find_index(collection, name);
    std::string fields;
    for (const std::string_view key : index ? index->keys() : std::span<const std::string_view>())
        fields += fmt::format("{}{}.{}", fields.empty() ? "" : ", ", collection.name, key);
    return fail(ErrorCode::already_exists,
                fields.empty() ? fmt::format("{}._id", collection.name) : fields);
}

Error write_error(const Collection& collection, const bson_error_t& error, const Reply& reply) {
    if (error.code == duplicate_key) return taken(collection, error.message);
    if (error.code == document_validation_failure)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: MongoDB's validator refuses it", collection.name));
    return to_error(error, &reply);
}

} // namespace

class MongoRecords::Impl {
public:
    using Client = mongo::Clients::Client;

    explicit Impl(const Options& options)
        : clients_({.uri = options.uri,
                    .name = "mongodb-records",
                    .pool_max = options.pool_max,
                    .threads = options.threads,
                    .socket_timeout = options.socket_timeout,
                    .server_selection_timeout = options.server_selection_timeout}) {}

    template <class Function>
    auto with_client(Function function) {
        return clients_.with_client(std::move(function));
    }

    static result<void> write_one(Client& client, const RecordWrite& write,
                                  mongoc_client_session_t* session) {
        const auto collection = client.collection(write.collection->name);
        CallOptions options;
        TRY_VOID(options.in(session));
        Reply reply;
        bson_error_t error;
        const auto failed = [&] { return write_error(*write.collection, error, reply); };
        if (write.kind == RecordWrite::Kind::insert) {
            const Bson record(stored_record(write));
            if (!mongoc_collection_insert_one(collection.get(), record.get(), options.get(),
                                              reply.out(), &error))
                return failed();
            return {};
        }
        // A record without a version, or of version 0, is another program's.
        const Bson selector(
            Object{{"_id", Object{{"$eq", write.id}}},
                   {"version", write.version == 0 ? Object{{"$in", Array{nullptr, std::int64_t{0}}}}
                                                  : Object{{"$eq", write.version}}}});
        if (write.kind == RecordWrite::Kind::erase) {
            if (!mongoc_collection_delete_one(collection.get(), selector.get(), options.get(),
                                              reply.out(), &error))
                return failed();
            if (reply.integer("deletedCount") == 1) return {};
        } else {
            const Bson record(stored_record(write));
            if (!mongoc_collection_replace_one(collection.get(), selector.get(), record.get(),
                                               options.get(), reply.out(), &error))
                return failed();
            if (reply.integer("matchedCount") == 1) return {};
        }
        TRY(const auto found, find(client, *write.collection, Object{{"_id", write.id}}, session));
        return fail(found.empty() ? ErrorCode::not_found : ErrorCode::conflict,
                    fmt::format("{}: {}", write.collection->name, write.id));
    }

    static result<void> write_all(Client& client, const std::vector<RecordWrite>& writes) {
        if (writes.size() == 1) return write_one(client, writes.front(), nullptr);
        bson_error_t error;
        const mongo::SessionPtr session(mongoc_client_start_session(client.get(), nullptr, &error));
        if (!session) return to_error(error);
        if (!mongoc_client_session_start_transaction(session.get(), nullptr, &error))
            return to_error(error);
        for (const RecordWrite& write : writes) {
            auto written = write_one(client, write, session.get());
            if (!written) {
                (void)mongoc_client_session_abort_transaction(session.get(), nullptr);
                return written;
            }
        }
        // Unknown outcomes are tried again once by the driver: a commit may be repeated.
        Reply reply;
        if (mongoc_client_session_commit_transaction(session.get(), reply.out(), &error)) return {};
        if (reply.has_label("UnknownTransactionCommitResult"))
            return fail(ErrorCode::outcome_unknown, fmt::format("MongoDB: {}", error.message));
        return to_error(error, &reply);
    }

    static result<std::vector<ValuePtr>> find(Client& client, const Collection& collection,
                                              const Object& filter,
                                              mongoc_client_session_t* session = nullptr,
                                              const Object& options = {}) {
        const auto from = client.collection(collection.name);
        const Bson selector(filter);
        CallOptions call(options);
        TRY_VOID(call.in(session));
        const mongo::CursorPtr cursor(
            mongoc_collection_find_with_opts(from.get(), selector.get(), call.get(), nullptr));
        return read_cursor(cursor.get());
    }

    /// A search; none: this server has no full-text index (SecantusDB), or it is not built yet.
    static result<std::optional<std::vector<ValuePtr>>> search(Client& client, const Plan& plan) {
        const auto from = client.collection(plan.collection->name);
        const Bson selector(mongo::walk_filter(plan));
        const Bson options(walk_options(plan));
        const mongo::CursorPtr cursor(
            mongoc_collection_find_with_opts(from.get(), selector.get(), options.get(), nullptr));
        auto found = read_cursor(cursor.get());
        bson_error_t error;
        if (mongoc_cursor_error(cursor.get(), &error) &&
            (error.code == bad_value || error.code == index_not_found ||
             error.code == command_not_supported))
            return std::optional<std::vector<ValuePtr>>();
        if (!found) return std::move(found).error();
        return std::optional(std::move(*found));
    }

    static result<std::vector<ValuePtr>> look(Client& client, const Plan& plan) {
        if (plan.words.empty())
            return find(client, *plan.collection, mongo::walk_filter(plan), nullptr,
                        walk_options(plan));
        TRY(auto found, search(client, plan));
        if (!found)
            return fail(ErrorCode::unsupported,
                        "full-text search: this MongoDB server has no text index");
        return std::move(*found);
    }

    static Object walk_options(const Plan& plan) {
        return {{"sort", mongo::walk_sort(plan)}, {"limit", static_cast<std::int64_t>(plan.limit)}};
    }

    /// Does the server know $text at all? One that does says that the index is missing, or that
    /// there is no such collection.
    static result<bool> knows_search(Client& client, const Collection& collection) {
        const auto from = client.collection(collection.name);
        const Bson selector(Object{{"$text", Object{{"$search", "netbuild"}}}});
        const Bson options(Object{{"limit", std::int64_t{1}}});
        const mongo::CursorPtr cursor(
            mongoc_collection_find_with_opts(from.get(), selector.get(), options.get(), nullptr));
        const auto found = read_cursor(cursor.get());
        bson_error_t error;
        if (!mongoc_cursor_error(cursor.get(), &error)) return true;
        if (error.code == index_not_found) return true;
        if (error.code == bad_value || error.code == command_not_supported) return false;
        return found.error();
    }

    static result<std::vector<SchemaChange>> changes(Client& client,
                                                     std::span<const Collection> collections) {
        TRY(const Value listed,
            client.ask(Object{{"listCollections", 1}, {"cursor", Object{{"batchSize", 1000}}}}));
        std::map<std::string, Value> validators; // of what is there
        for (const Value& one : *listed.at_path("cursor.firstBatch")->get_if<Array>()) {
            const Value* validator = one.at_path("options.validator");
            validators[std::string(one.at_path("name")->string_or())] =
                validator ? *validator : Value();
        }
        std::vector<SchemaChange> found;
        for (const Collection& collection : collections) {
            const auto there = validators.find(std::string(collection.name));
            std::set<std::string> indexes;
            if (there == validators.end()) {
                found.push_back({SchemaChange::Kind::create_collection, &collection, {}});
            } else {
                if (!(there->second == Value(mongo::validator_object(collection))))
                    found.push_back({SchemaChange::Kind::set_validator, &collection, {}});
                TRY(indexes, index_names(client, collection));
            }
            for (const RecordIndex& index : collection.indexes) {
                const std::string name = index_name(index);
                if (indexes.erase(name) == 0)
                    found.push_back({SchemaChange::Kind::create_index, &collection, name});
            }
            if (const std::string name = search_index_name(collection);
                !name.empty() && indexes.erase(name) == 0) {
                TRY(const bool possible, knows_search(client, collection));
                if (possible)
                    found.push_back({SchemaChange::Kind::create_index, &collection, name});
            }
            for (const std::string& name : indexes) {
                if (name.starts_with("nb_"))
                    found.push_back({SchemaChange::Kind::drop_index, &collection, name});
            }
        }
        return found;
    }

    static result<void> apply(Client& client, const SchemaChange& change,
                              const SchemaProgress& progress) {
        const Collection& collection = *change.collection;
        switch (change.kind) {
        case SchemaChange::Kind::create_collection:
            return client.command(Object{{"create", collection.name},
                                         {"validator", mongo::validator_object(collection)}});
        case SchemaChange::Kind::set_validator:
            return client.command(Object{{"collMod", collection.name},
                                         {"validator", mongo::validator_object(collection)}});
        case SchemaChange::Kind::create_index: {
            const RecordIndex* index = find_index(collection, change.index);
            const bool search = change.index == search_index_name(collection);
            if (!index && !search) return fail(ErrorCode::not_found, change.text());
            const Object object = search ? mongo::search_index_object(collection)
                                         : mongo::index_object(collection, *index);
            TRY(const std::uint64_t records, estimate(client, collection));
            if (progress) progress(0, records);
            TRY_VOID(client.command(
                Object{{"createIndexes", collection.name}, {"indexes", Array{object}}}));
            if (progress) progress(records, records);
            return {};
        }
        case SchemaChange::Kind::drop_index:
            return client.command(
                Object{{"dropIndexes", collection.name}, {"index", change.index}});
        }
        return {};
    }

    static result<std::uint64_t> remove_expired(Client& client, const Collection& collection,
                                                Date now, std::size_t limit) {
        const std::string field(collection.expires);
        const Object expired{{field, Object{{"$lt", now}}}};
        TRY(const auto found, find(client, collection, expired, nullptr,
                                   Object{{"limit", static_cast<std::int64_t>(limit)},
                                          {"projection", Object{{field, 1}}}}));
        if (found.empty()) return std::uint64_t{0};
        Array ids;
        for (const ValuePtr& record : found)
            ids.push_back(*record->at_path("_id"));
        // Once more with the date: a session may have been prolonged meanwhile.
        const Bson selector(
            Object{{"_id", Object{{"$in", std::move(ids)}}}, {field, Object{{"$lt", now}}}});
        const auto from = client.collection(collection.name);
        Reply reply;
        bson_error_t error;
        if (!mongoc_collection_delete_many(from.get(), selector.get(), nullptr, reply.out(),
                                           &error))
            return to_error(error, &reply);
        return static_cast<std::uint64_t>(reply.integer("deletedCount"));
    }

private:
    static result<std::set<std::string>> index_names(Client& client, const Collection& collection) {
        TRY(const Value listed, client.ask(Object{{"listIndexes", collection.name},
                                                  {"cursor", Object{{"batchSize", 1000}}}}));
        std::set<std::string> names;
        for (const Value& one : *listed.at_path("cursor.firstBatch")->get_if<Array>())
            names.emplace(one.at_path("name")->string_or());
        return names;
    }

    static result<std::uint64_t> estimate(Client& client, const Collection& collection) {
        const auto of = client.collection(collection.name);
        bson_error_t error;
        const auto count =
            mongoc_collection_estimated_document_count(of.get(), nullptr, nullptr, nullptr, &error);
        if (count < 0) return to_error(error);
        return static_cast<std::uint64_t>(count);
    }

    mongo::Clients clients_;
};

MongoRecords::MongoRecords(Options options, Clock& clock)
    : clock_(clock),
      random_(Random::from_system()),
      attempts_max_(options.attempts_max),
      impl_(std::make_unique<Impl>(options)) {}
MongoRecords::~MongoRecords() = default;

awaitable<result<void>> MongoRecords::ping() {
    co_return co_await impl_->with_client(
        [](Impl::Client& client) { return client.command(Object{{"ping", 1}}); });
}

awaitable<result<std::vector<SchemaChange>>>
MongoRecords::schema_changes(std::span<const Collection> collections) {
    co_return co_await impl_->with_client(
        [collections](Impl::Client& client) { return Impl::changes(client, collections); });
}

awaitable<result<void>> MongoRecords::apply(SchemaChange change, SchemaProgress progress) {
    co_return co_await impl_->with_client(
        [change = std::move(change), progress = std::move(progress)](Impl::Client& client) {
            return Impl::apply(client, change, progress);
        });
}

awaitable<result<std::vector<ValuePtr>>> MongoRecords::get(const Collection& collection,
                                                           std::vector<std::string> ids) {
    return impl_->with_client(
        [&collection, ids = std::move(ids)](Impl::Client& client) -> result<std::vector<ValuePtr>> {
            const auto from = client.collection(collection.name);
            const IdsFilter selector(ids);
            const mongo::CursorPtr cursor(
                mongoc_collection_find_with_opts(from.get(), selector.get(), nullptr, nullptr));
            TRY(const auto found, read_cursor(cursor.get()));
            std::map<std::string, ValuePtr> by_id;
            for (const ValuePtr& record : found)
                by_id[record_id(*record)] = as_declared(collection, record);
            std::vector<ValuePtr> records;
            records.reserve(ids.size());
            for (const std::string& id : ids) {
                const auto one = by_id.find(id);
                records.push_back(one == by_id.end() ? nullptr : one->second);
            }
            return records;
        });
}

awaitable<result<std::uint64_t>> MongoRecords::remove_expired(const Collection& collection,
                                                              Date now, std::size_t limit) {
    return impl_->with_client([&collection, now, limit](Impl::Client& client) {
        return Impl::remove_expired(client, collection, now, limit);
    });
}

awaitable<result<void>> MongoRecords::write(std::vector<RecordWrite> writes) {
    Backoff backoff({std::chrono::milliseconds(5), std::chrono::milliseconds(200)}, random_);
    const auto shared = std::make_shared<const std::vector<RecordWrite>>(std::move(writes));
    for (int attempt = 1;; ++attempt) {
        auto written = co_await impl_->with_client(
            [shared](Impl::Client& client) { return Impl::write_all(client, *shared); });
        // Another transaction has one of the records: this one took no effect.
        if (written || written.error().code() != ErrorCode::unavailable ||
            attempt >= attempts_max_ || shared->size() == 1)
            co_return written;
        CO_TRY_VOID(co_await clock_.sleep(backoff.next()));
    }
}

awaitable<result<std::vector<ValuePtr>>> MongoRecords::walk(Plan plan) {
    co_return co_await impl_->with_client(
        [plan = std::move(plan)](Impl::Client& client) -> result<std::vector<ValuePtr>> {
            Plan rest = plan;
            std::vector<ValuePtr> records;
            while (true) {
                TRY(const auto found, Impl::look(client, rest));
                for (const ValuePtr& record : found)
                    if (auto declared = as_declared(*plan.collection, record))
                        records.push_back(std::move(declared));
                if (found.size() < rest.limit || records.size() == plan.limit) return records;
                // Records of another form were among them: on behind the last.
                rest.limit = plan.limit - records.size();
                rest.from.clear();
                for (const std::string_view key : plan.keys) {
                    const Value* value = found.back()->at_path(key);
                    rest.from.push_back(value ? *value : Value());
                }
            }
        });
}

} // namespace netbuild
