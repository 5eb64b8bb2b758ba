// SPDX-License-Identifier: Apache-2.0
// Plain hnswlib, compiled for the machine that it runs on, with the same parameters.
#include <chrono>
#include <cstdlib>

#include <fmt/format.h>
#include <hnswlib/hnswlib.h>

#include "vectors_workload.hpp"

int main(int count, char** values) {
    using namespace netbuild::bench;
    if (count != 3) {
        fmt::print(stderr, "usage: netbuild_hnswlib_peer VECTORS TRUTH\n");
        return 2;
    }
    const VectorWorkload work(std::strtoul(values[1], nullptr, 10));
    const auto truth = read_truth(values[2]);
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point begun) {
        return std::chrono::duration<double>(Clock::now() - begun).count();
    };
    hnswlib::L2Space space(work.dimension);
    hnswlib::HierarchicalNSW<float> graph(&space, work.vectors.size(), work.links,
                                          work.build_effort);
    auto begun = Clock::now();
    for (std::size_t i = 0; i < work.vectors.size(); ++i)
        graph.addPoint(work.vectors[i].data(), i + 1);
    const double build_s = since(begun);
    graph.setEf(work.search_effort);
    std::vector<std::vector<std::int64_t>> found;
    double search_s = 0;
    for (int round = 0; round < work.rounds; ++round) {
        found.clear();
        begun = Clock::now();
        for (const auto& query : work.queries) {
            auto queue = graph.searchKnn(query.data(), work.k);
            found.emplace_back();
            for (; !queue.empty(); queue.pop())
                found.back().push_back(static_cast<std::int64_t>(queue.top().second));
        }
        const double took = since(begun);
        search_s = round == 0 ? took : std::min(search_s, took);
    }
    fmt::print(R"({{"build_s": {}, "rate": {}, "recall": {}}})"
               "\n",
               build_s, static_cast<double>(work.queries.size()) / search_s,
               recall_of(found, truth));
    return 0;
}
