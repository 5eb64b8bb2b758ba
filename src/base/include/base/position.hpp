// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace netbuild {

/// A place in PostgreSQL's write-ahead log, in bytes
/// (https://www.postgresql.org/docs/current/datatype-pg-lsn.html).
enum class Lsn : std::uint64_t {};

[[nodiscard]] constexpr std::uint64_t to_number(Lsn lsn) noexcept {
    return static_cast<std::uint64_t>(lsn);
}
/// PostgreSQL's own form, "0/16B3748".
[[nodiscard]] std::string to_string(Lsn lsn);
[[nodiscard]] result<Lsn> parse_lsn(std::string_view text);

/// The one version number of the product: epoch·2^48 + commit end LSN, and the ordinal of an event
/// inside its transaction. Its text form is a Redis stream id, "23803720-12".
/// The epoch rises when LSNs can go backwards (restore, failover, another source).
struct Position {
    static constexpr int epoch_shift = 48;
    static constexpr std::uint64_t lsn_mask = (std::uint64_t{1} << epoch_shift) - 1;
    static constexpr std::uint32_t last_ordinal = UINT32_MAX;

    std::uint64_t number = 0;
    std::uint32_t ordinal = 0;

    [[nodiscard]] static constexpr Position at(std::uint32_t epoch, Lsn lsn,
                                               std::uint32_t ordinal = 0) noexcept {
        return {(static_cast<std::uint64_t>(epoch) << epoch_shift) | (to_number(lsn) & lsn_mask),
                ordinal};
    }
    [[nodiscard]] constexpr std::uint32_t epoch() const noexcept {
        return static_cast<std::uint32_t>(number >> epoch_shift);
    }
    [[nodiscard]] constexpr Lsn lsn() const noexcept { return Lsn{number & lsn_mask}; }
    [[nodiscard]] constexpr bool is_zero() const noexcept { return number == 0 && ordinal == 0; }

    friend constexpr auto operator<=>(const Position&, const Position&) noexcept = default;
};

/// "23803720-12".
[[nodiscard]] std::string to_string(Position position);
/// "23803720-12", or "23803720" for its first ordinal. Anything else is invalid_argument.
[[nodiscard]] result<Position> parse_position(std::string_view text);

} // namespace netbuild
