// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: whatever the bytes, a row decodes into as many cells as were asked for, all of
// them inside the row, or fails as `corrupt`. The first byte says how many columns.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "wire/copy_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace netbuild;
    if (size == 0) return 0;
    const std::size_t columns = data[0] % 24;
    // A copy of just this row on the heap: a read past its end is one past an allocation.
    std::vector<char> row(data + 1, data + size);
    CopyTextDecoder decoder;
    const auto cells = decoder.decode(row, columns);
    if (!cells) {
        if (cells.error().code() != ErrorCode::corrupt) std::abort();
        return 0;
    }
    if (cells->size() != columns) std::abort();
    std::size_t bytes = 0;
    for (const Cell& cell : *cells) {
        if (cell.kind == Cell::Kind::null) continue;
        if (cell.text.data() < row.data()) std::abort();
        if (cell.text.data() + cell.text.size() > row.data() + row.size()) std::abort();
        bytes += cell.text.size();
    }
    if (bytes > row.size()) std::abort();
    return 0;
}
