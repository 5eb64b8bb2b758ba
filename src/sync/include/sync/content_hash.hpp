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

/// What contentHash and verify compare of a document: all of it but `sync`, also in activeTasks.
[[nodiscard]] Value without_sync(const Value& document);

} // namespace netbuild::sync
