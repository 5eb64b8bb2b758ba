// SPDX-License-Identifier: Apache-2.0
#include "postgres/database_clock.hpp"

namespace netbuild {

/// The connection is taken while it is used: a second caller at the same time opens its own.
awaitable<result<std::string>> DatabaseClock::ask(std::string sql) {
    auto connection = std::move(connection_);
    if (!connection || connection->broken()) {
        CO_TRY(connection, co_await postgres::Connection::connect(executor_, clock_, options_));
    }
    postgres::Statement statement{sql, {}, sql.substr(0, 32)};
    CO_TRY(const postgres::Rows rows, co_await connection->query(std::move(statement)));
    std::string answer(rows.text(0, 0));
    connection_ = std::move(connection);
    co_return answer;
}

awaitable<result<Lsn>> DatabaseClock::flushed() {
    CO_TRY(const std::string lsn, co_await ask("select pg_current_wal_flush_lsn()"));
    co_return parse_lsn(lsn);
}

awaitable<result<void>> DatabaseClock::nudge() {
    CO_TRY_VOID(co_await ask("select pg_logical_emit_message(true, 'netbuild', '')"));
    co_return result<void>{};
}

} // namespace netbuild
