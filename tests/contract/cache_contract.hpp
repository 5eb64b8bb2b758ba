// SPDX-License-Identifier: Apache-2.0
#pragma once
// The contract of ports/cache_store.hpp and of the cache above it, run on every adapter. An adapter
// gives `store(node)` of two nodes, `clock()`, `run(task)`, `pass(time)`, `until(done)`, a
// `context`, and the `name` of a cache that nobody else has.
#include <optional>
#include <stdexcept>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gtest/gtest.h>

#include "cache/cache.hpp"
#include "support/run.hpp"

namespace netbuild::test {

using namespace std::chrono_literals;
using Texts = cache::Cache<std::string>;
using Text = std::shared_ptr<const std::string>;

inline cache::Codec<std::string> text_codec() {
    return {[](const std::string& text) { return text; },
            [](std::string_view text) -> result<Text> {
                return std::make_shared<const std::string>(text);
            },
            [](const std::string& text) { return text.size(); }};
}

/// A source that is loaded from: what it says, as of which Position, and how often it was asked.
struct CacheSource {
    std::string value = "one";
    bool there = true;
    Position position{10, 0};
    std::optional<Error> failure;
    int loads = 0;
    Clock* clock = nullptr;
    Clock::duration takes{};
    /// Runs after the read and before its answer.
    std::function<void()> meanwhile;

