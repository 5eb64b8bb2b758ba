// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "wire/recording.hpp"

namespace netbuild::recording {

/// A recording's messages in order, read from disk in pieces. Blocks.
class RecordingFile {
public:
    /// not_found, corrupt, unsupported; invalid_argument: it cannot be read.
    static result<RecordingFile> open(const std::string& path);

    [[nodiscard]] const RecordingHeader& header() const noexcept { return header_; }
    /// nullopt at the end; views live until the next call.
    result<std::optional<RecordedMessage>> next();
    /// After the end: where the file was cut, if it was.
    [[nodiscard]] std::optional<std::uint64_t> cut_at() const noexcept { return decoder_.cut_at(); }

private:
    static constexpr std::size_t piece_bytes = 256 * 1024;
    struct CloseFile {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };

    result<RecordingDecoder::Item> next_item();

    std::string path_;
    std::unique_ptr<std::FILE, CloseFile> file_;
    std::string piece_;
    RecordingDecoder decoder_;
    RecordingHeader header_;
};

/// The end LSN of the commit that `pgoutput` is; nullopt if it is none.
[[nodiscard]] std::optional<Lsn> commit_end(std::string_view pgoutput);

} // namespace netbuild::recording
