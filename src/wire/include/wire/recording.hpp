// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/position.hpp"
#include "base/result.hpp"

namespace netbuild {

// The file format of a recorded replication stream (docs/formats/recording.md): pgoutput messages
// as they came over the wire, so that whatever decodes them can be run again on the very bytes.

/// A single pgoutput message holds at most PostgreSQL's 1 GiB.
inline constexpr std::size_t recording_frame_bytes_max = (std::size_t{1} << 30) + 4096;

/// Where the stream came from: the first frame.
struct RecordingHeader {
    /// PostgreSQL's system identifier, or any other text that names one history of LSNs.
    std::string system_identifier;
    std::uint32_t timeline = 0;
    /// The first message comes after it.
    Lsn start{};
    /// Microseconds since 1970-01-01T00:00:00Z.
    std::int64_t created_at_us = 0;
    /// "15.14".
    std::string server_version;
    /// The schema of Camunda's tables.
    std::string schema;
    /// The zone of the engine's timestamps, `[engine] time_zone`.
    std::string time_zone;
    friend bool operator==(const RecordingHeader&, const RecordingHeader&) = default;
};

/// One pgoutput message, proto_version 1
/// (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html).
struct RecordedMessage {
    /// The server's WAL end that came with it (XLogData).
    Lsn wal_end{};
    std::string_view pgoutput;
};

/// The last frame of a recording that was ended and not cut.
struct RecordingEnd {
    std::uint64_t messages = 0;
    std::uint64_t transactions = 0;
    friend bool operator==(const RecordingEnd&, const RecordingEnd&) = default;
};

/// Messages to bytes. Messages gather in a frame, which closes at the first commit past
/// `frame_bytes_target` and, for transactions larger than that, at sixteen times of it.
class RecordingEncoder {
public:
    static constexpr std::size_t frame_bytes_target = 64 * 1024;

    explicit RecordingEncoder(const RecordingHeader& header);

    /// invalid_argument for an empty message, payload_too_large past the format's limit.
    result<void> append(std::string_view pgoutput, Lsn wal_end);
    /// Closes the frame that is being gathered.
    void flush();
    /// Flushes and writes the end; nothing may follow.
    void finish();
    /// The bytes made since the last take().
    [[nodiscard]] std::string take();
    /// How many bytes take() would return.
    [[nodiscard]] std::size_t ready_bytes() const noexcept { return out_.size(); }
    [[nodiscard]] const RecordingEnd& counts() const noexcept { return counts_; }

private:
    std::string out_;
    std::string frame_;
    RecordingEnd counts_;
};

/// Bytes to messages, fed in pieces of any size.
class RecordingDecoder {
public:
    struct NeedMore {};
    using Item = std::variant<NeedMore, RecordingHeader, RecordedMessage, RecordingEnd>;

    void feed(std::string_view bytes);
    /// The next item; views live until the next call of feed() or next(). The header comes first.
    /// `corrupt` with the offset: wrong magic, checksum, order or length; `unsupported`: a newer
    /// version. A failure is final.
    [[nodiscard]] result<Item> next();
    /// At the end of the file: the offset of the first byte after the last whole frame if the file
    /// was cut (by a crash of the recorder, a full disk), nullopt if it was ended properly.
    [[nodiscard]] std::optional<std::uint64_t> cut_at() const noexcept;

private:
    result<Item> next_frame();
    result<Item> message();
    result<Item> end(std::string_view payload);
    [[nodiscard]] Error corrupt(std::uint64_t offset, std::string_view what) const;

    std::string buffer_;
    std::size_t read_ = 0;          // of buffer_
    std::uint64_t base_offset_ = 0; // of buffer_'s first byte in the file
    std::string_view messages_;     // what is left of the current frame
    RecordingEnd counts_;
    enum class Stage : unsigned char { prelude, header, messages, ended } stage_ = Stage::prelude;
};

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), continued from `crc`.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0) noexcept;

} // namespace netbuild
