// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <vector>

#include "base/result.hpp"
#include "model/transaction.hpp"

namespace netbuild {

/// PostgreSQL's COPY … TO STDOUT in its text format
/// (https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"): rows of one table in,
/// their cells out. Touches no socket.
class CopyTextDecoder {
public:
    /// `row` is one CopyData message: a whole row with its newline. Escapes are undone in place, so
    /// that nothing is copied before the row's owner keeps it; the cells view `row` and are valid
    /// until the next call. `corrupt`: no such row, or not one of `columns` columns.
    [[nodiscard]] result<std::span<const Cell>> decode(std::span<char> row, std::size_t columns);

private:
    std::vector<Cell> cells_;
};

} // namespace netbuild
