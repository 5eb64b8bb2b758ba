// SPDX-License-Identifier: Apache-2.0
// Our index over clustered vectors on one thread: rate and recall. bench/hnswlib_peer.cpp measures
// plain hnswlib over the same vectors, in a program of its own: hnswlib is a header whose functions
// would be shared.
#include "bench.hpp"
#include "vectors/index_core.hpp"
#include "vectors_workload.hpp"

namespace netbuild::bench {
namespace {

std::vector<std::int64_t> labels_of(const VectorAnswer& answer) {
    std::vector<std::int64_t> labels;
    for (const VectorHit& hit : answer.hits)
        labels.push_back(hit.label);
    return labels;
}

/// Searches without a graph: the truth.
std::vector<std::vector<std::int64_t>> exact_answers(const VectorWorkload& work) {
    vectors::IndexCore exact({work.dimension, Metric::l2}, {.graph_from = SIZE_MAX});
    for (std::size_t i = 0; i < work.vectors.size(); ++i)
        (void)exact.add({{.label = static_cast<std::int64_t>(i + 1), .values = work.vectors[i]}});
    std::vector<std::vector<std::int64_t>> answers;
    for (const auto& query : work.queries)
        answers.push_back(labels_of(*exact.search({.values = query, .k = work.k})));
    return answers;
}

} // namespace

static int run_vectors(const Arguments& arguments) {
    const VectorWorkload work(static_cast<std::size_t>(arguments.number("count")));
    const auto truth = exact_answers(work);
    // The peer reads it: recall is against one truth.
    write_truth(arguments.text("truth"), truth);

    vectors::IndexCore core({work.dimension, Metric::l2}, {.graph_from = 1});
    auto begun = SteadyClock::now();
    for (std::size_t i = 0; i < work.vectors.size(); ++i)
        (void)core.add({{.label = static_cast<std::int64_t>(i + 1), .values = work.vectors[i]}});
    while (core.tend(1000)) {
    }
    const double build_s = seconds_since(begun);

    std::vector<std::vector<std::int64_t>> found;
    double search_s = 0;
    for (int round = 0; round < work.rounds; ++round) {
        found.clear();
        begun = SteadyClock::now();
        for (const auto& query : work.queries)
            found.push_back(labels_of(*core.search({.values = query, .k = work.k})));
        const double took = seconds_since(begun);
        search_s = round == 0 ? took : std::min(search_s, took);
    }
    fmt::print(R"({{"build_s": {}, "rate": {}, "recall": {}}})"
               "\n",
               build_s, static_cast<double>(work.queries.size()) / search_s,
               recall_of(found, truth));
    return 0;
}

} // namespace netbuild::bench

int main(int count, char** values) {
    return netbuild::bench::run_vectors(netbuild::bench::Arguments(count, values));
}
