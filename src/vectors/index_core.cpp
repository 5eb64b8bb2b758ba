// SPDX-License-Identifier: Apache-2.0
#include "vectors/index_core.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include <faiss/IndexFlat.h>
#include <faiss/IndexIDMap.h>
#include <faiss/impl/IDSelector.h>
#include <fmt/format.h>

#include "vectors/hnsw_graph.hpp"

namespace netbuild::vectors {
namespace {

/// Rows with their keys, tags and places in maps, besides the vector.
constexpr std::size_t row_bytes = 256;
/// Of over-fetching: neighbours are not spread evenly over the tags.
constexpr double over_fetch_factor = 1.5;

GraphOptions graph_options(const IndexOptions& options) {
    return {.links = options.links, .effort = options.build_effort};
}

void make_one_long(std::vector<float>& values) {
    // The same on every processor: a file is compared bit by bit.
    const float square = plain_inner_product(values.data(), values.data(), values.size());
    if (square <= 0) return;
    for (float& value : values)
        value /= std::sqrt(square);
}

} // namespace

struct IndexCore::Storage {
    explicit Storage(VectorSpec spec)
        : flat(static_cast<faiss::Index::idx_t>(spec.dimension),
               spec.metric == Metric::l2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT),
          map(&flat) {}
    faiss::IndexFlat flat;
    faiss::IndexIDMap2 map;
};

class IndexCore::Best {
public:
    Best(const IndexCore& core, std::size_t k) : core_(core), k_(k) { heap_.reserve(k + 1); }

