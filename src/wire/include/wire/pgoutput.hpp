// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "model/transaction.hpp"

namespace netbuild {

/// PostgreSQL's logical replication stream, plugin pgoutput, proto_version 1, as PostgreSQL 14 to
/// 17 serve it (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html):
/// messages in, committed transactions of Camunda's tables out. Touches no socket.
class PgoutputDecoder {
public:
    struct Options {
        /// Of Camunda's tables; others are ignored.
        std::string schema = "public";
        /// Put into every Position.
        std::uint32_t epoch = 0;
        /// Rows and text of one transaction; past it `payload_too_large`.
        std::size_t transaction_bytes_max = std::size_t{1} << 30;
        /// Rows and text of one transaction that gather before it is given out in parts
        /// (Extent::part), whose sum has no limit; 0: never.
        std::size_t part_bytes_max = 0;
    };
    struct Counters {
        std::uint64_t messages = 0;
        std::uint64_t bytes = 0;
        std::uint64_t row_changes = 0;
        /// Row changes of tables that the projection does not read.
        std::uint64_t ignored_row_changes = 0;
        std::uint64_t logical_messages = 0;
    };

    explicit PgoutputDecoder(Options options) : options_(std::move(options)) {}

    /// One message, as it lies in an XLogData's payload. Returns the transaction that a Commit
    /// ends, possibly without rows, or a part of one that is larger than `part_bytes_max`.
    /// `corrupt` with the offset inside the message: the stream cannot be trusted any more, stop
    /// without confirming.
    [[nodiscard]] result<std::optional<Transaction>> decode(std::string_view message);
    /// Between Begin and Commit.
    [[nodiscard]] bool in_transaction() const noexcept { return open_.has_value(); }
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    /// What a human should hear once: unknown tables and columns that were ignored.
    [[nodiscard]] std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }

private:
    struct Relation {
        std::optional<camunda::Table> table;
        /// For each column of the message the index in the table's Row, or -1.
        std::vector<int> columns;
    };
    class Reader;

    result<void> begin(Reader& in);
    result<std::optional<Transaction>> commit(Reader& in);
    [[nodiscard]] bool part_is_due() const noexcept;
    [[nodiscard]] Transaction take_part();
    result<void> relation(Reader& in);
    result<void> change(Reader& in, char kind);
    result<void> truncate(Reader& in);
    result<void> logical_message(Reader& in);
    result<void> tuple(Reader& in, const Relation& relation, bool key_only, bool keep);

    Options options_;
    Counters counters_;
    std::unordered_map<std::uint32_t, Relation> relations_;
    std::optional<Transaction> open_;
    bool parted_ = false;     // some of the open transaction's rows were given out
    std::vector<Cell> cells_; // of the row that is being read
    std::vector<std::string> notes_;
};

/// PostgreSQL counts microseconds from 2000-01-01, we from 1970-01-01.
inline constexpr std::int64_t postgres_epoch_us = 946'684'800'000'000;

} // namespace netbuild
