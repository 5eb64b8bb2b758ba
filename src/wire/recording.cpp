// SPDX-License-Identifier: Apache-2.0
#include "wire/recording.hpp"

#include <utility>

#include <fmt/format.h>

namespace netbuild {
namespace {

constexpr std::string_view magic{"NBREC\r\n\x1a", 8};
constexpr std::uint32_t version = 1;
constexpr std::size_t prelude_bytes = 16;
constexpr std::size_t frame_header_bytes = 16;
constexpr std::size_t message_header_bytes = 12;
constexpr std::size_t text_bytes_max = 4096;

enum class FrameType : std::uint8_t { source = 1, messages = 2, end = 3 };

template <class Integer>
void put(std::string& out, Integer value) {
    for (std::size_t byte = 0; byte < sizeof(Integer); ++byte) {
        out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * byte)));
    }
}

template <class Integer>
Integer get(std::string_view bytes) {
    std::uint64_t value = 0;
    for (std::size_t byte = 0; byte < sizeof(Integer); ++byte) {
        value |= std::uint64_t{static_cast<unsigned char>(bytes[byte])} << (8 * byte);
    }
    return static_cast<Integer>(value);
}

void put_text(std::string& out, std::string_view text) {
    text = text.substr(0, text_bytes_max);
    put(out, static_cast<std::uint16_t>(text.size()));
    out += text;
}

void put_frame(std::string& out, FrameType type, std::string_view payload) {
    const std::size_t at = out.size();
    put(out, static_cast<std::uint32_t>(payload.size()));
    put(out, static_cast<std::uint32_t>(type)); // the type and three bytes of zero
    put(out, crc32c(payload));
    put(out, crc32c(std::string_view(out).substr(at, 12)));
    out += payload;
}

/// Reads the fields of a payload; once it ran out, everything reads as zero and ok() is false.
class Fields {
public:
    explicit Fields(std::string_view bytes) : bytes_(bytes) {}
    template <class Integer>
    Integer number() {
        const auto field = take(sizeof(Integer));
        return field.empty() ? Integer{} : get<Integer>(field);
    }
    std::string text() { return std::string(take(number<std::uint16_t>())); }
    [[nodiscard]] bool ended() const { return ok_ && bytes_.empty(); }

private:
    std::string_view take(std::size_t size) {
        if (!ok_ || bytes_.size() < size) {
            ok_ = false;
            return {};
        }
        const auto field = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return field;
    }
    std::string_view bytes_;
    bool ok_ = true;
};

std::optional<RecordingHeader> parse_header(std::string_view payload) {
    Fields fields(payload);
    RecordingHeader header;
    header.system_identifier = fields.text();
    header.timeline = fields.number<std::uint32_t>();
    header.start = Lsn{fields.number<std::uint64_t>()};
    header.created_at_us = fields.number<std::int64_t>();
    header.server_version = fields.text();
    header.schema = fields.text();
    header.time_zone = fields.text();
    if (!fields.ended()) return std::nullopt;
    return header;
}

bool is_commit(std::string_view pgoutput) { return pgoutput.front() == 'C'; }

} // namespace

RecordingEncoder::RecordingEncoder(const RecordingHeader& header) {
    out_ += magic;
    put(out_, version);
    put(out_, crc32c(out_));
    std::string payload;
    put_text(payload, header.system_identifier);
    put(payload, header.timeline);
    put(payload, to_number(header.start));
    put(payload, header.created_at_us);
    put_text(payload, header.server_version);
    put_text(payload, header.schema);
    put_text(payload, header.time_zone);
    put_frame(out_, FrameType::source, payload);
}

result<void> RecordingEncoder::append(std::string_view pgoutput, Lsn wal_end) {
    if (pgoutput.empty()) return fail(ErrorCode::invalid_argument, "recording: empty message");
    if (pgoutput.size() > recording_frame_bytes_max - message_header_bytes) {
        return fail(ErrorCode::payload_too_large,
                    fmt::format("recording: a message of {} bytes", pgoutput.size()));
    }
    if (frame_.size() + message_header_bytes + pgoutput.size() > 16 * frame_bytes_target) flush();
    put(frame_, to_number(wal_end));
    put(frame_, static_cast<std::uint32_t>(pgoutput.size()));
    frame_ += pgoutput;
    ++counts_.messages;
    if (is_commit(pgoutput)) {
        ++counts_.transactions;
        if (frame_.size() >= frame_bytes_target) flush();
    }
    return {};
}

void RecordingEncoder::flush() {
    if (frame_.empty()) return;
    put_frame(out_, FrameType::messages, frame_);
    frame_.clear();
}

void RecordingEncoder::finish() {
    flush();
    std::string payload;
    put(payload, counts_.messages);
    put(payload, counts_.transactions);
    put_frame(out_, FrameType::end, payload);
}

std::string RecordingEncoder::take() { return std::exchange(out_, {}); }

