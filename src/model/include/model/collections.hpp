// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "model/value.hpp"

namespace netbuild::collections {

inline constexpr std::string_view workflow_executions = "workflow_executions";
inline constexpr std::string_view task_executions = "task_executions";
inline constexpr std::string_view tasks = "tasks";
inline constexpr std::string_view process_definitions = "process_definitions";
inline constexpr std::string_view events = "events";
inline constexpr std::string_view sync_checkpoints = "sync_checkpoints";
/// What completed tasks were at their Position, until a snapshot of each is taken (snapshots/).
inline constexpr std::string_view task_completions = "task_completions";
/// Transactions that could not be projected, and their rows.
inline constexpr std::string_view dead_letters = "dead_letters";
inline constexpr std::string_view dead_letter_rows = "dead_letter_rows";
/// The projected ones: rebuilt from the engine, compared by `verify`, hashed by contentHash.
inline constexpr std::string_view projected[] = {process_definitions, task_executions, tasks,
                                                 workflow_executions};

} // namespace netbuild::collections

namespace netbuild {

/// A name of a user's (a variable, a JSON key) as a document key: '%', '.', '$' become %25, %2E,
/// %24, so that no path of a store can be confused. Reversible.
[[nodiscard]] std::string escape_key(std::string_view name);
[[nodiscard]] std::string unescape_key(std::string_view key);
/// The same for every key inside.
void unescape_keys(Value& value);

} // namespace netbuild
