// SPDX-License-Identifier: Apache-2.0
// A process that ends at every step of adding, removing and saving.
#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "embeddings/world.hpp"

namespace netbuild::test {
namespace {

constexpr int killed = 9, failed = 3;

/// What a client does; each may be done again. The index is the first of the domain.
using Operation = void (*)(EmbeddingWorld& world, const std::string& index);
constexpr Operation operations[] = {
    [](EmbeddingWorld& world, const std::string& index) { world.add(index, 1, 30); },
    [](EmbeddingWorld& world, const std::string&) { must(world.context, world.cache.tend(true)); },
    [](EmbeddingWorld& world, const std::string& index) { world.add(index, 4, 8, 0.5); },
    [](EmbeddingWorld& world, const std::string& index) {
        must(world.context, world.embeddings.remove(index, {"v1", "v2", "v8"}));
    },
    [](EmbeddingWorld& world, const std::string&) { must(world.context, world.cache.tend(true)); },
    [](EmbeddingWorld& world, const std::string& index) { world.add(index, 31, 35); },
    [](EmbeddingWorld& world, const std::string& index) {
        world.embeddings.rebuild(*world.index(index));
        must(world.context, world.cache.tend(true));
    },
};
/// All vectors in order, as search() says, after so many of the operations.
constexpr std::string_view content_after[] = {
    "",
    "1 2 3 4 5 6 7 8 9",
    "1 2 3 4 5 6 7 8 9",
    "1 2 3 4. 5. 6. 7. 8. 9",
    "3 4. 5. 6. 7. 9",
    "3 4. 5. 6. 7. 9",
    "3 4. 5. 6. 7. 9 31 32 33 34 35",
    "3 4. 5. 6. 7. 9 31 32 33 34 35",
};

/// Of the records: below 10 and above 30, a dot where the values were replaced.
std::string content_of(EmbeddingWorld& world, const std::string& index) {
    std::map<int, bool> there;
    const RecordPage page = must(world.context, world.embeddings.vectors(index, 500, ""));
    for (const ValuePtr& record : page.items) {
        const int number =
            std::stoi(std::string(record->at_path("vectorId")->string_or()).substr(1));
        float first = 0;
        std::memcpy(&first, record->at_path("vector")->get_if<Binary>()->bytes.data(), 4);
        if (number < 10 || number > 30) there[number] = first != static_cast<float>(number);
    }
    std::string text;
    for (const auto& [number, replaced] : there)
        text += (text.empty() ? "" : " ") + std::to_string(number) + (replaced ? "." : "");
    return text;
}

std::string only_index(EmbeddingWorld& world) {
    const RecordPage page = must(world.context, world.embeddings.list(Scope::everything(), 10, ""));
    return page.items.empty() ? world.create("a") : record_id(*page.items.front());
}

/// Ends at the step of that number, or with 0 when all is done. How many operations were finished
/// is the size of the file `done`.
[[noreturn]] void live(const std::string& folder, int die_at) {
    int step = 0;
    const auto on_step = [&](std::string_view) {
        if (++step == die_at) _exit(killed);
    };
    try {
        EmbeddingWorld world(folder, on_step);
        must(world.context, world.cache.open_all());
        const std::string index = only_index(world);
        for (const Operation operation : operations) {
            operation(world, index);
            std::ofstream(folder + "/done", std::ios::app) << '.';
        }
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "%s\n", exception.what());
        _exit(failed);
    }
    _exit(0);
}

int end_of(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void check_after_death(const std::string& folder, const std::string& where) {
    EmbeddingWorld world(folder);
    const std::string index = only_index(world);
    std::error_code ec;
    auto done = std::filesystem::file_size(folder + "/done", ec);
    if (ec) done = 0;
    // What was acknowledged is there; what was under way is there whole or not at all.
    const std::string content = content_of(world, index);
    EXPECT_TRUE(content == content_after[done] || content == content_after[done + 1])
        << where << content;
    // Before anything is mended: what is registered is a whole file of these records.
    EXPECT_TRUE(world.differences(index).empty()) << where << world.differences(index)[0];
    must(world.context, world.cache.open_all());
    std::set<std::string> registered;
    const ValuePtr record = world.index(index);
    for (const char* field : {"file", "graphFile"}) {
        if (const Value* name = record->at_path(field))
            registered.insert(std::string(name->string_or()));
    }
    const auto files = must(world.context, world.files.files());
    EXPECT_EQ(std::set<std::string>(files.begin(), files.end()), registered) << where;
    // The rest is done, what was done once more included.
    for (std::size_t i = done; i < std::size(operations); ++i)
        operations[i](world, index);
    EXPECT_EQ(content_of(world, index), content_after[std::size(operations)]) << where;
    must(world.context, world.cache.tend(true));
    EXPECT_TRUE(world.differences(index).empty()) << where;
    EXPECT_EQ(world.search(index, 4.5, 2), "v4 v5") << where;
}

TEST(EmbeddingCrash, at_every_step_leaves_files_and_records_that_agree) {
    int step = 1;
    for (;; ++step) {
        const TemporaryFolder folder;
        const pid_t child = fork();
        if (child == 0) live(folder.file(""), step);
        const int end = end_of(child);
        if (end == 0) break;
        ASSERT_EQ(end, killed) << "at step " << step;
        check_after_death(folder.file(""), "killed at step " + std::to_string(step) + ": ");
        ASSERT_LT(step, 500);
    }
    EXPECT_GT(step, 30);
}

TEST(EmbeddingCrash, while_an_index_is_removed_goes_on_with_it) {
    for (int step = 1;; ++step) {
        const TemporaryFolder folder;
        std::string index;
        {
            EmbeddingWorld world(folder.file(""));
            index = world.create("a");
            for (int from = 0; from < 240; from += 40)
                world.add(index, from, from + 39);
            must(world.context, world.cache.tend(true));
        }
        const pid_t child = fork();
        if (child == 0) {
            int at = 0;
            EmbeddingWorld world(folder.file(""), [&](std::string_view) {
                if (++at == step) _exit(killed);
            });
            must(world.context, world.embeddings.erase(world.index(index), std::nullopt));
            must(world.context, world.cache.tend(true));
            _exit(0);
        }
        const int end = end_of(child);
        EmbeddingWorld world(folder.file(""));
        const bool there = run(world.context, world.embeddings.get(index)).has_value();
        EXPECT_EQ(there, step == 1); // before the one commit that says so
        must(world.context, world.cache.open_all());
        if (there) {
            EXPECT_TRUE(world.differences(index).empty());
            continue;
        }
        EXPECT_TRUE(must(world.context, world.embeddings.vectors(index, 10, "")).items.empty());
        EXPECT_TRUE(must(world.context, world.files.files()).empty());
        if (end == 0) break;
        ASSERT_EQ(end, killed);
    }
}

} // namespace
} // namespace netbuild::test
