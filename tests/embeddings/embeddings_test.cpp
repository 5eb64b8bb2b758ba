// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include <faiss/IndexFlat.h>
#include <faiss/index_io.h>
#include <gtest/gtest.h>

#include "data/embedded_passages.hpp"
#include "embeddings/world.hpp"

namespace netbuild::test {
namespace {

std::string path_of(EmbeddingWorld& world, const std::string& id, const char* field) {
    const ValuePtr index = world.index(id);
    return world.folder + "/vectors/" + std::string(index->at_path(field)->string_or());
}

void change(const std::string& path, std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(at);
    file.put(byte);
}

TEST(Embeddings, are_found_at_once_and_gone_at_once) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    const std::string id = world.create("a");
    EXPECT_EQ(world.search(id, 1, 5), "");
    EXPECT_EQ(world.add(id, 1, 5).added, 5);
    EXPECT_EQ(world.search(id, 4, 3), "v4 v3 v5"); // v3 and v5 are as near: by label
    EXPECT_EQ(world.search(id, 4, 3, {"source=even.txt"}), "v4 v2");
    EXPECT_EQ(world.search(id, 4, 3, {"metadata.third=#0"}), "v3");
    EXPECT_EQ(world.search(id, 4, 3, {"metadata.third=#0", "source=even.txt"}), "");
    EXPECT_EQ(must(world.context, world.embeddings.remove(id, {"v4", "v4", "v99"})), 1);
    EXPECT_EQ(world.search(id, 4, 2), "v3 v5");
    EXPECT_EQ(must(world.context, world.embeddings.remove_source(id, "odd.txt")), 3);
    EXPECT_EQ(world.search(id, 4, 2), "v2");
    EXPECT_EQ(world.index(id)->at_path("count")->integer_or(), 1);
}

TEST(Embeddings, the_same_again_changes_nothing_and_other_content_replaces) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    const std::string id = world.create("a");
    world.add(id, 1, 3);
    const auto sequence = world.index(id)->at_path("sequence")->integer_or();
    EXPECT_EQ(world.add(id, 1, 3).unchanged, 3);
    EXPECT_EQ(world.index(id)->at_path("sequence")->integer_or(), sequence);
    EXPECT_EQ(world.search(id, 100, 1), "v3");
    const auto outcome = world.add(id, 1, 4, 100);
    EXPECT_EQ(outcome.replaced, 3);
    EXPECT_EQ(outcome.added, 1);
    EXPECT_EQ(world.search(id, 1, 9), "v1 v2 v3 v4");
    EXPECT_EQ(world.index(id)->at_path("count")->integer_or(), 4);
    EXPECT_TRUE(world.differences(id).empty());
    // What was removed may come again.
    must(world.context, world.embeddings.remove(id, {"v2"}));
    EXPECT_EQ(world.add(id, 2, 2, 100).added, 1);
    EXPECT_EQ(world.search(id, 102, 1), "v2");
}

TEST(Embeddings, give_passages_near_the_question_that_a_message_asks) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    const std::string id = world.create("a"), second = world.create("b");
    const auto add = [&](const std::string& index, const std::string& vector, double at,
                         const char* text) {
        must(world.context,
             world.embeddings.add(index, Array{Object{{"vectorId", vector},
                                                      {"source", "book"},
                                                      {"chunk", vector},
                                                      {"from", std::int64_t{3}},
                                                      {"to", std::int64_t{9}},
                                                      {"text", text},
                                                      {"values", Array{at, 0.0, 0.0}}}}));
    };
    add(id, "far", 9, "far");
    add(id, "near", 2, "near");
    add(id, "silent", 1, "");
    add(second, "other", 1, "of an index that was not asked");
    add(world.create("c", "umbra"), "foreign", 1, "of another domain");
    data::EmbeddedPassages passages(world.embeddings);
    const PassageQuery query{.domain = "acme", .text = "?", .message = "m1", .limit = 8};
    const auto texts = [&](const PassageQuery& asked) {
        std::string all;
        for (const Passage& passage : must(world.context, passages.retrieve(asked)))
            all += passage.text + ";";
        return all;
    };
    EXPECT_EQ(texts(query), ""); // nobody has said where the question lies
    add(id, "message:m1", 1, "the question");
    add(id, "message:m2", 1, "another question");
    EXPECT_EQ(texts(query), "near;far;");
    const Passage first = must(world.context, passages.retrieve(query)).front();
    EXPECT_EQ(first.document, "book");
    EXPECT_EQ(first.chunk, "near");
    EXPECT_EQ(first.from, 3u);
    EXPECT_EQ(first.to, 9u);
    add(second, "message:m1", 1, "the question");
    EXPECT_EQ(texts(query), "near;of an index that was not asked;far;"); // in turns
    EXPECT_EQ(texts({.domain = "acme", .text = "?", .message = "m1", .limit = 1}), "near;");
    EXPECT_EQ(texts({.domain = "umbra", .text = "?", .message = "m1", .limit = 8}), "");
}

