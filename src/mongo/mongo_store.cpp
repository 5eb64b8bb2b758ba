// SPDX-License-Identifier: Apache-2.0
#include "mongo/mongo_store.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "bulk_size.hpp"
#include "clients.hpp"
#include "filter_bson.hpp"
#include "merged_lookups.hpp"
#include "model/collections.hpp"
#include "ports/checkpoint_document.hpp"
#include "runtime/task_group.hpp"

namespace netbuild {

using mongo::Bson;
using mongo::read_cursor;
using mongo::Reply;
using mongo::to_error;

namespace {

constexpr int duplicate_key = 11000;

/// {older: [path, version]}, where what is not there is the oldest.
Object is_older(std::string_view path, const char* older, std::int64_t version) {
    return Object{{older, Array{Object{{"$ifNull", Array{path, std::int64_t{-1}}}}, version}}};
}

/// Replaces the document if `condition` holds for it: one pipeline update whose outcome needs no
/// interpretation.
Object guarded_replace(const Value& body, Object condition) {
    return Object{
        {"", Array{Object{{"$replaceWith",
                           Object{{"$cond", Array{std::move(condition), Object{{"$literal", body}},
                                                  "$$ROOT"}}}}}}}};
}

/// A pipeline is an array, which libmongoc takes as a document whose keys are indices: here the
/// member "". Other updates are as they are.
class Update {
public:
    explicit Update(const Object& object) : document_(object) {
        bson_iter_t iterator;
        if (!bson_iter_init_find(&iterator, document_.get(), "") ||
            !BSON_ITER_HOLDS_ARRAY(&iterator))
            return;
        const std::uint8_t* data = nullptr;
        std::uint32_t size = 0;
        bson_iter_array(&iterator, &size, &data);
        is_pipeline_ = bson_init_static(&pipeline_, data, size);
    }
    [[nodiscard]] const bson_t* get() const { return is_pipeline_ ? &pipeline_ : document_.get(); }

private:
    Bson document_;
    bson_t pipeline_;
    bool is_pipeline_ = false;
};

} // namespace

class MongoStore::Impl {
public:
    using Client = mongo::Clients::Client;

    explicit Impl(Options options)
        : options_(std::move(options)),
          clients_({.uri = options_.uri,
                    .name = "mongodb",
                    .pool_max = options_.pool_max,
                    .threads = options_.threads,
                    .socket_timeout = options_.socket_timeout,
                    .server_selection_timeout = options_.server_selection_timeout}) {}

    /// Runs `function` with a client on a thread of the pool.
    template <class Function>
    auto with_client(Function function) {
        return clients_.with_client(std::move(function));
    }

    awaitable<result<std::vector<ValuePtr>>> look_up(Query query) {
        return clients_.on_thread([this, query = std::move(query)] {
            return lookups_.look_up(query, [this](const Query& wanted) {
                Client client(clients_);
                return find(client, wanted);
            });
        });
    }

    result<void> prepare(const std::vector<CollectionSpec>& collections) {
        { // so many connections are open from now on
            std::vector<std::unique_ptr<Client>> warm;
            for (std::size_t i = 0; i < std::min(options_.pool_min, options_.pool_max); ++i) {
                warm.push_back(std::make_unique<Client>(clients_));
                TRY_VOID(warm.back()->command(Object{{"ping", 1}}));
            }
        }
        Client client(clients_);
        for (const CollectionSpec& collection : collections) {
            if (collection.indexes.empty()) continue;
            Array indexes;
            for (const IndexSpec& index : collection.indexes) {
                Object keys;
                std::string name;
                for (std::string_view path : index.paths) {
                    const bool descending = path.starts_with('-');
                    if (descending) path.remove_prefix(1);
                    keys.append(std::string(path), descending ? -1 : 1);
                    name +=
                        fmt::format("{}{}_{}", name.empty() ? "" : "_", path, descending ? -1 : 1);
                }
                keys.append("_id", 1); // lists are ordered by it last
                Object spec{{"key", std::move(keys)}, {"name", name + "__id_1"}};
                if (index.unique) spec.append("unique", true);
                indexes.emplace_back(std::move(spec));
            }
            TRY_VOID(client.command(
                Object{{"createIndexes", collection.name}, {"indexes", std::move(indexes)}}));
        }
        return {};
    }

