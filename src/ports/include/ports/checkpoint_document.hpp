// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/document_store.hpp"

namespace netbuild {

/// A checkpoint as its document in `sync_checkpoints`, the same in every store.
[[nodiscard]] Object checkpoint_document(const Checkpoint& checkpoint);
/// nullopt where there is no document, or one of a claim only; corrupt if a member is missing or of
/// another type.
[[nodiscard]] result<std::optional<Checkpoint>> parse_checkpoint(const ValuePtr& document);
/// Of the newest claim; 0 before the first.
[[nodiscard]] std::uint64_t claimed_generation(const ValuePtr& document);
/// The document of a claim: what was stored, with `generation`.
[[nodiscard]] Object claim_document(const std::string& engine, const ValuePtr& stored,
                                    std::uint64_t generation);
/// A later claim than `fence` was made.
[[nodiscard]] Error fenced_off(const std::string& engine, std::uint64_t generation,
                               std::uint64_t claimed);

} // namespace netbuild
