// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/document_store.hpp"

namespace netbuild {

/// A checkpoint as its document in `sync_checkpoints`, the same in every store.
[[nodiscard]] Object checkpoint_document(const Checkpoint& checkpoint);
/// corrupt if a member is missing or of another type.
[[nodiscard]] result<Checkpoint> parse_checkpoint(const Value& document);

} // namespace netbuild
