// SPDX-License-Identifier: Apache-2.0
#include "wire/rows.hpp"

#include <fmt/format.h>

namespace netbuild {
namespace {

// What a cell's number says; from `first_length` on it is a text of so many bytes more.
enum CellCode : std::uint64_t { absent = 0, null = 1, unchanged = 2, first_length = 3 };

/// LEB128, little end first (DWARF 5, section 7.6).
void put_number(std::string& out, std::uint64_t number) {
    for (; number >= 0x80; number >>= 7)
        out.push_back(static_cast<char>(number | 0x80));
    out.push_back(static_cast<char>(number));
}

void put_cell(std::string& out, const Cell& cell) {
    switch (cell.kind) {
    case Cell::Kind::absent:
        return put_number(out, absent);
    case Cell::Kind::null:
        return put_number(out, null);
    case Cell::Kind::unchanged:
        return put_number(out, unchanged);
    case Cell::Kind::text:
        put_number(out, first_length + cell.text.size());
        out += cell.text;
    }
}

} // namespace

void append_row(std::string& out, const Row& row) {
    std::size_t count = row.cells.size(); // a DELETE has its key only
    while (count > 0 && row.cells[count - 1].kind == Cell::Kind::absent)
        --count;
    put_number(out, static_cast<std::uint64_t>(row.table));
    put_number(out, static_cast<std::uint64_t>(row.operation));
    put_number(out, count);
    for (const Cell& cell : row.cells.first(count))
        put_cell(out, cell);
}

Error RowReader::corrupt(std::string_view what) const {
    return fail(ErrorCode::corrupt, fmt::format("rows: {} at byte {}", what, at_));
}

result<std::uint64_t> RowReader::number() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (at_ == bytes_.size()) return corrupt("a number is cut");
        const auto byte = static_cast<unsigned char>(bytes_[at_++]);
        value |= std::uint64_t{byte & 0x7Fu} << shift;
        if (byte < 0x80) return value;
    }
    return corrupt("a number has no end");
}

result<std::optional<Row>> RowReader::next() {
    if (at_ == bytes_.size()) return std::optional<Row>();
    TRY(const auto table, number());
    if (table >= camunda::table_count) return corrupt("an unknown table");
    TRY(const auto operation, number());
    if (operation > static_cast<std::uint64_t>(RowOperation::truncate))
        return corrupt("an unknown operation");
    TRY(const auto count, number());
    Row row{static_cast<camunda::Table>(table), static_cast<RowOperation>(operation), {}};
    const std::size_t columns = camunda::info(row.table).columns.size();
    if (count > columns) return corrupt("more cells than columns");
    cells_.assign(columns, Cell{});
    for (std::size_t i = 0; i < count; ++i) {
        TRY(const auto code, number());
        if (code == null) cells_[i].kind = Cell::Kind::null;
        if (code == unchanged) cells_[i].kind = Cell::Kind::unchanged;
        if (code < first_length) continue;
        const std::uint64_t length = code - first_length;
        if (length > bytes_.size() - at_) return corrupt("a text is cut");
        cells_[i] = {Cell::Kind::text, bytes_.substr(at_, length)};
        at_ += length;
    }
    row.cells = cells_;
    return std::optional(row);
}

} // namespace netbuild
