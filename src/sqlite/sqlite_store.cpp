// SPDX-License-Identifier: Apache-2.0
#include "sqlite/sqlite_store.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "database.hpp"
#include "encoded_bodies.hpp"
#include "model/collections.hpp"
#include "ports/checkpoint_document.hpp"
#include "ports/query_order.hpp"
#include "query_sql.hpp"
#include "runtime/blocking_pool.hpp"
#include "runtime/task_group.hpp"
#include "wire/bson.hpp"

namespace netbuild {

using sqlite::Database;
using sqlite::Statement;
using sqlite::TableLayout;

namespace {

result<ValuePtr> document_of(std::string_view body) {
    TRY(Object document, decode_bson(body));
    return ValuePtr(std::make_shared<const Value>(std::move(document)));
}

} // namespace

class SqliteStore::Impl {
public:
    explicit Impl(Options options)
        : options_(std::move(options)),
          encode_pool_({.name = "sqlite-encode", .threads = 1}),
          write_pool_({.name = "sqlite-write", .threads = 1}),
          read_pool_(
              {.name = "sqlite-read", .threads = std::max<std::size_t>(1, options_.readers)}) {}

    result<void> prepare(const std::vector<CollectionSpec>& collections) {
        TRY(Database * database, writer());
        for (const CollectionSpec& collection : collections)
            TRY_VOID(create(*database, collection));
        return {};
    }

    result<void> apply(const ApplyBatch& batch, sqlite::EncodedBodies& bodies) {
        TRY(Database * database, writer());
        TRY(auto transaction, sqlite::Transaction::begin(*database, "BEGIN IMMEDIATE"));
        if (batch.fence)
            TRY_VOID(check_fence(*database, batch.fence->engine, batch.fence->generation));
        for (auto chunk = bodies.next(); !chunk.writes.empty(); chunk = bodies.next()) {
            for (std::size_t i = 0; i < chunk.writes.size(); ++i)
                TRY_VOID(write_document(*database, *chunk.writes[i], chunk.body(i)));
        }
        if (batch.checkpoint) {
            TRY_VOID(
                check_fence(*database, batch.checkpoint->engine, batch.checkpoint->generation));
            DocumentWrite write;
            write.collection = collections::sync_checkpoints;
            write.id = batch.checkpoint->engine;
            write.lsn = batch.checkpoint->position.number;
            write.body = std::make_shared<const Value>(checkpoint_document(*batch.checkpoint));
            TRY_VOID(write_document(*database, write));
        }
        return transaction.commit();
    }

    result<ValuePtr> stored_checkpoint(Database& database, const std::string& engine) {
        TRY(auto found, get(database, collections::sync_checkpoints, {engine}));
        return std::move(found.front());
    }

    /// Inside the writer's transaction: no claim can come between it and the commit.
    result<void> check_fence(Database& database, const std::string& engine,
                             std::uint64_t generation) {
        TRY(const ValuePtr stored, stored_checkpoint(database, engine));
        const auto claimed = claimed_generation(stored);
        if (claimed > generation) return fenced_off(engine, generation, claimed);
        return {};
    }

    result<std::uint64_t> claim(const std::string& engine) {
        TRY(Database * database, writer());
        TRY(auto transaction, sqlite::Transaction::begin(*database, "BEGIN IMMEDIATE"));
        TRY(const ValuePtr stored, stored_checkpoint(*database, engine));
        const std::uint64_t generation = claimed_generation(stored) + 1;
        const Value* number = stored ? stored->at_path("number") : nullptr;
        DocumentWrite write;
        write.collection = collections::sync_checkpoints;
        write.id = engine;
        write.lsn = static_cast<std::uint64_t>(number ? number->integer_or() : 0);
        write.body = std::make_shared<const Value>(claim_document(engine, stored, generation));
        TRY_VOID(write_document(*database, write));
        TRY_VOID(transaction.commit());
        return generation;
    }