    Texts::Loader loader() {
        return [this] { return load(); };
    }
    awaitable<result<cache::Loaded<std::string>>> load() {
        ++loads;
        cache::Loaded<std::string> read{
            there ? std::make_shared<const std::string>(value) : nullptr, position};
        const auto failed = failure;
        if (takes > Clock::duration::zero()) CO_TRY_VOID(co_await clock->sleep(takes));
        if (meanwhile) meanwhile();
        if (failed) co_return *failed;
        co_return read;
    }
};

template <class Adapter>
class CacheContract : public testing::Test {
protected:
    ~CacheContract() override {
        for (auto& each : caches_)
            adapter.run(stopped(*each));
    }
    static awaitable<bool> stopped(Texts& cache) {
        co_await cache.stop();
        co_return true;
    }
    cache::Options options() {
        cache::Options options;
        options.name = adapter.name;
        options.jitter = 0;
        options.beta = 0; // tests that want early loads say so
        return options;
    }
    Texts& node(int number, cache::Options options) {
        caches_.push_back(std::make_unique<Texts>(
            adapter.context.get_executor(), adapter.clock(), adapter.store(number),
            std::move(options), text_codec(), Random(static_cast<std::uint64_t>(number))));
        return *caches_.back();
    }
    Texts& node(int number = 0) { return node(number, options()); }
    template <class T>
    T must(awaitable<result<T>> task) {
        auto outcome = adapter.run(std::move(task));
        if (!outcome) throw std::runtime_error(outcome.error().message());
        if constexpr (!std::is_void_v<T>) return std::move(*outcome);
    }
    cache::Loaded<std::string> get(Texts& cache, CacheSource& source, std::string key = "k",
                                   std::vector<std::string> tags = {"t"}, Position at_least = {}) {
        source.clock = &adapter.clock();
        return must(cache.get(key, tags, source.loader(), at_least));
    }
    std::string text(Texts& cache, CacheSource& source) {
        const auto found = get(cache, source);
        return found.value ? *found.value : "(none)";
    }
    /// For askers side by side: what it answers, when it does.
    awaitable<void> ask(Texts& cache, std::string& into) {
        const auto found = co_await cache.get("k", {"t"}, source.loader());
        into = found && found->value ? *found->value : "(failed)";
    }
    /// Looks until the value is in this process.
    void settle(Texts& cache, CacheSource& source) {
        adapter.until([&] {
            (void)get(cache, source);
            return cache.try_get("k") != nullptr;
        });
    }
    Adapter adapter;
    CacheSource source;
    std::vector<std::unique_ptr<Texts>> caches_;
};
TYPED_TEST_SUITE_P(CacheContract);

TYPED_TEST_P(CacheContract, a_value_is_loaded_once_and_then_served_from_the_process) {
    Texts& cache = this->node();
    EXPECT_EQ(cache.try_get("k"), nullptr);
    EXPECT_EQ(this->text(cache, this->source), "one");
    this->settle(cache, this->source);
    EXPECT_EQ(*cache.try_get("k"), "one");
    EXPECT_EQ(this->source.loads, 1);
    EXPECT_GT(cache.core().counters().hits, 0u);
}

TYPED_TEST_P(CacheContract, another_node_reads_what_one_has_loaded) {
    Texts &one = this->node(0), &other = this->node(1);
    this->settle(one, this->source);
    EXPECT_EQ(this->text(other, this->source), "one");
    EXPECT_EQ(this->source.loads, 1);
    EXPECT_EQ(other.core().counters().shared_hits, 1u);
}

TYPED_TEST_P(CacheContract, ten_thousand_parallel_misses_on_two_nodes_are_one_load) {
    Texts &one = this->node(0), &other = this->node(1);
    this->source.clock = &this->adapter.clock();
    this->source.takes = 50ms;
    int ended = 0, right = 0;
    const auto ask = [&](Texts& cache) -> awaitable<void> {
        const auto found = co_await cache.get("k", {"t"}, this->source.loader());
        if (found && found->value && *found->value == "one") ++right;
        ++ended;
    };
    for (int i = 0; i < 10'000; ++i)
        asio::co_spawn(this->adapter.context, ask(i % 2 ? one : other), asio::detached);
    this->adapter.until([&] { return ended == 10'000; });
    EXPECT_EQ(right, 10'000);
    EXPECT_EQ(this->source.loads, 1);
}

TYPED_TEST_P(CacheContract, a_loaders_error_is_given_to_all_who_wait_and_not_kept) {
    Texts& cache = this->node();
    this->source.clock = &this->adapter.clock();
    this->source.takes = 20ms;
    this->source.failure = fail(ErrorCode::unavailable, "the source");
    int ended = 0, failed = 0;
    const auto ask = [&]() -> awaitable<void> {
        const auto found = co_await cache.get("k", {"t"}, this->source.loader());
        if (!found && found.error().code() == ErrorCode::unavailable) ++failed;
        ++ended;
    };
    for (int i = 0; i < 100; ++i)
        asio::co_spawn(this->adapter.context, ask(), asio::detached);
    this->adapter.until([&] { return ended == 100; });
    EXPECT_EQ(failed, 100);
    EXPECT_EQ(this->source.loads, 1);
    this->source.failure.reset();
    EXPECT_EQ(this->text(cache, this->source), "one");
    EXPECT_EQ(this->source.loads, 2);
}

TYPED_TEST_P(CacheContract, a_loader_that_throws_is_an_error_to_all_who_wait) {
    Texts& cache = this->node();
    const auto found = this->adapter.run(
        cache.get("k", {"t"}, []() -> awaitable<result<cache::Loaded<std::string>>> {
            throw std::runtime_error("out of hand");
            co_return cache::Loaded<std::string>{};
        }));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), ErrorCode::internal);
    EXPECT_EQ(this->text(cache, this->source), "one");
}

TYPED_TEST_P(CacheContract, what_is_not_there_is_known_for_a_while) {
    cache::Options options = this->options();
    options.negative_ttl = 300ms;
    Texts &one = this->node(0, options), &other = this->node(1, options);
    this->source.there = false;
    EXPECT_EQ(this->text(one, this->source), "(none)");
    EXPECT_EQ(this->text(one, this->source), "(none)");
    EXPECT_EQ(this->text(other, this->source), "(none)");
    EXPECT_EQ(this->source.loads, 1);
    this->source.there = true;
    this->adapter.pass(400ms);
    EXPECT_EQ(this->text(other, this->source), "one");
    EXPECT_EQ(this->source.loads, 2);
}

TYPED_TEST_P(CacheContract, an_event_outdates_a_value_on_every_node) {
    Texts &one = this->node(0), &other = this->node(1);
    this->settle(one, this->source);
    this->settle(other, this->source);
    this->source.value = "two";
    this->source.position = {20, 0};
    one.outdate("t", {20, 0});
    EXPECT_EQ(one.try_get("k"), nullptr);
    EXPECT_EQ(this->text(one, this->source), "two");
    this->adapter.until([&] { return this->text(other, this->source) == "two"; });
    EXPECT_EQ(this->source.loads, 2);
}

TYPED_TEST_P(CacheContract, an_event_that_the_value_has_changes_nothing) {
    Texts& cache = this->node();
    this->settle(cache, this->source);
    cache.outdate("t", {9, 0});
    this->settle(cache, this->source);
    cache.outdate("t", {10, 0});
    this->settle(cache, this->source);
    EXPECT_EQ(this->source.loads, 1);
}

TYPED_TEST_P(CacheContract, an_event_between_read_and_write_beats_the_slow_loader) {
    Texts &one = this->node(0), &other = this->node(1);
    this->source.meanwhile = [&] {
        if (this->source.position.number == 10) other.outdate("t", {20, 0});
    };
    EXPECT_EQ(this->text(one, this->source), "one") << "it was asked before the event";
    this->source.value = "two";
    this->source.position = {20, 0};
    EXPECT_EQ(this->text(other, this->source), "two");
    this->adapter.until([&] { return this->text(one, this->source) == "two"; });
    EXPECT_EQ(this->source.loads, 2);
}

TYPED_TEST_P(CacheContract, who_asks_after_a_forget_does_not_join_a_load_from_before_it) {
    Texts& cache = this->node();
    this->source.clock = &this->adapter.clock();
    this->source.takes = 50ms;
    std::string first, second;
    asio::co_spawn(this->adapter.context, this->ask(cache, first), asio::detached);
    this->adapter.until([&] { return this->source.loads == 1; });
    this->source.value = "two"; // at the same Position
    this->must(cache.forget("t"));
    asio::co_spawn(this->adapter.context, this->ask(cache, second), asio::detached);
    this->adapter.until([&] { return !second.empty() && !first.empty(); });
    EXPECT_EQ(first, "one");
    EXPECT_EQ(second, "two");
    EXPECT_EQ(this->text(cache, this->source), "two");
}

TYPED_TEST_P(CacheContract, who_asks_after_the_event_does_not_join_a_load_from_before_it) {
    Texts& cache = this->node();
    this->source.clock = &this->adapter.clock();
    this->source.takes = 50ms;
    std::string first, second;
    asio::co_spawn(this->adapter.context, this->ask(cache, first), asio::detached);
    this->adapter.until([&] { return this->source.loads == 1; });
    this->source.value = "two";
    this->source.position = {20, 0};
    cache.outdate("t", {20, 0});
    asio::co_spawn(this->adapter.context, this->ask(cache, second), asio::detached);
    this->adapter.until([&] { return !second.empty() && !first.empty(); });
    EXPECT_EQ(first, "one");
    EXPECT_EQ(second, "two");
}

TYPED_TEST_P(CacheContract, a_record_of_an_earlier_position_never_replaces_a_later_one) {
    CacheStore& store = this->adapter.store(0);
    const CacheKey key{this->adapter.name, "k", {"t"}};
    const auto seen = this->must(store.read(key));
    const auto record = [&](Position position, std::string value) {
        CacheRecord made;
        made.position = position;
        made.fresh = 10s;
        made.generations = {seen.tags[0].generation};
        made.value = std::move(value);
        return made;
    };
    const std::uint64_t large = (std::uint64_t{3} << 48) + 9'007'199'254'740'993u;
    EXPECT_TRUE(this->must(store.write(key, record({large, 9}, "nine"), "a")));
    EXPECT_FALSE(this->must(store.write(key, record({large, 8}, "eight"), "b")));
    EXPECT_FALSE(this->must(store.write(key, record({large - 1, 10}, "before"), "b")));
    EXPECT_EQ(this->must(store.read(key)).record->value, "nine");
    EXPECT_TRUE(this->must(store.write(key, record({large, 10}, "ten"), "b")));
    const auto last = this->must(store.read(key)).record;
    EXPECT_EQ(last->value, "ten");
    EXPECT_EQ(last->position, (Position{large, 10}));
    EXPECT_GT(last->fresh, 5s);
}

TYPED_TEST_P(CacheContract, a_reader_with_a_min_position_gets_no_earlier_value) {
    Texts& cache = this->node();
    this->settle(cache, this->source);
    EXPECT_EQ(cache.try_get("k", {11, 0}), nullptr);
    this->source.position = {30, 0};
    this->source.value = "three";
    EXPECT_EQ(*this->get(cache, this->source, "k", {"t"}, {30, 0}).value, "three");
    const auto late =
        this->adapter.run(cache.get("k", {"t"}, this->source.loader(), Position{40, 0}));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), ErrorCode::not_yet_consistent);
    // All events up to there were heard, and none of them outdates it: it is as recent as that.
    this->settle(cache, this->source);
    const int loads = this->source.loads;
    cache.heard({40, 0});
    EXPECT_EQ(*this->get(cache, this->source, "k", {"t"}, {40, 0}).value, "three");
    EXPECT_EQ(this->source.loads, loads);
}

TYPED_TEST_P(CacheContract, a_forgotten_tag_ends_all_that_has_it_at_any_position) {
    Texts &one = this->node(0), &other = this->node(1);
    this->source.position = {INT64_MAX, 5};
    this->settle(one, this->source);
    this->settle(other, this->source);
    (void)this->get(one, this->source, "k2", {"another"});
    EXPECT_EQ(this->source.loads, 2);
    this->must(one.forget("t"));
    this->source.value = "two";
    EXPECT_EQ(this->text(one, this->source), "two");
    this->adapter.until([&] { return this->text(other, this->source) == "two"; });
    EXPECT_EQ(this->source.loads, 3);
    EXPECT_EQ(*this->get(one, this->source, "k2", {"another"}).value, "one");
    this->must(one.forget(cache::everything));
    EXPECT_EQ(*this->get(one, this->source, "k2", {"another"}).value, "two");
}

TYPED_TEST_P(CacheContract, a_stale_value_is_served_while_one_loads_anew) {
    cache::Options options = this->options();
    options.ttl = 200ms;
    options.stale = 60s;
    Texts& cache = this->node(0, options);
    this->settle(cache, this->source);
    this->source.value = "two";
    this->source.position = {11, 0};
    this->adapter.pass(300ms);
    EXPECT_EQ(cache.try_get("k"), nullptr) << "get() is to load it anew";
    EXPECT_EQ(this->text(cache, this->source), "one");
    this->adapter.until([&] { return this->text(cache, this->source) == "two"; });
    EXPECT_GE(cache.core().counters().refreshes, 1u);
}

TYPED_TEST_P(CacheContract, a_source_in_trouble_is_not_asked_by_each_who_gets_the_stale_value) {
    cache::Options options = this->options();
    options.ttl = 200ms;
    options.stale = 60s;
    options.retry = 30s;
    Texts& cache = this->node(0, options);
    this->settle(cache, this->source);
    this->adapter.pass(300ms);
    this->source.failure = fail(ErrorCode::unavailable, "the source");
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(this->text(cache, this->source), "one");
        this->adapter.pass(2ms);
    }
    EXPECT_EQ(this->source.loads, 2);
}

