// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/position.hpp"
#include "model/camunda_schema.hpp"
#include "model/value.hpp"

namespace netbuild {

enum class RowOperation : unsigned char { insert, update, erase, truncate };

/// One column of one row change, in PostgreSQL's text format.
struct Cell {
    enum class Kind : unsigned char {
        /// The source does not carry the column (a DELETE's other columns, an older Camunda).
        absent,
        null,
        /// A TOASTed value that the UPDATE did not touch: keep what is known.
        unchanged,
        text,
    };
    Kind kind = Kind::absent;
    std::string_view text;
};

/// A change of one row. `cells` are indexed by the table's column enum. A view into its
/// Transaction.
struct Row {
    camunda::Table table;
    RowOperation operation;
    std::span<const Cell> cells;

    template <class Column>
    [[nodiscard]] const Cell& cell(Column column) const noexcept {
        return cells[static_cast<std::size_t>(column)];
    }
    /// The text, or empty for null, absent and unchanged.
    template <class Column>
    [[nodiscard]] std::string_view text(Column column) const noexcept {
        const Cell& found = cell(column);
        return found.kind == Cell::Kind::text ? found.text : std::string_view{};
    }
    template <class Column>
    [[nodiscard]] bool is_null(Column column) const noexcept {
        return cell(column).kind == Cell::Kind::null;
    }
    template <class Column>
    [[nodiscard]] bool has_text(Column column) const noexcept {
        return cell(column).kind == Cell::Kind::text;
    }
    template <class Column>
    [[nodiscard]] bool is_unchanged(Column column) const noexcept {
        return cell(column).kind == Cell::Kind::unchanged;
    }
};

/// Chunks of text that never move: what Cells point into.
class TextArena {
public:
    /// A copy of `text` that lives as long as the arena.
    std::string_view keep(std::string_view text);
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    void clear() noexcept;

private:
    static constexpr std::size_t chunk_bytes = 16 * 1024;
    std::vector<std::unique_ptr<char[]>> chunks_;
    std::size_t used_ = chunk_bytes; // of the newest chunk
    std::size_t bytes_ = 0;
};

/// How much of a transaction an object holds: one past a source's limit is given out in parts.
enum class Extent : unsigned char {
    whole,
    /// Rows that are followed by more. `position` is that of the commit record's begin: not after
    /// the transaction's own.
    part,
    /// What follows the parts, perhaps no row, with the transaction's Position.
    last,
};

/// One committed transaction: its changes to the tables that the projection reads, in WAL order.
class Transaction {
public:
    Transaction() = default;
    Transaction(Transaction&&) = default;
    Transaction& operator=(Transaction&&) = default;

    /// Ordinal 0; its number is epoch and commit end LSN.
    Position position;
    /// Microseconds since 1970-01-01T00:00:00Z, from the commit record.
    std::int64_t committed_at_us = 0;
    std::uint32_t xid = 0;
    /// Contents of its logical messages to us (prefix `request_prefix`).
    std::vector<std::string> requests;
    static constexpr std::string_view request_prefix = "netbuild.request";
    Extent extent = Extent::whole;

    /// Appends a row; `cells` are copied, their text is kept. `cells` may be shorter than the
    /// table's columns: the rest is absent.
    void add(camunda::Table table, RowOperation operation, std::span<const Cell> cells);
    /// The same without copying the text: it must outlive the transaction (see `arena`).
    void add_kept(camunda::Table table, RowOperation operation, std::span<const Cell> cells);
    [[nodiscard]] TextArena& arena() noexcept { return arena_; }

    [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
    /// It means nothing to anyone.
    [[nodiscard]] bool empty() const noexcept { return rows_.empty() && requests.empty(); }
    [[nodiscard]] Row row(std::size_t index) const noexcept {
        const Entry& entry = rows_[index];
        return {
            entry.table, entry.operation,
            std::span(cells_).subspan(entry.first_cell, camunda::info(entry.table).columns.size())};
    }
    /// Bytes of text and bookkeeping, for limits.
    [[nodiscard]] std::size_t bytes() const noexcept {
        return arena_.bytes() + rows_.size() * sizeof(Entry) + cells_.size() * sizeof(Cell);
    }

private:
    struct Entry {
        camunda::Table table;
        RowOperation operation;
        std::uint32_t first_cell;
    };
    std::vector<Entry> rows_;
    std::vector<Cell> cells_;
    TextArena arena_;
};

} // namespace netbuild
