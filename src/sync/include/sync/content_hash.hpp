// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "ports/document_store.hpp"

namespace netbuild::sync {

struct ContentHash {
    /// SHA-256 as hex digits, over every projected document as canonical Extended JSON, one a line,
    /// sorted by collection and _id, without `sync`: equal for equal read models in whatever store,
    /// by whatever way they were made.
    std::string sha256;
    std::uint64_t documents = 0;
};
awaitable<result<ContentHash>> content_hash(DocumentStore& store);

/// 64 bits of what contentHash covers of one document: equal for equal documents in whatever order
/// their members stand; different ones have the same once in 2^64. For one process only.
[[nodiscard]] std::uint64_t content_digest(const Value& document);

/// What contentHash and verify compare of a document: all of it but `sync`, also in activeTasks.
[[nodiscard]] Value without_sync(const Value& document);

} // namespace netbuild::sync