    /// The document of that id if it is older than the write, or has no Position.
    static Object older_than(const DocumentWrite& write) {
        const auto lsn = static_cast<std::int64_t>(write.lsn);
        return Object{{"_id", write.id}, {"sync.lsn", Object{{"$not", Object{{"$gte", lsn}}}}}};
    }

    static bool is_insert(const DocumentWrite& write) {
        return write.kind == DocumentWrite::Kind::insert_only ||
               (write.kind == DocumentWrite::Kind::replace && write.expected_new);
    }

    /// With an error of libbson's check if it was not taken.
    static bool add_erase(mongoc_bulk_operation_t* bulk, const DocumentWrite& write,
                          bson_error_t& error) {
        const Bson selector(older_than(write));
        return mongoc_bulk_operation_remove_one_with_opts(bulk, selector.get(), nullptr, &error);
    }

    /// As the writer believes the store to be: new documents are inserted, others replaced where
    /// older. No pipeline, no upsert: the least work for a server.
    static result<void> add_plain(mongoc_bulk_operation_t* bulk, const DocumentWrite& write) {
        // The bodies are our own encoder's; libbson's check would refuse a variable's empty name.
        static const Bson unchecked(Object{{"validate", false}});
        bson_error_t error;
        bool added = false;
        if (write.kind == DocumentWrite::Kind::erase) {
            added = add_erase(bulk, write, error);
        } else if (const Bson body(*write.body->get_if<Object>()); is_insert(write)) {
            added =
                mongoc_bulk_operation_insert_with_opts(bulk, body.get(), unchecked.get(), &error);
        } else {
            const Bson selector(older_than(write));
            added = mongoc_bulk_operation_replace_one_with_opts(bulk, selector.get(), body.get(),
                                                                unchecked.get(), &error);
        }
        if (!added) return to_error(error);
        return {};
    }

    /// Right whatever the store holds.
    static result<void> add_guarded(mongoc_bulk_operation_t* bulk, const DocumentWrite& write) {
        static const Bson upsert(Object{{"upsert", true}});
        bson_error_t error;
        bool added = false;
        if (write.kind == DocumentWrite::Kind::erase) {
            added = add_erase(bulk, write, error);
        } else {
            const Bson selector(Object{{"_id", write.id}});
            const Update update(
                write.kind == DocumentWrite::Kind::insert_only
                    ? Object{{"$setOnInsert", *write.body}}
                    : guarded_replace(*write.body, is_older("$sync.lsn", "$lt",
                                                            static_cast<std::int64_t>(write.lsn))));
            added = mongoc_bulk_operation_update_one_with_opts(bulk, selector.get(), update.get(),
                                                               upsert.get(), &error);
        }
        if (!added) return to_error(error);
        return {};
    }

    using Writes = std::vector<const DocumentWrite*>;
    using Add = result<void> (*)(mongoc_bulk_operation_t*, const DocumentWrite&);

    static result<mongo::BulkPtr> make_bulk(mongoc_collection_t* collection, const Writes& writes,
                                            Add add) {
        static const Bson unordered(Object{{"ordered", false}});
        mongo::BulkPtr bulk(
            mongoc_collection_create_bulk_operation_with_opts(collection, unordered.get()));
        for (const DocumentWrite* write : writes)
            TRY_VOID(add(bulk.get(), *write));
        return bulk;
    }

