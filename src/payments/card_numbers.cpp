// SPDX-License-Identifier: Apache-2.0
#include "payments/card_numbers.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ports/collection.hpp"

namespace netbuild::payments {
namespace {

constexpr std::size_t digits_min = 13, digits_max = 19;
constexpr std::size_t separators_max = 3; // between two groups of one number

enum class Kind : unsigned char { digit, separator, other };
struct Symbol {
    Kind kind;
    char digit = 0;
    std::size_t bytes = 1;
};

Symbol symbol_at(std::string_view text, std::size_t at) {
    const char c = text[at];
    if (c >= '0' && c <= '9') return {Kind::digit, c};
    if (std::string_view(" -./_\t\n\r").find(c) != std::string_view::npos) return {Kind::separator};
    const auto starts = [&](std::string_view bytes) { return text.substr(at).starts_with(bytes); };
    if (starts("\xC2\xA0") || starts("\xC2\xAD"))
        return {Kind::separator, 0, 2}; // no-break, soft hyphen
    if (text.size() < at + 3) return {Kind::other};
    const auto third = static_cast<unsigned char>(text[at + 2]);
    // U+2000 to U+2015 are spaces, zero widths and dashes; then narrow spaces and the minus.
    if (starts("\xE2\x80") && (third <= 0x95 || third == 0xAF)) return {Kind::separator, 0, 3};
    if (starts("\xE2\x81\x9F") || starts("\xE2\x81\xA0") || starts("\xE2\x88\x92") ||
        starts("\xE3\x80\x80") || starts("\xEF\xBB\xBF") || starts("\xEF\xBC\x8D"))
        return {Kind::separator, 0, 3};
    if (starts("\xEF\xBC") && third >= 0x90 && third <= 0x99)
        return {Kind::digit, static_cast<char>('0' + third - 0x90), 3};
    return {Kind::other};
}

bool checks(std::string_view digits) {
    int sum = 0;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        int digit = digits[digits.size() - 1 - i] - '0';
        if (i % 2 == 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
        sum += digit;
    }
    return sum % 10 == 0;
}

/// Digits that only separators part, and where its groups begin (and the last one ends).
struct Run {
    std::string digits;
    std::vector<std::size_t> borders;

    [[nodiscard]] bool holds_card_number() const {
        for (std::size_t from = 0; from < borders.size(); ++from) {
            for (std::size_t to = from + 1; to < borders.size(); ++to) {
                const std::size_t size = borders[to] - borders[from];
                if (size > digits_max) break;
                if (size < digits_min || digits[borders[from]] < '2') continue;
                if (checks(std::string_view(digits).substr(borders[from], size))) return true;
            }
        }
        return false;
    }
};

result<void> refuse(const Value& value, const std::string& path) {
    const auto refusal = [&](std::string_view what) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: {} a card number; NetBuild takes none",
                                path.empty() ? "body" : path, what));
    };
    if (const auto* text = value.get_if<std::string>()) {
        if (holds_card_number(*text)) return refusal("holds");
    } else if (value.is<std::int32_t>() || value.is<std::int64_t>()) {
        const std::int64_t number = value.integer_or();
        if (holds_card_number(std::to_string(number < 0 ? -(number + 1) : number)) ||
            holds_card_number(std::to_string(number)))
            return refusal("is");
    } else if (const auto* real = value.get_if<double>()) {
        if (std::abs(*real) < 1e20 && holds_card_number(fmt::format("{:.0f}", std::abs(*real))))
            return refusal("is");
    } else if (const auto* list = value.get_if<Array>()) {
        for (std::size_t i = 0; i < list->size(); ++i)
            TRY_VOID(refuse((*list)[i], fmt::format("{}[{}]", path, i)));
    } else if (const auto* object = value.get_if<Object>()) {
        for (const auto& member : *object) {
            if (holds_card_number(member.key)) return refusal("has a key that holds");
            const std::string name = printable_name(member.key);
            TRY_VOID(refuse(member.value, path.empty() ? name : path + "." + name));
        }
    }
    return {};
}

} // namespace

bool holds_card_number(std::string_view text) {
    Run run;
    std::size_t separators = 0;
    const auto close = [&] {
        run.borders.push_back(run.digits.size());
        return run.digits.size() >= digits_min && run.holds_card_number();
    };
    for (std::size_t at = 0; at < text.size();) {
        const Symbol symbol = symbol_at(text, at);
        at += symbol.bytes;
        if (symbol.kind == Kind::digit) {
            if (separators > 0 || run.digits.empty()) run.borders.push_back(run.digits.size());
            separators = 0;
            run.digits += symbol.digit;
        } else if (symbol.kind == Kind::separator && separators < separators_max) {
            ++separators;
        } else {
            if (close()) return true;
            run = {};
            separators = 0;
        }
    }
    return close();
}

result<void> refuse_card_numbers(const Value& body) { return refuse(body, ""); }

} // namespace netbuild::payments
