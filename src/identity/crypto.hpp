// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace netbuild::identity {

/// Of the operating system's generator, as base64url.
[[nodiscard]] std::string random_text(std::size_t bytes);
[[nodiscard]] std::string random_bytes(std::size_t bytes);
/// In hex.
[[nodiscard]] std::string sha256(std::string_view text);
/// In a time that says nothing about where they differ.
[[nodiscard]] bool same(std::string_view left, std::string_view right) noexcept;

} // namespace netbuild::identity
