// SPDX-License-Identifier: Apache-2.0
#include "wire/recording.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace netbuild {
namespace {

RecordingHeader some_header() {
    RecordingHeader header;
    header.system_identifier = "7411930192837465012";
    header.timeline = 3;
    header.start = Lsn{0x16B3748};
    header.created_at_us = 1'780'000'000'123'456;
    header.server_version = "15.14";
    header.schema = "public";
    header.time_zone = "Europe/Berlin";
    return header;
}

struct Read {
    std::optional<RecordingHeader> header;
    std::vector<std::pair<std::uint64_t, std::string>> messages;
    std::optional<RecordingEnd> end;
    std::optional<std::uint64_t> cut_at;
    std::optional<Error> error;
};

Read read_all(std::string_view file, std::size_t piece) {
    Read read;
    RecordingDecoder decoder;
    for (std::size_t at = 0; at < file.size(); at += piece) {
        decoder.feed(file.substr(at, piece));
        for (;;) {
            auto item = decoder.next();
            if (!item) {
                read.error = item.error();
                return read;
            }
            if (std::holds_alternative<RecordingDecoder::NeedMore>(*item)) break;
            if (auto* header = std::get_if<RecordingHeader>(&*item)) read.header = *header;
            if (auto* end = std::get_if<RecordingEnd>(&*item)) read.end = *end;
            if (auto* message = std::get_if<RecordedMessage>(&*item)) {
                read.messages.emplace_back(to_number(message->wal_end), message->pgoutput);
            }
        }
    }
    read.cut_at = decoder.cut_at();
    return read;
}

std::string some_file(int messages = 7) {
    RecordingEncoder encoder(some_header());
    for (int n = 0; n < messages; ++n) {
        EXPECT_TRUE(encoder.append(n % 3 == 2 ? "C" : "I" + std::string(n, 'x'), Lsn{100u + n}));
        if (n % 2) encoder.flush();
    }
    encoder.finish();
    return encoder.take();
}

TEST(Recording, crc32c_has_the_values_of_rfc_3720) {
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
    EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
    EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
    EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xE3069283u);
}

TEST(Recording, comes_back_the_same_whatever_the_pieces_it_is_read_in) {
    const std::string file = some_file();
    for (std::size_t piece = 1; piece <= file.size(); ++piece) {
        const Read read = read_all(file, piece);
        ASSERT_FALSE(read.error) << read.error->message();
        EXPECT_EQ(read.header, some_header());
        ASSERT_EQ(read.messages.size(), 7u);
        EXPECT_EQ(read.messages[4], (std::pair<std::uint64_t, std::string>{104, "Ixxxx"}));
        EXPECT_EQ(read.end, (RecordingEnd{7, 2}));
        EXPECT_FALSE(read.cut_at);
    }
}

TEST(Recording, every_sequence_of_messages_comes_back) {
    EXPECT_TRUE(rc::check([](const std::vector<std::pair<std::uint64_t, std::string>>& given) {
        RecordingEncoder encoder(some_header());
        std::vector<std::pair<std::uint64_t, std::string>> kept;
        for (const auto& [lsn, text] : given) {
            if (text.empty()) {
                RC_ASSERT(!encoder.append(text, Lsn{lsn}));
                continue;
            }
            RC_ASSERT(encoder.append(text, Lsn{lsn}).has_value());
            kept.emplace_back(lsn, text);
        }
        encoder.finish();
        const std::string file = encoder.take();
        const Read read = read_all(file, 1 + file.size() / 3);
        RC_ASSERT(!read.error);
        RC_ASSERT(read.messages == kept);
    }));
}

TEST(Recording, a_cut_file_gives_whole_frames_and_says_where_it_was_cut) {
    const std::string file = some_file();
    std::size_t messages_before = 0;
    for (std::size_t size = 0; size < file.size(); ++size) {
        const Read read = read_all(std::string_view(file).substr(0, size), 1000);
        ASSERT_FALSE(read.error) << size << ": " << read.error->message();
        ASSERT_TRUE(read.cut_at || size == 0) << size;
        EXPECT_FALSE(read.end);
        EXPECT_LE(read.cut_at.value_or(0), size);
        EXPECT_GE(read.messages.size(), messages_before);
        messages_before = read.messages.size();
    }
    EXPECT_EQ(messages_before, 7u);
}

TEST(Recording, every_flipped_bit_is_noticed) {
    const std::string file = some_file();
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
        std::string damaged = file;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        const Read read = read_all(damaged, 1000);
        ASSERT_TRUE(read.error) << "bit " << bit;
        EXPECT_EQ(read.error->code(), ErrorCode::corrupt);
        EXPECT_NE(read.error->detail().find("at byte"), std::string::npos);
    }
}

TEST(Recording, a_newer_version_is_unsupported_and_not_corrupt) {
    std::string file = some_file();
    file[8] = 2;
    const std::uint32_t crc = crc32c(std::string_view(file).substr(0, 12));
    for (int byte = 0; byte < 4; ++byte)
        file[12 + byte] = static_cast<char>(crc >> (8 * byte));
    EXPECT_EQ(read_all(file, 1000).error->code(), ErrorCode::unsupported);
}

TEST(Recording, frames_out_of_order_and_bytes_after_the_end_are_corrupt) {
    EXPECT_TRUE(read_all(some_file() + "x", 1000).error);
    const std::string two = some_file() + some_file().substr(16);
    EXPECT_TRUE(read_all(two, 1000).error);
    RecordingEncoder encoder(some_header());
    const std::string start = encoder.take();
    const Read twice = read_all(start + start.substr(16), 1000);
    ASSERT_TRUE(twice.error);
    EXPECT_NE(twice.error->detail().find("out of order"), std::string::npos);
}

TEST(Recording, a_frame_closes_at_a_commit_and_never_grows_without_bound) {
    RecordingEncoder encoder(some_header());
    (void)encoder.take();
    for (int n = 0; n < 40; ++n)
        ASSERT_TRUE(encoder.append(std::string(60'000, 'I'), Lsn{1}));
    EXPECT_GT(encoder.ready_bytes(), 1'000'000u); // one huge transaction is not held back whole
    (void)encoder.take();
    ASSERT_TRUE(encoder.append("C", Lsn{2}));
    EXPECT_GT(encoder.ready_bytes(), 0u);
}

} // namespace
} // namespace netbuild
