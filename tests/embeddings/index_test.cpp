// SPDX-License-Identifier: Apache-2.0
#include "vectors/index_core.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include <faiss/IndexFlat.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexLSH.h>
#include <faiss/index_io.h>
#include <gtest/gtest.h>

#include "support/clustered_vectors.hpp"
#include "support/temporary_folder.hpp"
#include "vectors/hnsw_graph.hpp"

namespace netbuild::vectors {
namespace {

using test::ClusteredVectors;
using test::TemporaryFolder;

constexpr std::size_t dimension = 32, k = 10;

VectorRow row_of(std::int64_t label, std::vector<float> values) {
    VectorRow row{.label = label, .key = "v" + std::to_string(label), .values = std::move(values)};
    row.tags = {"tenth=" + std::to_string(label % 10), "half=" + std::to_string(label % 2),
                "hundredth=" + std::to_string(label % 100)};
    return row;
}

/// Labels 1 to `count`; `graph_from` says whether there is a graph.
std::unique_ptr<IndexCore> filled(Metric metric, std::size_t count, std::size_t graph_from) {
    auto core = std::make_unique<IndexCore>(VectorSpec{dimension, metric},
                                            IndexOptions{.graph_from = graph_from});
    ClusteredVectors source(dimension, 20, 8, 7);
    std::vector<VectorRow> rows;
    for (std::size_t i = 1; i <= count; ++i)
        rows.push_back(row_of(static_cast<std::int64_t>(i), source.next()));
    EXPECT_TRUE(core->add(std::move(rows)).has_value());
    while (core->tend(1000)) {
    }
    return core;
}

std::vector<std::vector<float>> queries(std::size_t count) {
    ClusteredVectors source(dimension, 20, 8, 7);
    for (int i = 0; i < 20'000; ++i) // of the same clusters, and none of the vectors
        (void)source.next();
    std::vector<std::vector<float>> found;
    for (std::size_t i = 0; i < count; ++i)
        found.push_back(source.next());
    return found;
}

std::vector<std::int64_t> labels_of(const VectorAnswer& answer) {
    std::vector<std::int64_t> labels;
    for (const VectorHit& hit : answer.hits)
        labels.push_back(hit.label);
    return labels;
}

/// The share of the exact answer's hits that the other one has, over all queries.
double recall(const IndexCore& exact, const IndexCore& graph, std::vector<std::string> tags,
              VectorAnswer::Method wanted) {
    std::size_t found = 0, of = 0, as_wanted = 0;
    for (const auto& values : queries(200)) {
        const auto truth = exact.search({.values = values, .k = k, .tags = tags});
        const auto answer = graph.search({.values = values, .k = k, .tags = tags});
        EXPECT_EQ(truth->method, VectorAnswer::Method::exact);
        as_wanted += answer->method == wanted ? 1 : 0;
        EXPECT_EQ(truth->hits.size(), answer->hits.size());
        const auto labels = labels_of(*answer);
        for (const VectorHit& hit : truth->hits)
            found += std::count(labels.begin(), labels.end(), hit.label) > 0 ? 1 : 0;
        of += truth->hits.size();
    }
    // The graph's answer to a filter is now and then too short, and an exact one takes its place.
    EXPECT_GE(as_wanted, wanted == VectorAnswer::Method::exact ? 200u : 150u);
    return static_cast<double>(found) / static_cast<double>(of);
}

TEST(Distance, is_the_same_with_and_without_the_processors_help) {
    ClusteredVectors source(67, 3, 4, 1);
    for (int i = 0; i < 50; ++i) {
        const auto left = source.next(), right = source.next();
        for (std::size_t size = 0; size <= left.size(); ++size) {
            double square = 0, product = 0;
            for (std::size_t j = 0; j < size; ++j) {
                square += std::pow(static_cast<double>(left[j]) - right[j], 2);
                product += static_cast<double>(left[j]) * right[j];
            }
            for (const Kernel kernel : {squared_distance(), Kernel{plain_squared_distance}})
                EXPECT_NEAR(kernel(left.data(), right.data(), size), square, 1e-3);
            for (const Kernel kernel : {inner_product(), Kernel{plain_inner_product}})
                EXPECT_NEAR(kernel(left.data(), right.data(), size), product, 1e-3);
        }
    }
}

TEST(Index, exact_search_finds_what_faiss_finds) {
    for (const Metric metric : {Metric::l2, Metric::ip}) {
        const auto core = filled(metric, 1000, SIZE_MAX);
        faiss::IndexFlat flat(dimension, metric == Metric::l2 ? faiss::METRIC_L2
                                                              : faiss::METRIC_INNER_PRODUCT);
        ClusteredVectors source(dimension, 20, 8, 7);
        for (int i = 0; i < 1000; ++i)
            flat.add(1, source.next().data());
        for (const auto& values : queries(50)) {
            std::vector<float> scores(k);
            std::vector<faiss::Index::idx_t> rows(k);
            flat.search(1, values.data(), k, scores.data(), rows.data());
            const auto answer = core->search({.values = values, .k = k});
            ASSERT_EQ(answer->hits.size(), k);
            for (std::size_t i = 0; i < k; ++i) {
                EXPECT_EQ(answer->hits[i].label, rows[i] + 1);
                EXPECT_NEAR(answer->hits[i].score, metric == Metric::l2 ? -scores[i] : scores[i],
                            1e-2);
            }
        }
    }
}

TEST(Index, a_cosine_does_not_ask_for_length) {
    IndexCore core({2, Metric::cosine}, {});
    ASSERT_TRUE(core.add({{.label = 1, .key = "a", .values = {100, 1}},
                          {.label = 2, .key = "b", .values = {0.5, 0.5}}}));
    const auto answer = core.search({.values = {3, 3}, .k = 5});
    ASSERT_EQ(answer->hits.size(), 2u);
    EXPECT_EQ(answer->hits[0].key, "b");
    EXPECT_NEAR(answer->hits[0].score, 1, 1e-6);
    EXPECT_EQ(core.search({.values = {3}, .k = 5}).error().code(), ErrorCode::invalid_argument);
}

TEST(Index, the_graph_finds_what_exact_search_finds_with_and_without_filters) {
    for (const Metric metric : {Metric::l2, Metric::ip, Metric::cosine}) {
        const auto exact = filled(metric, 10'000, SIZE_MAX);
        const auto graph = filled(metric, 10'000, 1000);
        // Figures of recall are in docs/adr/0008-embeddings.md.
        const double all = recall(*exact, *graph, {}, VectorAnswer::Method::graph);
        const double half = recall(*exact, *graph, {"half=1"}, VectorAnswer::Method::graph);
        const double tenth = recall(*exact, *graph, {"tenth=3"}, VectorAnswer::Method::graph);
        std::printf("%s: recall at 10 %.4f; half %.4f; a tenth %.4f\n",
                    std::string(metric_name(metric)).c_str(), all, half, tenth);
        EXPECT_GE(all, 0.95);
        EXPECT_GE(half, 0.95);
        EXPECT_GE(tenth, 0.95);
        // Below the stated share, and for what few of the neighbours pass, it is exact.
        EXPECT_EQ(recall(*exact, *graph, {"hundredth=3"}, VectorAnswer::Method::exact), 1.0);
        EXPECT_EQ(recall(*exact, *graph, {"half=1", "hundredth=3"}, VectorAnswer::Method::exact),
                  1.0);
        EXPECT_TRUE(graph->search({.values = queries(1)[0], .tags = {"no=1"}})->hits.empty());
    }
}

TEST(Index, a_filter_that_no_neighbour_passes_is_answered_exactly) {
    IndexCore core({dimension, Metric::l2}, {.graph_from = 100});
    ClusteredVectors source(dimension, 2, 8, 3);
    std::vector<VectorRow> rows;
    for (std::int64_t label = 1; label <= 2000; ++label) {
        VectorRow row{.label = label, .key = "v", .values = source.next()};
        row.tags = {"cluster=" + std::to_string(source.cluster())};
        rows.push_back(std::move(row));
    }
    ASSERT_TRUE(core.add(std::move(rows)));
    while (core.tend(1000)) {
    }
    const auto values = source.next();
    const std::string other = "cluster=" + std::to_string(1 - source.cluster());
    const auto answer = core.search({.values = values, .k = k, .tags = {other}});
    EXPECT_EQ(answer->method, VectorAnswer::Method::exact);
    EXPECT_EQ(answer->hits.size(), k);
}

TEST(Index, what_is_not_in_the_graph_yet_is_found_and_what_is_removed_is_not) {
    const auto core = filled(Metric::l2, 3000, 1000);
    const auto values = queries(1)[0];
    ASSERT_TRUE(core->add({{.label = 9000, .key = "new", .values = values}}));
    ASSERT_TRUE(core->add({{.label = 9000, .key = "again", .values = values}})); // passed over
    EXPECT_EQ(core->state().pending, 1u);
    auto answer = core->search({.values = values, .k = 2});
    EXPECT_EQ(answer->method, VectorAnswer::Method::graph);
    EXPECT_EQ(answer->hits[0].key, "new");
    EXPECT_NE(answer->hits[1].label, 9000);
    core->remove({9000, 9000, 12345});
    // Every removal is seen at once; past a share the rows and the graph are made anew.
    std::set<std::int64_t> removed = {9000};
    bool was_without_graph = false;
    for (int round = 0; round < 150; ++round) {
        answer = core->search({.values = values, .k = k});
        ASSERT_EQ(answer->hits.size(), k);
        for (const std::int64_t label : labels_of(*answer))
            ASSERT_FALSE(removed.contains(label)) << label;
        const auto gone = labels_of(*answer);
        core->remove(gone);
        removed.insert(gone.begin(), gone.end());
        was_without_graph |= core->state().in_graph == 0;
        while (core->tend(500)) {
        }
    }
    EXPECT_TRUE(was_without_graph);
    EXPECT_EQ(core->state().count, 3000u - 1500u);
    EXPECT_EQ(core->state().in_graph, 1500u);
}

TEST(Index, files_hold_what_the_memory_holds_and_any_change_of_them_is_seen) {
    const TemporaryFolder folder;
    const auto core = filled(Metric::cosine, 500, 100);
    core->remove({3, 4});
    const auto files = core->save(folder.file(""), "emb_x", {});
    ASSERT_TRUE(files.has_value()) << files.error().message();
    EXPECT_EQ(files->count, 498);
    EXPECT_EQ(checksum_of(folder.file("emb_x.faiss")).value(), files->flat.checksum);
    const auto read = read_faiss(folder.file("emb_x.faiss"), SIZE_MAX);
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_TRUE(core->compare(*read, {500, {}}).empty());
    // A vector that came later, or went later, is none of the file's.
    ASSERT_TRUE(core->add({row_of(501, std::vector<float>(dimension, 1.0F))}));
    EXPECT_TRUE(core->compare(*read, {500, {}}).empty());
    EXPECT_EQ(core->compare(*read, {501, {}}).size(), 1u);
    core->remove({7});
    EXPECT_EQ(core->compare(*read, {500, {}}).size(), 1u);
    EXPECT_TRUE(core->compare(*read, {500, {7}}).empty());
    ForeignVectors other = *read;
    other.values[40] += 1;
    EXPECT_EQ(core->compare(other, {500, {7}}).size(), 1u);
    other = *read;
    other.ids[5] = other.ids[6];
    EXPECT_EQ(core->compare(other, {500, {7}}).size(), 3u); // twice, its values, one is missing
    // The graph comes back as it was, with what happened since.
    auto graph = HnswGraph::load(folder.file("emb_x.hnsw"), core->spec(), {});
    ASSERT_TRUE(graph.has_value()) << graph.error().message();
    EXPECT_EQ((*graph)->size() - (*graph)->removed(), 498u);
    core->take_graph(std::move(*graph));
    EXPECT_EQ(core->state().in_graph, 497u);
    EXPECT_EQ(core->state().pending, 1u);
    EXPECT_FALSE(HnswGraph::load(folder.file("emb_x.faiss"), core->spec(), {}).has_value());
}

TEST(FaissFile, of_another_program_is_read_and_anything_else_is_refused) {
    const TemporaryFolder folder;
    const std::string path = folder.file("x.faiss");
    faiss::IndexFlat flat(3, faiss::METRIC_INNER_PRODUCT);
    const std::vector<float> values = {1, 2, 3, 4, 5, 6};
    flat.add(2, values.data());
    faiss::write_index(&flat, path.c_str());
    auto read = read_faiss(path, 100);
    ASSERT_TRUE(read.has_value()) << read.error().message();
    EXPECT_EQ(read->ids, (std::vector<std::int64_t>{0, 1}));
    EXPECT_EQ(read->values, values);
    EXPECT_EQ(read->spec.metric, Metric::ip);
    EXPECT_EQ(read_faiss(path, 20).error().code(), ErrorCode::payload_too_large);

    faiss::IndexFlat inner(3, faiss::METRIC_L2);
    faiss::IndexIDMap2 map(&inner);
    const std::vector<faiss::Index::idx_t> ids = {70, 7};
    map.add_with_ids(2, values.data(), ids.data());
    faiss::write_index(&map, path.c_str());
    read = read_faiss(path, 100);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->ids, (std::vector<std::int64_t>{70, 7}));

    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    const auto write = [&](const std::string& content) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    };
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        write(bytes.substr(0, size));
        EXPECT_FALSE(read_faiss(path, SIZE_MAX).has_value()) << size;
    }
    write(bytes + "x");
    EXPECT_FALSE(read_faiss(path, SIZE_MAX).has_value());
    // Sizes of the heads that are not the file's: no allocation comes of them.
    for (const std::size_t at : {4, 8, 12, 15, 41, 45, 52, 74, 80}) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ 0x55);
        write(changed);
        EXPECT_FALSE(read_faiss(path, SIZE_MAX).has_value()) << at;
    }
    faiss::IndexLSH graph(3, 2, false);
    graph.add(2, values.data());
    faiss::write_index(&graph, path.c_str());
    EXPECT_EQ(read_faiss(path, SIZE_MAX).error().code(), ErrorCode::unsupported);
    EXPECT_EQ(read_faiss(folder.file("none"), SIZE_MAX).error().code(), ErrorCode::not_found);
}

} // namespace
} // namespace netbuild::vectors
