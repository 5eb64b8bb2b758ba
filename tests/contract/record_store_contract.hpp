// SPDX-License-Identifier: Apache-2.0
#pragma once
// The contract of ports/record_store.hpp, run on every adapter: an adapter's test instantiates the
// suite with a type that has `RecordStore& store()`, a fresh store for each object.
#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "data/schema.hpp"
#include "ports/record_store.hpp"
#include "support/run.hpp"

namespace netbuild::test {

inline constexpr Field note_fields[] = {
    {.name = "topic", .required = true, .personal = true},
    {.name = "rank", .type = FieldType::integer, .required = true},
    {.name = "body", .required = true},
    {.name = "clientId"},
    {.name = "until", .type = FieldType::date},
    {.name = "extra", .type = FieldType::json},
};
inline constexpr RecordIndex note_indexes[] = {
    {.fields = {"topic", "rank"}, .reason = "a topic's notes in order"},
    {.fields = {"topic", "clientId"}, .unique = true, .reason = "no note twice"},
    {.fields = {"until"}, .reason = "what has expired"},
};
inline constexpr RecordIndex fewer_note_indexes[] = {note_indexes[0]};
/// `body`, `id` and the like are names that a table could have for itself.
inline constexpr Collection notes{.name = "contract_notes",
                                  .holds = "a note",
                                  .fields = note_fields,
                                  .indexes = note_indexes,
                                  .expires = "until"};
inline constexpr Collection notes_before{.name = "contract_notes",
                                         .holds = "a note",
                                         .fields = std::span(note_fields).first(5),
                                         .indexes = fewer_note_indexes};
inline constexpr RecordIndex ledger_indexes[] = {
    {.fields = {"topic", "rank"}, .unique = true, .reason = "an order that needs no _id"},
};
inline constexpr Collection ledger{.name = "contract_ledger",
                                   .holds = "what is never changed",
                                   .fields = std::span(note_fields).first(3),
                                   .indexes = ledger_indexes,
                                   .append_only = true,
                                   .searched = "body"};
inline constexpr Collection ledger_before{.name = "contract_ledger",
                                          .holds = "what is never changed",
                                          .fields = std::span(note_fields).first(3),
                                          .indexes = ledger_indexes,
                                          .append_only = true};

template <class Adapter>
class RecordStoreContract : public testing::Test {
protected:
    static constexpr Collection both[] = {notes, ledger};

    RecordStoreContract() { bring(both); }

    RecordStore& store() { return adapter.store(); }
    std::vector<std::string> changes(std::span<const Collection> collections) {
        std::vector<std::string> texts;
        for (const auto& change : must(context, store().schema_changes(collections)))
            texts.push_back(change.text());
        return texts;
    }
    void bring(std::span<const Collection> collections) {
        for (auto& change : must(context, store().schema_changes(collections)))
            must(context, store().apply(change, {}));
    }
    static Object note(std::string topic, std::int64_t rank, Object more = {}) {
        Object body{{"topic", std::move(topic)}, {"rank", rank}, {"body", "…"}};
        for (auto& member : more)
            body.set(member.key, std::move(member.value));
        return body;
    }
    result<void> commit(std::vector<RecordWrite> writes) {
        return run(context, store().commit(std::move(writes)));
    }
    ErrorCode refused(std::vector<RecordWrite> writes) {
        const auto outcome = commit(std::move(writes));
        return outcome ? ErrorCode::internal : outcome.error().code();
    }
    void insert(std::string id, Object body) {
        must(context, store().commit(RecordWrite::insert(notes, std::move(id), std::move(body))));
    }
    ValuePtr get(std::string id) {
        return must(context, store().get(notes, {std::move(id)})).front();
    }
    RecordPage page(RecordQuery query) { return must(context, store().find(std::move(query))); }
    static std::vector<std::string> ids(const RecordPage& page) {
        std::vector<std::string> found;
        for (const auto& record : page.items)
            found.push_back(record_id(*record));
        return found;
    }
    static RecordQuery by_rank(std::size_t limit = 50) {
        return {.collection = &notes,
                .where = {{.field = "topic", .value = "a"}},
                .sort = {"topic", "rank"},
                .limit = limit};
    }