TEST(Embeddings, of_another_process_are_seen_by_this_one) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    const std::string id = world.create("a");
    world.add(id, 1, 3);
    EXPECT_EQ(world.search(id, 9, 1), "v3");
    // Another one's memory over the same records; the folder has one owner.
    data::EmbeddingCache other(world.records, world.files, world.clock,
                               world.context.get_executor(), {});
    data::Embeddings elsewhere(world.records, other, world.clock, Random(2));
    must(world.context, elsewhere.add(id, Array{EmbeddingWorld::vector(9)}));
    must(world.context, elsewhere.remove(id, {"v1"}));
    EXPECT_EQ(world.search(id, 9, 9), "v9 v3 v2");
}

TEST(Embeddings, writers_of_one_index_at_a_time_lose_nothing) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    const std::string id = world.create("a");
    int left = 0;
    for (int number = 0; number < 12; ++number) {
        ++left;
        Array list;
        list.emplace_back(EmbeddingWorld::vector(number));
        asio::co_spawn(world.context, world.embeddings.add(id, std::move(list)),
                       [&](std::exception_ptr, result<data::Embeddings::Added> added) {
                           EXPECT_TRUE(added.has_value()) << added.error().message();
                           --left;
                       });
    }
    world.context.restart();
    while (left > 0 && world.context.run_one() > 0) {
    }
    EXPECT_EQ(world.index(id)->at_path("count")->integer_or(), 12);
    EXPECT_TRUE(world.differences(id).empty());
    EXPECT_EQ(world.search(id, 0, 50).size(), std::string("v0").size() * 10 + 3 * 2 + 11);
}

TEST(Embeddings, a_name_is_one_in_a_domain_and_free_when_its_index_is_removed) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    const std::string id = world.create("a"), other = world.create("a", "umbra");
    EXPECT_THROW(world.create("a"), std::runtime_error);
    world.add(id, 1, 30);
    must(world.context, world.cache.tend(true));
    const std::string file = path_of(world, id, "file");
    EXPECT_TRUE(std::filesystem::exists(file));
    EXPECT_EQ(run(world.context, world.embeddings.erase(world.index(id), 1)).error().code(),
              ErrorCode::precondition_failed);
    must(world.context, world.embeddings.erase(world.index(id), std::nullopt));
    EXPECT_EQ(run(world.context, world.embeddings.get(id)).error().code(), ErrorCode::not_found);
    (void)world.create("a");
    must(world.context, world.cache.tend(true));
    EXPECT_FALSE(std::filesystem::exists(file));
    EXPECT_TRUE(must(world.context, world.embeddings.vectors(id, 10, "")).items.empty());
    EXPECT_EQ(record_id(*world.index(other)), other);
}

TEST(Embeddings, a_limit_of_memory_holds_and_the_least_used_index_leaves) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""), {}, 20'000); // some 40 vectors
    const std::string one = world.create("one"), two = world.create("two");
    world.add(one, 1, 30);
    world.add(two, 1, 30);
    EXPECT_EQ(world.search(one, 7, 1), "v7");
    EXPECT_EQ(world.search(two, 7, 1), "v7");
    EXPECT_EQ(world.cache.state(one).count, 0u);
    EXPECT_EQ(world.cache.state(two).count, 30u);
    EXPECT_EQ(world.search(one, 8, 1), "v8");
    EXPECT_EQ(world.try_add(one, 31, 70).error().code(), ErrorCode::out_of_memory);
    EXPECT_EQ(world.index(one)->at_path("count")->integer_or(), 30);
}

TEST(Embeddings, a_rebuilt_index_is_exact_until_its_graph_is_there) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    const std::string id = world.create("a");
    world.add(id, 1, 30);
    must(world.context, world.cache.tend(true));
    EXPECT_EQ(world.cache.state(id).in_graph, 30u);
    const std::string before = path_of(world, id, "file");
    world.embeddings.rebuild(*world.index(id));
    EXPECT_EQ(world.search(id, 5, 2), "v5 v4");
    EXPECT_EQ(world.cache.state(id).in_graph, 0u);
    must(world.context, world.cache.tend(true));
    EXPECT_EQ(world.cache.state(id).in_graph, 30u);
    EXPECT_NE(path_of(world, id, "file"), before);
    EXPECT_FALSE(std::filesystem::exists(before));
    EXPECT_TRUE(world.differences(id).empty());
}