    result<std::vector<ValuePtr>> get(Database& database, std::string_view collection,
                                      const std::vector<std::string>& ids) {
        TRY(const TableLayout layout, layout_of(collection));
        const std::string sql = fmt::format("SELECT body FROM {} WHERE id = ?", layout.table);
        std::vector<ValuePtr> documents;
        documents.reserve(ids.size());
        for (const std::string& id : ids) {
            TRY(Statement statement, database.prepare(sql));
            statement.bind(1, std::string_view(id));
            TRY(const bool found, statement.step());
            if (!found) {
                documents.emplace_back();
                continue;
            }
            TRY(ValuePtr document, document_of(statement.blob(0)));
            documents.push_back(std::move(document));
        }
        return documents;
    }

    /// Calls `each` with the matching documents, in the wanted order if `sql.ordered`, until it
    /// says that it has enough.
    template <class Each>
    result<void> scan(Database& database, const Query& query, const sqlite::QuerySql& sql,
                      Each each) {
        TRY(Statement statement, database.prepare(sql.text));
        for (std::size_t i = 0; i < sql.parameters.size(); ++i) {
            statement.bind(static_cast<int>(i) + 1, sql.parameters[i]);
        }
        while (true) {
            TRY(const bool found, statement.step());
            if (!found) return {};
            TRY(ValuePtr document, document_of(statement.blob(0)));
            if (matches(query.filter, *document) && !each(std::move(document))) return {};
        }
    }
    template <class Each>
    result<void> scan(Database& database, const Query& query, Each each) {
        TRY(const TableLayout layout, layout_of(query.collection));
        return scan(database, query, sqlite::query_sql(layout, query), std::move(each));
    }

    result<std::vector<ValuePtr>> find(Database& database, const Query& query) {
        std::vector<ValuePtr> documents;
        if (query.limit == 0) return documents;
        TRY(const TableLayout layout, layout_of(query.collection));
        const sqlite::QuerySql sql = sqlite::query_sql(layout, query);
        if (!sql.ordered) {
            std::vector<OrderedDocument> found;
            TRY_VOID(scan(database, query, sql, [&](ValuePtr document) {
                add_ordered(query, std::move(document), found);
                return true;
            }));
            return take_page(query, std::move(found));
        }
        TRY_VOID(scan(database, query, sql, [&](ValuePtr document) {
            documents.push_back(without_members(query, std::move(document)));
            return documents.size() < query.limit;
        }));
        return documents;
    }

    result<std::uint64_t> erase(std::string_view collection, const Filter& filter) {
        TRY(Database * database, writer());
        Query query;
        query.collection = collection;
        query.filter = filter;
        std::vector<std::string> ids;
        TRY_VOID(scan(*database, query, [&](const ValuePtr& document) {
            ids.emplace_back(document->at_path("_id")->string_or());
            return true;
        }));
        TRY(const TableLayout layout, layout_of(collection));
        const std::string sql = fmt::format("DELETE FROM {} WHERE id = ?", layout.table);
        TRY(auto transaction, sqlite::Transaction::begin(*database, "BEGIN IMMEDIATE"));
        for (const std::string& id : ids) {
            TRY(Statement statement, database->prepare(sql));
            statement.bind(1, std::string_view(id));
            TRY_VOID(statement.run());
        }
        TRY_VOID(transaction.commit());
        return ids.size();
    }

    /// Runs on a reader's thread with a connection of its own.
    template <class Function>
    auto read(Function function) -> awaitable<std::invoke_result_t<Function&, Database&>> {
        using Outcome = std::invoke_result_t<Function&, Database&>;
        co_return co_await read_pool_.run(
            [this, function = std::move(function)]() mutable -> Outcome {
                auto database = take_reader();
                if (!database) return std::move(database).error();
                Outcome outcome = function(**database);
                const std::scoped_lock lock(mutex_);
                readers_.push_back(std::move(*database));
                return outcome;
            });
    }
    template <class Function>
    auto write(Function function) -> awaitable<std::invoke_result_t<Function&>> {
        co_return co_await write_pool_.run(std::move(function));
    }

