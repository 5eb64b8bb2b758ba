// SPDX-License-Identifier: Apache-2.0
#pragma once
// What task snapshots promise, on every store: an adapter's test instantiates the suite with a type
// that has `RecordStore& records()` and `DocumentStore& documents()` of one fresh database.
#include <set>

#include <gtest/gtest.h>

#include "data/schema.hpp"
#include "data/snapshot_records.hpp"
#include "model/collections.hpp"
#include "snapshots/links.hpp"
#include "snapshots/task_snapshots.hpp"
#include "snapshots/verify_snapshots.hpp"
#include "support/mortal_records.hpp"
#include "support/run.hpp"
#include "wire/canonical_json.hpp"
#include "wire/json.hpp"
#include "wire/sha256.hpp"

namespace netbuild::test {

using snapshots::Link;

/// The same collection without its guard, for who tampers with it.
inline constexpr Collection open_snapshots = [] {
    Collection open = data::task_snapshots;
    open.append_only = false;
    return open;
}();

template <class Adapter>
class SnapshotsContract : public testing::Test {
protected:
    SnapshotsContract() {
        must(context, data::apply_schema(adapter.records(), {}));
        const std::vector<CollectionSpec> specs{
            {std::string(collections::task_completions), {{{"lsn", "ordinal"}}}},
            {std::string(collections::tasks), {}},
            {std::string(collections::workflow_executions), {}},
            {std::string(collections::sync_checkpoints), {}}};
        must(context, adapter.documents().prepare(specs));
    }

    /// As the pipeline writes it down: with the checkpoint, or before it.
    void complete(std::string instance, std::string task, std::uint64_t lsn, bool durable = true) {
        const Position position{lsn, 3};
        DocumentWrite write;
        write.kind = DocumentWrite::Kind::insert_only;
        write.collection = collections::task_completions;
        write.id = to_string(position);
        write.lsn = lsn;
        write.body = std::make_shared<const Value>(Object{
            {"_id", write.id},
            {"lsn", static_cast<std::int64_t>(lsn)},
            {"ordinal", 3},
            {"at", Date{1'700'000'000'000 + static_cast<std::int64_t>(lsn)}},
            {"processInstanceId", instance.empty() ? Value() : Value(instance)},
            {"executionId", "order-" + instance},
            {"domainId", "acme"},
            {"taskId", task},
            {"task", Object{{"_id", task},
                            {"name", "Check"},
                            {"variables", Object{}},
                            {"sync", Object{{"lsn", static_cast<std::int64_t>(lsn)}}}}},
            {"variables",
             Object{{"amount", 1.5}, {"big%2Eone", std::int64_t{1} << 60}, {"when", Date{0}}}}});
        auto batch = std::make_shared<ApplyBatch>();
        batch->events.push_back(std::move(write));
        if (durable) {
            batch->checkpoint = Checkpoint{};
            batch->checkpoint->position = Position{lsn, 9};
        }
        must(context, adapter.documents().apply(std::move(batch)));
    }
    /// Three process instances with tasks that complete in turn, 1 to 9.
    void three_chains() {
        for (std::uint64_t i = 1; i <= 9; ++i)
            complete("i" + std::to_string(i % 3), "t" + std::to_string(i), 100 + i);
        take_all();
    }
    std::size_t take_all() {
        std::size_t all = 0;
        while (const std::size_t some = must(context, service.take_completed()))
            all += some;
        return all;
    }
    snapshots::SnapshotReport verify(std::string head = {}) {
        return must(context, snapshots::verify_snapshots(adapter.records(), std::move(head), {}));
    }
    ValuePtr at(std::int64_t sequence) {
        return must(context,
                    adapter.records().first(
                        {.collection = &data::task_snapshots,
                         .where = {{"sequence", RecordCondition::Operator::equal, sequence}}}));
    }
    ValuePtr stored(std::string id) {
        return must(context, adapter.records().one(data::task_snapshots, std::move(id)));
    }
    void commit(std::vector<RecordWrite> writes) {
        must(context, adapter.records().commit(std::move(writes)));
    }
    void replace(const Value& record, Object body) {
        commit({RecordWrite::replace(open_snapshots, record_id(record), record_version(record),
                                     std::move(body))});
    }
    /// The record with another content, hashes and all, as who knows the form would make it.
    static Object forged(const Value& record, std::string_view from, std::string_view to) {
        Object body = record_body(record);
        std::string text(body.find("content")->string_or());
        text.replace(text.find(from), from.size(), to);
        Link link = snapshots::link_of(record);
        link.content_hash = sha256_hex(text);
        body.set("content", text);
        body.set("contentHash", link.content_hash);
        body.set("hash", link.hash());
        return body;
    }

