// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>

namespace netbuild::vectors {

using Kernel = float (*)(const float* left, const float* right, std::size_t dimension);

/// Squared Euclidean distance and inner product, with AVX2 and FMA where the processor has them.
[[nodiscard]] Kernel squared_distance() noexcept;
[[nodiscard]] Kernel inner_product() noexcept;
/// What every processor runs.
[[nodiscard]] float plain_squared_distance(const float* left, const float* right,
                                           std::size_t dimension);
[[nodiscard]] float plain_inner_product(const float* left, const float* right,
                                        std::size_t dimension);

} // namespace netbuild::vectors
