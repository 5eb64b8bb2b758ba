// SPDX-License-Identifier: Apache-2.0
#include "wire/pgoutput.hpp"

#include <gtest/gtest.h>

namespace netbuild {
namespace {

using camunda::Table;

/// Builds messages as the documentation of the protocol has them.
struct Message {
    std::string bytes;
    template <class Number>
    Message& number(Number value) {
        for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8) {
            bytes.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> shift));
        }
        return *this;
    }
    Message& text(std::string_view value) {
        bytes.append(value).push_back('\0');
        return *this;
    }
    Message& column(std::string_view value) {
        bytes.push_back('t');
        number(static_cast<std::uint32_t>(value.size())).bytes.append(value);
        return *this;
    }
    Message& mark(char value) {
        bytes.push_back(value);
        return *this;
    }
};

Message start(char kind) { return Message{{kind}}; }

std::string begin() {
    return start('B')
        .number(std::uint64_t{100})
        .number(std::int64_t{5})
        .number(std::uint32_t{735})
        .bytes;
}
std::string commit() {
    return start('C')
        .mark('\0')
        .number(std::uint64_t{100})
        .number(std::uint64_t{148})
        .number(std::int64_t{5})
        .bytes;
}
std::string relation(std::string_view name = "act_hi_varinst", std::uint32_t id = 9) {
    Message message =
        start('R').number(id).text("public").text(name).mark('d').number(std::uint16_t{4});
    for (const char* column : {"id_", "text_", "new_in_7_25_", "name_"}) {
        message.mark('\0').text(column).number(std::uint32_t{25}).number(std::int32_t{-1});
    }
    return message.bytes;
}
std::string insert() {
    return start('I')
        .number(std::uint32_t{9})
        .mark('N')
        .number(std::uint16_t{4})
        .column("v1")
        .column("hello")
        .column("ignored")
        .mark('n')
        .bytes;
}

Transaction decode_all(std::initializer_list<std::string> messages) {
    PgoutputDecoder decoder({.epoch = 2});
    std::optional<Transaction> last;
    for (const auto& message : messages)
        last = decoder.decode(message).value();
    return std::move(last).value();
}

TEST(Pgoutput, a_commit_gives_the_transaction_with_the_columns_that_are_read) {
    const Transaction transaction = decode_all({begin(), relation(), insert(), commit()});
    EXPECT_EQ(transaction.position, Position::at(2, Lsn{148}));
    EXPECT_EQ(transaction.committed_at_us, 946'684'800'000'005);
    EXPECT_EQ(transaction.xid, 735u);
    ASSERT_EQ(transaction.size(), 1u);
    const Row row = transaction.row(0);
    EXPECT_EQ(row.table, Table::hi_varinst);
    EXPECT_EQ(row.operation, RowOperation::insert);
    EXPECT_EQ(row.text(camunda::hi_varinst::id), "v1");
    EXPECT_EQ(row.text(camunda::hi_varinst::text), "hello");
    EXPECT_TRUE(row.is_null(camunda::hi_varinst::name));
    EXPECT_EQ(row.cell(camunda::hi_varinst::state).kind, Cell::Kind::absent);
}

TEST(Pgoutput, a_delete_knows_its_key_only_and_an_update_says_what_it_left_alone) {
    const std::string erase = start('D')
                                  .number(std::uint32_t{9})
                                  .mark('K')
                                  .number(std::uint16_t{4})
                                  .column("v1")
                                  .mark('n')
                                  .mark('n')
                                  .mark('n')
                                  .bytes;
    const std::string update = start('U')
                                   .number(std::uint32_t{9})
                                   .mark('N')
                                   .number(std::uint16_t{4})
                                   .column("v1")
                                   .mark('u')
                                   .mark('n')
                                   .column("name")
                                   .bytes;
    const Transaction transaction = decode_all({begin(), relation(), update, erase, commit()});
    EXPECT_TRUE(transaction.row(0).is_unchanged(camunda::hi_varinst::text));
    EXPECT_EQ(transaction.row(0).text(camunda::hi_varinst::name), "name");
    EXPECT_EQ(transaction.row(1).operation, RowOperation::erase);
    EXPECT_EQ(transaction.row(1).text(camunda::hi_varinst::id), "v1");
    EXPECT_EQ(transaction.row(1).cell(camunda::hi_varinst::text).kind, Cell::Kind::absent);
}

