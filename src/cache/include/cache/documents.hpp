// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/cache.hpp"
#include "model/value.hpp"

namespace netbuild::cache {

/// Documents of a store; in the shared part as BSON.
using Documents = Cache<Value>;
[[nodiscard]] Codec<Value> document_codec();

} // namespace netbuild::cache
