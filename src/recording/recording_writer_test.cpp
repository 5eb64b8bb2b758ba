// SPDX-License-Identifier: Apache-2.0
#include "recording/recording_writer.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace netbuild {
namespace {

class RecordingWriterTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = ::testing::TempDir() + "recording_XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }

    std::filesystem::path folder_;
};

std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

RecordingDecoder::Item last_item(const std::string& bytes, RecordingDecoder& decoder) {
    decoder.feed(bytes);
    RecordingDecoder::Item last;
    for (;;) {
        auto item = decoder.next().value();
        if (std::holds_alternative<RecordingDecoder::NeedMore>(item)) return last;
        last = std::move(item);
    }
}

TEST_F(RecordingWriterTest, a_finished_recording_has_its_name_and_its_end) {
    auto writer = RecordingWriter::create(path("a.nbrec"), {}).value();
    ASSERT_TRUE(writer->on_message("B", Lsn{1}));
    ASSERT_TRUE(writer->on_message("C", Lsn{2}));
    EXPECT_FALSE(std::filesystem::exists(path("a.nbrec")));
    ASSERT_TRUE(writer->finish());
    EXPECT_FALSE(std::filesystem::exists(path("a.nbrec.part")));
    const std::string bytes = content(path("a.nbrec"));
    EXPECT_EQ(bytes.size(), writer->bytes());
    RecordingDecoder decoder;
    EXPECT_EQ(std::get<RecordingEnd>(last_item(bytes, decoder)), (RecordingEnd{2, 1}));
}

TEST_F(RecordingWriterTest, a_killed_recorder_leaves_a_part_that_reads_up_to_the_last_flush) {
    auto writer = RecordingWriter::create(path("a.nbrec"), {}).value();
    ASSERT_TRUE(writer->on_message("C", Lsn{7}));
    ASSERT_TRUE(writer->flush());
    ASSERT_TRUE(writer->on_message("C", Lsn{8}));
    RecordingDecoder decoder;
    const std::string bytes = content(path("a.nbrec.part")); // what a kill -9 would leave
    EXPECT_EQ(std::get<RecordedMessage>(last_item(bytes, decoder)).wal_end, Lsn{7});
    EXPECT_EQ(decoder.cut_at(), bytes.size());
}

TEST_F(RecordingWriterTest, never_overwrites_unless_told_to) {
    std::ofstream(path("a.nbrec")) << "precious";
    EXPECT_EQ(RecordingWriter::create(path("a.nbrec"), {}).error().code(), ErrorCode::conflict);
    std::ofstream(path("b.nbrec.part")) << "left by a killed recorder";
    EXPECT_EQ(RecordingWriter::create(path("b.nbrec"), {}).error().code(), ErrorCode::conflict);
    auto writer =
        RecordingWriter::create(path("a.nbrec"), {}, RecordingWriter::IfExists::replace).value();
    EXPECT_EQ(content(path("a.nbrec")), "precious");
    ASSERT_TRUE(writer->finish());
    EXPECT_TRUE(content(path("a.nbrec")).starts_with("NBREC"));
}

TEST_F(RecordingWriterTest, a_folder_that_is_not_there_is_an_invalid_argument_that_names_the_file) {
    const auto failed = RecordingWriter::create(path("none/a.nbrec"), {});
    EXPECT_EQ(failed.error().code(), ErrorCode::invalid_argument);
    EXPECT_NE(failed.error().detail().find("none/a.nbrec"), std::string::npos);
}

} // namespace
} // namespace netbuild
