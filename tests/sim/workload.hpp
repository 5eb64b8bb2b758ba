// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/transaction.hpp"

namespace netbuild::sim {

/// A transaction that the simulated Camunda is going to commit, and the process that it belongs to.
struct ScriptEntry {
    Transaction transaction;
    /// Transactions of one order need each other in this order; of others they need nothing.
    std::size_t order = 0;
};

/// What a Camunda with `instances` order processes does, in order, from the seed alone.
[[nodiscard]] std::vector<ScriptEntry> draw_script(std::uint64_t seed, std::uint64_t instances);

/// A copy with its own text.
[[nodiscard]] Transaction copy_of(const Transaction& transaction);

} // namespace netbuild::sim