    void offer(float score, std::uint32_t row) {
        const Hit hit{score, core_.label_of(row), row};
        if (heap_.size() == k_ && !nearer(hit, heap_.front())) return;
        if (heap_.size() == k_) {
            std::pop_heap(heap_.begin(), heap_.end(), nearer);
            heap_.pop_back();
        }
        heap_.push_back(hit);
        std::push_heap(heap_.begin(), heap_.end(), nearer);
    }
    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
    void clear() { heap_.clear(); }
    std::vector<VectorHit> take() {
        std::sort_heap(heap_.begin(), heap_.end(), nearer);
        std::vector<VectorHit> hits;
        hits.reserve(heap_.size());
        for (const Hit& hit : heap_)
            hits.push_back({hit.label, core_.rows_[hit.row].key, hit.score});
        return hits;
    }

private:
    struct Hit {
        float score;
        std::int64_t label;
        std::uint32_t row;
    };
    static bool nearer(const Hit& left, const Hit& right) {
        return left.score != right.score ? left.score > right.score : left.label < right.label;
    }
    const IndexCore& core_;
    std::size_t k_;
    std::vector<Hit> heap_; // the farthest in front
};

IndexCore::IndexCore(VectorSpec spec, IndexOptions options)
    : spec_(spec),
      options_(options),
      kernel_(spec.metric == Metric::l2 ? squared_distance() : inner_product()),
      storage_(std::make_unique<Storage>(spec)) {}
IndexCore::~IndexCore() = default;

const float* IndexCore::values_of(std::size_t row) const {
    return storage_->flat.get_xb() + row * spec_.dimension;
}
std::int64_t IndexCore::label_of(std::size_t row) const { return storage_->map.id_map[row]; }

float IndexCore::score(const float* query, std::size_t row) const {
    const float value = kernel_(query, values_of(row), spec_.dimension);
    return spec_.metric == Metric::l2 ? -value : value;
}

result<void> IndexCore::add(std::vector<VectorRow> rows) {
    for (const VectorRow& row : rows) {
        if (row.values.size() != spec_.dimension)
            return fail(ErrorCode::invalid_argument,
                        fmt::format("values: must be {} numbers", spec_.dimension));
    }
    const std::unique_lock lock(mutex_);
    for (VectorRow& row : rows) {
        if (storage_->map.rev_map.contains(row.label)) continue;
        if (spec_.metric == Metric::cosine) make_one_long(row.values);
        const auto number = static_cast<std::uint32_t>(rows_.size());
        Row added{.key = std::move(row.key)};
        for (std::string& tag : row.tags) {
            const auto [found, is_new] = tag_numbers_.try_emplace(
                std::move(tag), static_cast<std::uint32_t>(tagged_.size()));
            if (is_new) tagged_.emplace_back();
            tagged_[found->second].push_back(number);
            added.tags.push_back(found->second);
        }
        storage_->map.add_with_ids(1, row.values.data(), &row.label);
        rows_.push_back(std::move(added));
        pending_.push_back(number);
    }
    return {};
}

void IndexCore::remove(const std::vector<std::int64_t>& labels) {
    const std::unique_lock lock(mutex_);
    for (const std::int64_t label : labels) {
        const auto found = storage_->map.rev_map.find(label);
        if (found == storage_->map.rev_map.end()) continue;
        Row& row = rows_[static_cast<std::size_t>(found->second)];
        if (row.removed) continue;
        row.removed = true;
        ++removed_;
        if (row.in_graph) graph_->remove(label);
    }
    const auto share = [&](std::size_t part, std::size_t whole) {
        return whole > 0 &&
               static_cast<double>(part) > options_.removed_share_max * static_cast<double>(whole);
    };
    if (share(removed_, rows_.size())) compact();
    if (graph_ && share(graph_->removed(), graph_->size())) drop_graph();
}

/// Removed rows leave the flat index; the graph refers to labels and is not concerned.
void IndexCore::compact() {
    if (removed_ == 0) return;
    std::vector<faiss::Index::idx_t> gone;
    std::vector<Row> kept;
    std::vector<std::uint32_t> moved(rows_.size(), UINT32_MAX);
    kept.reserve(count());
    for (std::size_t row = 0; row < rows_.size(); ++row) {
        if (rows_[row].removed) {
            gone.push_back(label_of(row));
            continue;
        }
        moved[row] = static_cast<std::uint32_t>(kept.size());
        kept.push_back(std::move(rows_[row]));
    }
    storage_->map.remove_ids(faiss::IDSelectorBatch(gone.size(), gone.data()));
    rows_ = std::move(kept);
    removed_ = 0;
    const auto renumber = [&](std::vector<std::uint32_t>& list, std::size_t from) {
        std::vector<std::uint32_t> left;
        for (std::size_t i = from; i < list.size(); ++i) {
            if (moved[list[i]] != UINT32_MAX) left.push_back(moved[list[i]]);
        }
        list = std::move(left);
    };
    for (auto& list : tagged_)
        renumber(list, 0);
    renumber(pending_, pending_from_);
    pending_from_ = 0;
}

void IndexCore::drop_graph() {
    graph_.reset();
    pending_.clear();
    pending_from_ = 0;
    for (std::size_t row = 0; row < rows_.size(); ++row) {
        rows_[row].in_graph = false;
        if (!rows_[row].removed) pending_.push_back(static_cast<std::uint32_t>(row));
    }
}

bool IndexCore::tend(std::size_t rows_max) {
    const std::unique_lock lock(mutex_);
    if (!graph_ && count() < options_.graph_from) return false;
    if (!graph_) graph_ = std::make_unique<HnswGraph>(spec_, graph_options(options_));
    for (; rows_max > 0 && pending_from_ < pending_.size(); ++pending_from_) {
        Row& row = rows_[pending_[pending_from_]];
        if (row.removed) continue;
        graph_->add(label_of(pending_[pending_from_]), values_of(pending_[pending_from_]));
        row.in_graph = true;
        --rows_max;
    }
    if (pending_from_ < pending_.size()) return true;
    pending_.clear();
    pending_from_ = 0;
    return false;
}

bool IndexCore::numbers_of(const std::vector<std::string>& tags,
                           std::vector<std::uint32_t>& numbers) const {
    for (const std::string& tag : tags) {
        const auto found = tag_numbers_.find(tag);
        if (found == tag_numbers_.end()) return false;
        numbers.push_back(found->second);
    }
    return true;
}

bool IndexCore::passes(const Row& row, const std::vector<std::uint32_t>& tags) const {
    return !row.removed && std::all_of(tags.begin(), tags.end(), [&](std::uint32_t tag) {
        return std::find(row.tags.begin(), row.tags.end(), tag) != row.tags.end();
    });
}

const std::vector<std::uint32_t>* IndexCore::rarest(const std::vector<std::uint32_t>& tags) const {
    const std::vector<std::uint32_t>* rarest = nullptr;
    for (const std::uint32_t tag : tags) {
        if (!rarest || tagged_[tag].size() < rarest->size()) rarest = &tagged_[tag];
    }
    return rarest;
}

void IndexCore::search_rows(const float* query, const std::vector<std::uint32_t>& tags,
                            Best& best) const {
    if (const auto* list = rarest(tags)) {
        for (const std::uint32_t row : *list) {
            if (passes(rows_[row], tags)) best.offer(score(query, row), row);
        }
        return;
    }
    for (std::uint32_t row = 0; row < rows_.size(); ++row) {
        if (!rows_[row].removed) best.offer(score(query, row), row);
    }
}

void IndexCore::search_graph(const float* query, std::size_t fetch, std::size_t effort,
                             const std::vector<std::uint32_t>& tags, Best& best) const {
    for (const auto& [distance, label] : graph_->search(query, fetch, effort)) {
        const auto found = storage_->map.rev_map.find(label);
        if (found == storage_->map.rev_map.end()) continue;
        const auto row = static_cast<std::uint32_t>(found->second);
        if (passes(rows_[row], tags))
            best.offer(spec_.metric == Metric::l2 ? -distance : 1.0F - distance, row);
    }
    for (std::size_t i = pending_from_; i < pending_.size(); ++i) {
        if (passes(rows_[pending_[i]], tags)) best.offer(score(query, pending_[i]), pending_[i]);
    }
}

result<VectorAnswer> IndexCore::search(const VectorQuery& query) const {
    if (query.values.size() != spec_.dimension)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("vector: must be {} numbers", spec_.dimension));
    std::vector<float> values = query.values;
    if (spec_.metric == Metric::cosine) make_one_long(values);
    const std::shared_lock lock(mutex_);
    VectorAnswer answer;
    std::vector<std::uint32_t> tags;
    if (!numbers_of(query.tags, tags)) return answer;
    Best best(*this, query.k);
    const auto* list = rarest(tags);
    const double share = list ? static_cast<double>(list->size()) /
                                    static_cast<double>(std::max<std::size_t>(1, rows_.size()))
                              : 1.0;
    const double wanted =
        static_cast<double>(query.k) * (list ? over_fetch_factor / std::max(share, 1e-9) : 1.0);
    // A graph that is being built would leave most to the pending ones.
    const bool built = graph_ && (pending_.size() - pending_from_) * 2 < graph_->size();
    if (built && share >= options_.filter_share_min && wanted <= over_fetch_max) {
        const std::size_t effort = query.effort ? query.effort : options_.search_effort;
        search_graph(values.data(), static_cast<std::size_t>(std::ceil(wanted)), effort, tags,
                     best);
        answer.method = VectorAnswer::Method::graph;
        // What is near the query may be what does not pass.
        if (best.size() >= std::min(query.k, count()) || (list && best.size() == list->size())) {
            answer.hits = best.take();
            return answer;
        }
        best.clear();
    }
    answer.method = VectorAnswer::Method::exact;
    search_rows(values.data(), tags, best);
    answer.hits = best.take();
    return answer;
}