TYPED_TEST_P(CacheContract, a_value_is_loaded_before_its_end_the_likelier_the_longer_that_takes) {
    cache::Options options = this->options();
    options.ttl = 60s;
    options.beta = 1000; // its window is far longer than the time to live
    Texts& cache = this->node(0, options);
    this->source.takes = 60ms;
    (void)this->get(cache, this->source);
    this->adapter.until([&] {
        (void)this->get(cache, this->source);
        return this->source.loads >= 2;
    });
    EXPECT_GE(cache.core().counters().refreshes, 1u);
    EXPECT_EQ(cache.core().counters().stale_hits, 0u);
}

TYPED_TEST_P(CacheContract, a_loader_that_died_is_followed_by_another_when_its_lease_runs_out) {
    cache::Options options = this->options();
    options.lease = 400ms;
    Texts& cache = this->node(0, options);
    const CacheKey key{this->adapter.name, "k", {"t", cache::everything}};
    const auto lease = this->must(this->adapter.store(1).lease(key, "of the dead", 400ms));
    EXPECT_TRUE(lease.granted);
    EXPECT_EQ(this->text(cache, this->source), "one");
    EXPECT_GE(cache.core().counters().waits, 1u);
    EXPECT_EQ(this->source.loads, 1);
}

TYPED_TEST_P(CacheContract, a_lease_is_one_tokens_until_it_is_given_back) {
    CacheStore& store = this->adapter.store(0);
    const CacheKey key{this->adapter.name, "k", {}};
    EXPECT_TRUE(this->must(store.lease(key, "a", 10s)).granted);
    EXPECT_TRUE(this->must(store.lease(key, "a", 10s)).granted) << "asked again";
    EXPECT_FALSE(this->must(store.lease(key, "b", 10s)).granted);
    this->must(store.release(key, "b"));
    EXPECT_FALSE(this->must(store.lease(key, "b", 10s)).granted);
    this->must(store.release(key, "a"));
    EXPECT_TRUE(this->must(store.lease(key, "b", 10s)).granted);
}

