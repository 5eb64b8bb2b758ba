// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>

#include "model/transaction.hpp"
#include "sync/options.hpp"

namespace netbuild::sync {

/// What an act_hi_varinst row says of its variable.
struct VariableValue {
    /// nullopt: the row does not say (an unchanged TOAST column, or bytes that were not rewritten):
    /// keep what the document has.
    std::optional<Value> value;
    /// The column that cannot be read as the variable's type says.
    std::optional<camunda::hi_varinst> unreadable;
};
/// `bytes` is the bytea text of the act_ge_bytearray row that `row` names, if that is in the same
/// transaction.
[[nodiscard]] VariableValue variable_value(const Row& row, std::optional<std::string_view> bytes,
                                           const ProjectionOptions& options);

/// Keys of nested objects escaped for the store, in place (model/collections.hpp).
void escape_keys(Value& value);

} // namespace netbuild::sync
