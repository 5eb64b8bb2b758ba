// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ports/change_source.hpp"
#include "ports/document_store.hpp"
#include "sync/options.hpp"

namespace netbuild::sync {

struct Difference {
    std::string_view collection;
    std::string id;
    /// The member that differs; empty: the whole document is missing or should not be there.
    std::string field;
    /// What the engine's tables say, and what is stored, as JSON; empty: nothing.
    std::string expected, found;
};

struct VerifyReport {
    Position position;
    std::uint64_t documents = 0;
    std::uint64_t difference_count = 0;
    /// At most `differences_max` of them.
    std::vector<Difference> differences;
    /// Changed after the Position: not comparable in this run.
    std::uint64_t newer = 0;
    /// Documents whose history the engine has deleted.
    std::uint64_t retained = 0;
    static constexpr std::size_t differences_max = 100;
};

/// Compares every projected document with the engine's tables at the snapshot's Position. The read
/// model must have reached it. Memory: the ids of all documents.
awaitable<result<VerifyReport>> verify(EngineSnapshot& snapshot, DocumentStore& store,
                                       ProjectionOptions options,
                                       std::function<void(const VerifyReport&)> on_progress);

} // namespace netbuild::sync