    /// A stage's writes as bulks of at most `size` writes. A collection's inserts go together, for
    /// a server takes many new documents at once best; its other writes by lanes, one process
    /// instance in one.
    class Bulks {
    public:
        Bulks(const std::vector<DocumentWrite>& writes, std::size_t parallel, std::size_t size) {
            constexpr std::size_t small = 16;
            const bool few = writes.size() <= small;
            const std::size_t split = few ? 1 : parallel;
            std::map<std::pair<std::string_view, std::size_t>, Writes> together;
            for (const DocumentWrite& write : writes) {
                const std::string_view key =
                    write.partition.empty() ? std::string_view(write.id) : write.partition;
                const std::size_t lane =
                    is_insert(write) ? split : std::hash<std::string_view>{}(key) % split;
                Writes& bulk = together[{write.collection, lane}];
                bulk.push_back(&write);
                if (bulk.size() == size) bulks_.push_back(std::exchange(bulk, {}));
            }
            for (auto& [of, rest] : together) {
                if (!rest.empty()) bulks_.push_back(std::move(rest));
            }
            // A few writes wait for answers, not for the server's work.
            lanes_ = few ? bulks_.size() : std::min(parallel, bulks_.size());
        }
        Bulks(const Bulks&) = delete;
        /// So many are written at a time.
        [[nodiscard]] std::size_t lanes() const noexcept { return lanes_; }
        [[nodiscard]] const Writes* next() {
            return next_ == bulks_.size() ? nullptr : &bulks_[next_++];
        }

    private:
        std::vector<Writes> bulks_;
        std::size_t next_ = 0;
        std::size_t lanes_ = 0;
    };

    awaitable<result<void>> write_bulks(Bulks& bulks) {
        while (const Writes* bulk = bulks.next()) {
            const auto written =
                co_await with_client([bulk](Client& client) { return write_bulk(client, *bulk); });
            if (written)
                bulk_size_.answered(bulk->size());
            else if (written.error().code() == ErrorCode::outcome_unknown)
                bulk_size_.unanswered(bulk->size());
            CO_TRY_VOID(written);
        }
        co_return result<void>{};
    }

    /// Writes of one collection. First as if what the writer believes of the store were so, which
    /// the answer's counts tell. If it is not (a replay, another worker), all of them go again,
    /// guarded: what took the first time is not older than itself and stays as it is.
    static result<void> write_bulk(Client& client, const Writes& writes) {
        const auto collection = client.collection(writes.front()->collection);
        TRY(const auto plain, make_bulk(collection.get(), writes, add_plain));
        Reply reply;
        bson_error_t error;
        const bool done = mongoc_bulk_operation_execute(plain.get(), reply.out(), &error) != 0;
        if (!done && !reply.only_write_errors_of(duplicate_key)) return to_error(error, &reply);
        const auto erased = std::count_if(writes.begin(), writes.end(), [](const auto* write) {
            return write->kind == DocumentWrite::Kind::erase;
        });
        const auto took = reply.integer("nInserted") + reply.integer("nMatched");
        if (done && took == std::ssize(writes) - erased) return {};
        TRY(const auto guarded, make_bulk(collection.get(), writes, add_guarded));
        if (mongoc_bulk_operation_execute(guarded.get(), reply.out(), &error) == 0)
            return to_error(error, &reply);
        return {};
    }

    /// All of them durable, or a failure after which any may be. Beside them the fence is looked
    /// at, for the stage that comes next. Of one document there is one write, so the order of the
    /// bulks does not matter.
    awaitable<result<void>> write_all(const std::vector<DocumentWrite>& writes,
                                      const std::optional<Fence>& fence) {
        if (writes.empty() && !fence) co_return result<void>{};
        Bulks bulks(writes, std::max<std::size_t>(options_.parallel_bulks, 1), bulk_size_.now());
        std::optional<Error> failure;
        TaskGroup group(co_await asio::this_coro::executor,
                        [&](const std::string&, const Error& error) {
                            if (!failure) failure = error;
                        });
        for (std::size_t lane = 0; lane < bulks.lanes(); ++lane)
            group.spawn("bulks", write_bulks(bulks));
        if (fence) group.spawn("fence", check_fence(*fence));
        co_await group.join();
        if (failure) co_return std::move(*failure);
        co_return result<void>{};
    }

