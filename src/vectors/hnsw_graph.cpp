// SPDX-License-Identifier: Apache-2.0
// The only file that includes hnswlib: its header defines functions that are not inline.
#include "vectors/hnsw_graph.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "vectors/distance.hpp"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// To fetch early it reads the link past the last one, and never uses what it read.
#include <xmmintrin.h>
#undef _mm_prefetch
#define _mm_prefetch(address, hint) ((void)0)
#endif
#endif
#include <hnswlib/hnswlib.h>
#pragma clang diagnostic pop

namespace netbuild::vectors {
namespace {

constexpr std::size_t capacity_first = 1024;
constexpr std::uint64_t level_seed = 100; // the same vectors in the same order: the same graph

struct SpaceParameter {
    Kernel kernel;
    std::size_t dimension;
};

float l2(const void* left, const void* right, const void* parameter) {
    const auto* space = static_cast<const SpaceParameter*>(parameter);
    return space->kernel(static_cast<const float*>(left), static_cast<const float*>(right),
                         space->dimension);
}
float product(const void* left, const void* right, const void* parameter) {
    return 1.0F - l2(left, right, parameter);
}

class Space final : public hnswlib::SpaceInterface<float> {
public:
    explicit Space(VectorSpec spec)
        : parameter_{spec.metric == Metric::l2 ? squared_distance() : inner_product(),
                     spec.dimension},
          distance_(spec.metric == Metric::l2 ? l2 : product) {}
    size_t get_data_size() override { return parameter_.dimension * sizeof(float); }
    hnswlib::DISTFUNC<float> get_dist_func() override { return distance_; }
    void* get_dist_func_param() override { return &parameter_; }

private:
    SpaceParameter parameter_;
    hnswlib::DISTFUNC<float> distance_;
};

using Graph = hnswlib::HierarchicalNSW<float>;

} // namespace

class HnswGraph::Impl {
public:
    explicit Impl(VectorSpec spec) : space(spec) {}
    Space space;
    std::unique_ptr<Graph> graph;
};

HnswGraph::HnswGraph(VectorSpec spec, GraphOptions options) : impl_(std::make_unique<Impl>(spec)) {
    impl_->graph = std::make_unique<Graph>(&impl_->space, capacity_first, options.links,
                                           options.effort, level_seed);
}
HnswGraph::~HnswGraph() = default;

void HnswGraph::add(std::int64_t label, const float* values) {
    Graph& graph = *impl_->graph;
    if (graph.cur_element_count == graph.max_elements_)
        graph.resizeIndex(graph.max_elements_ + graph.max_elements_ / 2);
    graph.addPoint(values, static_cast<hnswlib::labeltype>(label), -1);
}

void HnswGraph::remove(std::int64_t label) {
    impl_->graph->markDelete(static_cast<hnswlib::labeltype>(label));
}

std::vector<std::pair<float, std::int64_t>> HnswGraph::search(const float* query, std::size_t k,
                                                              std::size_t effort) const {
    // searchKnn takes the greater of its own effort and k; that one is shared by all threads.
    const std::size_t asked = std::max(k, effort);
    auto queue = impl_->graph->searchKnn(query, asked);
    while (queue.size() > k)
        queue.pop();
    std::vector<std::pair<float, std::int64_t>> found(queue.size());
    for (std::size_t at = found.size(); at-- > 0; queue.pop())
        found[at] = {queue.top().first, static_cast<std::int64_t>(queue.top().second)};
    return found;
}

std::size_t HnswGraph::size() const noexcept { return impl_->graph->cur_element_count; }
std::size_t HnswGraph::removed() const noexcept { return impl_->graph->num_deleted_; }

bool HnswGraph::contains(std::int64_t label) const {
    return impl_->graph->label_lookup_.contains(static_cast<hnswlib::labeltype>(label));
}

std::vector<std::int64_t> HnswGraph::labels() const {
    std::vector<std::int64_t> labels;
    labels.reserve(size());
    for (const auto& [label, _] : impl_->graph->label_lookup_)
        labels.push_back(static_cast<std::int64_t>(label));
    return labels;
}

bool HnswGraph::is_removed(std::int64_t label) const {
    const Graph& graph = *impl_->graph;
    const auto found = graph.label_lookup_.find(static_cast<hnswlib::labeltype>(label));
    return found != graph.label_lookup_.end() && graph.isMarkedDeleted(found->second);
}

std::size_t HnswGraph::bytes_of_one(VectorSpec spec, GraphOptions options) {
    constexpr std::size_t mutex_level_and_maps = 128;
    return spec.dimension * sizeof(float) + options.links * 2 * sizeof(unsigned) +
           mutex_level_and_maps;
}

result<void> HnswGraph::save(const std::string& path) const {
    impl_->graph->saveIndex(path); // does not say whether it could write
    const Graph& graph = *impl_->graph;
    // The head: six sizes, the highest level and its node, three sizes, a double, a size.
    std::uint64_t wanted = 6 * sizeof(std::size_t) + 2 * sizeof(int) + 3 * sizeof(std::size_t) +
                           sizeof(double) + sizeof(std::size_t);
    for (std::size_t i = 0; i < graph.cur_element_count; ++i)
        wanted += graph.size_data_per_element_ + sizeof(unsigned) +
                  static_cast<std::size_t>(std::max(graph.element_levels_[i], 0)) *
                      graph.size_links_per_element_;
    std::error_code ec;
    const auto size = std::filesystem::file_size(path, ec);
    if (ec) return fail(ErrorCode::unavailable, fmt::format("{}: {}", path, ec.message()));
    if (size != wanted)
        return fail(ErrorCode::disk_full,
                    fmt::format("{} has {} bytes instead of {}", path, size, wanted));
    return {};
}

result<std::unique_ptr<HnswGraph>> HnswGraph::load(const std::string& path, VectorSpec spec,
                                                   GraphOptions options) {
    auto loaded = std::make_unique<HnswGraph>(spec, options);
    Graph& graph = *loaded->impl_->graph;
    // Its constructor from a file counts removed vectors from an uninitialised number on, so the
    // file is read into an empty graph, whose memory loadIndex() would forget.
    std::free(std::exchange(graph.data_level0_memory_, nullptr));
    std::free(std::exchange(graph.linkLists_, nullptr));
    delete std::exchange(graph.visited_list_pool_, nullptr);
    try {
        graph.loadIndex(path, &loaded->impl_->space);
    } catch (const std::exception& exception) {
        graph.cur_element_count = 0;
        return fail(ErrorCode::corrupt, fmt::format("{}: {}", path, exception.what()));
    }
    if (graph.data_size_ + graph.offsetData_ != graph.label_offset_)
        return fail(ErrorCode::corrupt, fmt::format("{}: another dimension", path));
    return loaded;
}

} // namespace netbuild::vectors