std::size_t IndexCore::bytes_of_one() const {
    const std::size_t flat = spec_.dimension * sizeof(float) + row_bytes;
    return flat + HnswGraph::bytes_of_one(spec_, graph_options(options_));
}

VectorState IndexCore::state() const {
    const std::shared_lock lock(mutex_);
    VectorState state;
    state.count = count();
    state.in_graph = graph_ ? graph_->size() - graph_->removed() : 0;
    state.pending = graph_ ? pending_.size() - pending_from_ : 0;
    state.bytes = rows_.size() * (spec_.dimension * sizeof(float) + row_bytes);
    if (graph_)
        state.bytes += graph_->size() * HnswGraph::bytes_of_one(spec_, graph_options(options_));
    return state;
}

result<VectorFiles> IndexCore::save(const std::string& folder, const std::string& stem,
                                    const OnStep& on_step) {
    {
        const std::unique_lock lock(mutex_);
        compact();
    }
    VectorFiles files;
    files.flat.name = stem + ".faiss";
    const std::string flat = folder + "/" + files.flat.name;
    const std::string graph = folder + "/" + stem + ".hnsw";
    {
        // Searches go on meanwhile; what changes the index waits for the page cache, not the disk.
        const std::shared_lock lock(mutex_);
        files.count = static_cast<std::int64_t>(storage_->map.ntotal);
        TRY(files.flat.checksum, write_faiss(storage_->map, flat));
        if (graph_ && graph_->size() > 0) {
            files.graph.name = stem + ".hnsw";
            TRY_VOID(graph_->save(graph + ".tmp"));
        }
    }
    TRY_VOID(settle_file(flat, on_step));
    if (files.graph.name.empty()) return files;
    TRY(files.graph.checksum, checksum_of(graph + ".tmp"));
    TRY_VOID(settle_file(graph, on_step));
    return files;
}

