// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "model/value.hpp"

namespace netbuild::snapshots {

/// In front of the first: of a chain, and of all.
inline const std::string no_hash(64, '0');

/// What binds a snapshot to its place: docs/formats/snapshots.md.
struct Link {
    std::string id;
    /// Of all snapshots, and in the chain of its process instance: 1, 2, 3 …
    std::int64_t sequence = 0;
    std::string chain;
    std::int64_t number = 0;
    /// Hashes of the one before it in its chain, and of the one before it in all.
    std::string previous_hash, previous_in_all;
    /// SHA-256 of the content's canonical JSON.
    std::string content_hash;

    /// SHA-256 of the canonical JSON of all of these.
    [[nodiscard]] std::string hash() const;
};
/// What a stored snapshot says of its place; missing members are empty and 0.
[[nodiscard]] Link link_of(const Value& record);

} // namespace netbuild::snapshots