TEST(Pgoutput, other_tables_messages_types_and_origins_are_passed_over) {
    PgoutputDecoder decoder({});
    const std::string message = start('M')
                                    .mark('\1')
                                    .number(std::uint64_t{7})
                                    .text("netbuild")
                                    .number(std::uint32_t{2})
                                    .mark('o')
                                    .mark('k')
                                    .bytes;
    const std::string truncate =
        start('T').number(std::uint32_t{1}).mark('\0').number(std::uint32_t{9}).bytes;
    for (const auto& bytes : {begin(), relation("act_new_table"), insert(), message, truncate,
                              start('Y').number(std::uint32_t{1}).text("").text("t").bytes,
                              start('O').number(std::uint64_t{1}).text("o").bytes}) {
        ASSERT_TRUE(decoder.decode(bytes));
    }
    EXPECT_TRUE(decoder.decode(commit()).value()->empty());
    EXPECT_EQ(decoder.counters().ignored_row_changes, 1u);
    EXPECT_EQ(decoder.counters().logical_messages, 1u);
    EXPECT_EQ(decoder.take_notes().size(), 1u);
}

TEST(Pgoutput, a_message_cut_at_any_byte_is_corrupt_and_says_where) {
    for (const auto& whole : {begin(), relation(), insert(), commit()}) {
        for (std::size_t size = 0; size < whole.size(); ++size) {
            PgoutputDecoder decoder({});
            if (whole != begin()) ASSERT_TRUE(decoder.decode(begin()));
            if (whole == insert()) ASSERT_TRUE(decoder.decode(relation()));
            const auto cut = decoder.decode(std::string_view(whole).substr(0, size));
            ASSERT_FALSE(cut) << whole.front() << size;
            EXPECT_EQ(cut.error().code(), ErrorCode::corrupt);
            EXPECT_NE(cut.error().detail().find("at byte"), std::string::npos);
        }
    }
}

TEST(Pgoutput, a_transaction_past_the_part_limit_comes_in_parts_and_ends_with_its_position) {
    PgoutputDecoder decoder({.schema = "public", .epoch = 2, .part_bytes_max = 1000});
    std::size_t rows = 0, parts = 0;
    ASSERT_TRUE(decoder.decode(relation()));
    ASSERT_TRUE(decoder.decode(begin()));
    for (int i = 0; i < 50; ++i) {
        const auto part = decoder.decode(insert()).value();
        if (!part) continue;
        EXPECT_EQ(part->extent, Extent::part);
        EXPECT_EQ(part->position, Position::at(2, Lsn{100})) << "the commit record's begin";
        EXPECT_EQ(part->row(0).text(camunda::hi_varinst::text), "hello");
        EXPECT_TRUE(decoder.in_transaction());
        rows += part->size();
        ++parts;
    }
    const auto last = decoder.decode(commit()).value();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->extent, Extent::last);
    EXPECT_EQ(last->position, Position::at(2, Lsn{148}));
    EXPECT_EQ(rows + last->size(), 50u);
    EXPECT_GT(parts, 3u);
    ASSERT_TRUE(decoder.decode(begin()));
    ASSERT_TRUE(decoder.decode(insert()));
    EXPECT_EQ(decoder.decode(commit()).value()->extent, Extent::whole) << "the next one is small";
}

TEST(Pgoutput, messages_out_of_order_are_corrupt) {
    EXPECT_EQ(PgoutputDecoder({}).decode(insert()).error().code(), ErrorCode::corrupt);
    EXPECT_EQ(PgoutputDecoder({}).decode(commit()).error().code(), ErrorCode::corrupt);
    EXPECT_EQ(PgoutputDecoder({}).decode("?").error().code(), ErrorCode::corrupt);
    PgoutputDecoder decoder({});
    ASSERT_TRUE(decoder.decode(begin()));
    EXPECT_EQ(decoder.decode(begin()).error().code(), ErrorCode::corrupt);
    EXPECT_EQ(decoder.decode(insert()).error().code(), ErrorCode::corrupt);
}

} // namespace
} // namespace netbuild
