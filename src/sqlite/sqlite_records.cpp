// SPDX-License-Identifier: Apache-2.0
#include "sqlite/sqlite_records.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "change_log.hpp"
#include "database.hpp"
#include "query_sql.hpp"
#include "record_sql.hpp"
#include "runtime/blocking_pool.hpp"
#include "wire/bson.hpp"

namespace netbuild {

using sqlite::Database;
using sqlite::quoted;
using sqlite::Statement;

namespace {

/// A larger file is not rewritten by the way: writers would wait too long.
constexpr std::uint64_t rewritten_bytes_max = 256 * 1024 * 1024;

/// Records between two calls of a SchemaProgress.
constexpr std::uint64_t progress_step = 1000;

result<ValuePtr> record_of(std::string_view body) {
    TRY(Object record, decode_bson(body));
    return ValuePtr(std::make_shared<const Value>(std::move(record)));
}

/// "UNIQUE constraint failed: users.emailKey" is all there is to say, and names no value.
Error taken(Error error) {
    if (error.code() != ErrorCode::already_exists) return error;
    const auto colon = error.detail().rfind(": ");
    return fail(ErrorCode::already_exists,
                colon == std::string::npos ? error.detail() : error.detail().substr(colon + 2));
}

void bind_columns(Statement& statement, int index, const Collection& collection,
                  const Object& body) {
    for (const std::string_view column : sqlite::record_columns(collection)) {
        if (const Value* value = body.find(column)) statement.bind(index, *value);
        ++index;
    }
}

result<std::set<std::string>> names(Database& database, const std::string& sql,
                                    std::string_view parameter) {
    TRY(Statement statement, database.prepare(sql));
    statement.bind(1, parameter);
    std::set<std::string> found;
    while (true) {
        TRY(const bool row, statement.step());
        if (!row) return found;
        found.emplace(statement.text(0));
    }
}

result<std::uint64_t> count_of(Database& database, const std::string& sql) {
    TRY(Statement statement, database.prepare(sql));
    TRY_VOID(statement.step());
    return static_cast<std::uint64_t>(statement.integer(0));
}

} // namespace

class SqliteRecords::Impl {
public:
    explicit Impl(Options options)
        : options_(std::move(options)),
          write_pool_({.name = "records-write", .threads = 1}),
          read_pool_(
              {.name = "records-read", .threads = std::max<std::size_t>(1, options_.readers)}) {}

    result<void> write(const std::vector<RecordWrite>& writes) {
        TRY(Database * database, writer());
        TRY(auto transaction, sqlite::Transaction::begin(*database, "BEGIN IMMEDIATE"));
        sqlite::ChangeLog log(*database, options_.events, options_.changes_max,
                              clock_.utc_us() / 1000);
        for (const RecordWrite& one : writes) {
            TRY_VOID(write_one(*database, one));
            TRY_VOID(log.add(one));
        }
        return transaction.commit();
    }

    result<void> ping() {
        TRY(Database * database, writer());
        return database->execute("SELECT 1");
    }

    result<std::vector<SchemaChange>> changes(std::span<const Collection> collections) {
        TRY(Database * database, writer());
        std::vector<SchemaChange> found;
        for (const Collection& collection : collections) {
            TRY(const auto table,
                names(*database, "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?",
                      collection.name));
            if (table.empty())
                found.push_back({SchemaChange::Kind::create_collection, &collection, {}});
            TRY_VOID(add_index_changes(*database, collection, found));
        }
        return found;
    }

    result<void> apply(const SchemaChange& change, const SchemaProgress& progress) {
        TRY(Database * database, writer());
        const Collection& collection = *change.collection;
        TRY(auto transaction, sqlite::Transaction::begin(*database, "BEGIN IMMEDIATE"));
        switch (change.kind) {
        case SchemaChange::Kind::create_collection:
            TRY_VOID(database->execute(
                fmt::format("CREATE TABLE IF NOT EXISTS {} (_id TEXT PRIMARY KEY NOT NULL, "
                            "_version INTEGER NOT NULL, _body BLOB NOT NULL)",
                            quoted(collection.name))));
            TRY_VOID(add_columns(*database, collection, progress));
            break;
        case SchemaChange::Kind::create_index: {
            if (change.index == search_index_name(collection)) {
                TRY_VOID(create_search(*database, collection, progress));
                break;
            }
            const RecordIndex* index = find_index(collection, change.index);
            if (!index) return fail(ErrorCode::not_found, change.text());
            TRY_VOID(add_columns(*database, collection, progress));
            auto created = database->execute(sqlite::create_index_sql(collection, *index));
            if (!created) return taken(std::move(created).error());
            break;
        }
        case SchemaChange::Kind::drop_index:
            if (change.index.starts_with("nb_text_")) {
                TRY_VOID(database->execute(
                    fmt::format("DROP TABLE IF EXISTS {}",
                                quoted(sqlite::index_title(collection, change.index)))));
                break;
            }
            TRY_VOID(database->execute(fmt::format(
                "DROP INDEX IF EXISTS {}", quoted(sqlite::index_title(collection, change.index)))));
            TRY_VOID(drop_columns(*database, collection));
            break;
        case SchemaChange::Kind::set_validator:
            break; // commit() checks
        }
        return transaction.commit();
    }