    /// The generation that is stored after the update, which creates the document if need be.
    static result<std::uint64_t> modify_checkpoint(Client& client, const std::string& engine,
                                                   const bson_t* update) {
        const auto collection = client.collection(collections::sync_checkpoints);
        const Bson selector(Object{{"_id", engine}});
        static const Bson fields(Object{{"generation", 1}});
        const mongo::FindAndModifyPtr options(mongoc_find_and_modify_opts_new());
        mongoc_find_and_modify_opts_set_update(options.get(), update);
        mongoc_find_and_modify_opts_set_fields(options.get(), fields.get());
        mongoc_find_and_modify_opts_set_flags(
            options.get(), static_cast<mongoc_find_and_modify_flags_t>(
                               MONGOC_FIND_AND_MODIFY_UPSERT | MONGOC_FIND_AND_MODIFY_RETURN_NEW));
        Reply reply;
        bson_error_t error;
        if (!mongoc_collection_find_and_modify_with_opts(collection.get(), selector.get(),
                                                         options.get(), reply.out(), &error))
            return to_error(error, &reply);
        return static_cast<std::uint64_t>(reply.integer("value.generation"));
    }

    awaitable<result<void>> move_checkpoint(const Checkpoint& checkpoint) {
        return with_client([checkpoint](Client& client) -> result<void> {
            const auto number = static_cast<std::int64_t>(checkpoint.position.number);
            const auto generation = static_cast<std::int64_t>(checkpoint.generation);
            const Update update(
                guarded_replace(checkpoint_document(checkpoint),
                                Object{{"$and", Array{is_older("$generation", "$lte", generation),
                                                      is_older("$number", "$lte", number)}}}));
            TRY(const auto claimed, modify_checkpoint(client, checkpoint.engine, update.get()));
            if (claimed > checkpoint.generation)
                return fenced_off(checkpoint.engine, checkpoint.generation, claimed);
            return {};
        });
    }

    awaitable<result<std::uint64_t>> claim(std::string engine) {
        // Counted twice if the answer was lost: greater than any before all the same.
        return with_client([engine = std::move(engine)](Client& client) {
            const Bson update(Object{{"$inc", Object{{"generation", std::int64_t{1}}}}});
            return modify_checkpoint(client, engine, update.get());
        });
    }

    awaitable<result<void>> check_fence(const Fence& fence) {
        return with_client([fence](Client& client) -> result<void> {
            TRY(const auto found, find_ids(client, collections::sync_checkpoints, {fence.engine}));
            const auto claimed = found.empty() ? 0 : claimed_generation(found.front());
            if (claimed > fence.generation)
                return fenced_off(fence.engine, fence.generation, claimed);
            return {};
        });
    }

    static result<std::vector<ValuePtr>> find(Client& client, const Query& query,
                                              mongoc_client_session_t* session = nullptr) {
        if (query.limit == 0) return std::vector<ValuePtr>();
        const auto collection = client.collection(query.collection);
        Object options{{"limit", static_cast<std::int64_t>(query.limit)}};
        if (!query.any_order) options.append("sort", mongo::sort_object(query));
        if (!query.without.empty()) {
            Object projection;
            for (const std::string& path : query.without)
                projection.append(path, 0);
            options.append("projection", std::move(projection));
        }
        const Bson filter(mongo::query_object(query));
        const Bson encoded(options);
        bson_t with_session;
        bson_copy_to(encoded.get(), &with_session);
        bson_error_t error;
        const bool usable =
            !session || mongoc_client_session_append(session, &with_session, &error);
        if (!usable) {
            bson_destroy(&with_session);
            return to_error(error);
        }
        const mongo::CursorPtr cursor(mongoc_collection_find_with_opts(
            collection.get(), filter.get(), &with_session, nullptr));
        bson_destroy(&with_session);
        return read_cursor(cursor.get());
    }

    /// One cursor of the server: page by page a server would look for each page's begin, and some
    /// sort what is left each time.
    class Scan final : public DocumentScan {
    public:
        Scan(Impl& impl, std::string_view collection) : impl_(impl), name_(collection) {}
        awaitable<result<std::vector<ValuePtr>>> next() override {
            if (ended_) co_return std::vector<ValuePtr>(); // the driver refuses to be asked again
            co_return co_await impl_.clients_.on_thread([this] { return read(); });
        }

