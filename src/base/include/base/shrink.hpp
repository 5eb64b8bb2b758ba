// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>

namespace netbuild {

/// After an erase from a hash table: gives its buckets back when far fewer would do, which a table
/// does not by itself. Amortized over the erases it costs nothing. Invalidates iterators.
template <class Table>
void shrink(Table& table) {
    constexpr std::size_t kept = 256;
    if (table.bucket_count() <= kept || table.size() > table.bucket_count() / 8) return;
    table.rehash(2 * table.size());
}

} // namespace netbuild