TYPED_TEST_P(CacheContract, keys_and_tags_are_any_bytes_within_a_length) {
    Texts& cache = this->node();
    const std::string odd("a{b}:k\n\0%*,= \xff", 15);
    EXPECT_EQ(*this->get(cache, this->source, odd, {odd, "t"}).value, "one");
    EXPECT_EQ(*this->get(cache, this->source, odd, {odd, "t"}).value, "one");
    EXPECT_EQ(this->source.loads, 1);
    cache.outdate(odd, {11, 0});
    this->source.position = {11, 0};
    (void)this->get(cache, this->source, odd, {odd, "t"});
    EXPECT_EQ(this->source.loads, 2);
    for (const std::string& bad : {std::string(), std::string(513, 'k')}) {
        const auto refused = this->adapter.run(cache.get(bad, {"t"}, this->source.loader()));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
    }
}

TYPED_TEST_P(CacheContract, the_process_keeps_no_more_than_its_maximum) {
    cache::Options options = this->options();
    options.memory_max = 20'000;
    Texts& cache = this->node(0, options);
    this->source.value = std::string(1000, 'x');
    for (int i = 0; i < 100; ++i)
        (void)this->get(cache, this->source, std::to_string(i));
    EXPECT_LE(cache.core().local().bytes(), options.memory_max);
    EXPECT_GT(cache.core().local().size(), 3u);
    EXPECT_GT(cache.core().local().evicted(), 50u);
    EXPECT_EQ(this->source.loads, 100);
    EXPECT_EQ(*this->get(cache, this->source, "0").value, this->source.value);
    EXPECT_EQ(this->source.loads, 100) << "the shared part has it";
}