    private:
        static constexpr std::size_t page_documents = 1000;
        result<std::vector<ValuePtr>> read() {
            if (!cursor_) {
                client_.emplace(impl_.clients_);
                static const Bson all(Object{});
                static const Bson options(
                    Object{{"batchSize", static_cast<std::int64_t>(page_documents)}});
                const auto collection = client_->collection(name_);
                cursor_.reset(mongoc_collection_find_with_opts(collection.get(), all.get(),
                                                               options.get(), nullptr));
            }
            TRY(auto page, read_cursor(cursor_.get(), page_documents));
            ended_ = page.size() < page_documents;
            return page;
        }
        Impl& impl_;
        const std::string name_;
        bool ended_ = false;
        std::optional<Client> client_; // goes back to the pool after the cursor is closed
        mongo::CursorPtr cursor_;
    };

    static result<std::vector<ValuePtr>> find_ids(Client& client, std::string_view name,
                                                  const std::vector<std::string>& ids) {
        Array list;
        for (const std::string& id : ids)
            list.emplace_back(id);
        const Bson filter(ids.size() == 1 ? Object{{"_id", ids.front()}}
                                          : Object{{"_id", Object{{"$in", std::move(list)}}}});
        const auto collection = client.collection(name);
        const mongo::CursorPtr cursor(
            mongoc_collection_find_with_opts(collection.get(), filter.get(), nullptr, nullptr));
        return read_cursor(cursor.get());
    }

    /// In one transaction with read concern snapshot.
    static result<std::vector<std::vector<ValuePtr>>>
    find_together(Client& client, const std::vector<Query>& queries) {
        bson_error_t error;
        const mongo::SessionPtr session(mongoc_client_start_session(client.get(), nullptr, &error));
        if (!session) return to_error(error);
        mongoc_transaction_opt_t* options = mongoc_transaction_opts_new();
        mongoc_read_concern_t* concern = mongoc_read_concern_new();
        mongoc_read_concern_set_level(concern, MONGOC_READ_CONCERN_LEVEL_SNAPSHOT);
        mongoc_transaction_opts_set_read_concern(options, concern);
        const bool started =
            mongoc_client_session_start_transaction(session.get(), options, &error);
        mongoc_read_concern_destroy(concern);
        mongoc_transaction_opts_destroy(options);
        if (!started) return to_error(error);
        std::vector<std::vector<ValuePtr>> answers;
        for (const Query& query : queries) {
            auto found = find(client, query, session.get());
            if (!found) {
                (void)mongoc_client_session_abort_transaction(session.get(), nullptr);
                return std::move(found).error();
            }
            answers.push_back(std::move(*found));
        }
        if (!mongoc_client_session_commit_transaction(session.get(), nullptr, &error))
            return to_error(error);
        return answers;
    }

