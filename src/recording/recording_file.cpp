// SPDX-License-Identifier: Apache-2.0
#include "recording_file.hpp"

#include <cerrno>
#include <cstring>
#include <variant>

#include <fmt/format.h>

namespace netbuild::recording {

result<RecordingFile> RecordingFile::open(const std::string& path) {
    RecordingFile opened;
    opened.path_ = path;
    opened.file_.reset(std::fopen(path.c_str(), "rbe"));
    if (!opened.file_) {
        return fail(errno == ENOENT ? ErrorCode::not_found : ErrorCode::invalid_argument,
                    fmt::format("recording {}: {}", path, std::strerror(errno)));
    }
    opened.piece_.resize(piece_bytes);
    TRY(RecordingDecoder::Item item, opened.next_item());
    const auto* header = std::get_if<RecordingHeader>(&item);
    if (!header) return fail(ErrorCode::corrupt, fmt::format("recording {}: no header", path));
    opened.header_ = *header;
    return opened;
}

// NeedMore means here: the file has no more.
result<RecordingDecoder::Item> RecordingFile::next_item() {
    for (;;) {
        auto item = decoder_.next();
        if (!item) return std::move(item).error().within(path_);
        if (!std::holds_alternative<RecordingDecoder::NeedMore>(*item)) return item;
        const std::size_t size = std::fread(piece_.data(), 1, piece_.size(), file_.get());
        if (size == 0 && std::ferror(file_.get())) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("recording {}: {}", path_, std::strerror(errno)));
        }
        if (size == 0) return item;
        decoder_.feed(std::string_view(piece_).substr(0, size));
    }
}

result<std::optional<RecordedMessage>> RecordingFile::next() {
    TRY(RecordingDecoder::Item item, next_item());
    if (const auto* message = std::get_if<RecordedMessage>(&item)) return std::optional(*message);
    if (std::holds_alternative<RecordingEnd>(item)) {
        TRY_VOID(next_item()); // bytes after the end are an error
    }
    return std::optional<RecordedMessage>();
}

std::optional<Lsn> commit_end(std::string_view pgoutput) {
    // Byte1('C') Int8 flags, Int64 LSN of the commit, Int64 end LSN, Int64 time; big-endian.
    constexpr std::size_t at = 1 + 1 + 8;
    if (pgoutput.size() < at + 8 || pgoutput.front() != 'C') return std::nullopt;
    std::uint64_t lsn = 0;
    for (const char byte : pgoutput.substr(at, 8)) {
        lsn = lsn << 8 | static_cast<unsigned char>(byte);
    }
    return Lsn{lsn};
}

} // namespace netbuild::recording
