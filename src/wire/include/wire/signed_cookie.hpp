// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace netbuild {

// What Node's express-session puts into its cookie (npm's cookie-signature): "s:", the session id,
// a dot, and HMAC-SHA256 of the id in base64 without padding.

/// `cookie` percent-decoded. The id that one of the secrets has signed: the newest first, so that a
/// secret can be replaced. Takes as long whether the signature is nearly right or not at all.
[[nodiscard]] std::optional<std::string> unsign_cookie(std::string_view cookie,
                                                       std::span<const std::string> secrets);
[[nodiscard]] std::string sign_cookie(std::string_view id, std::string_view secret);

} // namespace netbuild