std::vector<std::string> IndexCore::compare(const ForeignVectors& file,
                                            const VectorCover& cover) const {
    const std::shared_lock lock(mutex_);
    std::vector<std::string> differences;
    const auto say = [&](std::string text) {
        if (differences.size() < differences_max) differences.push_back(std::move(text));
    };
    const auto& storage = *storage_;
    const Metric compared = spec_.metric == Metric::l2 ? Metric::l2 : Metric::ip;
    if (file.spec.dimension != spec_.dimension || file.spec.metric != compared) {
        say(fmt::format("the file has {} dimensions and {}, the registry {} and {}",
                        file.spec.dimension, metric_name(file.spec.metric), spec_.dimension,
                        metric_name(compared)));
        return differences;
    }
    const std::unordered_set<std::int64_t> gone(cover.removed_since.begin(),
                                                cover.removed_since.end());
    std::unordered_set<std::int64_t> seen;
    for (std::size_t i = 0; i < file.ids.size(); ++i) {
        const std::int64_t label = file.ids[i];
        if (!seen.insert(label).second) say(fmt::format("vector {} is in the file twice", label));
        const auto found = storage.map.rev_map.find(label);
        const bool there = found != storage.map.rev_map.end() &&
                           !rows_[static_cast<std::size_t>(found->second)].removed;
        if (!there && !gone.contains(label))
            say(fmt::format("vector {} is in the file and in no record", label));
        if (there && std::memcmp(file.values.data() + i * spec_.dimension,
                                 values_of(static_cast<std::size_t>(found->second)),
                                 spec_.dimension * sizeof(float)) != 0)
            say(fmt::format("vector {} has other values in the file than in its record", label));
    }
    for (std::size_t row = 0; row < rows_.size(); ++row) {
        const std::int64_t label = label_of(row);
        if (!rows_[row].removed && label <= cover.upto && !seen.contains(label))
            say(fmt::format("vector {} has a record and is not in the file", label));
    }
    return differences;
}

void IndexCore::take_graph(std::unique_ptr<HnswGraph> graph) {
    const std::unique_lock lock(mutex_);
    graph_ = std::move(graph);
    pending_.clear();
    pending_from_ = 0;
    for (std::size_t row = 0; row < rows_.size(); ++row) {
        if (rows_[row].removed) continue;
        rows_[row].in_graph = graph_->contains(label_of(row));
        if (!rows_[row].in_graph) pending_.push_back(static_cast<std::uint32_t>(row));
    }
    for (const std::int64_t label : graph_->labels()) {
        const auto found = storage_->map.rev_map.find(label);
        const bool there = found != storage_->map.rev_map.end() &&
                           !rows_[static_cast<std::size_t>(found->second)].removed;
        if (!there && !graph_->is_removed(label)) graph_->remove(label);
    }
}

} // namespace netbuild::vectors
