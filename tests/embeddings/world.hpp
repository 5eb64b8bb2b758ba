// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/embedding_records.hpp"
#include "data/embeddings.hpp"
#include "data/schema.hpp"
#include "sqlite/sqlite_records.hpp"
#include "support/run.hpp"
#include "support/temporary_folder.hpp"
#include "vectors/vector_folder.hpp"

namespace netbuild::test {

/// One process's embeddings in a folder.
struct EmbeddingWorld {
    explicit EmbeddingWorld(const std::string& path, vectors::OnStep on_step = {},
                            std::size_t memory_max = 1 << 30)
        : folder(path),
          records({.path = path + "/records.sqlite", .readers = 1}),
          files({.folder = path + "/vectors",
                 .index = {.graph_from = 20},
                 .threads = 1,
                 .on_step = on_step}),
          cache(records, files, clock, context.get_executor(),
                {.memory_bytes_max = memory_max, .on_step = on_step}),
          embeddings(records, cache, clock, Random(11)) {
        must(context, data::apply_schema(records, {}));
        must(context, cache.own_folder());
    }

    std::string create(const std::string& name, const std::string& domain = "acme",
                       const char* metric = "l2") {
        return record_id(*must(context, embeddings.create({{"domainId", domain},
                                                           {"name", name},
                                                           {"model", "m"},
                                                           {"dimension", std::int64_t{3}},
                                                           {"metric", metric}},
                                                          "test")));
    }
    static Object vector(int number, double shift = 0) {
        return {{"vectorId", "v" + std::to_string(number)},
                {"source", number % 2 ? "odd.txt" : "even.txt"},
                {"metadata", Object{{"third", std::int64_t{number % 3}}}},
                {"values", Array{number + shift, 1.0, 2.0}}};
    }
    result<data::Embeddings::Added> try_add(const std::string& index, int from, int to,
                                            double shift = 0) {
        Array list;
        for (int number = from; number <= to; ++number)
            list.emplace_back(vector(number, shift));
        return run(context, embeddings.add(index, std::move(list)));
    }
    data::Embeddings::Added add(const std::string& index, int from, int to, double shift = 0) {
        auto added = try_add(index, from, to, shift);
        if (!added) throw std::runtime_error(added.error().message());
        return *added;
    }
    ValuePtr index(const std::string& id) { return must(context, embeddings.get(id)); }
    /// "v3 v2 v4": nearest first.
    std::string search(const std::string& id, double at, std::size_t k,
                       std::vector<std::string> tags = {}) {
        const auto answer =
            must(context, embeddings.search(index(id), {.values = {static_cast<float>(at), 1, 2},
                                                        .k = k,
                                                        .tags = std::move(tags)}));
        std::string found;
        for (const auto& hit : answer.hits)
            found += (found.empty() ? "" : " ") +
                     std::string(hit.record->at_path("vectorId")->string_or());
        return found;
    }
    std::vector<std::string> differences(const std::string& id) {
        return must(context, cache.check(index(id))).differences;
    }

    std::string folder;
    asio::io_context context;
    SystemClock clock;
    SqliteRecords records;
    vectors::VectorFolder files;
    data::EmbeddingCache cache;
    data::Embeddings embeddings;
};

} // namespace netbuild::test
