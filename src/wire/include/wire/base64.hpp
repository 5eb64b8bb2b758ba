// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace netbuild {

/// RFC 4648, section 4, with padding.
void append_base64(std::string& out, std::string_view bytes);
[[nodiscard]] std::string encode_base64(std::string_view bytes);
/// Appends the bytes to `out`; padding may be missing. False: a character is none of the
/// alphabet's, or the length is none that a text can have.
[[nodiscard]] bool decode_base64(std::string_view text, std::string& out);

} // namespace netbuild
