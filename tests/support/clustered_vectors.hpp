// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "runtime/random.hpp"

namespace netbuild::test {

/// Vectors as embeddings of texts are: clusters, and inside a cluster fewer degrees of freedom than
/// dimensions. A cluster is a centre (each coordinate normal, deviation 1) and a linear map of
/// `inner` normal numbers (each coordinate's deviation 0.7); a vector adds a little noise (0.05).
/// The same seed gives the same vectors on every machine with IEEE 754.
class ClusteredVectors {
public:
    ClusteredVectors(std::size_t dimension, std::size_t clusters, std::size_t inner,
                     std::uint64_t seed)
        : dimension_(dimension), inner_(inner), random_(seed) {
        for (std::size_t i = 0; i < clusters; ++i) {
            centres_.push_back(normals(dimension, 1.0));
            maps_.push_back(
                normals(dimension * inner, 0.7 / std::sqrt(static_cast<double>(inner))));
        }
    }
    /// The cluster of the last one.
    [[nodiscard]] std::size_t cluster() const noexcept { return cluster_; }

    std::vector<float> next() {
        cluster_ = random_.below(centres_.size());
        const std::vector<float> place = normals(inner_, 1.0);
        std::vector<float> values = normals(dimension_, 0.05);
        for (std::size_t i = 0; i < dimension_; ++i) {
            values[i] += centres_[cluster_][i];
            for (std::size_t j = 0; j < inner_; ++j)
                values[i] += maps_[cluster_][i * inner_ + j] * place[j];
        }
        return values;
    }

private:
    std::vector<float> normals(std::size_t count, double deviation) {
        std::vector<float> numbers(count);
        for (float& number : numbers) { // Box and Muller
            const double radius = std::sqrt(-2 * std::log(1 - random_.unit()));
            number = static_cast<float>(deviation * radius *
                                        std::cos(2 * std::numbers::pi * random_.unit()));
        }
        return numbers;
    }
    std::size_t dimension_, inner_;
    Random random_;
    std::vector<std::vector<float>> centres_, maps_;
    std::size_t cluster_ = 0;
};

} // namespace netbuild::test