    static result<std::vector<ValuePtr>> get(Database& database, const Collection& collection,
                                             const std::vector<std::string>& ids) {
        const std::string sql =
            fmt::format("SELECT _body FROM {} WHERE _id = ?", quoted(collection.name));
        std::vector<ValuePtr> records;
        records.reserve(ids.size());
        for (const std::string& id : ids) {
            TRY(Statement statement, database.prepare(sql));
            statement.bind(1, std::string_view(id));
            TRY(const bool found, statement.step());
            records.emplace_back();
            if (!found) continue;
            TRY(records.back(), record_of(statement.blob(0)));
        }
        return records;
    }

    static result<std::vector<ValuePtr>> walk(Database& database, const Plan& plan) {
        const auto sql = sqlite::walk_sql(plan);
        TRY(Statement statement, database.prepare(sql.text));
        for (std::size_t i = 0; i < sql.parameters.size(); ++i)
            statement.bind(static_cast<int>(i) + 1, sql.parameters[i]);
        std::vector<ValuePtr> records;
        while (true) {
            TRY(const bool found, statement.step());
            if (!found) return records;
            TRY(ValuePtr record, record_of(statement.blob(0)));
            records.push_back(std::move(record));
        }
    }

    result<std::uint64_t> remove_expired(const Collection& collection, Date now,
                                         std::size_t limit) {
        TRY(Database * database, writer());
        TRY(Statement statement,
            database->prepare(fmt::format(
                "DELETE FROM {0} WHERE rowid IN (SELECT rowid FROM {0} WHERE {1} < ? LIMIT {2})",
                quoted(collection.name), quoted(collection.expires), limit)));
        statement.bind(1, now.milliseconds);
        TRY_VOID(statement.run());
        return database->changes();
    }

