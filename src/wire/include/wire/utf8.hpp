// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace netbuild {

/// RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF.
[[nodiscard]] bool valid_utf8(std::string_view text) noexcept;
/// Every byte that belongs to no character becomes U+FFFD.
[[nodiscard]] std::string with_valid_utf8(std::string_view text);

} // namespace netbuild
