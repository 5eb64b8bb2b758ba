// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild::query {

/// The sort keys of a page's last item as opaque text (base64url of BSON): the next page starts
/// after them, whatever was written meanwhile.
[[nodiscard]] std::string encode_cursor(const std::vector<Value>& keys);
/// invalid_argument that names `cursor`.
[[nodiscard]] result<std::vector<Value>> decode_cursor(std::string_view text, std::size_t keys);

} // namespace netbuild::query