    asio::io_context context;
    Adapter adapter{context};
};
TYPED_TEST_SUITE_P(RecordStoreContract);

TYPED_TEST_P(RecordStoreContract, a_record_comes_back_with_its_id_and_version_1) {
    const Object body = this->note("a", 1,
                                   {{"extra", Object{{"n", 1.5}, {"list", Array{true, "ä"}}}},
                                    {"until", Date{1'700'000'000'001}}});
    this->insert("n1", body);
    const ValuePtr record = this->get("n1");
    ASSERT_TRUE(record);
    EXPECT_EQ(record_id(*record), "n1");
    EXPECT_EQ(record_version(*record), 1);
    EXPECT_EQ(record_body(*record), body);
    EXPECT_FALSE(this->get("n2"));
    const auto several = must(this->context, this->store().get(notes, {"n2", "n1", "n1"}));
    EXPECT_FALSE(several[0]);
    EXPECT_TRUE(several[1] && several[2]);
    EXPECT_EQ(run(this->context, this->store().one(notes, "n2")).error().code(),
              ErrorCode::not_found);
}

TYPED_TEST_P(RecordStoreContract, an_id_and_a_unique_index_are_taken_once) {
    this->insert("n1", this->note("a", 1, {{"clientId", "c"}}));
    EXPECT_EQ(this->refused({RecordWrite::insert(notes, "n1", this->note("b", 2))}),
              ErrorCode::already_exists);
    const auto taken =
        this->commit({RecordWrite::insert(notes, "n2", this->note("a", 2, {{"clientId", "c"}}))});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code(), ErrorCode::already_exists);
    EXPECT_EQ(taken.error().detail(), "contract_notes.topic, contract_notes.clientId");
    // Another topic, and records without the field: the index does not bind them.
    this->insert("n3", this->note("b", 2, {{"clientId", "c"}}));
    this->insert("n4", this->note("a", 3));
    this->insert("n5", this->note("a", 4));
    // The same by a replacement.
    EXPECT_EQ(this->refused(
                  {RecordWrite::replace(notes, "n4", 1, this->note("a", 3, {{"clientId", "c"}}))}),
              ErrorCode::already_exists);
}

TYPED_TEST_P(RecordStoreContract, a_replacement_names_the_version_that_it_knows) {
    this->insert("n1", this->note("a", 1));
    must(this->context,
         this->store().commit(RecordWrite::replace(notes, "n1", 1, this->note("b", 2))));
    EXPECT_EQ(record_version(*this->get("n1")), 2);
    EXPECT_EQ(record_body(*this->get("n1")), this->note("b", 2));
    EXPECT_EQ(this->refused({RecordWrite::replace(notes, "n1", 1, this->note("c", 3))}),
              ErrorCode::conflict);
    EXPECT_EQ(this->refused({RecordWrite::erase(notes, "n1", 1)}), ErrorCode::conflict);
    EXPECT_EQ(this->refused({RecordWrite::replace(notes, "n2", 1, this->note("c", 3))}),
              ErrorCode::not_found);
    must(this->context, this->store().commit(RecordWrite::erase(notes, "n1", 2)));
    EXPECT_FALSE(this->get("n1"));
    EXPECT_EQ(this->refused({RecordWrite::erase(notes, "n1", 2)}), ErrorCode::not_found);
}

