// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "model/value.hpp"
#include "ports/record_store.hpp"
#include "ports/vector_index.hpp"

namespace netbuild::data {

/// A vector of a request: its member `values` (numbers) or `float32` (little-endian 32-bit floats
/// as base64url), exactly one of them. Not another number than `dimension`, nothing that is no
/// finite float, not all zero where the metric is the cosine; invalid_argument names the member.
[[nodiscard]] result<std::vector<float>> read_vector(const Object& members,
                                                     const std::string& prefix, VectorSpec spec);

[[nodiscard]] std::string vector_bytes(const std::vector<float>& values);
/// False: not so many numbers, or one that is not finite.
[[nodiscard]] bool vector_of_bytes(const std::string& bytes, std::size_t dimension,
                                   std::vector<float>& values);

/// What a search can ask of a vector: its source, and the scalars of its metadata (those inside a
/// list too, each for itself). invalid_argument: too many, or the object is too large.
[[nodiscard]] result<std::vector<std::string>> tags_of(const Object& vector,
                                                       const std::string& prefix);
/// The tags that a vector must have, for a search's `filter` {"source", "metadata": {key: scalar}}.
[[nodiscard]] result<std::vector<std::string>> tags_of_filter(const Object& filter);

/// The registered index's.
[[nodiscard]] VectorSpec spec_of(const Value& index);

inline constexpr std::size_t vector_tags_max = 64;

} // namespace netbuild::data