void RecordingDecoder::feed(std::string_view bytes) {
    if (messages_.empty()) {
        base_offset_ += read_;
        buffer_.erase(0, read_);
        read_ = 0;
        buffer_ += bytes;
        return;
    }
    // The rest of the current frame moves with the buffer.
    const std::size_t at = static_cast<std::size_t>(messages_.data() - buffer_.data());
    const std::size_t size = messages_.size();
    buffer_ += bytes;
    messages_ = std::string_view(buffer_).substr(at, size);
}

Error RecordingDecoder::corrupt(std::uint64_t offset, std::string_view what) const {
    return fail(ErrorCode::corrupt, fmt::format("recording at byte {}: {}", offset, what));
}

result<RecordingDecoder::Item> RecordingDecoder::next() {
    if (!messages_.empty()) return message();
    if (stage_ == Stage::prelude) {
        const auto prelude = std::string_view(buffer_).substr(0, prelude_bytes);
        const auto start = prelude.substr(0, magic.size());
        if (start != magic.substr(0, start.size())) return corrupt(0, "not a recording");
        if (prelude.size() < prelude_bytes) return Item{NeedMore{}};
        if (crc32c(prelude.substr(0, 12)) != get<std::uint32_t>(prelude.substr(12))) {
            return corrupt(12, "the prelude's checksum is wrong");
        }
        if (const auto found = get<std::uint32_t>(prelude.substr(8)); found != version) {
            return fail(
                ErrorCode::unsupported,
                fmt::format("recording of format version {}; this reads {}", found, version));
        }
        read_ = prelude_bytes;
        stage_ = Stage::header;
    }
    return next_frame();
}

result<RecordingDecoder::Item> RecordingDecoder::next_frame() {
    const auto rest = std::string_view(buffer_).substr(read_);
    const std::uint64_t offset = base_offset_ + read_;
    if (rest.empty()) return Item{NeedMore{}};
    if (stage_ == Stage::ended) return corrupt(offset, "bytes after the end");
    if (rest.size() < frame_header_bytes) return Item{NeedMore{}};
    // The header has a checksum of its own: a damaged length must not look like a cut file.
    if (crc32c(rest.substr(0, 12)) != get<std::uint32_t>(rest.substr(12))) {
        return corrupt(offset, "the frame header's checksum is wrong");
    }
    const std::size_t size = get<std::uint32_t>(rest);
    const auto type = get<std::uint32_t>(rest.substr(4));
    if (size > recording_frame_bytes_max) return corrupt(offset, "a frame beyond the limit");
    if (rest.size() - frame_header_bytes < size) return Item{NeedMore{}};
    const auto payload = rest.substr(frame_header_bytes, size);
    if (crc32c(payload) != get<std::uint32_t>(rest.substr(8))) {
        return corrupt(offset, "the frame's checksum is wrong");
    }
    if ((type == static_cast<std::uint32_t>(FrameType::source)) != (stage_ == Stage::header)) {
        return corrupt(offset, "a frame out of order");
    }
    switch (static_cast<FrameType>(type)) {
    case FrameType::source: {
        auto header = parse_header(payload);
        if (!header) return corrupt(offset, "a malformed header");
        read_ += frame_header_bytes + size;
        stage_ = Stage::messages;
        return Item{std::move(*header)};
    }
    case FrameType::messages:
        if (payload.empty()) return corrupt(offset, "an empty frame of messages");
        messages_ = payload;
        return message();
    case FrameType::end:
        return end(payload);
    }
    return corrupt(offset, "a frame of unknown type");
}

result<RecordingDecoder::Item> RecordingDecoder::message() {
    const std::uint64_t offset =
        base_offset_ + static_cast<std::uint64_t>(messages_.data() - buffer_.data());
    if (messages_.size() < message_header_bytes) return corrupt(offset, "a malformed message");
    const Lsn wal_end{get<std::uint64_t>(messages_)};
    const std::size_t size = get<std::uint32_t>(messages_.substr(8));
    if (size == 0 || size > messages_.size() - message_header_bytes) {
        return corrupt(offset, "a malformed message");
    }
    const auto pgoutput = messages_.substr(message_header_bytes, size);
    messages_.remove_prefix(message_header_bytes + size);
    if (messages_.empty()) {
        read_ = static_cast<std::size_t>(pgoutput.data() + size - buffer_.data());
    }
    ++counts_.messages;
    if (is_commit(pgoutput)) ++counts_.transactions;
    return Item{RecordedMessage{wal_end, pgoutput}};
}

result<RecordingDecoder::Item> RecordingDecoder::end(std::string_view payload) {
    const std::uint64_t offset = base_offset_ + read_;
    Fields fields(payload);
    RecordingEnd found;
    found.messages = fields.number<std::uint64_t>();
    found.transactions = fields.number<std::uint64_t>();
    if (!fields.ended()) return corrupt(offset, "a malformed end");
    if (found != counts_) {
        return corrupt(offset, fmt::format("{} messages, and the end says {}", counts_.messages,
                                           found.messages));
    }
    read_ += frame_header_bytes + payload.size();
    stage_ = Stage::ended;
    return Item{found};
}

std::optional<std::uint64_t> RecordingDecoder::cut_at() const noexcept {
    if (stage_ == Stage::ended) return std::nullopt;
    return base_offset_ + read_;
}

} // namespace netbuild
