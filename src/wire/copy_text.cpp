// SPDX-License-Identifier: Apache-2.0
#include "wire/copy_text.hpp"

#include <fmt/format.h>

namespace netbuild {
namespace {

bool is_octal(char c) { return c >= '0' && c <= '7'; }

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// What the backslash before `at` means; `at` moves past it. `end` is the row's newline, which is
/// never part of an escape.
char escaped(char*& at, const char* end) {
    const char c = *at++;
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    case 'x': {
        // No server writes these two, but they belong to the format.
        if (at == end || hex_digit(*at) < 0) return c;
        int value = hex_digit(*at++);
        if (at != end && hex_digit(*at) >= 0) value = value * 16 + hex_digit(*at++);
        return static_cast<char>(value);
    }
    default:
        if (!is_octal(c)) return c; // itself: the backslash most of all
        int value = c - '0';
        for (int more = 0; more < 2 && at != end && is_octal(*at); ++more)
            value = value * 8 + (*at++ - '0');
        return static_cast<char>(value);
    }
}

} // namespace

result<std::span<const Cell>> CopyTextDecoder::decode(std::span<char> row, std::size_t columns) {
    const auto corrupt = [&](std::string_view what) {
        return fail(ErrorCode::corrupt, fmt::format("a row of COPY {}", what));
    };
    if (row.empty() || row.back() != '\n') return corrupt("has no end");
    char* at = row.data();
    char* const end = row.data() + row.size() - 1;
    cells_.clear();
    if (columns == 0 && at == end) return std::span<const Cell>();
    while (true) {
        if (cells_.size() == columns) return corrupt("has more columns than the table");
        if (end - at >= 2 && at[0] == '\\' && at[1] == 'N' && (at + 2 == end || at[2] == '\t')) {
            cells_.push_back({Cell::Kind::null, {}});
            at += 2;
        } else {
            char* const first = at;
            while (at != end && *at != '\t' && *at != '\\' && *at != '\n')
                ++at;
            char* to = at; // behind `at` from the first escape on
            while (at != end && *at != '\t') {
                if (*at == '\n') return corrupt("holds a bare newline");
                if (*at != '\\') {
                    *to++ = *at++;
                } else {
                    if (++at == end) return corrupt("ends inside an escape");
                    *to++ = escaped(at, end);
                }
            }
            const auto length = static_cast<std::size_t>(to - first);
            cells_.push_back({Cell::Kind::text, {first, length}});
        }
        if (at == end) break;
        ++at; // the tab
    }
    if (cells_.size() != columns) return corrupt("has fewer columns than the table");
    return std::span<const Cell>(cells_);
}

} // namespace netbuild