    asio::io_context context;
    Adapter adapter;
    SystemClock clock;
    Random random = Random::from_system();
    snapshots::TaskSnapshots service{
        {adapter.records(), adapter.documents(), clock, random, "engine"}};
};
TYPED_TEST_SUITE_P(SnapshotsContract);

TYPED_TEST_P(SnapshotsContract, completed_tasks_become_links_that_anybody_can_check) {
    this->three_chains();
    std::string in_all = snapshots::no_hash;
    std::map<std::string, std::pair<std::int64_t, std::string>> chains;
    for (std::int64_t sequence = 1; sequence <= 9; ++sequence) {
        const Value shown = snapshots::shown_snapshot(*this->at(sequence));
        const auto text = [&](const char* key) {
            return std::string(shown.at_path(key)->string_or());
        };
        auto& [number, hash] =
            chains.try_emplace(text("chain"), 0, snapshots::no_hash).first->second;
        EXPECT_EQ(text("previousHash"), hash);
        EXPECT_EQ(text("previousInAll"), in_all);
        EXPECT_EQ(shown.at_path("number")->integer_or(), ++number);
        EXPECT_EQ(text("contentHash"), sha256_hex(canonical_json(*shown.at_path("content"))));
        Object place = *shown.template get_if<Object>();
        place.erase("content");
        place.erase("hash");
        EXPECT_EQ(text("hash"), sha256_hex(canonical_json(place)));
        hash = in_all = text("hash");
    }
    EXPECT_EQ(chains.size(), 3u);
    const Value first = snapshots::shown_snapshot(*this->at(1));
    EXPECT_EQ(
        to_json(*first.at_path("content")),
        R"({"domainId":"acme","executionId":"order-i1","id":"101-3","position":"101-3",)"
        R"("processInstanceId":"i1","reason":"completed","takenAt":"2023-11-14T22:13:20.101Z",)"
        R"("takenBy":null,"task":{"id":"t1","name":"Check","variables":{}},"taskId":"t1",)"
        R"("variables":{"amount":1.5,"big.one":{"$numberLong":"1152921504606846976"},)"
        R"("when":"1970-01-01T00:00:00.000Z"}})");
    const auto report = this->verify();
    EXPECT_EQ(report.snapshots, 9u);
    EXPECT_EQ(report.chains, 3u);
    EXPECT_FALSE(report.first);
    EXPECT_EQ(report.head_sequence, 9);
}

TYPED_TEST_P(SnapshotsContract, what_was_written_down_is_taken_once_and_not_before_it_is_durable) {
    this->complete("i1", "t1", 101);
    this->complete("i1", "t2", 102, false);
    EXPECT_EQ(this->take_all(), 1u);
    EXPECT_EQ(this->verify().snapshots, 1u);
    this->complete("i1", "t1", 101); // a replay writes it down again
    this->complete("i1", "t3", 103);
    EXPECT_EQ(this->take_all(), 3u);
    EXPECT_EQ(this->take_all(), 0u);
    EXPECT_EQ(this->verify().snapshots, 3u);
    EXPECT_FALSE(this->verify().first);
    EXPECT_EQ(
        must(this->context, this->adapter.documents().count(collections::task_completions, {})),
        0u);
}

TYPED_TEST_P(SnapshotsContract, a_store_that_fails_at_any_call_loses_none_and_takes_none_twice) {
    using Moment = MortalRecords::Moment;
    std::uint64_t lsn = 100, expected = 0;
    for (const bool mortal : {false, true}) {
        for (const Moment moment : {Moment::before, Moment::lost, Moment::after}) {
            for (int fatal = 0;; ++fatal) {
                for (int i = 0; i < 3; ++i, ++expected)
                    this->complete("i" + std::to_string(i % 2), "t", ++lsn);
                MortalRecords failing(this->adapter.records(), fatal, moment, mortal);
                snapshots::TaskSnapshots service(
                    {failing, this->adapter.documents(), this->clock, this->random, "engine"});
                (void)run(this->context, service.take_completed());
                this->take_all(); // the next process
                const auto report = this->verify();
                ASSERT_EQ(report.snapshots, expected) << fatal;
                ASSERT_FALSE(report.first) << report.first->what;
                if (!failing.reached()) {
                    EXPECT_GE(fatal, 4) << "there are more calls than that";
                    break;
                }
            }
        }
    }
}

TYPED_TEST_P(SnapshotsContract, takers_at_a_time_make_one_chain) {
    for (std::uint64_t i = 1; i <= 40; ++i)
        this->complete("i" + std::to_string(i % 2), "t" + std::to_string(i), 100 + i);
    snapshots::TaskSnapshots other(
        {this->adapter.records(), this->adapter.documents(), this->clock, this->random, "engine"});
    int ended = 0;
    const auto count = [&](std::exception_ptr, auto outcome) {
        EXPECT_TRUE(outcome) << outcome.error().message();
        ++ended;
    };
    auto batch = std::make_shared<ApplyBatch>();
    DocumentWrite task;
    task.collection = collections::tasks;
    task.id = "open";
    task.lsn = 7;
    task.body = std::make_shared<const Value>(Object{{"_id", "open"},
                                                     {"processInstanceId", "i1"},
                                                     {"domainId", "acme"},
                                                     {"variables", Object{}},
                                                     {"sync", Object{{"lsn", std::int64_t{7}}}}});
    batch->parts.push_back(std::move(task));
    must(this->context, this->adapter.documents().apply(batch));
    asio::co_spawn(this->context, this->service.take_completed(), count);
    asio::co_spawn(this->context, other.take_completed(), count);
    for (int i = 0; i < 6; ++i)
        asio::co_spawn(
            this->context,
            other.take(
                {.subject = "tester", .key = "k" + std::to_string(i / 2), .fingerprint = "f"},
                "open"),
            count);
    this->context.restart();
    while (ended < 8 && this->context.run_one() > 0) {
    }
    this->take_all();
    const auto report = this->verify();
    EXPECT_EQ(report.snapshots, 43u); // three keys
    EXPECT_FALSE(report.first) << report.first->what;
}

TYPED_TEST_P(SnapshotsContract, on_demand_it_holds_the_task_and_its_executions_variables) {
    const auto plant = [&](std::string_view collection, Object body) {
        auto batch = std::make_shared<ApplyBatch>();
        DocumentWrite write;
        write.collection = collection;
        write.id = body.find("_id")->string_or();
        write.lsn = static_cast<std::uint64_t>(body.find("sync")->at_path("lsn")->integer_or());
        write.body = std::make_shared<const Value>(std::move(body));
        batch->documents.push_back(std::move(write));
        must(this->context, this->adapter.documents().apply(batch));
    };
    plant(collections::tasks, {{"_id", "t1"},
                               {"processInstanceId", "i1"},
                               {"executionId", "order-1"},
                               {"domainId", "acme"},
                               {"name", "Check"},
                               {"variables", Object{{"a%24b", 1}}},
                               {"sync", Object{{"lsn", std::int64_t{41}}}}});
    plant(collections::workflow_executions, {{"_id", "i1"},
                                             {"variables", Object{{"x%2Ey", "z"}}},
                                             {"sync", Object{{"lsn", std::int64_t{42}}}}});
    const auto take = [&](std::string key, std::string task) {
        return run(
            this->context,
            this->service.take({.subject = "tester", .key = std::move(key), .fingerprint = "f"},
                               std::move(task)));
    };
    EXPECT_EQ(take("k0", "none").error().code(), ErrorCode::not_found);
    EXPECT_EQ(must(this->context, this->service.domain_of("t1")), "acme");
    const auto first = take("k1", "t1");
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_EQ(take("k1", "t1")->body, first->body);
    EXPECT_NE(take("k2", "t1")->body, first->body);
    const std::string id(parse_json(first->body)->at_path("id")->string_or());
    const Value shown = snapshots::shown_snapshot(*must(this->context, this->service.one(id)));
    EXPECT_EQ(*shown.at_path("content.position"), Value("42-0"));
    EXPECT_EQ(*shown.at_path("content.reason"), Value("requested"));
    EXPECT_EQ(*shown.at_path("content.takenBy"), Value("tester"));
    EXPECT_EQ(*shown.at_path("content.variables"), Value(Object{{"x.y", "z"}}));
    EXPECT_EQ(*shown.at_path("content.task.variables"), Value(Object{{"a$b", 1}}));
    EXPECT_FALSE(shown.at_path("content.task.sync"));
    const auto listed = [&](snapshots::TaskSnapshots::Wish wish, Scope scope) {
        return must(this->context, this->service.list(std::move(wish), std::move(scope)))
            .items.size();
    };
    EXPECT_EQ(listed({.task_id = "t1"}, Scope::everything()), 2u);
    EXPECT_EQ(listed({.execution_id = "order-1"}, {.domains = {"acme"}}), 2u);
    EXPECT_EQ(listed({}, {.domains = {"umbra"}}), 0u);
    EXPECT_EQ(this->verify().snapshots, 2u);
    EXPECT_FALSE(this->verify().first);
}

TYPED_TEST_P(SnapshotsContract, no_port_method_changes_one) {
    this->three_chains();
    const ValuePtr record = this->at(4);
    const auto code = [&](RecordWrite write) {
        return run(this->context, this->adapter.records().commit(std::move(write))).error().code();
    };
    EXPECT_EQ(code(RecordWrite::replace(data::task_snapshots, record_id(*record), 1,
                                        record_body(*record))),
              ErrorCode::unsupported);
    EXPECT_EQ(code(RecordWrite::erase(data::task_snapshots, record_id(*record), 1)),
              ErrorCode::unsupported);
    EXPECT_EQ(
        must(this->context, data::remove_expired(this->adapter.records(), Date{4'102'444'800'000})),
        0u);
}

// --- whoever tampers

TYPED_TEST_P(SnapshotsContract, a_changed_snapshot_is_found_and_named) {
    this->three_chains();
    const ValuePtr record = this->at(4);
    const Object original = record_body(*record);
    const std::pair<const char*, Value> changes[] = {
        {"content", "{}"},
        {"contentHash", std::string(64, '1')},
        {"hash", std::string(64, '1')},
        {"previousHash", std::string(64, '1')},
        {"previousInAll", std::string(64, '1')},
        {"chain", "i9"},
        {"number", std::int64_t{7}},
        {"sequence", std::int64_t{77}},
        {"taskId", "t9"},
        {"domainId", "umbra"},
    };
    for (const auto& [field, value] : changes) {
        Object body = original;
        body.set(field, value);
        this->replace(*this->stored(record_id(*record)), body);
        const auto report = this->verify();
        ASSERT_TRUE(report.first) << field;
        EXPECT_TRUE(report.first->id == record_id(*record) || report.first->sequence == 4) << field;
        this->replace(*this->stored(record_id(*record)), original);
    }
    // As it was, but for the version, which tells that it was touched.
    const auto report = this->verify();
    ASSERT_TRUE(report.first);
    EXPECT_EQ(report.first->sequence, 4);
    EXPECT_EQ(report.first->what, "it was replaced");
    EXPECT_EQ(report.broken_count, 1u);
}

TYPED_TEST_P(SnapshotsContract, one_that_was_made_anew_with_its_hashes_breaks_what_follows) {
    this->three_chains();
    for (const std::int64_t sequence : {1, 5, 7, 9}) { // 7 and 9 are the last of their chains
        const ValuePtr record = this->at(sequence);
        Object forged = this->forged(*record, "Check", "Chuck");
        // Put there as if it were new, so that its version tells nothing.
        this->commit(
            {RecordWrite::erase(open_snapshots, record_id(*record), record_version(*record))});
        this->commit({RecordWrite::insert(open_snapshots, record_id(*record), forged)});
        const auto report = this->verify();
        ASSERT_TRUE(report.first) << sequence;
        EXPECT_EQ(report.first->sequence, std::min<std::int64_t>(sequence + 1, 9)) << sequence;
        this->commit({RecordWrite::erase(open_snapshots, record_id(*record), 1)});
        this->commit(
            {RecordWrite::insert(open_snapshots, record_id(*record), record_body(*record))});
        ASSERT_FALSE(this->verify().first);
    }
}

TYPED_TEST_P(SnapshotsContract, a_removed_one_is_found_be_it_the_first_the_last_or_a_whole_chain) {
    this->three_chains();
    const auto remove = [&](std::vector<std::int64_t> sequences) {
        std::vector<ValuePtr> removed;
        for (const std::int64_t sequence : sequences) {
            removed.push_back(this->at(sequence));
            this->commit({RecordWrite::erase(open_snapshots, record_id(*removed.back()), 1)});
        }
        const auto report = this->verify();
        EXPECT_TRUE(report.first);
        EXPECT_EQ(report.first ? report.first->sequence : 0, sequences.front());
        for (const ValuePtr& record : removed)
            this->commit(
                {RecordWrite::insert(open_snapshots, record_id(*record), record_body(*record))});
        EXPECT_FALSE(this->verify().first);
    };
    remove({1});
    remove({5});
    remove({9});
    remove({8, 9});
    remove({2, 5, 8});
    remove({1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TYPED_TEST_P(SnapshotsContract, an_inserted_one_is_found) {
    this->three_chains();
    // Behind all, with right hashes.
    const ValuePtr newest = this->at(9);
    Link link = snapshots::link_of(*newest);
    link.previous_hash = link.previous_in_all = newest->at_path("hash")->string_or();
    ++link.sequence;
    ++link.number;
    link.id = "109-4";
    Object body = record_body(*newest);
    std::string text(body.find("content")->string_or());
    text.replace(text.find(R"("id":"109-3")"), 12, R"("id":"109-4")");
    link.content_hash = sha256_hex(text);
    body.set("content", text);
    body.set("contentHash", link.content_hash);
    body.set("previousHash", link.previous_hash);
    body.set("previousInAll", link.previous_in_all);
    body.set("sequence", link.sequence);
    body.set("number", link.number);
    body.set("hash", link.hash());
    this->commit({RecordWrite::insert(open_snapshots, link.id, body)});
    auto report = this->verify();
    ASSERT_TRUE(report.first);
    EXPECT_EQ(report.first->id, "109-4");
    EXPECT_EQ(report.first->what, "it was inserted: the head does not know it");
    this->commit({RecordWrite::erase(open_snapshots, link.id, 1)});
    // In front of all, as a chain of its own.
    body.set("sequence", std::int64_t{0});
    body.set("chain", "i9");
    body.set("number", std::int64_t{1});
    this->commit({RecordWrite::insert(open_snapshots, link.id, body)});
    report = this->verify();
    ASSERT_TRUE(report.first);
    EXPECT_EQ(report.first->id, "109-4");
}

TYPED_TEST_P(SnapshotsContract, reordered_ones_are_found) {
    this->three_chains();
    const ValuePtr one = this->at(4), other = this->at(7); // of one chain
    Object as_one = record_body(*other), as_other = record_body(*one);
    for (const char* place : {"sequence", "number", "previousHash", "previousInAll"}) {
        as_one.set(place, *one->at_path(place));
        as_other.set(place, *other->at_path(place));
    }
    this->commit({RecordWrite::erase(open_snapshots, record_id(*one), 1),
                  RecordWrite::erase(open_snapshots, record_id(*other), 1)});
    this->commit({RecordWrite::insert(open_snapshots, record_id(*one), as_other),
                  RecordWrite::insert(open_snapshots, record_id(*other), as_one)});
    const auto report = this->verify();
    ASSERT_TRUE(report.first);
    EXPECT_EQ(report.first->sequence, 4);
}

TYPED_TEST_P(SnapshotsContract,
             without_its_head_or_against_a_head_that_was_kept_all_is_in_question) {
    this->three_chains();
    const auto before = this->verify();
    const std::string kept = std::to_string(before.head_sequence) + ":" + before.head_hash;
    this->complete("i1", "t10", 110);
    this->take_all();
    EXPECT_FALSE(this->verify(kept).first);
    std::string wrong = kept;
    wrong.back() = wrong.back() == '0' ? '1' : '0';
    ASSERT_TRUE(this->verify(wrong).first);
    EXPECT_EQ(this->verify(wrong).first->sequence, 9);
    ASSERT_TRUE(this->verify("99" + kept).first);
    EXPECT_EQ(run(this->context, snapshots::verify_snapshots(this->adapter.records(), "x", {}))
                  .error()
                  .code(),
              ErrorCode::invalid_argument);
    const auto head =
        must(this->context, this->adapter.records().one(data::snapshot_heads, "head"));
    this->commit({RecordWrite::erase(data::snapshot_heads, "head", record_version(*head))});
    ASSERT_TRUE(this->verify().first);
    EXPECT_EQ(this->verify().first->what, "the head was removed");
}

REGISTER_TYPED_TEST_SUITE_P(SnapshotsContract, completed_tasks_become_links_that_anybody_can_check,
                            what_was_written_down_is_taken_once_and_not_before_it_is_durable,
                            a_store_that_fails_at_any_call_loses_none_and_takes_none_twice,
                            takers_at_a_time_make_one_chain,
                            on_demand_it_holds_the_task_and_its_executions_variables,
                            no_port_method_changes_one, a_changed_snapshot_is_found_and_named,
                            one_that_was_made_anew_with_its_hashes_breaks_what_follows,
                            a_removed_one_is_found_be_it_the_first_the_last_or_a_whole_chain,
                            an_inserted_one_is_found, reordered_ones_are_found,
                            without_its_head_or_against_a_head_that_was_kept_all_is_in_question);

} // namespace netbuild::test