REGISTER_TYPED_TEST_SUITE_P(
    CacheContract, a_value_is_loaded_once_and_then_served_from_the_process,
    another_node_reads_what_one_has_loaded, ten_thousand_parallel_misses_on_two_nodes_are_one_load,
    a_loaders_error_is_given_to_all_who_wait_and_not_kept,
    a_loader_that_throws_is_an_error_to_all_who_wait, what_is_not_there_is_known_for_a_while,
    an_event_outdates_a_value_on_every_node, an_event_that_the_value_has_changes_nothing,
    an_event_between_read_and_write_beats_the_slow_loader,
    who_asks_after_the_event_does_not_join_a_load_from_before_it,
    who_asks_after_a_forget_does_not_join_a_load_from_before_it,
    a_record_of_an_earlier_position_never_replaces_a_later_one,
    a_reader_with_a_min_position_gets_no_earlier_value,
    a_forgotten_tag_ends_all_that_has_it_at_any_position,
    a_stale_value_is_served_while_one_loads_anew,
    a_source_in_trouble_is_not_asked_by_each_who_gets_the_stale_value,
    a_value_is_loaded_before_its_end_the_likelier_the_longer_that_takes,
    a_loader_that_died_is_followed_by_another_when_its_lease_runs_out,
    a_lease_is_one_tokens_until_it_is_given_back, keys_and_tags_are_any_bytes_within_a_length,
    the_process_keeps_no_more_than_its_maximum);

} // namespace netbuild::test
