// SPDX-License-Identifier: Apache-2.0
#include "database.hpp"

#include <filesystem>

#include <fmt/format.h>

namespace netbuild::sqlite {

Error last_error(sqlite3* handle, std::string_view doing) {
    const int code = sqlite3_errcode(handle) & 0xff;
    std::string detail = fmt::format("SQLite, {}: {}", doing, sqlite3_errmsg(handle));
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return fail(ErrorCode::unavailable, std::move(detail));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return fail(ErrorCode::corrupt, std::move(detail));
    case SQLITE_NOMEM:
        return fail(ErrorCode::out_of_memory, std::move(detail));
    case SQLITE_CONSTRAINT: // names columns, no values
        return fail(ErrorCode::already_exists, std::move(detail));
    case SQLITE_TOOBIG:
        return fail(ErrorCode::payload_too_large, std::move(detail));
    default:
        return fail(ErrorCode::internal, std::move(detail));
    }
}

void Statement::bind(int index, const Value& value) {
    struct Binder {
        Statement& statement;
        int index;
        void operator()(bool yes) const { statement.bind(index, std::int64_t{yes}); }
        void operator()(std::int32_t number) const { statement.bind(index, std::int64_t{number}); }
        void operator()(std::int64_t number) const { statement.bind(index, number); }
        void operator()(double number) const {
            sqlite3_bind_double(statement.statement_, index, number);
        }
        void operator()(const std::string& text) const {
            statement.bind(index, std::string_view(text));
        }
        void operator()(Date date) const { statement.bind(index, date.milliseconds); }
        void operator()(std::monostate) const { sqlite3_bind_null(statement.statement_, index); }
        void operator()(const Binary&) const { sqlite3_bind_null(statement.statement_, index); }
        void operator()(const Array&) const { sqlite3_bind_null(statement.statement_, index); }
        void operator()(const Object&) const { sqlite3_bind_null(statement.statement_, index); }
    };
    std::visit(Binder{*this, index}, value.variant());
}

result<bool> Statement::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return last_error(sqlite3_db_handle(statement_), "a statement");
}

result<void> Statement::run() {
    TRY_VOID(step());
    sqlite3_reset(statement_);
    return {};
}

result<std::unique_ptr<Database>> Database::open(const Options& options) {
    const auto folder = std::filesystem::path(options.path).parent_path();
    std::error_code ec;
    if (!folder.empty()) std::filesystem::create_directories(folder, ec);
    if (ec)
        return fail(ErrorCode::unavailable, fmt::format("{}: {}", folder.string(), ec.message()));
    sqlite3* handle = nullptr;
    const int code =
        sqlite3_open_v2(options.path.c_str(), &handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    std::unique_ptr<Database> database(new Database(handle));
    if (code != SQLITE_OK) return last_error(handle, options.path);
    sqlite3_busy_timeout(handle, options.busy_timeout_ms);
    TRY_VOID(database->execute("PRAGMA journal_mode=WAL"));
    TRY_VOID(database->execute(fmt::format("PRAGMA cache_size=-{}", options.page_cache_kib)));
    TRY_VOID(database->execute(options.writer ? "PRAGMA synchronous=FULL" : "PRAGMA query_only=1"));
    if (options.secure_delete) TRY_VOID(database->execute("PRAGMA secure_delete=ON"));
    return database;
}

result<Statement> Database::prepare(const std::string& sql) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
        if (statements_.size() >= statements_max) statements_.clear();
        sqlite3_stmt* statement = nullptr;
        if (sqlite3_prepare_v3(handle_.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT,
                               &statement, nullptr) != SQLITE_OK) {
            return last_error(handle_.get(), sql);
        }
        found = statements_.emplace(sql, statement).first;
    }
    return Statement(found->second.get());
}

result<void> Database::execute(const std::string& sql) {
    if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        return last_error(handle_.get(), sql);
    }
    return {};
}

result<Transaction> Transaction::begin(Database& database, const char* sql) {
    TRY_VOID(database.execute(sql));
    return Transaction(database);
}

result<void> Transaction::commit() {
    TRY_VOID(database_->execute("COMMIT"));
    database_ = nullptr;
    return {};
}

} // namespace netbuild::sqlite
