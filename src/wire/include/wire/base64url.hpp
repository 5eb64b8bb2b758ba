// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace netbuild {

/// RFC 4648, section 5, without padding.
[[nodiscard]] std::string encode_base64url(std::string_view bytes);
/// Appends the bytes to `out`; false: a character is none of the alphabet's.
[[nodiscard]] bool decode_base64url(std::string_view text, std::string& out);

} // namespace netbuild
