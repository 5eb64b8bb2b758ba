// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.hpp"

namespace netbuild {

enum class Metric : unsigned char {
    /// Squared Euclidean distance.
    l2,
    /// Inner product.
    ip,
    /// Inner product of the vectors, each made one long.
    cosine,
};
[[nodiscard]] std::string_view metric_name(Metric metric) noexcept;
[[nodiscard]] std::optional<Metric> parse_metric(std::string_view name) noexcept;

struct VectorSpec {
    std::size_t dimension = 0;
    Metric metric = Metric::l2;
};

struct VectorRow {
    /// Never used again for another vector; greater than 0.
    std::int64_t label = 0;
    /// What a hit says: the record's id.
    std::string key;
    std::vector<float> values;
    /// What a search may ask for, such as "source=manual.pdf".
    std::vector<std::string> tags;
};

struct VectorQuery {
    std::vector<float> values;
    std::size_t k = 10;
    /// A hit has all of them.
    std::vector<std::string> tags = {};
    /// Candidates that the graph looks at; 0: as the index is configured.
    std::size_t effort = 0;
};

struct VectorHit {
    std::int64_t label = 0;
    std::string key;
    /// Greater is nearer: the product, or the distance with a minus.
    float score = 0;
};

struct VectorAnswer {
    /// Best first, equal ones by label.
    std::vector<VectorHit> hits;
    enum class Method : unsigned char { exact, graph } method = Method::exact;
};

/// A file that was written, synced and named: what the registry says of it.
struct VectorFile {
    std::string name;
    /// SHA-256 in hex.
    std::string checksum;
};
struct VectorFiles {
    VectorFile flat;
    /// Its name is empty where the index is too small for a graph.
    VectorFile graph;
    std::int64_t count = 0;
};

struct VectorState {
    std::size_t count = 0;
    std::size_t in_graph = 0;
    /// Of the graph, and not in it yet: searched one by one.
    std::size_t pending = 0;
    std::size_t bytes = 0;
};

/// What a file should hold: vectors of labels up to `upto`, those removed since then included.
struct VectorCover {
    std::int64_t upto = 0;
    std::vector<std::int64_t> removed_since;
};

/// The vectors of one index in memory. Everything is done on other threads and may be called while
/// something else is; one call of tend() and save() at a time.
class VectorIndex {
public:
    virtual ~VectorIndex() = default;

    /// Labels that are there are passed over. invalid_argument: another dimension.
    virtual awaitable<result<void>> add(std::vector<VectorRow> rows) = 0;
    /// Labels that are not there are passed over.
    virtual awaitable<result<void>> remove(std::vector<std::int64_t> labels) = 0;
    virtual awaitable<result<VectorAnswer>> search(VectorQuery query) = 0;
    /// A step of what makes later searches fast; true: there is more to do.
    virtual awaitable<result<bool>> tend() = 0;
    [[nodiscard]] virtual VectorState state() const = 0;

    /// Writes `stem`.faiss and, where there is a graph, `stem`.hnsw into the folder: durable when
    /// it returns. disk_full, unavailable.
    virtual awaitable<result<VectorFiles>> save(std::string stem) = 0;
    /// What differs between the flat file and the vectors here, in words; at most a few of them.
    virtual awaitable<result<std::vector<std::string>>> compare(VectorFile file,
                                                                VectorCover cover) = 0;
    /// Takes the graph over from the file: vectors that it lacks stay pending. corrupt: it is not
    /// what the registry says, and nothing was taken.
    virtual awaitable<result<void>> take_graph(VectorFile file) = 0;
};

/// A file of another program: FAISS's IndexFlat, IndexIDMap or IndexIDMap2 over it.
struct ForeignVectors {
    VectorSpec spec;
    std::vector<std::int64_t> ids;
    /// One after the other.
    std::vector<float> values;
};

/// Where indexes live: their files are in one folder, which one process writes to.
class VectorIndexes {
public:
    virtual ~VectorIndexes() = default;
    [[nodiscard]] virtual std::unique_ptr<VectorIndex> make(VectorSpec spec) = 0;
    /// Bytes of one vector in memory, near enough for limits.
    [[nodiscard]] virtual std::size_t bytes_of_one(VectorSpec spec) const = 0;
    /// Until the process ends nobody else writes. unavailable: another process does.
    virtual awaitable<result<void>> own_folder() = 0;
    /// Names of all index files.
    virtual awaitable<result<std::vector<std::string>>> files() = 0;
    virtual awaitable<result<void>> remove_file(std::string name) = 0;
    /// unsupported: another kind of index. corrupt: cut, or not what its head says.
    virtual awaitable<result<ForeignVectors>> read_foreign(std::string path) = 0;
};

} // namespace netbuild
