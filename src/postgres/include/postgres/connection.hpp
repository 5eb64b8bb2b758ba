// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.hpp"

namespace netbuild::postgres {

/// How to reach a database.
struct ConnectionOptions {
    /// libpq's keywords: host, port, dbname, user, password, sslmode, sslrootcert …
    /// (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS)
    std::map<std::string, std::string> parameters;
    Clock::duration connect_timeout = std::chrono::seconds(2);
    /// The server ends a statement after it; zero: never.
    Clock::duration statement_timeout = std::chrono::seconds(30);
    /// For a server that does not even do that: the connection is given up so much later, or, with
    /// no statement_timeout, after `answer_time_max`.
    Clock::duration answer_grace = std::chrono::seconds(5);
    Clock::duration answer_time_max = std::chrono::minutes(30);

    /// "127.0.0.1:5432/camunda", for messages.
    [[nodiscard]] std::string address() const;
};

/// The rows of one statement; everything is text.
class Rows {
public:
    struct Data;
    explicit Rows(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
    Rows() = default;
    [[nodiscard]] int count() const;
    [[nodiscard]] int columns() const;
    /// Empty for null.
    [[nodiscard]] std::string_view text(int row, int column) const;
    [[nodiscard]] bool is_null(int row, int column) const;
    [[nodiscard]] std::optional<std::string_view> get(int row, int column) const;

private:
    std::shared_ptr<const Data> data_;
};

struct Statement {
    std::string sql;
    /// $1, $2 … as text; nullopt: null.
    std::vector<std::optional<std::string>> parameters = {};
    /// Prepared once a connection under this name; empty: not at all.
    std::string name = {};
};

/// One connection, on one executor; one call at a time (status messages of a COPY BOTH may be sent
/// while a read waits). Errors: unavailable, unauthorized, forbidden, not_found (no such object),
/// slot_in_use, deadline_exceeded, invalid_argument, internal; the server's message is the detail.
class Connection {
public:
    static awaitable<result<std::unique_ptr<Connection>>>
    connect(asio::any_io_executor executor, Clock& clock, ConnectionOptions options);
    ~Connection();

    awaitable<result<Rows>> query(Statement statement);
    /// All of them in one round trip; an error ends them all.
    awaitable<result<std::vector<Rows>>> pipeline(std::vector<Statement> statements);
    /// Text that may hold several statements or a command of the replication protocol; the last
    /// rows.
    awaitable<result<Rows>> simple(std::string sql);
    /// The same with a limit of its own.
    awaitable<result<Rows>> simple(std::string sql, Clock::duration limit);

    /// Sends the text of one or several COPY … TO STDOUT. For each of them comes next_copy() and
    /// copy_row() to its end; once more next_copy(), and the connection is free again.
    awaitable<result<void>> start_copies(std::string sql);
    /// False: there are no more.
    awaitable<result<bool>> next_copy();
    enum class CopyOut : unsigned char { row, wait, end };
    /// `row`: the next row, which is the caller's to change, until the next call. `wait`:
    /// wait_readable() first.
    result<CopyOut> copy_row(std::span<char>& row);

    /// START_REPLICATION …: from here on only the copy functions.
    awaitable<result<void>> start_copy_both(std::string sql);
    /// The next message if one is there, valid until the next call; nullopt: wait_readable() first.
    result<std::optional<std::string_view>> copy_read();
    awaitable<result<void>> wait_readable();
    /// Takes what the socket has at this moment, which may be nothing.
    result<void> consume();
    /// Ends a wait_readable() that is under way, with `cancelled`.
    void interrupt();
    awaitable<result<void>> copy_write(std::string bytes);

    /// 150004.
    [[nodiscard]] int server_version() const;
    [[nodiscard]] bool broken() const;

private:
    struct Impl;
    explicit Connection(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// 'it''s'.
[[nodiscard]] std::string quote_literal(std::string_view text);
/// "name".
[[nodiscard]] std::string quote_identifier(std::string_view name);

} // namespace netbuild::postgres
