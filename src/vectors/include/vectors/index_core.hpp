// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ports/vector_index.hpp"
#include "vectors/distance.hpp"
#include "vectors/faiss_file.hpp"

namespace netbuild::vectors {

class HnswGraph;

struct IndexOptions {
    /// Smaller indexes are searched vector by vector.
    std::size_t graph_from = 10'000;
    std::size_t links = 16;
    std::size_t build_effort = 200;
    /// Candidates of a search, unless it says more.
    std::size_t search_effort = 64;
    /// A filter that fewer than this share of the vectors pass is answered vector by vector: the
    /// graph knows no filters, and would have to be asked for 1 / share times as many.
    double filter_share_min = 0.1;
    /// The graph is built anew when so many of its vectors are removed ones.
    double removed_share_max = 0.2;
};

/// One index in memory: FAISS's flat index holds the vectors, hnswlib's graph a copy of those that
/// are in it. May be used by several threads.
class IndexCore {
public:
    IndexCore(VectorSpec spec, IndexOptions options);
    ~IndexCore();

    result<void> add(std::vector<VectorRow> rows);
    void remove(const std::vector<std::int64_t>& labels);
    [[nodiscard]] result<VectorAnswer> search(const VectorQuery& query) const;
    /// Puts up to `rows_max` pending vectors into the graph; true: there are more.
    bool tend(std::size_t rows_max);
    [[nodiscard]] VectorState state() const;

    /// To path.faiss and path.hnsw. `names` begin with `stem`.
    [[nodiscard]] result<VectorFiles> save(const std::string& folder, const std::string& stem,
                                           const OnStep& on_step);
    [[nodiscard]] std::vector<std::string> compare(const ForeignVectors& file,
                                                   const VectorCover& cover) const;
    void take_graph(std::unique_ptr<HnswGraph> graph);

    [[nodiscard]] VectorSpec spec() const noexcept { return spec_; }
    [[nodiscard]] const IndexOptions& options() const noexcept { return options_; }
    [[nodiscard]] std::size_t bytes_of_one() const;

    /// Candidates that a filtered search asks the graph for, at most.
    static constexpr std::size_t over_fetch_max = 2000;
    static constexpr std::size_t differences_max = 20;

private:
    struct Row {
        std::string key;
        std::vector<std::uint32_t> tags;
        bool removed = false, in_graph = false;
    };
    struct Storage;
    /// Nearest first as far as `less` goes: score descending, then label.
    class Best;

    [[nodiscard]] std::size_t count() const noexcept { return rows_.size() - removed_; }
    [[nodiscard]] const float* values_of(std::size_t row) const;
    [[nodiscard]] std::int64_t label_of(std::size_t row) const;
    [[nodiscard]] float score(const float* query, std::size_t row) const;
    /// The tags' numbers; false: some tag is no vector's.
    [[nodiscard]] bool numbers_of(const std::vector<std::string>& tags,
                                  std::vector<std::uint32_t>& numbers) const;
    [[nodiscard]] bool passes(const Row& row, const std::vector<std::uint32_t>& tags) const;
    void search_graph(const float* query, std::size_t fetch, std::size_t effort,
                      const std::vector<std::uint32_t>& tags, Best& best) const;
    void search_rows(const float* query, const std::vector<std::uint32_t>& tags, Best& best) const;
    [[nodiscard]] const std::vector<std::uint32_t>*
    rarest(const std::vector<std::uint32_t>& tags) const;
    void compact();
    void drop_graph();

    const VectorSpec spec_;
    const IndexOptions options_;
    const Kernel kernel_;
    mutable std::shared_mutex mutex_; // all below
    std::unique_ptr<Storage> storage_;
    std::vector<Row> rows_;
    std::size_t removed_ = 0;
    std::unordered_map<std::string, std::uint32_t> tag_numbers_;
    /// Of each tag, the rows that have it, ascending; removed ones too.
    std::vector<std::vector<std::uint32_t>> tagged_;
    std::unique_ptr<HnswGraph> graph_;
    /// Rows that are to come into the graph, in order; removed ones are passed over.
    std::vector<std::uint32_t> pending_;
    std::size_t pending_from_ = 0;
};

} // namespace netbuild::vectors
