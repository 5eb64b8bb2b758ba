// SPDX-License-Identifier: Apache-2.0
#include "wire/resp.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

namespace netbuild::resp {
namespace {

bool to_number(std::string_view text, std::int64_t& number) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    return ec == std::errc{} && end == text.data() + text.size();
}

/// CRC-16/XMODEM of each byte.
constexpr auto crc_table = [] {
    std::array<std::uint16_t, 256> table{};
    for (unsigned byte = 0; byte < table.size(); ++byte) {
        unsigned crc = byte << 8;
        for (int bit = 0; bit < 8; ++bit)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        table[byte] = static_cast<std::uint16_t>(crc);
    }
    return table;
}();

std::uint16_t crc16(std::string_view bytes) {
    unsigned crc = 0;
    for (const char c : bytes)
        crc = (crc << 8 ^ crc_table[(crc >> 8 ^ static_cast<unsigned char>(c)) & 0xff]) & 0xffff;
    return static_cast<std::uint16_t>(crc);
}

} // namespace

result<std::optional<Reply>> Parser::next() {
    if (buffer_.size() - begin_ < needed_) return std::optional<Reply>();
    needed_ = 0;
    switch (scan()) {
    case Outcome::whole:
        break;
    case Outcome::incomplete:
        if (buffer_.size() - begin_ > limits_.reply_bytes_max || needed_ > limits_.reply_bytes_max)
            return fail(ErrorCode::corrupt, "RESP: a reply past the limit");
        // What is read is let go of when there is no whole reply in front of it.
        scanned_ -= begin_;
        buffer_.erase(0, std::exchange(begin_, 0));
        return std::optional<Reply>();
    case Outcome::bad:
        return fail(ErrorCode::corrupt,
                    fmt::format("RESP: no reply at byte {}", scanned_ - begin_));
    }
    std::size_t at = begin_;
    Reply reply;
    read(at, reply);
    begin_ = scanned_ = at;
    if (begin_ == buffer_.size()) {
        buffer_.clear();
        begin_ = scanned_ = 0;
    }
    return std::optional<Reply>(std::move(reply));
}

Parser::Outcome Parser::scan() {
    while (true) {
        if (missing_.size() > static_cast<std::size_t>(limits_.depth_max)) return Outcome::bad;
        std::size_t at = scanned_, elements = 0;
        if (const auto outcome = scan_item(at, elements); outcome != Outcome::whole) return outcome;
        scanned_ = at;
        if (elements > 0) {
            missing_.push_back(elements);
            continue;
        }
        while (!missing_.empty() && --missing_.back() == 0)
            missing_.pop_back();
        if (missing_.empty()) return Outcome::whole;
    }
}

/// `elements`: how many follow that belong to it.
Parser::Outcome Parser::scan_item(std::size_t& at, std::size_t& elements) {
    if (at >= buffer_.size()) return Outcome::incomplete;
    const char kind = buffer_[at++];
    std::string_view text;
    if (const auto outcome = line(at, text); outcome != Outcome::whole) return outcome;
    std::int64_t number = 0;
    const auto when = [](bool good) { return good ? Outcome::whole : Outcome::bad; };
    switch (kind) {
    case '+':
    case '-':
    case ',':
    case '(':
    case '_':
        return Outcome::whole;
    case '#':
        return when(text == "t" || text == "f");
    case ':':
        return when(to_number(text, number));
    case '$':
    case '!':
    case '=':
    case '*':
    case '~':
    case '>':
        if (text == "-1") return Outcome::whole;
        break;
    case '%':
    case '|':
        break;
    default:
        return Outcome::bad;
    }
    if (!to_number(text, number) || number < 0) return Outcome::bad;
    const auto size = static_cast<std::size_t>(number);
    if (kind != '$' && kind != '!' && kind != '=') {
        const std::size_t times = kind == '%' || kind == '|' ? 2 : 1;
        if (size > limits_.elements_max / times) return Outcome::bad;
        elements = size * times + (kind == '|' ? 1 : 0); // attributes are of the reply after them
        return Outcome::whole;
    }
    if (size > limits_.text_bytes_max) return Outcome::bad;
    if (buffer_.size() - at < size + 2) {
        needed_ = at - begin_ + size + 2;
        return Outcome::incomplete;
    }
    at += size + 2;
    return when(buffer_.compare(at - 2, 2, "\r\n") == 0 && (kind != '=' || size >= 4));
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

void Parser::read(std::size_t& at, Reply& reply) {
    const char kind = buffer_[at++];
    std::string_view text;
    (void)line(at, text);
    std::int64_t number = 0;
    (void)to_number(text, number);
    const bool nothing = text == "-1"; // RESP2's null
    const auto size = static_cast<std::size_t>(std::max<std::int64_t>(number, 0));
    switch (kind) {
    case '+':
    case '-':
    case ',':
    case '(':
        reply.type = kind == '-' ? Reply::Type::error : Reply::Type::text;
        reply.text = text;
        return;
    case ':':
    case '#':
        reply.type = Reply::Type::integer;
        reply.integer = kind == ':' ? number : text == "t" ? 1 : 0;
        return;
    case '$':
    case '!':
    case '=': {
        if (nothing) return;
        const std::size_t prefix = kind == '=' ? 4 : 0; // "txt:", then the text
        reply.type = kind == '!' ? Reply::Type::error : Reply::Type::text;
        reply.text.assign(buffer_, at + prefix, size - prefix);
        at += size + 2;
        return;
    }
    case '*':
    case '~':
    case '>':
        if (nothing) return;
        reply.type = kind == '>' ? Reply::Type::push : Reply::Type::array;
        return read_elements(at, size, reply);
    case '%':
        reply.type = Reply::Type::array;
        return read_elements(at, 2 * size, reply);
    case '|': { // what is said about the reply that follows
        Reply attributes;
        read_elements(at, 2 * size, attributes);
        return read(at, reply);
    }
    default: // '_': null
        return;
    }
}

void Parser::read_elements(std::size_t& at, std::size_t count, Reply& reply) {
    for (std::size_t i = 0; i < count; ++i)
        read(at, reply.elements.emplace_back());
}

namespace {

void append_number(std::string& out, char kind, std::size_t number) {
    std::array<char, 24> digits{};
    const auto [end, ec] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out += kind;
    out.append(digits.data(), end);
    out += "\r\n";
}

} // namespace

void append_command(std::string& out, std::span<const std::string_view> words) {
    append_number(out, '*', words.size());
    for (const std::string_view word : words) {
        append_number(out, '$', word.size());
        out += word;
        out += "\r\n";
    }
}

std::string command(std::initializer_list<std::string_view> words) {
    std::string out;
    append_command(out, std::span(words.begin(), words.size()));
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