    /// `secure_delete` leaves what a page had of a row before rows were moved to another page:
    /// only writing the file anew is rid of that. Then the old pages go from the log.
    result<Remains> forget_removed() {
        TRY(Database * database, writer());
        TRY(const auto pages, count_of(*database, "SELECT page_count FROM pragma_page_count"));
        TRY(const auto bytes, count_of(*database, "SELECT page_size FROM pragma_page_size"));
        const bool rewrites = pages * bytes <= rewritten_bytes_max;
        if (rewrites) TRY_VOID(database->execute("VACUUM"));
        TRY(const auto busy, count_of(*database, "PRAGMA wal_checkpoint(TRUNCATE)"));
        return rewrites && busy == 0 ? Remains::none : Remains::some;
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
    auto on_writer(Function function) -> awaitable<std::invoke_result_t<Function&>> {
        co_return co_await write_pool_.run(std::move(function));
    }

private:
    result<Database*> writer() {
        if (!writer_) {
            TRY(writer_, Database::open({options_.path, options_.busy_timeout_ms,
                                         options_.page_cache_kib, true, true}));
            if (!options_.events.empty()) {
                auto made = sqlite::create_change_log(*writer_);
                if (!made) {
                    writer_.reset();
                    return std::move(made).error();
                }
            }
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

    result<void> write_one(Database& database, const RecordWrite& write) {
        const Collection& collection = *write.collection;
        if (write.kind == RecordWrite::Kind::erase) {
            TRY(Statement statement,
                database.prepare(fmt::format("DELETE FROM {} WHERE _id = ? AND _version = ?",
                                             quoted(collection.name))));
            statement.bind(1, std::string_view(write.id));
            statement.bind(2, write.version);
            TRY_VOID(statement.run());
            return changed(database, write);
        }
        const bool insert = write.kind == RecordWrite::Kind::insert;
        TRY(Statement statement, database.prepare(insert ? sqlite::insert_sql(collection)
                                                         : sqlite::replace_sql(collection)));
        const std::string body = encode_bson(stored_record(write));
        int index = 1;
        if (insert) statement.bind(index++, std::string_view(write.id));
        statement.bind(index++, write.version + 1);
        statement.bind_blob(index++, body);
        bind_columns(statement, index, collection, write.body);
        if (!insert) {
            index += static_cast<int>(sqlite::record_columns(collection).size());
            statement.bind(index++, std::string_view(write.id));
            statement.bind(index, write.version);
        }
        auto ran = statement.run();
        if (!ran) return taken(std::move(ran).error());
        if (!insert) return changed(database, write);
        return add_to_search(database, collection, write.id, write.body);
    }

    static result<void> add_to_search(Database& database, const Collection& collection,
                                      std::string_view id, const Object& body) {
        const Value* text = collection.searched.empty() ? nullptr : body.find(collection.searched);
        if (!text) return {};
        TRY(Statement statement, database.prepare(sqlite::insert_search_sql(collection)));
        statement.bind(1, id);
        statement.bind(2, text->string_or());
        return statement.run();
    }

    static result<void> create_search(Database& database, const Collection& collection,
                                      const SchemaProgress& progress) {
        TRY_VOID(database.execute(sqlite::create_search_sql(collection)));
        TRY(const auto of,
            count_of(database, fmt::format("SELECT count(*) FROM {}", quoted(collection.name))));
        std::uint64_t done = 0;
        TRY(Statement rows,
            database.prepare(fmt::format("SELECT _id, _body FROM {}", quoted(collection.name))));
        while (true) {
            TRY(const bool found, rows.step());
            if (!found) break;
            TRY(const ValuePtr record, record_of(rows.blob(1)));
            TRY_VOID(add_to_search(database, collection, rows.text(0), *record->get_if<Object>()));
            if (++done % progress_step == 0 && progress) progress(done, of);
        }
        if (progress) progress(of, of);
        return {};
    }

    static result<void> add_index_changes(Database& database, const Collection& collection,
                                          std::vector<SchemaChange>& found) {
        TRY(const auto indexes,
            names(database,
                  "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? "
                  "AND sql IS NOT NULL",
                  collection.name));
        std::set<std::string> declared;
        for (const RecordIndex& index : collection.indexes) {
            const std::string name = index_name(index);
            declared.insert(sqlite::index_title(collection, name));
            if (!indexes.contains(sqlite::index_title(collection, name)))
                found.push_back({SchemaChange::Kind::create_index, &collection, name});
        }
        for (const std::string& title : indexes) {
            const std::string name =
                title.substr(std::min(title.size(), collection.name.size() + 1));
            if (!declared.contains(title) && name.starts_with("nb_"))
                found.push_back({SchemaChange::Kind::drop_index, &collection, name});
        }
        return add_search_changes(database, collection, found);
    }

    static result<void> add_search_changes(Database& database, const Collection& collection,
                                           std::vector<SchemaChange>& found) {
        TRY(auto tables, names(database,
                               "SELECT name FROM sqlite_master WHERE type = 'table' AND "
                               "sql LIKE 'CREATE VIRTUAL %' AND name GLOB ? || '.nb_text_*'",
                               collection.name));
        const std::string declared = search_index_name(collection);
        if (!declared.empty() && tables.erase(sqlite::search_table(collection)) == 0)
            found.push_back({SchemaChange::Kind::create_index, &collection, declared});
        for (const std::string& title : tables)
            found.push_back({SchemaChange::Kind::drop_index, &collection,
                             title.substr(collection.name.size() + 1)});
        return {};
    }

    /// No row was changed: is the version another one, or is the record not there?
    static result<void> changed(Database& database, const RecordWrite& write) {
        if (database.changes() == 1) return {};
        TRY(const auto found, get(database, *write.collection, {write.id}));
        return fail(found.front() ? ErrorCode::conflict : ErrorCode::not_found,
                    fmt::format("{}: {}", write.collection->name, write.id));
    }

    /// Columns that no index has any more: nobody fills them, and they would be stale one day.
    static result<void> drop_columns(Database& database, const Collection& collection) {
        TRY(auto present,
            names(database,
                  "SELECT name FROM pragma_table_info(?1) WHERE name NOT IN ('_id', '_version', "
                  "'_body') AND name NOT IN (SELECT c.name FROM pragma_index_list(?1) AS i, "
                  "pragma_index_info(i.name) AS c WHERE c.name IS NOT NULL)",
                  collection.name));
        for (const std::string_view column : sqlite::record_columns(collection))
            present.erase(std::string(column));
        for (const std::string& column : present)
            TRY_VOID(database.execute(fmt::format("ALTER TABLE {} DROP COLUMN {}",
                                                  quoted(collection.name), quoted(column))));
        return {};
    }

    /// Columns that an index needs and the table has not yet, filled from the records.
    static result<void> add_columns(Database& database, const Collection& collection,
                                    const SchemaProgress& progress) {
        TRY(const auto present,
            names(database, "SELECT name FROM pragma_table_info(?)", collection.name));
        std::vector<std::string_view> added;
        for (const std::string_view column : sqlite::record_columns(collection)) {
            if (present.contains(std::string(column))) continue;
            TRY_VOID(database.execute(fmt::format("ALTER TABLE {} ADD COLUMN {}",
                                                  quoted(collection.name), quoted(column))));
            added.push_back(column);
        }
        TRY(const auto of,
            count_of(database, fmt::format("SELECT count(*) FROM {}", quoted(collection.name))));
        std::uint64_t done = 0;
        TRY(Statement rows,
            database.prepare(fmt::format("SELECT _id, _body FROM {}", quoted(collection.name))));
        while (!added.empty()) {
            TRY(const bool found, rows.step());
            if (!found) break;
            TRY(const ValuePtr record, record_of(rows.blob(1)));
            const std::string id(rows.text(0));
            for (const std::string_view column : added) {
                TRY(Statement update,
                    database.prepare(fmt::format("UPDATE {} SET {} = ? WHERE _id = ?",
                                                 quoted(collection.name), quoted(column))));
                const Value* value = record->get_if<Object>()->find(column);
                if (value) update.bind(1, *value); // else null, as a new statement's parameters are
                update.bind(2, std::string_view(id));
                TRY_VOID(update.run());
            }
            if (++done % progress_step == 0 && progress) progress(done, of);
        }
        if (progress) progress(of, of);
        return {};
    }

    Options options_;
    SystemClock clock_;
    std::mutex mutex_; // readers_
    std::vector<std::unique_ptr<Database>> readers_;
    std::unique_ptr<Database> writer_; // of the writer's thread alone
    BlockingPool write_pool_;
    BlockingPool read_pool_;
};

SqliteRecords::SqliteRecords(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
SqliteRecords::~SqliteRecords() = default;

awaitable<result<void>> SqliteRecords::ping() {
    co_return co_await impl_->on_writer([impl = impl_.get()] { return impl->ping(); });
}

awaitable<result<RecordStore::Remains>> SqliteRecords::forget_removed() {
    co_return co_await impl_->on_writer([impl = impl_.get()] { return impl->forget_removed(); });
}

awaitable<result<std::vector<SchemaChange>>>
SqliteRecords::schema_changes(std::span<const Collection> collections) {
    co_return co_await impl_->on_writer(
        [impl = impl_.get(), collections] { return impl->changes(collections); });
}

awaitable<result<void>> SqliteRecords::apply(SchemaChange change, SchemaProgress progress) {
    co_return co_await impl_->on_writer(
        [impl = impl_.get(), change = std::move(change), progress = std::move(progress)] {
            return impl->apply(change, progress);
        });
}

awaitable<result<std::vector<ValuePtr>>> SqliteRecords::get(const Collection& collection,
                                                            std::vector<std::string> ids) {
    return impl_->read([&collection, ids = std::move(ids)](Database& database) {
        return Impl::get(database, collection, ids);
    });
}

awaitable<result<std::uint64_t>> SqliteRecords::remove_expired(const Collection& collection,
                                                               Date now, std::size_t limit) {
    return impl_->on_writer([impl = impl_.get(), &collection, now, limit] {
        return impl->remove_expired(collection, now, limit);
    });
}

awaitable<result<void>> SqliteRecords::write(std::vector<RecordWrite> writes) {
    co_return co_await impl_->on_writer(
        [impl = impl_.get(), writes = std::move(writes)] { return impl->write(writes); });
}

awaitable<result<std::vector<ValuePtr>>> SqliteRecords::walk(Plan plan) {
    co_return co_await impl_->read(
        [plan = std::move(plan)](Database& database) { return Impl::walk(database, plan); });
}

} // namespace netbuild
