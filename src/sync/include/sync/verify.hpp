// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
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
    /// Of the newest snapshot that was compared.
    Position position;
    std::uint64_t documents = 0;
    std::uint64_t difference_count = 0;
    /// At most `differences_max` of them.
    std::vector<Difference> differences;
    /// Process instances that changed again in every round: not compared.
    std::uint64_t newer = 0;
    /// Documents whose history the engine has deleted.
    std::uint64_t retained = 0;
    /// What has to be loaded anew to mend all differences.
    std::set<std::string> instances_to_load;
    bool load_definitions = false, load_standalone_tasks = false;
    static constexpr std::size_t differences_max = 100;
};

/// What verify() works on.
struct VerifyPorts {
    /// A snapshot of the engine's tables now that the read model has reached or is about to.
    std::function<awaitable<result<std::unique_ptr<EngineSnapshot>>>()> snapshot;
    /// Waits until the read model holds all up to the Position.
    std::function<awaitable<result<void>>(Position)> wait_applied;
    DocumentStore& store;
    std::function<void(const VerifyReport&)> on_progress;
};

/// Compares every projected document with the engine's tables at a snapshot's Position, while
/// writers go on. Both sides are read once, as a scan reads them, and compared by digests; what has
/// another digest, is on one side only, or has changed since is compared member by member with
/// later snapshots, in a few rounds. Memory: about 50 bytes a document.
awaitable<result<VerifyReport>> verify(VerifyPorts ports, ProjectionOptions options);
/// The same for these process instances (and definitions, and tasks without a process, if a former
/// report says so).
awaitable<result<VerifyReport>> verify_again(VerifyPorts ports, ProjectionOptions options,
                                             VerifyReport former);

} // namespace netbuild::sync
