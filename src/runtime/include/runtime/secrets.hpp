// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>

namespace netbuild {

/// Bytes of the operating system's generator: what nobody can guess. Throws if it gives none.
[[nodiscard]] std::string secret_bytes(std::size_t bytes);

} // namespace netbuild
