// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <string>
#include <string_view>

#include "base/position.hpp"

namespace netbuild::feed {

/// The engine's stream, and that of NetBuild's own data.
enum class Source : unsigned char { engine, documents };
[[nodiscard]] std::string_view source_name(Source source) noexcept;

/// How far a reader has come in either stream: all of it up to here, and nothing beyond.
struct Place {
    Position engine, documents;

    [[nodiscard]] const Position& of(Source source) const noexcept {
        return source == Source::engine ? engine : documents;
    }
    [[nodiscard]] Position& of(Source source) noexcept {
        return source == Source::engine ? engine : documents;
    }
    /// Nothing at `other` is beyond this.
    [[nodiscard]] bool covers(const Place& other) const noexcept {
        return engine >= other.engine && documents >= other.documents;
    }
    [[nodiscard]] Place with(const Place& other) const noexcept {
        return {std::max(engine, other.engine), std::max(documents, other.documents)};
    }
    friend bool operator==(const Place&, const Place&) noexcept = default;
};

/// As X-NetBuild-Position has it, engine="23803720-12", documents="7711253004517703681-0": an
/// offset, an SSE id.
[[nodiscard]] std::string to_string(const Place& place);
/// A bare Position is the engine's; where `documents` is not named it is `otherwise`.
/// invalid_argument.
[[nodiscard]] result<Place> parse_place(std::string_view text, Position otherwise);

} // namespace netbuild::feed
