// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <sqlite3.h>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild::sqlite {

struct CloseDatabase {
    void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

/// A prepared statement, reset when the lease ends. Parameters count from 1; bound text and blobs
/// must live until then.
class Statement {
public:
    explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
    Statement(Statement&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
    Statement& operator=(Statement&& other) noexcept {
        std::swap(statement_, other.statement_);
        return *this;
    }
    ~Statement() {
        if (!statement_) return;
        sqlite3_reset(statement_);
        sqlite3_clear_bindings(statement_);
    }

    void bind(int index, std::string_view text) {
        sqlite3_bind_text(statement_, index, text.data(), static_cast<int>(text.size()),
                          SQLITE_STATIC);
    }
    void bind(int index, std::int64_t number) { sqlite3_bind_int64(statement_, index, number); }
    void bind_blob(int index, std::string_view bytes) {
        sqlite3_bind_blob(statement_, index, bytes.data(), static_cast<int>(bytes.size()),
                          SQLITE_STATIC);
    }
    /// As an indexed column holds it: dates in ms, booleans 0 or 1; what has no order is null.
    void bind(int index, const Value& value);
    void bind(int index,
              Value&& value) = delete; // its text would be gone before the statement runs
    /// True while there is a row.
    result<bool> step();
    result<void> run();

    [[nodiscard]] std::string_view blob(int column) const {
        const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
        return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
    }
    [[nodiscard]] std::string_view text(int column) const { return blob(column); }
    [[nodiscard]] std::int64_t integer(int column) const {
        return sqlite3_column_int64(statement_, column);
    }

private:
    sqlite3_stmt* statement_;
};

/// One connection with its prepared statements. One thread at a time.
class Database {
public:
    struct Options {
        std::string path;
        int busy_timeout_ms;
        std::size_t page_cache_kib;
        bool writer;
        /// Removed content is written over, in pages that no row is in any more, too.
        bool secure_delete = false;
    };
    static result<std::unique_ptr<Database>> open(const Options& options);

    /// Prepared once for each text.
    result<Statement> prepare(const std::string& sql);
    result<void> execute(const std::string& sql);
    [[nodiscard]] std::uint64_t changes() const {
        return static_cast<std::uint64_t>(sqlite3_changes64(handle_.get()));
    }

private:
    static constexpr std::size_t statements_max = 256;
    explicit Database(sqlite3* handle) : handle_(handle) {}

    std::unique_ptr<sqlite3, CloseDatabase> handle_;
    std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, FinalizeStatement>> statements_;
};

/// The connection's last error, by what a caller can do about it.
[[nodiscard]] Error last_error(sqlite3* handle, std::string_view doing);

/// BEGIN … COMMIT, rolled back unless committed.
class Transaction {
public:
    static result<Transaction> begin(Database& database, const char* sql = "BEGIN");
    Transaction(Transaction&& other) noexcept
        : database_(std::exchange(other.database_, nullptr)) {}
    Transaction& operator=(Transaction&& other) noexcept {
        std::swap(database_, other.database_);
        return *this;
    }
    ~Transaction() {
        if (database_) (void)database_->execute("ROLLBACK");
    }
    result<void> commit();

private:
    explicit Transaction(Database& database) : database_(&database) {}
    Database* database_;
};

} // namespace netbuild::sqlite
