// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "support/clustered_vectors.hpp"

namespace netbuild::bench {

/// What both programs search: 384 dimensions, 200 clusters of 16 degrees of freedom each
/// (clustered_vectors.hpp), and 2,000 queries from the same clusters that are none of the vectors.
struct VectorWorkload {
    explicit VectorWorkload(std::size_t count) {
        test::ClusteredVectors source(dimension, 200, 16, 20261124);
        for (std::size_t i = 0; i < count; ++i)
            vectors.push_back(source.next());
        for (std::size_t i = 0; i < 2000; ++i)
            queries.push_back(source.next());
    }
    static constexpr std::size_t dimension = 384, k = 10;
    static constexpr std::size_t links = 16, build_effort = 200, search_effort = 64;
    /// The best of them counts: the machine does other things too.
    static constexpr int rounds = 3;
    std::vector<std::vector<float>> vectors, queries;
};

inline void write_truth(const std::string& path,
                        const std::vector<std::vector<std::int64_t>>& truth) {
    std::ofstream file(path);
    for (const auto& labels : truth) {
        for (const std::int64_t label : labels)
            file << label << ' ';
    }
}
inline std::vector<std::vector<std::int64_t>> read_truth(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::vector<std::int64_t>> truth(1);
    for (std::int64_t label = 0; file >> label;) {
        if (truth.back().size() == VectorWorkload::k) truth.emplace_back();
        truth.back().push_back(label);
    }
    return truth;
}
/// The share of the true neighbours that were found.
inline double recall_of(const std::vector<std::vector<std::int64_t>>& found,
                        const std::vector<std::vector<std::int64_t>>& truth) {
    std::size_t hits = 0, of = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
        for (const std::int64_t label : truth[i])
            hits += std::count(found[i].begin(), found[i].end(), label) > 0 ? 1 : 0;
        of += truth[i].size();
    }
    return static_cast<double>(hits) / static_cast<double>(of);
}

} // namespace netbuild::bench
