// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ports/vector_index.hpp"

namespace netbuild::vectors {

struct GraphOptions {
    /// Links of a vector; twice as many on the lowest level.
    std::size_t links = 16;
    /// Candidates while a vector is put in.
    std::size_t effort = 200;
};

/// hnswlib's graph (Malkov and Yashunin, arXiv:1603.09320), with our kernels. Several threads may
/// search at a time; nothing else may be done meanwhile.
class HnswGraph {
public:
    HnswGraph(VectorSpec spec, GraphOptions options);
    ~HnswGraph();

    /// `values` as they are compared: of length one for a cosine.
    void add(std::int64_t label, const float* values);
    /// The vector stays in the graph as a way to others, until it is built anew.
    void remove(std::int64_t label);
    /// Nearest first: distance (1 - product for products) and label.
    [[nodiscard]] std::vector<std::pair<float, std::int64_t>>
    search(const float* query, std::size_t k, std::size_t effort) const;

    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] std::size_t removed() const noexcept;
    [[nodiscard]] bool contains(std::int64_t label) const;
    [[nodiscard]] std::vector<std::int64_t> labels() const;
    /// Of a vector that is in the graph.
    [[nodiscard]] bool is_removed(std::int64_t label) const;
    /// Bytes in memory of one vector with its links.
    [[nodiscard]] static std::size_t bytes_of_one(VectorSpec spec, GraphOptions options);

    /// disk_full where the file is shorter than it should be.
    [[nodiscard]] result<void> save(const std::string& path) const;
    /// `path` must be a file that save() wrote, unchanged: hnswlib trusts what it reads.
    [[nodiscard]] static result<std::unique_ptr<HnswGraph>>
    load(const std::string& path, VectorSpec spec, GraphOptions options);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild::vectors
