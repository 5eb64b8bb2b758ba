// SPDX-License-Identifier: Apache-2.0
#pragma once
// The contract of ports/document_store.hpp, run on every adapter: an adapter's test instantiates
// the suite with a type that has `DocumentStore& store()`, a fresh store for each object.
#include <gtest/gtest.h>

#include "model/collections.hpp"
#include "ports/document_store.hpp"
#include "support/run.hpp"

namespace netbuild::test {

inline constexpr std::string_view things = "contract_things";

inline DocumentWrite document(std::string_view collection, std::string id, std::uint64_t lsn,
                              Object members) {
    DocumentWrite write;
    write.collection = collection;
    write.id = id;
    write.lsn = lsn;
    Object body{{"_id", id}};
    for (auto& member : members)
        body.set(member.key, std::move(member.value));
    body.set("sync", Object{{"lsn", static_cast<std::int64_t>(lsn)}});
    write.body = std::make_shared<const Value>(std::move(body));
    write.partition = write.id;
    return write;
}

template <class Adapter>
class DocumentStoreContract : public testing::Test {
protected:
    DocumentStoreContract() {
        const std::vector<CollectionSpec> specs = {
            {std::string(things), {{{"kind", "-rank"}}, {{"at"}}, {{"rank"}}}},
            {std::string(collections::events), {{{"lsn", "ordinal"}}}},
            {std::string(collections::sync_checkpoints), {}}};
        must(context, store().prepare(specs));
        must(context, store().prepare(specs)); // a second time changes nothing
    }
    DocumentStore& store() { return adapter.store(); }
    void apply(std::vector<DocumentWrite> documents, std::vector<DocumentWrite> events = {},
               std::optional<Checkpoint> checkpoint = {}) {
        auto batch = std::make_shared<ApplyBatch>();
        batch->documents = std::move(documents);
        batch->events = std::move(events);
        batch->checkpoint = std::move(checkpoint);
        must(context, store().apply(batch));
    }
    ValuePtr get(std::string id, std::string_view collection = things) {
        return must(context, store().get(collection, {std::move(id)})).front();
    }
    std::vector<std::string> ids(const Query& query) {
        std::vector<std::string> found;
        for (const auto& one : must(context, store().find(query))) {
            found.emplace_back(one->at_path("_id")->string_or());
        }
        return found;
    }
    static Query all() {
        Query query;
        query.collection = things;
        query.limit = 1000;
        return query;
    }