TYPED_TEST_P(RecordStoreContract, a_commit_is_done_whole_or_not_at_all) {
    this->insert("n1", this->note("a", 1));
    EXPECT_EQ(this->refused({RecordWrite::insert(notes, "n2", this->note("a", 2)),
                             RecordWrite::replace(notes, "n1", 1, this->note("a", 9)),
                             RecordWrite::insert(ledger, "l1", this->note("a", 1)),
                             RecordWrite::replace(notes, "n1", 7, this->note("a", 10))}),
              ErrorCode::conflict);
    EXPECT_FALSE(this->get("n2"));
    EXPECT_EQ(record_version(*this->get("n1")), 1);
    EXPECT_FALSE(must(this->context, this->store().get(ledger, {"l1"})).front());
    ASSERT_TRUE(this->commit({RecordWrite::insert(notes, "n2", this->note("a", 2)),
                              RecordWrite::replace(notes, "n1", 1, this->note("a", 9)),
                              RecordWrite::insert(ledger, "l1", this->note("a", 1))}));
    EXPECT_TRUE(this->get("n2"));
    EXPECT_EQ(record_version(*this->get("n1")), 2);
    EXPECT_EQ(this->refused({RecordWrite::insert(notes, "n3", this->note("a", 2)),
                             RecordWrite::insert(notes, "n1", this->note("a", 2))}),
              ErrorCode::already_exists);
    EXPECT_FALSE(this->get("n3"));
}

TYPED_TEST_P(RecordStoreContract, of_commits_at_a_time_on_one_version_one_wins) {
    using namespace asio::experimental::awaitable_operators;
    this->insert("n1", this->note("a", 0));
    const auto attempt = [&](int who) {
        std::vector<RecordWrite> writes;
        writes.push_back(
            RecordWrite::insert(ledger, "by" + std::to_string(who), this->note("a", who)));
        writes.push_back(RecordWrite::replace(notes, "n1", 1, this->note("a", who)));
        return this->store().commit(std::move(writes));
    };
    const auto [first, second, third, fourth] =
        run(this->context, attempt(1) && attempt(2) && attempt(3) && attempt(4));
    int won = 0;
    for (const auto* outcome : {&first, &second, &third, &fourth}) {
        won += outcome->has_value();
        if (!*outcome) EXPECT_EQ(outcome->error().code(), ErrorCode::conflict);
    }
    EXPECT_EQ(won, 1);
    const auto by = must(this->context, this->store().get(ledger, {"by1", "by2", "by3", "by4"}));
    EXPECT_EQ(std::count_if(by.begin(), by.end(), [](const auto& one) { return !!one; }), 1);
    EXPECT_EQ(record_version(*this->get("n1")), 2);
}

TYPED_TEST_P(RecordStoreContract, filters_compare_by_the_fields_type) {
    for (int i = 0; i < 12; ++i)
        this->insert("n" + std::to_string(100 + i), this->note(i % 2 ? "b" : "a", i * 10));
    this->insert("n200", this->note("a", 1000, {{"clientId", "x"}, {"until", Date{5000}}}));
    using Op = RecordCondition::Operator;
    const auto matching = [&](std::vector<RecordCondition> where) {
        return this->ids(this->page({.collection = &notes, .where = std::move(where)}));
    };
    EXPECT_EQ(matching({{"topic", Op::equal, "a"}, {"rank", Op::less, 40}}),
              (std::vector<std::string>{"n100", "n102"}));
    EXPECT_EQ(matching({{"rank", Op::greater_or_equal, 100}}),
              (std::vector<std::string>{"n110", "n111", "n200"}));
    EXPECT_EQ(matching({{"rank", Op::greater, 0}, {"rank", Op::less_or_equal, 20}}),
              (std::vector<std::string>{"n101", "n102"}));
    EXPECT_TRUE(matching({{"topic", Op::equal, "a"}, {"topic", Op::equal, "b"}}).empty());
    EXPECT_EQ(matching({{"rank", Op::in, Array{0, 30, 31}}}),
              (std::vector<std::string>{"n100", "n103"}));
    EXPECT_TRUE(matching({{"rank", Op::in, Array{}}}).empty());
    EXPECT_EQ(matching({{"_id", Op::in, Array{"n100", "n200"}}}).size(), 2u);
    EXPECT_EQ(matching({{"until", Op::less, Date{5001}}}), std::vector<std::string>{"n200"});
    EXPECT_EQ(matching({{"clientId", Op::equal, nullptr}, {"rank", Op::greater, 90}}),
              (std::vector<std::string>{"n110", "n111"}));
}

