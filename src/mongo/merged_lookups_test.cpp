// SPDX-License-Identifier: Apache-2.0
#include "merged_lookups.hpp"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

namespace netbuild::mongo {
namespace {

using Documents = MergedLookups::Documents;

Query by_key(std::string key, std::size_t limit = 3) {
    Query query;
    query.collection = "things";
    query.filter.all.push_back({"key", Condition::Operator::equal, std::move(key)});
    query.any_order = true;
    query.limit = limit;
    return query;
}

/// Documents that the queries select; the first commands wait until they are let go.
class Server {
public:
    std::vector<Object> documents;
    std::atomic<bool> failing = false;

    result<Documents> find(const Query& query) {
        {
            const std::scoped_lock lock(mutex_);
            commands.push_back(query.filter.all.front().op);
        }
        ++arrived;
        arrived.notify_all();
        open.wait(false);
        if (failing) return fail(ErrorCode::unavailable, "gone");
        Documents found;
        for (const Object& document : documents) {
            if (found.size() < query.limit && matches(query.filter, Value(document)))
                found.push_back(std::make_shared<const Value>(document));
        }
        return found;
    }
    void let_go() {
        open = true;
        open.notify_all();
    }
    std::vector<Condition::Operator> commands;
    std::atomic<int> arrived = 0;
    std::atomic<bool> open = false;

private:
    std::mutex mutex_;
};

struct MergedLookupsTest : testing::Test {
    Server server;
    MergedLookups lookups;
    std::vector<std::future<result<Documents>>> asked;

    void ask(std::string key) {
        asked.push_back(std::async(std::launch::async, [this, key = std::move(key)] {
            const Query query = by_key(key);
            return lookups.look_up(query,
                                   [this](const Query& wanted) { return server.find(wanted); });
        }));
    }
    /// So many commands are on their way as may be at a time.
    void fill() {
        for (std::size_t i = 0; i < MergedLookups::running_max; ++i) {
            ask("first");
            for (int seen = 0; seen < static_cast<int>(i) + 1; seen = server.arrived)
                server.arrived.wait(seen);
        }
    }
};

TEST_F(MergedLookupsTest, those_that_wait_leave_in_one_command_and_each_gets_its_own) {
    server.documents = {
        {{"key", "a"}, {"n", 1}}, {{"key", "b"}, {"n", 2}}, {{"key", "a"}, {"n", 3}}};
    fill();
    for (const char* key : {"a", "b", "a", "none"})
        ask(key);
    // They wait for a command to come back; that they all do is what the count below says.
    while (lookups.waiting() < 4)
        std::this_thread::yield();
    server.let_go();
    std::vector<std::size_t> sizes;
    for (auto& one : asked) {
        auto found = one.get();
        ASSERT_TRUE(found);
        sizes.push_back(found->size());
    }
    EXPECT_EQ(sizes, (std::vector<std::size_t>{0, 0, 2, 1, 2, 0}));
    EXPECT_EQ(server.commands, (std::vector{Condition::Operator::equal, Condition::Operator::equal,
                                            Condition::Operator::in}));
}

TEST_F(MergedLookupsTest, a_value_with_too_many_documents_takes_nothing_from_another) {
    for (int i = 0; i < 9; ++i)
        server.documents.push_back({{"key", "many"}, {"n", i}});
    server.documents.push_back({{"key", "one"}, {"n", 0}});
    fill();
    ask("many");
    ask("one");
    while (lookups.waiting() < 2)
        std::this_thread::yield();
    server.let_go();
    for (auto& one : asked)
        one.wait();
    EXPECT_EQ(asked[2].get()->size(), 3u);
    EXPECT_EQ(asked[3].get()->size(), 1u);
}

TEST_F(MergedLookupsTest, a_failure_reaches_all_that_waited_for_it) {
    fill();
    ask("a");
    ask("b");
    while (lookups.waiting() < 2)
        std::this_thread::yield();
    server.failing = true;
    server.let_go();
    for (auto& one : asked)
        EXPECT_EQ(one.get().error().code(), ErrorCode::unavailable);
}

TEST(MergedLookups, only_plain_looks_for_one_string_are_merged) {
    EXPECT_TRUE(MergedLookups::mergeable(by_key("a")));
    Query sorted = by_key("a");
    sorted.any_order = false;
    EXPECT_FALSE(MergedLookups::mergeable(sorted));
    Query number = by_key("a");
    number.filter.all.front().value = 7;
    EXPECT_FALSE(MergedLookups::mergeable(number));
    Query two = by_key("a");
    two.filter.all.push_back(two.filter.all.front());
    EXPECT_FALSE(MergedLookups::mergeable(two));
}

} // namespace
} // namespace netbuild::mongo