    asio::io_context context;
    Adapter adapter{context};
};
TYPED_TEST_SUITE_P(DocumentStoreContract);

TYPED_TEST_P(DocumentStoreContract, a_document_comes_back_with_every_type) {
    const Object members{{"null", nullptr},
                         {"yes", true},
                         {"int", 7},
                         {"long", std::int64_t{1} << 50},
                         {"double", 1.5},
                         {"text", "ä"},
                         {"at", Date{1'700'000'000'001}},
                         {"bytes", Binary{std::string("\0\1", 2)}},
                         {"list", Array{1, "two"}},
                         {"object", Object{{"a", Object{{"b", Array{}}}}}}};
    this->apply({document(things, "a", 5, members)});
    const ValuePtr found = this->get("a");
    ASSERT_TRUE(found);
    for (const auto& member : members)
        EXPECT_EQ(*found->at_path(member.key), member.value) << member.key;
    EXPECT_FALSE(this->get("b"));
}

TYPED_TEST_P(DocumentStoreContract, an_older_or_equal_position_never_overwrites_or_erases) {
    this->apply({document(things, "a", 5, {{"n", 5}})});
    this->apply({document(things, "a", 4, {{"n", 4}})});
    EXPECT_EQ(*this->get("a")->at_path("n"), Value(5));
    this->apply({document(things, "a", 5, {{"n", 50}})});
    EXPECT_EQ(*this->get("a")->at_path("n"), Value(5));
    DocumentWrite erase = document(things, "a", 5, {});
    erase.kind = DocumentWrite::Kind::erase;
    this->apply({erase});
    EXPECT_TRUE(this->get("a"));
    this->apply({document(things, "a", 6, {{"m", 6}})});
    EXPECT_EQ(*this->get("a")->at_path("m"), Value(6));
    EXPECT_FALSE(this->get("a")->at_path("n")) << "a replacement is whole";
    erase.lsn = 7;
    this->apply({erase});
    EXPECT_FALSE(this->get("a"));
    DocumentWrite strange = document(things, "a", 0, {});
    strange.body = std::make_shared<const Value>(Object{{"_id", "a"}});
    this->apply({strange});
    ASSERT_TRUE(this->get("a"));
    this->apply({erase});
    EXPECT_FALSE(this->get("a")) << "one without a Position gives way";
}

TYPED_TEST_P(DocumentStoreContract, an_event_document_is_kept_as_first_written) {
    DocumentWrite event =
        document(collections::events, "7-0", 7, {{"lsn", std::int64_t{7}}, {"n", 1}});
    event.kind = DocumentWrite::Kind::insert_only;
    this->apply({}, {event});
    event.body = std::make_shared<const Value>(Object{{"_id", "7-0"}, {"n", 2}});
    DocumentWrite second = document(collections::events, "7-1", 7, {{"n", 3}});
    second.kind = DocumentWrite::Kind::insert_only;
    this->apply({}, {event, second});
    EXPECT_EQ(*this->get("7-0", collections::events)->at_path("n"), Value(1));
    EXPECT_EQ(*this->get("7-1", collections::events)->at_path("n"), Value(3));
}

TYPED_TEST_P(DocumentStoreContract,
             a_checkpoint_moves_forward_only_and_ends_a_load_at_its_own_position) {
    Checkpoint checkpoint;
    checkpoint.slot = "netbuild";
    checkpoint.position = Position::at(1, Lsn{100});
    checkpoint.source = {"wal", "7300", 2};
    checkpoint.at_us = 5'000'000;
    EXPECT_FALSE(must(this->context, this->store().checkpoint("engine")));
    this->apply({}, {}, checkpoint);
    LoadState load;
    load.id = "first";
    load.after = "instance-7";
    load.base = 41;
    load.same_history = true;
    checkpoint.loads = {load};
    this->apply({}, {}, checkpoint);
    auto stored = must(this->context, this->store().checkpoint("engine"));
    ASSERT_TRUE(stored);
    EXPECT_FALSE(stored->model_complete());
    ASSERT_EQ(stored->loads.size(), 1u);
    EXPECT_EQ(stored->loads.front().after, "instance-7");
    EXPECT_EQ(stored->loads.front().base, 41u);
    EXPECT_TRUE(stored->loads.front().all);
    EXPECT_TRUE(stored->loads.front().same_history);
    EXPECT_EQ(stored->position, checkpoint.position);
    EXPECT_EQ(stored->source, checkpoint.source);
    EXPECT_EQ(stored->slot, "netbuild");
    checkpoint.position = Position::at(1, Lsn{99});
    this->apply({}, {}, checkpoint);
    EXPECT_EQ(must(this->context, this->store().checkpoint("engine"))->position,
              Position::at(1, Lsn{100}));
    must(this->context, this->store().erase_checkpoint("engine"));
    EXPECT_FALSE(must(this->context, this->store().checkpoint("engine")));
}

TYPED_TEST_P(DocumentStoreContract, after_a_later_claim_the_batches_of_earlier_ones_are_refused) {
    auto& store = this->store();
    const auto first = must(this->context, store.claim("engine"));
    EXPECT_GT(first, 0u);
    EXPECT_FALSE(must(this->context, store.checkpoint("engine"))) << "a claim is no checkpoint";
    Checkpoint checkpoint;
    checkpoint.generation = first;
    checkpoint.position = Position::at(0, Lsn{100});
    this->apply({document(things, "a", 100, {})}, {}, checkpoint);
    const auto second = must(this->context, store.claim("engine"));
    EXPECT_GT(second, first);
    EXPECT_EQ(must(this->context, store.checkpoint("engine"))->position, checkpoint.position)
        << "a claim leaves the place as it is";
    const auto refused = [&](std::optional<Checkpoint> moved, std::optional<Fence> fence) {
        auto batch = std::make_shared<ApplyBatch>();
        if (fence) batch->documents = {document(things, "b", 200, {})};
        batch->checkpoint = std::move(moved);
        batch->fence = std::move(fence);
        const auto outcome = run(this->context, store.apply(batch));
        return !outcome && outcome.error().code() == ErrorCode::conflict;
    };
    checkpoint.position = Position::at(0, Lsn{200});
    EXPECT_TRUE(refused(checkpoint, {}));
    EXPECT_TRUE(refused({}, Fence{"engine", first}));
    EXPECT_TRUE(refused(checkpoint, Fence{"engine", first}));
    EXPECT_FALSE(this->get("b")) << "nothing of a refused batch is written";
    EXPECT_EQ(must(this->context, store.checkpoint("engine"))->position, Position::at(0, Lsn{100}));
    checkpoint.generation = second;
    EXPECT_FALSE(refused(checkpoint, Fence{"engine", second}));
    EXPECT_TRUE(this->get("b"));
    EXPECT_EQ(must(this->context, store.checkpoint("engine"))->position, checkpoint.position);
    EXPECT_FALSE(refused({}, Fence{"another", 0})) << "each engine has its own claims";
}

TYPED_TEST_P(DocumentStoreContract, a_batch_again_changes_nothing) {
    for (int round = 0; round < 3; ++round) {
        this->apply({document(things, "a", 5, {{"n", 1}}), document(things, "b", 6, {{"n", 2}})});
    }
    EXPECT_EQ(must(this->context, this->store().count(things, {})), 2u);
    EXPECT_EQ(*this->get("b")->at_path("n"), Value(2));
}

TYPED_TEST_P(DocumentStoreContract, filters_find_exactly_what_matches) {
    this->apply(
        {document(things, "a", 1,
                  {{"kind", "x"}, {"rank", 1}, {"v", Object{{"n", "hello"}}}, {"map", Object{}}}),
         document(things, "b", 1,
                  {{"kind", "x"}, {"rank", 2}, {"v", Object{{"n", 7}}}, {"map", Object{{"k", 1}}}}),
         document(things, "c", 1, {{"kind", nullptr}, {"rank", 3}, {"list", Array{"p", "q"}}}),
         document(things, "d", 1, {{"kind", "y.z*"}, {"at", Date{50}}})});
    using Op = Condition::Operator;
    const auto with = [&](std::vector<Condition> all) {
        Query query = this->all();
        query.filter.all = std::move(all);
        return this->ids(query);
    };
    using Ids = std::vector<std::string>;
    EXPECT_EQ(with({}), (Ids{"a", "b", "c", "d"}));
    EXPECT_EQ(with({{"kind", Op::equal, "x"}}), (Ids{"a", "b"}));
    EXPECT_EQ(with({{"kind", Op::equal, nullptr}}), (Ids{"c"}));
    EXPECT_EQ(with({{"kind", Op::not_equal, "x"}}), (Ids{"c", "d"}));
    EXPECT_EQ(with({{"kind", Op::in, Array{"x", "nope"}}, {"rank", Op::greater, 1}}), (Ids{"b"}));
    EXPECT_EQ(with({{"rank", Op::less_or_equal, 2}}), (Ids{"a", "b"}));
    EXPECT_EQ(with({{"rank", Op::greater_or_equal, std::int64_t{3}}}), (Ids{"c"}));
    EXPECT_EQ(with({{"v.n", Op::equal, "hello"}}), (Ids{"a"}));
    EXPECT_EQ(with({{"v.n", Op::less, 8}}), (Ids{"b"}));
    EXPECT_EQ(with({{"v.n", Op::like, "h*l*"}}), (Ids{"a"}));
    EXPECT_EQ(with({{"kind", Op::like, "y.*"}}), (Ids{"d"}));
    EXPECT_EQ(with({{"list", Op::equal, "q"}}), (Ids{"c"}));
    EXPECT_EQ(with({{"v", Op::exists, true}}), (Ids{"a", "b"}));
    EXPECT_EQ(with({{"kind", Op::exists, true}}), (Ids{"a", "b", "c", "d"}));
    EXPECT_EQ(with({{"map", Op::empty, true}}), (Ids{"a", "c", "d"}))
        << "what is not there has no members";
    EXPECT_EQ(with({{"map", Op::empty, false}}), (Ids{"b"}));
    EXPECT_EQ(with({{"at", Op::greater, Date{49}}}), (Ids{"d"}));
    EXPECT_EQ(with({{"at", Op::greater, 49}}), (Ids{})) << "a number is no date";
    EXPECT_EQ(with({{"_id", Op::equal, "c"}}), (Ids{"c"}));
    Query either = this->all();
    either.filter.any_of = {{{"rank", Op::equal, 1}, {"rank", Op::equal, 3}}};
    EXPECT_EQ(this->ids(either), (Ids{"a", "c"}));
    EXPECT_EQ(must(this->context, this->store().count(things, either.filter)), 2u);
    EXPECT_EQ(must(this->context, this->store().erase(things, either.filter)), 2u);
    EXPECT_EQ(with({}), (Ids{"b", "d"}));
}

TYPED_TEST_P(DocumentStoreContract, pages_follow_each_other_without_gap_or_double) {
    std::vector<DocumentWrite> documents;
    for (int i = 0; i < 23; ++i) {
        Object members{{"kind", i % 2 ? "odd" : "even"}};
        if (i % 5 != 0) members.set("rank", i / 4); // doubled ranks, and some without
        documents.push_back(document(things, "id" + std::to_string(i), 1, std::move(members)));
    }
    this->apply(std::move(documents));
    for (const std::vector<SortKey>& sort :
         std::vector<std::vector<SortKey>>{{},
                                           {{"rank", true}},
                                           {{"rank", false}},
                                           {{"kind", false}, {"rank", true}},
                                           {{"unindexed", true}}}) {
        Query whole = this->all();
        whole.sort = sort;
        const auto expected = this->ids(whole);
        EXPECT_EQ(expected.size(), 23u);
        std::vector<std::string> paged;
        Query page = whole;
        page.limit = 4;
        while (true) {
            const auto found = must(this->context, this->store().find(page));
            for (const auto& one : found)
                paged.emplace_back(one->at_path("_id")->string_or());
            if (found.size() < page.limit) break;
            page.after.clear();
            for (const SortKey& key : sort) {
                const Value* value = found.back()->at_path(key.path);
                page.after.push_back(value ? *value : Value());
            }
            page.after.push_back(*found.back()->at_path("_id"));
        }
        EXPECT_EQ(paged, expected);
    }
}

TYPED_TEST_P(DocumentStoreContract, members_can_be_left_out_and_queries_share_a_snapshot) {
    this->apply(
        {document(things, "a", 1, {{"big", "x"}, {"in", Object{{"big", "y"}, {"small", 1}}}})});
    Query query = this->all();
    query.without = {"big", "in.big"};
    const auto answers = must(this->context, this->store().find_together({query, this->all()}));
    ASSERT_EQ(answers.size(), 2u);
    EXPECT_FALSE(answers[0].front()->at_path("big"));
    EXPECT_FALSE(answers[0].front()->at_path("in.big"));
    EXPECT_EQ(*answers[0].front()->at_path("in.small"), Value(1));
    EXPECT_TRUE(answers[1].front()->at_path("big"));
}

REGISTER_TYPED_TEST_SUITE_P(DocumentStoreContract, a_document_comes_back_with_every_type,
                            an_older_or_equal_position_never_overwrites_or_erases,
                            an_event_document_is_kept_as_first_written,
                            a_checkpoint_moves_forward_only_and_ends_a_load_at_its_own_position,
                            after_a_later_claim_the_batches_of_earlier_ones_are_refused,
                            a_batch_again_changes_nothing, filters_find_exactly_what_matches,
                            pages_follow_each_other_without_gap_or_double,
                            members_can_be_left_out_and_queries_share_a_snapshot);

} // namespace netbuild::test