TYPED_TEST_P(RecordStoreContract, pages_go_both_ways_and_stay_when_records_come) {
    for (int i = 0; i < 7; ++i)
        this->insert("n" + std::to_string(i), this->note("a", i / 2)); // ranks come twice
    this->insert("other", this->note("b", 0));
    const auto first = this->page(this->by_rank(3));
    EXPECT_EQ(this->ids(first), (std::vector<std::string>{"n0", "n1", "n2"}));
    EXPECT_TRUE(first.previous.empty());
    this->insert("n00", this->note("a", 0)); // in front of the cursor: moves nothing behind it
    auto query = this->by_rank(3);
    query.after = first.next;
    const auto second = this->page(query);
    EXPECT_EQ(this->ids(second), (std::vector<std::string>{"n3", "n4", "n5"}));
    query.after = second.next;
    const auto third = this->page(query);
    EXPECT_EQ(this->ids(third), std::vector<std::string>{"n6"});
    EXPECT_TRUE(third.next.empty());
    query.after.clear();
    query.before = third.previous;
    EXPECT_EQ(this->ids(this->page(query)), this->ids(second));
    query.before = second.previous;
    const auto back = this->page(query);
    EXPECT_EQ(this->ids(back), (std::vector<std::string>{"n00", "n1", "n2"}));
    EXPECT_FALSE(back.previous.empty()); // n0
    query.before = back.previous;
    EXPECT_EQ(this->ids(this->page(query)), std::vector<std::string>{"n0"});
    EXPECT_TRUE(this->page(query).previous.empty());
}

TYPED_TEST_P(RecordStoreContract, descending_pages_are_the_ascending_ones_turned_round) {
    for (int i = 0; i < 7; ++i)
        this->insert("n" + std::to_string(i), this->note("a", i / 2));
    auto query = this->by_rank(4);
    query.descending = true;
    const auto first = this->page(query);
    EXPECT_EQ(this->ids(first), (std::vector<std::string>{"n6", "n5", "n4", "n3"}));
    query.after = first.next;
    const auto second = this->page(query);
    EXPECT_EQ(this->ids(second), (std::vector<std::string>{"n2", "n1", "n0"}));
    query.after.clear();
    query.before = second.previous;
    EXPECT_EQ(this->ids(this->page(query)), this->ids(first));
}

TYPED_TEST_P(RecordStoreContract, nothing_but_declared_fields_and_scalars_gets_into_a_query) {
    using Op = RecordCondition::Operator;
    this->insert("n1", this->note("a", 1));
    const auto code = [&](RecordQuery query) {
        query.collection = &notes;
        const auto found = run(this->context, this->store().find(std::move(query)));
        return found ? ErrorCode::internal : found.error().code();
    };
    const auto refused = ErrorCode::invalid_argument;
    EXPECT_EQ(code({.where = {{"topic", Op::equal, Object{{"$ne", ""}}}}}), refused);
    EXPECT_EQ(code({.where = {{"topic", Op::in, Array{Object{{"$gt", ""}}}}}}), refused);
    EXPECT_EQ(code({.where = {{"$where", Op::equal, "1"}}}), refused);
    EXPECT_EQ(code({.where = {{"extra.n", Op::equal, "1"}}}), refused);
    EXPECT_EQ(code({.where = {{"body", Op::equal, "1"}}}), refused); // no index has it
    EXPECT_EQ(code({.where = {{"rank", Op::equal, "1"}}}), refused); // a text is no number
    EXPECT_EQ(code({.where = {{"topic", Op::equal, nullptr}}}), refused);
    EXPECT_EQ(code({.where = {{"topic", Op::equal, std::string("a\0", 2)}}}), refused);
    EXPECT_EQ(code({.where = {{"topic", Op::equal, "\xff"}}}), refused);
    EXPECT_EQ(code({.sort = {"rank; DROP TABLE contract_notes"}}), refused);
    EXPECT_EQ(code({.sort = {"clientId"}}), refused); // may be missing: no order for a cursor
    EXPECT_EQ(code({.limit = 0}), refused);
    EXPECT_EQ(code({.limit = 501}), refused);
    EXPECT_EQ(code({.after = "nonsense!"}), refused);
    EXPECT_EQ(code({.after = "AAAA"}), refused);
    EXPECT_EQ(code({.after = "x", .before = "y"}), refused);
}

