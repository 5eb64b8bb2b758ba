// SPDX-License-Identifier: Apache-2.0
#include "wire/resp.hpp"

#include <charconv>

#include <fmt/format.h>

namespace netbuild::resp {
namespace {

bool to_number(std::string_view text, std::int64_t& number) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    return ec == std::errc{} && end == text.data() + text.size();
}

/// CRC-16/XMODEM.
std::uint16_t crc16(std::string_view bytes) {
    std::uint16_t crc = 0;
    for (const char c : bytes) {
        crc = static_cast<std::uint16_t>(crc ^ (static_cast<unsigned char>(c) << 8));
        for (int bit = 0; bit < 8; ++bit)
            crc = static_cast<std::uint16_t>(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

} // namespace

result<std::optional<Reply>> Parser::next() {
    if (buffer_.size() - begin_ < needed_) return std::optional<Reply>();
    std::size_t at = begin_;
    Reply reply;
    needed_ = 0;
    switch (parse(at, reply, 0)) {
    case Outcome::whole:
        break;
    case Outcome::incomplete:
        if (buffer_.size() - begin_ > limits_.reply_bytes_max || needed_ > limits_.reply_bytes_max)
            return fail(ErrorCode::corrupt, "RESP: a reply past the limit");
        // What is read is let go of when there is no whole reply in front of it.
        buffer_.erase(0, std::exchange(begin_, 0));
        return std::optional<Reply>();
    case Outcome::bad:
        return fail(ErrorCode::corrupt, fmt::format("RESP: no reply at byte {}", at - begin_));
    }
    begin_ = at;
    if (begin_ == buffer_.size()) {
        buffer_.clear();
        begin_ = 0;
    }
    return std::optional<Reply>(std::move(reply));
}

Parser::Outcome Parser::line(std::size_t& at, std::string_view& text) {
    constexpr std::size_t line_bytes_max = 64 * 1024;
    const auto end = buffer_.find("\r\n", at);
    if (end == std::string::npos)
        return buffer_.size() - at > line_bytes_max ? Outcome::bad : Outcome::incomplete;
    text = std::string_view(buffer_).substr(at, end - at);
    at = end + 2;
    return Outcome::whole;
}

Parser::Outcome Parser::parse(std::size_t& at, Reply& reply, int depth) {
    if (depth > limits_.depth_max) return Outcome::bad;
    if (at >= buffer_.size()) return Outcome::incomplete;
    const char kind = buffer_[at];
    std::size_t next = at + 1;
    std::string_view text;
    if (const auto outcome = line(next, text); outcome != Outcome::whole) return outcome;
    std::int64_t number = 0;
    switch (kind) {
    case '+':
    case '-':
        reply.type = kind == '+' ? Reply::Type::text : Reply::Type::error;
        reply.text = text;
        break;
    case ':':
        reply.type = Reply::Type::integer;
        if (!to_number(text, reply.integer)) return Outcome::bad;
        break;
    case '$': {
        if (!to_number(text, number) || number < -1) return Outcome::bad;
        if (number == -1) break;
        const auto length = static_cast<std::size_t>(number);
        if (length > limits_.text_bytes_max) return Outcome::bad;
        if (buffer_.size() - next < length + 2) {
            needed_ = next - begin_ + length + 2;
            return Outcome::incomplete;
        }
        if (buffer_.compare(next + length, 2, "\r\n") != 0) return Outcome::bad;
        reply.type = Reply::Type::text;
        reply.text.assign(buffer_, next, length);
        next += length + 2;
        break;
    }
    case '*': {
        if (!to_number(text, number) || number < -1) return Outcome::bad;
        if (number == -1) break;
        if (static_cast<std::size_t>(number) > limits_.elements_max) return Outcome::bad;
        reply.type = Reply::Type::array;
        for (std::int64_t i = 0; i < number; ++i) {
            const auto outcome = parse(next, reply.elements.emplace_back(), depth + 1);
            if (outcome != Outcome::whole) return outcome;
        }
        break;
    }
    default:
        return Outcome::bad;
    }
    at = next;
    return Outcome::whole;
}

void append_command(std::string& out, const std::vector<std::string_view>& words) {
    fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
    for (const std::string_view word : words) {
        fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
        out += word;
        out += "\r\n";
    }
}

std::string command(std::initializer_list<std::string_view> words) {
    std::string out;
    append_command(out, words);
    return out;
}

std::uint16_t slot_of(std::string_view key) {
    if (const auto open = key.find('{'); open != std::string_view::npos) {
        const auto close = key.find('}', open + 1);
        if (close != std::string_view::npos && close > open + 1)
            key = key.substr(open + 1, close - open - 1);
    }
    return crc16(key) % slots;
}

} // namespace netbuild::resp