    awaitable<result<void>> write_batch(std::shared_ptr<const ApplyBatch> batch) {
        const auto bodies = std::make_shared<sqlite::EncodedBodies>(*batch);
        const auto writing = [this, batch, bodies] {
            auto outcome = apply(*batch, *bodies);
            bodies->close();
            return outcome;
        };
        if (bodies->small()) co_return co_await write_pool_.run(writing);
        const auto encoding = [batch, bodies] {
            bodies->encode_ahead();
            return result<void>{};
        };
        // What the encoder does not do the writer does: its failure is none.
        TaskGroup encoder(co_await asio::this_coro::executor,
                          [](const std::string&, const Error&) {});
        encoder.spawn("encode", encode_pool_.run(encoding));
        auto outcome = co_await write_pool_.run(writing);
        co_await encoder.join();
        co_return outcome;
    }

private:
    result<Database*> writer() {
        if (!writer_) {
            TRY(writer_, Database::open({options_.path, options_.busy_timeout_ms,
                                         options_.page_cache_kib, true}));
        }
        return writer_.get();
    }

    result<std::unique_ptr<Database>> take_reader() {
        {
            const std::scoped_lock lock(mutex_);
            if (!readers_.empty()) {
                auto database = std::move(readers_.back());
                readers_.pop_back();
                return database;
            }
        }
        return Database::open(
            {options_.path, options_.busy_timeout_ms, options_.page_cache_kib, false});
    }

    result<TableLayout> layout_of(std::string_view collection) {
        const std::scoped_lock lock(mutex_);
        const auto found = layouts_.find(collection);
        if (found == layouts_.end()) {
            return fail(ErrorCode::not_found,
                        "collection " + std::string(collection) + " was not prepared");
        }
        return found->second;
    }

    result<void> create(Database& database, const CollectionSpec& collection) {
        TableLayout layout{sqlite::quoted(collection.name), {}};
        for (const IndexSpec& index : collection.indexes) {
            for (std::string_view path : index.paths) {
                if (path.starts_with('-')) path.remove_prefix(1);
                if (path != "_id") layout.columns.emplace(path);
            }
        }
        TRY(auto transaction, sqlite::Transaction::begin(database, "BEGIN IMMEDIATE"));
        TRY_VOID(database.execute(fmt::format("CREATE TABLE IF NOT EXISTS {} (id TEXT PRIMARY KEY "
                                              "NOT NULL, lsn INTEGER NOT NULL, body BLOB NOT NULL)",
                                              layout.table)));
        TRY_VOID(add_columns(database, layout));
        for (const IndexSpec& index : collection.indexes) {
            TRY_VOID(create_index(database, collection.name, layout, index));
        }
        TRY_VOID(transaction.commit());
        const std::scoped_lock lock(mutex_);
        layouts_[collection.name] = std::move(layout);
        return {};
    }

    static result<void> create_index(Database& database, const std::string& name,
                                     const TableLayout& layout, const IndexSpec& index) {
        std::string columns, title = name;
        for (std::string_view path : index.paths) {
            const bool descending = path.starts_with('-');
            title += fmt::format("_{}", path);
            if (descending) path.remove_prefix(1);
            columns +=
                (path == "_id" ? "id" : sqlite::quoted(path)) + (descending ? " DESC, " : ", ");
        }
        return database.execute(fmt::format("CREATE {} INDEX IF NOT EXISTS {} ON {} ({} id)",
                                            index.unique ? "UNIQUE" : "", sqlite::quoted(title),
                                            layout.table, columns));
    }