TYPED_TEST_P(RecordStoreContract, a_body_that_is_not_as_declared_is_not_stored) {
    const auto field = [&](Object body, std::string id = "n1") -> std::string {
        const auto outcome =
            this->commit({RecordWrite::insert(notes, std::move(id), std::move(body))});
        if (outcome || outcome.error().code() != ErrorCode::invalid_argument) return "stored";
        return outcome.error().detail().substr(0, outcome.error().detail().find(':'));
    };
    EXPECT_EQ(field({{"topic", "a"}, {"body", "x"}}), "rank");
    EXPECT_EQ(field(this->note("a", 1, {{"unknown", 1}})), "unknown");
    EXPECT_EQ(field(this->note("a", 1, {{"rank", "1"}})), "rank");
    EXPECT_EQ(field(this->note("\xff", 1)), "topic");
    EXPECT_EQ(field(this->note("a", 1, {{"extra", Object{{"$set", 1}}}})), "extra.$set");
    EXPECT_EQ(field(this->note("a", 1), ""), "_id");
    EXPECT_EQ(field(this->note("a", 1), std::string(600, 'x')), "_id");
    EXPECT_EQ(
        this->refused({RecordWrite::insert(
            notes, "n1", this->note("a", 1, {{"extra", std::string(2 * 1024 * 1024, 'x')}}))}),
        ErrorCode::payload_too_large);
    EXPECT_FALSE(this->get("n1"));
}

TYPED_TEST_P(RecordStoreContract, an_append_only_record_is_never_changed) {
    ASSERT_TRUE(this->commit({RecordWrite::insert(ledger, "l1", this->note("a", 1))}));
    EXPECT_EQ(this->refused({RecordWrite::replace(ledger, "l1", 1, this->note("a", 2))}),
              ErrorCode::unsupported);
    EXPECT_EQ(this->refused({RecordWrite::erase(ledger, "l1", 1)}), ErrorCode::unsupported);
}

TYPED_TEST_P(RecordStoreContract, a_redaction_changes_what_is_personal_and_nothing_else) {
    ASSERT_TRUE(this->commit({RecordWrite::insert(ledger, "l1", this->note("ada", 1)),
                              RecordWrite::insert(ledger, "l2", this->note("ada", 2))}));
    EXPECT_EQ(this->refused({RecordWrite::redact(ledger, "l1", 1, this->note("x", 9))}),
              ErrorCode::unsupported);
    EXPECT_EQ(this->refused({RecordWrite::redact(ledger, "l1", 2, this->note("x", 1))}),
              ErrorCode::conflict);
    EXPECT_EQ(this->refused({RecordWrite::redact(ledger, "l3", 1, this->note("x", 1))}),
              ErrorCode::not_found);
    // All or nothing, like any commit.
    EXPECT_EQ(this->refused({RecordWrite::redact(ledger, "l1", 1, this->note("x", 1)),
                             RecordWrite::redact(ledger, "l2", 1, this->note("x", 1))}),
              ErrorCode::unsupported);
    ASSERT_TRUE(this->commit({RecordWrite::redact(ledger, "l1", 1, this->note("x", 1))}));
    const auto record = must(this->context, this->store().one(ledger, "l1"));
    EXPECT_EQ(record_version(*record), 2);
    EXPECT_EQ(record_body(*record), this->note("x", 1));
    const auto named = [&](const char* topic) {
        return this->ids(
            this->page({.collection = &ledger, .where = {{.field = "topic", .value = topic}}}));
    };
    EXPECT_EQ(named("x"), std::vector<std::string>{"l1"});
    EXPECT_EQ(named("ada"), std::vector<std::string>{"l2"});
    // What may be replaced is not redacted.
    this->insert("n1", this->note("ada", 1));
    EXPECT_EQ(this->refused({RecordWrite::redact(notes, "n1", 1, this->note("x", 1))}),
              ErrorCode::unsupported);
}

