// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>

#include "ports/record_store.hpp"

namespace netbuild::snapshots {

/// A link that is not as it was made.
struct BrokenLink {
    /// Empty: the snapshot is not there, or it is the head that is broken.
    std::string id;
    std::int64_t sequence = 0;
    std::string chain;
    std::int64_t number = 0;
    std::string what;
};
struct SnapshotReport {
    std::uint64_t snapshots = 0, chains = 0;
    std::uint64_t broken_count = 0;
    /// The one with the least sequence.
    std::optional<BrokenLink> first;
    /// The hash of the newest snapshot: kept elsewhere, it proves all up to it.
    std::string head_hash;
    std::int64_t head_sequence = 0;
};

/// Walks every chain and the sequence of all: content against its hash, each hash against what it
/// is of, each link against the one before it, the newest against the head. Writes may go on.
///
/// It finds what was changed, removed, inserted or moved by whoever did not make all hashes after
/// it anew, and the head's. Who can write to the store can do that, too: against them a head that
/// was kept elsewhere helps (`expected_head`: "SEQUENCE:HASH"; empty: none).
awaitable<result<SnapshotReport>>
verify_snapshots(RecordStore& records, std::string expected_head,
                 std::function<void(const SnapshotReport& so_far)> progress);

} // namespace netbuild::snapshots