    /// Columns that a newer version of the product indexes are filled from the documents.
    static result<void> add_columns(Database& database, const TableLayout& layout) {
        std::vector<std::string> added;
        for (const std::string& column : layout.columns) {
            TRY(Statement exists,
                database.prepare("SELECT 1 FROM pragma_table_info(?) WHERE name = ?"));
            const std::string_view bare =
                std::string_view(layout.table).substr(1, layout.table.size() - 2);
            exists.bind(1, bare);
            exists.bind(2, std::string_view(column));
            TRY(const bool there, exists.step());
            if (there) continue;
            TRY_VOID(database.execute(
                fmt::format("ALTER TABLE {} ADD COLUMN {}", layout.table, sqlite::quoted(column))));
            added.push_back(column);
        }
        if (added.empty()) return {};
        TRY(Statement rows, database.prepare(fmt::format("SELECT id, body FROM {}", layout.table)));
        while (true) {
            TRY(const bool found, rows.step());
            if (!found) return {};
            TRY(const ValuePtr document, document_of(rows.blob(1)));
            const std::string id(rows.text(0));
            for (const std::string& column : added) {
                TRY(Statement update,
                    database.prepare(fmt::format("UPDATE {} SET {} = ? WHERE id = ?", layout.table,
                                                 sqlite::quoted(column))));
                const Value* value = document->at_path(column);
                if (value) update.bind(1, *value); // else null, as a new statement's parameters are
                update.bind(2, std::string_view(id));
                TRY_VOID(update.run());
            }
        }
    }

    /// The statement's text is built once a collection and kind.
    struct WriteSql {
        TableLayout layout;
        std::string replace, insert, erase;
    };

    result<const WriteSql*> write_sql(std::string_view collection) {
        const auto found = write_sql_.find(collection);
        if (found != write_sql_.end()) return &found->second;
        WriteSql sql;
        TRY(sql.layout, layout_of(collection));
        std::string columns, marks, updates;
        for (const std::string& column : sql.layout.columns) {
            const std::string name = sqlite::quoted(column);
            columns += ", " + name;
            marks += ", ?";
            updates += fmt::format(", {0} = excluded.{0}", name);
        }
        const std::string insert =
            fmt::format("INSERT INTO {} (id, lsn, body{}) VALUES (?, ?, ?{}) ON CONFLICT (id) DO ",
                        sql.layout.table, columns, marks);
        sql.insert = insert + "NOTHING";
        sql.replace =
            insert + fmt::format("UPDATE SET lsn = excluded.lsn, body = excluded.body{} "
                                 "WHERE lsn {} excluded.lsn",
                                 updates,
                                 // A checkpoint of the same Position may end a first load.
                                 collection == collections::sync_checkpoints ? "<=" : "<");
        sql.erase = fmt::format("DELETE FROM {} WHERE id = ? AND lsn < ?", sql.layout.table);
        return &write_sql_.emplace(collection, std::move(sql)).first->second;
    }

    result<void> write_document(Database& database, const DocumentWrite& write) {
        return write_document(database, write, encode_bson(*write.body->get_if<Object>()));
    }

    result<void> write_document(Database& database, const DocumentWrite& write,
                                std::string_view body) {
        TRY(const WriteSql* sql, write_sql(write.collection));
        const bool erase = write.kind == DocumentWrite::Kind::erase;
        const bool replace = write.kind == DocumentWrite::Kind::replace;
        TRY(Statement statement, database.prepare(erase     ? sql->erase
                                                  : replace ? sql->replace
                                                            : sql->insert));
        statement.bind(1, std::string_view(write.id));
        statement.bind(2, static_cast<std::int64_t>(write.lsn));
        if (!erase) {
            statement.bind_blob(3, body);
            int index = 4;
            for (const std::string& column : sql->layout.columns) {
                if (const Value* value = write.body->at_path(column)) statement.bind(index, *value);
                ++index;
            }
        }
        return statement.run();
    }

