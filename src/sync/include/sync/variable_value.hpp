// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>

#include "model/transaction.hpp"
#include "sync/options.hpp"

namespace netbuild::sync {

/// The value of an act_hi_varinst row. `bytes` is the bytea text of the act_ge_bytearray row that
/// it names, if that is in the same transaction. nullopt: the row does not say (an unchanged TOAST
/// column, or bytes that were not rewritten): keep what the document has.
[[nodiscard]] std::optional<Value> variable_value(const Row& row,
                                                  std::optional<std::string_view> bytes,
                                                  const ProjectionOptions& options);

/// Keys of nested objects escaped for the store, in place (model/collections.hpp).
void escape_keys(Value& value);

} // namespace netbuild::sync
