// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/transaction.hpp"

namespace netbuild {

// Row changes as bytes (docs/formats/rows.md): what of a transaction is put aside while it is too
// large for memory, and what a dead letter keeps of one that could not be projected.

/// Appends one row.
void append_row(std::string& out, const Row& row);

/// Reads what append_row() made, row by row.
class RowReader {
public:
    explicit RowReader(std::string_view bytes) : bytes_(bytes) {}
    /// nullopt at the end. The row's texts view the bytes, its cells live until the next call.
    /// `corrupt` with the offset: an unknown table or operation, a row that is cut.
    [[nodiscard]] result<std::optional<Row>> next();

private:
    [[nodiscard]] result<std::uint64_t> number();
    [[nodiscard]] Error corrupt(std::string_view what) const;

    std::string_view bytes_;
    std::size_t at_ = 0;
    std::vector<Cell> cells_;
};

} // namespace netbuild
