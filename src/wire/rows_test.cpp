// SPDX-License-Identifier: Apache-2.0
#include "wire/rows.hpp"

#include <gtest/gtest.h>

namespace netbuild {
namespace {

using camunda::Table;

Transaction example() {
    Transaction transaction;
    const std::string large(300, 'z');
    const std::vector<Cell> cells = {{Cell::Kind::text, "id"},    {Cell::Kind::null, {}},
                                     {Cell::Kind::unchanged, {}}, {},
                                     {Cell::Kind::text, ""},      {Cell::Kind::text, large}};
    transaction.add(Table::hi_varinst, RowOperation::update, cells);
    transaction.add(Table::ru_job, RowOperation::erase, std::span(cells).first(1));
    transaction.add(Table::ge_bytearray, RowOperation::insert, std::span(cells).first(4));
    return transaction;
}

std::string encoded(const Transaction& transaction) {
    std::string bytes;
    for (std::size_t i = 0; i < transaction.size(); ++i)
        append_row(bytes, transaction.row(i));
    return bytes;
}

TEST(Rows, come_back_with_every_kind_of_cell) {
    const Transaction transaction = example();
    const std::string bytes = encoded(transaction);
    RowReader reader(bytes);
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const auto row = reader.next().value();
        ASSERT_TRUE(row);
        const Row expected = transaction.row(i);
        EXPECT_EQ(row->table, expected.table);
        EXPECT_EQ(row->operation, expected.operation);
        ASSERT_EQ(row->cells.size(), expected.cells.size());
        for (std::size_t k = 0; k < row->cells.size(); ++k) {
            EXPECT_EQ(row->cells[k].kind, expected.cells[k].kind);
            EXPECT_EQ(row->cells[k].text, expected.cells[k].text);
        }
    }
    EXPECT_FALSE(reader.next().value());
}

TEST(Rows, a_cut_at_any_byte_is_corrupt_or_the_end_of_a_row) {
    const Transaction transaction = example();
    const std::string bytes = encoded(transaction);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const std::string cut = bytes.substr(0, size); // its own memory: a sanitizer sees its end
        RowReader reader(cut);
        std::size_t rows = 0;
        while (true) {
            const auto row = reader.next();
            if (!row) {
                EXPECT_EQ(row.error().code(), ErrorCode::corrupt);
                break;
            }
            if (!*row) break;
            ++rows;
        }
        EXPECT_LT(rows, transaction.size());
    }
}

TEST(Rows, unknown_tables_operations_and_too_many_cells_are_corrupt) {
    for (const std::string& bytes :
         {std::string("\x7f\0\0", 3), std::string("\0\x09\0", 3), std::string("\0\0\x7f", 3),
          std::string(10, '\xff'), std::string("\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 12)}) {
        RowReader reader(bytes);
        const auto row = reader.next();
        ASSERT_FALSE(row);
        EXPECT_EQ(row.error().code(), ErrorCode::corrupt);
    }
}

} // namespace
} // namespace netbuild