TYPED_TEST_P(RecordStoreContract, what_has_expired_is_removed_some_at_a_time) {
    for (int i = 0; i < 5; ++i)
        this->insert("n" + std::to_string(i), this->note("a", i, {{"until", Date{i * 100}}}));
    this->insert("kept", this->note("a", 9));
    const auto remove = [&] {
        return must(this->context, this->store().remove_expired(notes, Date{300}, 2));
    };
    EXPECT_EQ(remove(), 2u);
    EXPECT_EQ(remove(), 1u);
    EXPECT_EQ(remove(), 0u);
    EXPECT_EQ(this->ids(this->page({.collection = &notes})),
              (std::vector<std::string>{"kept", "n3", "n4"}));
}

TYPED_TEST_P(RecordStoreContract, a_schema_that_is_applied_twice_changes_nothing) {
    EXPECT_TRUE(this->changes(this->both).empty());
    this->bring(this->both);
    EXPECT_TRUE(this->changes(this->both).empty());
}

TYPED_TEST_P(RecordStoreContract, an_index_that_comes_later_covers_what_is_there) {
    static constexpr Collection before[] = {notes_before};
    this->bring(before);
    EXPECT_FALSE(this->changes(this->both).empty());
    must(this->context, this->store().commit(RecordWrite::insert(
                            notes_before, "n1", this->note("a", 1, {{"clientId", "c"}}))));
    std::uint64_t done = 0, of = 0;
    for (auto& change : must(this->context, this->store().schema_changes(this->both))) {
        must(this->context, this->store().apply(change, [&](std::uint64_t now, std::uint64_t all) {
            done = now;
            of = all;
        }));
    }
    EXPECT_EQ(done, 1u);
    EXPECT_EQ(of, 1u);
    EXPECT_TRUE(this->changes(this->both).empty());
    EXPECT_EQ(
        this->refused({RecordWrite::insert(notes, "n2", this->note("a", 2, {{"clientId", "c"}}))}),
        ErrorCode::already_exists);
}

