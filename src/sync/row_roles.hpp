// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "model/transaction.hpp"
#include "sync/options.hpp"

namespace netbuild::sync {

// What a row is about, asked by those that load documents, project rows and share a large
// transaction's rows out: they must agree.

/// The process instance that a row names, or empty.
[[nodiscard]] std::string_view instance_of(const Row& row);
/// The task that a row is, or belongs to; empty if none.
[[nodiscard]] std::string_view task_of(const Row& row);
/// The task of a row that has no process instance although it is one that would name it: the task
/// stands alone. Empty otherwise.
[[nodiscard]] std::string_view standalone_task_of(const Row& row);
/// The process definition whose document the row needs or is, or empty.
[[nodiscard]] std::string_view definition_of(const Row& row);

/// Row order inside a transaction is not causal (Camunda flushes by entity): what others refer to
/// comes first, the end of things last. Rows are projected by phase, within a phase in their order.
inline constexpr int phases = 5;
[[nodiscard]] int phase_of(const Row& row);

/// False if the projection does nothing with the row whatever stands in it.
[[nodiscard]] bool is_read(const Row& row, Retention retention);

} // namespace netbuild::sync