    Options options_;
    std::mutex mutex_; // readers_, layouts_
    std::vector<std::unique_ptr<Database>> readers_;
    std::map<std::string, TableLayout, std::less<>> layouts_;
    // Of the writer's thread alone.
    std::unique_ptr<Database> writer_;
    std::map<std::string, WriteSql, std::less<>> write_sql_;
    BlockingPool encode_pool_;
    BlockingPool write_pool_;
    BlockingPool read_pool_;
};

SqliteStore::SqliteStore(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
SqliteStore::~SqliteStore() = default;

awaitable<result<void>> SqliteStore::prepare(std::span<const CollectionSpec> collections) {
    co_return co_await impl_->write(
        [impl = impl_.get(), specs = std::vector(collections.begin(), collections.end())] {
            return impl->prepare(specs);
        });
}

awaitable<result<void>> SqliteStore::ping() {
    co_return co_await impl_->read([](Database& database) { return database.execute("SELECT 1"); });
}

awaitable<result<void>> SqliteStore::apply(std::shared_ptr<const ApplyBatch> batch) {
    co_return co_await impl_->write_batch(std::move(batch));
}

awaitable<result<std::uint64_t>> SqliteStore::claim(std::string engine) {
    co_return co_await impl_->write(
        [impl = impl_.get(), engine = std::move(engine)] { return impl->claim(engine); });
}

awaitable<result<std::optional<Checkpoint>>> SqliteStore::checkpoint(std::string engine) {
    CO_TRY(const auto found, co_await get(collections::sync_checkpoints, {std::move(engine)}));
    co_return parse_checkpoint(found.front());
}

awaitable<result<void>> SqliteStore::erase_checkpoint(std::string engine) {
    Filter filter;
    filter.all.push_back({"_id", Condition::Operator::equal, std::move(engine)});
    CO_TRY_VOID(co_await erase(collections::sync_checkpoints, std::move(filter)));
    co_return result<void>{};
}

awaitable<result<std::vector<ValuePtr>>> SqliteStore::get(std::string_view collection,
                                                          std::vector<std::string> ids) {
    co_return co_await impl_->read(
        [impl = impl_.get(), collection, ids = std::move(ids)](Database& database) {
            return impl->get(database, collection, ids);
        });
}

awaitable<result<std::vector<ValuePtr>>> SqliteStore::find(Query query) {
    co_return co_await impl_->read([impl = impl_.get(), query = std::move(query)](
                                       Database& database) { return impl->find(database, query); });
}

awaitable<result<std::vector<std::vector<ValuePtr>>>>
SqliteStore::find_together(std::vector<Query> queries) {
    using Answers = std::vector<std::vector<ValuePtr>>;
    co_return co_await impl_->read(
        [impl = impl_.get(), queries = std::move(queries)](Database& database) -> result<Answers> {
            TRY(auto snapshot, sqlite::Transaction::begin(database));
            Answers answers;
            for (const Query& query : queries) {
                TRY(auto found, impl->find(database, query));
                answers.push_back(std::move(found));
            }
            TRY_VOID(snapshot.commit());
            return answers;
        });
}

awaitable<result<std::uint64_t>> SqliteStore::count(std::string_view collection, Filter filter) {
    Query query;
    query.collection = collection;
    query.filter = std::move(filter);
    co_return co_await impl_->read([impl = impl_.get(), query = std::move(query)](
                                       Database& database) -> result<std::uint64_t> {
        std::uint64_t count = 0;
        TRY_VOID(impl->scan(database, query, [&](const ValuePtr&) {
            ++count;
            return true;
        }));
        return count;
    });
}

awaitable<result<std::uint64_t>> SqliteStore::erase(std::string_view collection, Filter filter) {
    co_return co_await impl_->write([impl = impl_.get(), collection, filter = std::move(filter)] {
        return impl->erase(collection, filter);
    });
}

} // namespace netbuild
