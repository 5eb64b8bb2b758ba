// SPDX-License-Identifier: Apache-2.0
#include "wire/copy_text.hpp"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace netbuild {
namespace {

using Fields = std::vector<std::optional<std::string>>;

/// As PostgreSQL writes it (CopyAttributeOutText).
std::string encode(const Fields& fields) {
    std::string row;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (i > 0) row += '\t';
        if (!fields[i]) {
            row += "\\N";
            continue;
        }
        for (const char c : *fields[i]) {
            constexpr std::string_view special = "\b\f\n\r\t\v\\";
            constexpr std::string_view letters = "bfnrtv\\";
            const auto found = special.find(c);
            if (found == std::string_view::npos) {
                row += c;
            } else {
                row += '\\';
                row += letters[found];
            }
        }
    }
    return row + '\n';
}

/// nullopt if it is corrupt.
std::optional<Fields> decode(std::string row, std::size_t columns) {
    CopyTextDecoder decoder;
    // Just the row on the heap: a read or write past its end is one past an allocation.
    std::vector<char> bytes(row.begin(), row.end());
    const auto cells = decoder.decode(bytes, columns);
    if (!cells) {
        EXPECT_EQ(cells.error().code(), ErrorCode::corrupt);
        return std::nullopt;
    }
    Fields fields;
    for (const Cell& cell : *cells) {
        fields.push_back(cell.kind == Cell::Kind::null ? std::nullopt
                                                       : std::optional(std::string(cell.text)));
    }
    return fields;
}

const Fields difficult = {"id-1",           std::nullopt, "",          "\\N",
                          "two\nlines\r\n", "a\tb\\c",    "\\x00ff41", "Jürgen 東京",
                          "\b\f\v",         std::nullopt};

TEST(CopyText, nulls_empty_text_and_escapes_come_out_as_they_were) {
    EXPECT_EQ(decode(encode(difficult), difficult.size()), difficult);
    EXPECT_EQ(decode("\\\\N\t\\N\n", 2), (Fields{"\\N", std::nullopt}));
    EXPECT_EQ(decode("\n", 1), Fields{""});
    EXPECT_EQ(decode("\n", 0), Fields{});
}

TEST(CopyText, octal_and_hexadecimal_escapes_of_the_format_are_understood) {
    EXPECT_EQ(decode("\\101\\7\\x41\\x4\\xg\\q\\0601\n", 1), (Fields{"A\aA\x04xgq01"}));
}

TEST(CopyText, a_row_that_is_cut_at_any_byte_is_corrupt) {
    const std::string row = encode(difficult);
    for (std::size_t length = 0; length < row.size(); ++length)
        EXPECT_EQ(decode(row.substr(0, length), difficult.size()), std::nullopt) << length;
}

TEST(CopyText, a_row_that_loses_its_middle_is_never_read_past_its_end) {
    const std::string row = encode(difficult);
    for (std::size_t length = 0; length < row.size(); ++length) {
        const auto fields = decode(row.substr(0, length) + '\n', difficult.size());
        if (fields) EXPECT_EQ(fields->size(), difficult.size());
    }
    EXPECT_EQ(decode("a\\\n", 1), std::nullopt) << "an escape without its letter";
}

TEST(CopyText, another_number_of_columns_or_a_second_row_is_corrupt) {
    EXPECT_EQ(decode("a\tb\n", 1), std::nullopt);
    EXPECT_EQ(decode("a\tb\n", 3), std::nullopt);
    EXPECT_EQ(decode("a\nb\n", 1), std::nullopt);
}

TEST(CopyText, whatever_the_values_decode_after_encode_gives_them_back) {
    EXPECT_TRUE(rc::check("round trip", [] {
        Fields fields(static_cast<std::size_t>(*rc::gen::inRange(1, 12)));
        for (auto& field : fields) {
            if (*rc::gen::arbitrary<bool>()) field = *rc::gen::arbitrary<std::string>();
        }
        RC_ASSERT(decode(encode(fields), fields.size()) == fields);
    }));
}

} // namespace
} // namespace netbuild