TEST(Embeddings, what_was_done_to_a_file_is_named_and_mended_from_the_records) {
    const TemporaryFolder folder;
    std::string id, other;
    {
        EmbeddingWorld world(folder.file(""));
        id = world.create("a");
        other = world.create("b");
        world.add(id, 1, 30);
        world.add(other, 31, 60);
        must(world.context, world.cache.tend(true));
    }
    using Damage = std::function<void(const std::string& path, const std::string& of_another)>;
    const std::vector<std::pair<const char*, Damage>> damages = {
        {"cut",
         [](const std::string& path, const std::string&) {
             std::filesystem::resize_file(path, std::filesystem::file_size(path) - 7);
         }},
        {"flipped", [](const std::string& path, const std::string&) { change(path, 100); }},
        {"head", [](const std::string& path, const std::string&) { change(path, 9); }},
        {"removed",
         [](const std::string& path, const std::string&) { std::filesystem::remove(path); }},
        {"another's",
         [](const std::string& path, const std::string& of_another) {
             std::filesystem::copy_file(of_another, path,
                                        std::filesystem::copy_options::overwrite_existing);
         }},
        {"empty", [](const std::string& path,
                     const std::string&) { std::filesystem::resize_file(path, 0); }},
    };
    for (const char* field : {"file", "graphFile"}) {
        for (const auto& [name, damage] : damages) {
            EmbeddingWorld world(folder.file(""));
            damage(path_of(world, id, field), path_of(world, other, field));
            EXPECT_FALSE(world.differences(id).empty()) << name << " " << field;
            EXPECT_TRUE(world.differences(other).empty()) << name << " " << field;
            must(world.context, world.cache.open_all());
            EXPECT_EQ(world.search(id, 7, 3), "v7 v6 v8") << name << " " << field;
            must(world.context, world.cache.tend(true));
            EXPECT_TRUE(world.differences(id).empty()) << name << " " << field;
            EXPECT_EQ(world.cache.state(id).in_graph, 30u) << name << " " << field;
        }
    }
}

TEST(Embeddings, records_that_differ_from_the_registry_are_named) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    const std::string id = world.create("a");
    world.add(id, 1, 5);
    must(world.context, world.cache.tend(true));
    // Another program takes a record away, and spoils one.
    const ValuePtr gone = must(world.context, world.embeddings.vector(id, "v2"));
    must(world.context,
         world.records.commit(RecordWrite::erase(data::embeddings, record_id(*gone), 1)));
    const ValuePtr spoilt = must(world.context, world.embeddings.vector(id, "v3"));
    Object body = record_body(*spoilt);
    body.set("vector", Binary{"short"});
    must(world.context, world.records.commit(RecordWrite::replace(
                            data::embeddings, record_id(*spoilt), 1, std::move(body))));
    std::string all;
    for (const std::string& one : world.differences(id))
        all += one + "\n";
    EXPECT_NE(all.find("v3 holds no vector"), std::string::npos) << all;
    EXPECT_NE(all.find("counts 5 vectors, there are 4 records"), std::string::npos) << all;
    EXPECT_NE(all.find("vector 2 is in the file and in no record"), std::string::npos) << all;
    must(world.context, world.embeddings.mend(id));
    const auto left = world.differences(id);
    ASSERT_EQ(left.size(), 1u) << left[1]; // what the spoilt one was nobody knows
    EXPECT_NE(left[0].find("v3"), std::string::npos);
}

TEST(Embeddings, a_faiss_file_becomes_an_index_and_a_second_import_of_it_is_refused) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    faiss::IndexFlat flat(3, faiss::METRIC_INNER_PRODUCT);
    std::vector<float> values;
    for (int i = 0; i < 100; ++i)
        values.insert(values.end(), {static_cast<float>(i), 1, 2});
    flat.add(100, values.data());
    const std::string path = folder.file("old.faiss");
    faiss::write_index(&flat, path.c_str());
    data::Embeddings::Import what{
        .domain = "acme", .name = "old", .model = "m", .source = "old.faiss"};
    what.more[7] = {{"source", "seven.txt"}, {"metadata", Object{{"lang", "en"}}}};
    const auto read = [&] { return must(world.context, world.files.read_foreign(path)); };
    // An import that ends early is finished by the next.
    int commits = 0;
    what.on_progress = [&](std::uint64_t, std::uint64_t) {
        if (++commits == 1) throw std::runtime_error("ends");
    };
    EXPECT_THROW((void)run(world.context, world.embeddings.import(read(), what, "test")),
                 std::runtime_error);
    what.on_progress = {};
    const ValuePtr index = must(world.context, world.embeddings.import(read(), what, "test"));
    EXPECT_EQ(index->at_path("count")->integer_or(), 100);
    EXPECT_EQ(index->at_path("status")->string_or(), "ready");
    EXPECT_EQ(index->at_path("metric")->string_or(), "ip");
    const auto answer = must(
        world.context, world.embeddings.search(
                           index, {.values = {1, 0, 0}, .k = 1, .tags = {"metadata.lang=\"en"}}));
    ASSERT_EQ(answer.hits.size(), 1u);
    EXPECT_EQ(answer.hits[0].record->at_path("vectorId")->string_or(), "7");
    EXPECT_EQ(answer.hits[0].record->at_path("source")->string_or(), "seven.txt");
    EXPECT_EQ(run(world.context, world.embeddings.import(read(), what, "test")).error().code(),
              ErrorCode::already_exists);
}

TEST(Embeddings, a_folder_has_one_owner) {
    const TemporaryFolder folder;
    EmbeddingWorld world(folder.file(""));
    vectors::VectorFolder second({.folder = folder.file("vectors")});
    EXPECT_EQ(run(world.context, second.own_folder()).error().code(), ErrorCode::unavailable);
}

} // namespace
} // namespace netbuild::test