TYPED_TEST_P(RecordStoreContract, an_order_that_says_which_record_it_is_pages_without_its_id) {
    for (int i = 9; i > 0; --i)
        must(this->context, this->store().commit(RecordWrite::insert(
                                ledger, "l" + std::to_string(10 - i), this->note("a", i))));
    RecordQuery query{.collection = &ledger,
                      .where = {{.field = "topic", .value = "a"}},
                      .sort = {"topic", "rank"},
                      .limit = 4};
    std::vector<std::int64_t> ranks;
    const auto add = [&](const RecordPage& page) {
        for (const auto& record : page.items)
            ranks.push_back(record->at_path("rank")->integer_or());
    };
    const auto first = this->page(query);
    add(first);
    query.after = first.next;
    const auto second = this->page(query);
    add(second);
    query.after = second.next;
    add(this->page(query));
    EXPECT_EQ(ranks, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
    query.after.clear();
    query.before = second.previous;
    EXPECT_EQ(this->ids(this->page(query)), this->ids(first));
    query.before.clear();
    query.descending = true;
    query.where.push_back({"rank", RecordCondition::Operator::less, 3});
    EXPECT_EQ(this->ids(this->page(query)), (std::vector<std::string>{"l8", "l9"}));
}

TYPED_TEST_P(RecordStoreContract, a_search_finds_whole_words_or_says_that_the_store_has_none) {
    const auto said = [&](std::string id, std::string topic, int rank, std::string text) {
        must(this->context, this->store().commit(RecordWrite::insert(
                                ledger, std::move(id),
                                this->note(std::move(topic), rank, {{"body", std::move(text)}}))));
    };
    said("l1", "a", 1, "The quick brown fox, again");
    said("l2", "b", 1, "slow FOX jumps");
    said("l3", "a", 2, "Foxes over the Stra\u00dfe, \u00c4rger");
    const auto search = [&](std::string text, std::vector<RecordCondition> where = {}) {
        return run(this->context, this->store().find({.collection = &ledger,
                                                      .where = std::move(where),
                                                      .descending = true,
                                                      .text = std::move(text)}));
    };
    for (const char* refused : {" \t", "\"\\ \"", "\xff", "a b c d e f g h i j k l m n o p q"})
        EXPECT_EQ(search(refused).error().code(), ErrorCode::invalid_argument) << refused;
    EXPECT_EQ(run(this->context, this->store().find({.collection = &notes, .text = "fox"}))
                  .error()
                  .code(),
              ErrorCode::invalid_argument); // notes have no such index
    const auto found = search("fox");
    if (!found) {
        EXPECT_EQ(found.error().code(), ErrorCode::unsupported);
        return;
    }
    using Ids = std::vector<std::string>;
    EXPECT_EQ(this->ids(*found), (Ids{"l2", "l1"}));
    EXPECT_EQ(this->ids(*search("fox QUICK")), Ids{"l1"});
    EXPECT_EQ(this->ids(*search("arger")), Ids{"l3"});
    EXPECT_EQ(this->ids(*search("fox", {{.field = "topic", .value = "b"}})), Ids{"l2"});
    // Nothing is an operator.
    for (const char* none : {"fo*", "quick OR slow", "fox NOT quick", "content:fox",
                             "NEAR(quick fox)", "fox -quick", "\"own fo\"", "' OR 1=1 --"})
        EXPECT_LE(search(none)->items.size(), 1u) << none;
    EXPECT_TRUE(search("fo*")->items.empty());
    EXPECT_TRUE(search("quick OR slow")->items.empty());
    RecordQuery query{.collection = &ledger, .limit = 1, .text = "fox"};
    const auto first = this->page(query);
    query.after = first.next;
    EXPECT_EQ(this->ids(first), Ids{"l1"});
    EXPECT_EQ(this->ids(this->page(query)), Ids{"l2"});
}

TYPED_TEST_P(RecordStoreContract, a_text_index_that_comes_later_covers_what_is_there) {
    static constexpr Collection before[] = {notes, ledger_before};
    this->bring(before); // takes away the one there is
    EXPECT_TRUE(this->changes(before).empty());
    must(this->context, this->store().commit(RecordWrite::insert(
                            ledger_before, "l1", this->note("a", 1, {{"body", "fox"}}))));
    this->bring(this->both);
    EXPECT_TRUE(this->changes(this->both).empty());
    const auto found =
        run(this->context, this->store().find({.collection = &ledger, .text = "fox"}));
    if (found) {
        EXPECT_EQ(this->ids(*found), std::vector<std::string>{"l1"});
    } else {
        EXPECT_EQ(found.error().code(), ErrorCode::unsupported);
    }
}

TYPED_TEST_P(RecordStoreContract, netbuilds_own_collections_are_brought_once) {
    const auto done = must(this->context, data::apply_schema(this->store(), {}));
    EXPECT_GE(done.size(), data::own_collections().size());
    EXPECT_TRUE(must(this->context, data::apply_schema(this->store(), {})).empty());
    EXPECT_EQ(must(this->context, data::remove_expired(this->store(), Date{0})), 0u);
}

REGISTER_TYPED_TEST_SUITE_P(
    RecordStoreContract, a_record_comes_back_with_its_id_and_version_1,
    an_id_and_a_unique_index_are_taken_once, a_replacement_names_the_version_that_it_knows,
    a_commit_is_done_whole_or_not_at_all, of_commits_at_a_time_on_one_version_one_wins,
    filters_compare_by_the_fields_type, pages_go_both_ways_and_stay_when_records_come,
    descending_pages_are_the_ascending_ones_turned_round,
    nothing_but_declared_fields_and_scalars_gets_into_a_query,
    a_body_that_is_not_as_declared_is_not_stored, an_append_only_record_is_never_changed,
    a_redaction_changes_what_is_personal_and_nothing_else,
    what_has_expired_is_removed_some_at_a_time, a_schema_that_is_applied_twice_changes_nothing,
    an_index_that_comes_later_covers_what_is_there,
    an_order_that_says_which_record_it_is_pages_without_its_id,
    a_search_finds_whole_words_or_says_that_the_store_has_none,
    a_text_index_that_comes_later_covers_what_is_there, netbuilds_own_collections_are_brought_once);

} // namespace netbuild::test
