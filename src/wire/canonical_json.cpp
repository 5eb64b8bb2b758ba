// SPDX-License-Identifier: Apache-2.0
#include "wire/canonical_json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "wire/json.hpp"

namespace netbuild {
namespace {

constexpr std::int64_t exact_integer_max = std::int64_t{1} << 53;

/// RFC 8785, section 3.2.2.2.
void append_string(std::string& out, std::string_view text) {
    constexpr char hex[] = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\b':
            out += "\\b";
            break;
        case '\t':
            out += "\\t";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\f':
            out += "\\f";
            break;
        case '\r':
            out += "\\r";
            break;
        default:
            if (static_cast<unsigned char>(c) >= 0x20) {
                out += c;
            } else {
                out += "\\u00";
                out += hex[c >> 4];
                out += hex[c & 15];
            }
        }
    }
    out += '"';
}

/// ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20), of finite numbers.
void append_double(std::string& out, double number) {
    if (number == 0) {
        out += '0'; // -0 too
        return;
    }
    char buffer[32];
    const auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, std::abs(number),
                                         std::chars_format::scientific);
    const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
    const auto e = text.find('e');
    std::string digits(1, text[0]);
    if (e > 1) digits += text.substr(2, e - 2);
    int exponent = 0;
    const auto sign = text[e + 1] == '-' ? -1 : 1;
    std::from_chars(text.data() + e + 2, text.data() + text.size(), exponent);
    const int point = sign * exponent + 1; // digits in front of the decimal point
    const int count = static_cast<int>(digits.size());
    if (number < 0) out += '-';
    if (count <= point && point <= 21) {
        out += digits;
        out.append(static_cast<std::size_t>(point - count), '0');
    } else if (0 < point && point <= 21) {
        out.append(digits, 0, static_cast<std::size_t>(point));
        out += '.';
        out.append(digits, static_cast<std::size_t>(point));
    } else if (-6 < point && point <= 0) {
        out += "0.";
        out.append(static_cast<std::size_t>(-point), '0');
        out += digits;
    } else {
        out += digits[0];
        if (count > 1) out += '.';
        out.append(digits, 1);
        out += point > 0 ? "e+" : "e-";
        out += std::to_string(std::abs(point - 1));
    }
}

/// By UTF-16 code units: what lies beyond the basic plane (four bytes of UTF-8) is made of
/// surrogates, which come before U+E000 to U+FFFF (0xEE and 0xEF lead those).
bool before(std::string_view left, std::string_view right) {
    const auto rank = [](char c) -> int {
        const int byte = static_cast<unsigned char>(c);
        return byte >= 0xF0 ? byte - 2 : byte >= 0xEE ? byte + 5 : byte;
    };
    return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end(),
                                        [&](char a, char b) { return rank(a) < rank(b); });
}

struct Writer {
    std::string& out;

    void wrapped(std::string_view key, std::string_view text) const {
        out += "{\"";
        out += key;
        out += "\":\"";
        out += text;
        out += "\"}";
    }
    void operator()(std::monostate) const { out += "null"; }
    void operator()(bool value) const { out += value ? "true" : "false"; }
    void operator()(std::int32_t value) const { out += std::to_string(value); }
    void operator()(std::int64_t value) const {
        if (value >= -exact_integer_max && value <= exact_integer_max) {
            out += std::to_string(value);
        } else {
            wrapped("$numberLong", std::to_string(value));
        }
    }
    void operator()(double value) const {
        if (std::isnan(value)) return wrapped("$numberDouble", "NaN");
        if (std::isinf(value))
            return wrapped("$numberDouble", value < 0 ? "-Infinity" : "Infinity");
        append_double(out, value);
    }
    void operator()(const std::string& value) const { append_string(out, value); }
    void operator()(Date value) const { append_string(out, format_utc(value)); }
    void operator()(const Binary& value) const { append_json(out, value); }
    void operator()(const Array& array) const {
        out += '[';
        for (std::size_t i = 0; i < array.size(); ++i) {
            if (i > 0) out += ',';
            std::visit(*this, array[i].variant());
        }
        out += ']';
    }
    void operator()(const Object& object) const {
        std::vector<const Object::Member*> sorted;
        sorted.reserve(object.size());
        for (const auto& member : object)
            sorted.push_back(&member);
        std::sort(sorted.begin(), sorted.end(),
                  [](const auto* a, const auto* b) { return before(a->key, b->key); });
        out += '{';
        for (const auto* member : sorted) {
            if (member != sorted.front()) out += ',';
            append_string(out, member->key);
            out += ':';
            std::visit(*this, member->value.variant());
        }
        out += '}';
    }
};

} // namespace

std::string canonical_json(const Value& value) {
    std::string out;
    std::visit(Writer{out}, value.variant());
    return out;
}

} // namespace netbuild