    Options options_;
    mongo::BulkSize bulk_size_;
    mongo::MergedLookups lookups_;
    mongo::Clients clients_; // the last member: its threads end before the others do
};

MongoStore::MongoStore(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
MongoStore::~MongoStore() = default;

awaitable<result<void>> MongoStore::prepare(std::span<const CollectionSpec> collections) {
    co_return co_await impl_->with_client(
        [impl = impl_.get(), specs = std::vector(collections.begin(), collections.end())](
            Impl::Client&) { return impl->prepare(specs); });
}

awaitable<result<void>> MongoStore::ping() {
    co_return co_await impl_->with_client(
        [](Impl::Client& client) { return client.command(Object{{"ping", 1}}); });
}

awaitable<result<void>> MongoStore::apply(std::shared_ptr<const ApplyBatch> batch) {
    // An event is the same whoever writes it: only what comes after has to be fenced off.
    CO_TRY_VOID(co_await impl_->write_all(batch->events, batch->fence));
    const bool both = !batch->parts.empty() && !batch->documents.empty();
    CO_TRY_VOID(co_await impl_->write_all(batch->parts, both ? batch->fence : std::nullopt));
    CO_TRY_VOID(co_await impl_->write_all(batch->documents, std::nullopt));
    if (batch->checkpoint) CO_TRY_VOID(co_await impl_->move_checkpoint(*batch->checkpoint));
    co_return result<void>{};
}

awaitable<result<std::uint64_t>> MongoStore::claim(std::string engine) {
    return impl_->claim(std::move(engine));
}

awaitable<result<std::optional<Checkpoint>>> MongoStore::checkpoint(std::string engine) {
    CO_TRY(const auto found, co_await get(collections::sync_checkpoints, {std::move(engine)}));
    co_return parse_checkpoint(found.front());
}

awaitable<result<void>> MongoStore::erase_checkpoint(std::string engine) {
    Filter filter;
    filter.all.push_back({"_id", Condition::Operator::equal, std::move(engine)});
    CO_TRY_VOID(co_await erase(collections::sync_checkpoints, std::move(filter)));
    co_return result<void>{};
}

awaitable<result<std::vector<ValuePtr>>> MongoStore::get(std::string_view collection,
                                                         std::vector<std::string> ids) {
    if (ids.size() == 1) {
        Query query;
        query.collection = collection;
        query.filter.all.push_back({"_id", Condition::Operator::equal, std::move(ids.front())});
        query.any_order = true;
        query.limit = 1;
        CO_TRY(auto found, co_await impl_->look_up(std::move(query)));
        if (found.empty()) found.emplace_back();
        co_return found;
    }
    co_return co_await impl_->with_client(
        [collection, ids = std::move(ids)](Impl::Client& client) -> result<std::vector<ValuePtr>> {
            TRY(const auto found, Impl::find_ids(client, collection, ids));
            std::map<std::string_view, ValuePtr> by_id;
            for (const ValuePtr& document : found)
                by_id[document->at_path("_id")->string_or()] = document;
            std::vector<ValuePtr> answer;
            answer.reserve(ids.size());
            for (const std::string& id : ids) {
                const auto one = by_id.find(id);
                answer.push_back(one == by_id.end() ? nullptr : one->second);
            }
            return answer;
        });
}

awaitable<result<std::vector<ValuePtr>>> MongoStore::find(Query query) {
    if (mongo::MergedLookups::mergeable(query)) co_return co_await impl_->look_up(std::move(query));
    co_return co_await impl_->with_client(
        [query = std::move(query)](Impl::Client& client) { return Impl::find(client, query); });
}

awaitable<result<std::vector<std::vector<ValuePtr>>>>
MongoStore::find_together(std::vector<Query> queries) {
    co_return co_await impl_->with_client([queries = std::move(queries)](Impl::Client& client) {
        return Impl::find_together(client, queries);
    });
}

std::unique_ptr<DocumentScan> MongoStore::scan(std::string_view collection) {
    return std::make_unique<Impl::Scan>(*impl_, collection);
}

awaitable<result<std::uint64_t>> MongoStore::count(std::string_view collection, Filter filter) {
    co_return co_await impl_->with_client(
        [collection, filter = std::move(filter)](Impl::Client& client) -> result<std::uint64_t> {
            const auto target = client.collection(collection);
            const Bson query(mongo::filter_object(filter));
            bson_error_t error;
            const auto count = mongoc_collection_count_documents(target.get(), query.get(), nullptr,
                                                                 nullptr, nullptr, &error);
            if (count < 0) return to_error(error);
            return static_cast<std::uint64_t>(count);
        });
}

awaitable<result<std::uint64_t>> MongoStore::erase(std::string_view collection, Filter filter) {
    co_return co_await impl_->with_client([collection, filter = std::move(filter)](
                                              Impl::Client& client) -> result<std::uint64_t> {
        const auto target = client.collection(collection);
        const Bson query(mongo::filter_object(filter));
        Reply reply;
        bson_error_t error;
        if (!mongoc_collection_delete_many(target.get(), query.get(), nullptr, reply.out(), &error))
            return to_error(error, &reply);
        return static_cast<std::uint64_t>(reply.integer("deletedCount"));
    });
}

} // namespace netbuild
