// SPDX-License-Identifier: Apache-2.0
#pragma once
// Conversations and AI contexts (src/data) on every adapter of RecordStore: an adapter's test
// instantiates the suite as the one of record_store_contract.hpp.
#include <set>

#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "data/ai_contexts.hpp"
#include "data/conversation_records.hpp"
#include "data/schema.hpp"
#include "data/token_estimate.hpp"
#include "runtime/task_group.hpp"
#include "support/run.hpp"
#include "wire/json.hpp"

namespace netbuild::test {

/// Time that the test sets.
class SetClock final : public Clock {
public:
    std::int64_t utc_ms = 1'700'000'000'000;
    [[nodiscard]] duration monotonic() const override { return clock_.monotonic(); }
    [[nodiscard]] std::int64_t utc_us() const override { return utc_ms * 1000; }
    awaitable<result<void>> sleep(duration time) override { return clock_.sleep(time); }

private:
    SystemClock clock_;
};

/// What it is told to know.
class KnownPassages final : public PassageRetriever {
public:
    std::vector<Passage> passages;
    std::optional<ErrorCode> failure;
    PassageQuery asked;
    awaitable<result<std::vector<Passage>>> retrieve(PassageQuery query) override {
        asked = std::move(query);
        if (failure) co_return fail(*failure);
        co_return passages;
    }
};

using data::Conversations;

template <class Adapter>
class ConversationsContract : public testing::Test {
protected:
    ConversationsContract() {
        must(context, data::apply_schema(adapter.store(), {}));
        id = record_id(
            *must(context, talk.create({{"domainId", "acme"}, {"executionId", "o-1"}}, member()))
                 .record);
    }

    static Caller caller(std::string subject, Role role) {
        return {.subject = std::move(subject), .roles = {{"acme", role}}};
    }
    static Caller member() { return caller("ada", Role::member); }
    static Object said(std::string text, Object more = {}) {
        Object body{{"role", "user"}, {"text", std::move(text)}};
        for (auto& one : more)
            body.set(one.key, std::move(one.value));
        return body;
    }
    ValuePtr post(std::string text, Object more = {}) {
        return must(context, talk.post(id, said(std::move(text), std::move(more)), member()))
            .record;
    }
    static std::string message_id(const ValuePtr& message) {
        return std::string(message->at_path("messageId")->string_or());
    }
    static std::vector<std::string> texts(const std::vector<ValuePtr>& messages) {
        std::vector<std::string> found;
        for (const ValuePtr& message : messages) {
            const Value* text = message->at_path("text");
            found.emplace_back(text ? text->string_or() : "(deleted)");
        }
        return found;
    }
    RecordPage page(Conversations::PageQuery query) {
        query.conversation = id;
        return must(context, talk.page(std::move(query)));
    }
    template <class T>
    ErrorCode refused(awaitable<result<T>> task) {
        const auto outcome = run(context, std::move(task));
        return outcome ? ErrorCode::internal : outcome.error().code();
    }
    /// `count` messages, one after the other.
    awaitable<result<void>> post_some(Conversations& by, std::string conversation, std::string name,
                                      int count) {
        for (int i = 0; i < count; ++i)
            CO_TRY_VOID(co_await by.post(conversation, said(name + std::to_string(i)), member()));
        co_return result<void>{};
    }
    /// Follows the conversation by its numbers until it has `count` messages.
    awaitable<result<void>> follow(std::string conversation, std::size_t count,
                                   std::vector<std::int64_t>& seen) {
        while (seen.size() < count) {
            CO_TRY(const RecordPage next,
                   co_await reader.page({.conversation = conversation,
                                         .after_sequence = seen.empty() ? 0 : seen.back(),
                                         .descending = false,
                                         .limit = 7}));
            for (const ValuePtr& message : next.items)
                seen.push_back(message->at_path("sequence")->integer_or());
        }
        co_return result<void>{};
    }
    data::AiContexts::Window window(std::size_t tokens) {
        return must(context, contexts.window(id, tokens));
    }
    static std::string shown(const data::AiContexts::Window& window) {
        return to_json(data::shown_window(window));
    }
    /// "kind text", in the order of the window.
    static std::vector<std::string> parts(const data::AiContexts::Window& window) {
        std::vector<std::string> found;
        for (const auto& part : window.content.parts())
            found.push_back(std::string(data::kind_name(part.kind)) + " " + part.text);
        return found;
    }

    asio::io_context context;
    Adapter adapter{context};
    SetClock clock;
    Conversations talk{adapter.store(), clock, context.get_executor()};
    /// As another process would.
    Conversations reader{adapter.store(), clock, context.get_executor()};
    KnownPassages passages;
    data::AiContexts contexts{adapter.store(), talk, clock, &passages};
    std::string id;
};
TYPED_TEST_SUITE_P(ConversationsContract);

TYPED_TEST_P(ConversationsContract, a_conversation_is_made_once_for_its_client_id) {
    Object body{{"domainId", "acme"}, {"title", "Order 7"}, {"clientConversationId", "c-1"}};
    const auto first = must(this->context, this->talk.create(body, this->member()));
    EXPECT_FALSE(first.repeated);
    const auto again = must(this->context, this->reader.create(body, this->member()));
    EXPECT_TRUE(again.repeated);
    EXPECT_EQ(*again.record, *first.record);
    const auto changed =
        must(this->context, this->talk.change(record_id(*first.record), 1, {{"title", "Order 8"}}));
    EXPECT_EQ(record_version(*changed), 2);
    // The request is still the same, whatever became of the title.
    EXPECT_TRUE(must(this->context, this->talk.create(body, this->member())).repeated);
    body.set("title", "Order 9");
    EXPECT_EQ(this->refused(this->talk.create(body, this->member())), ErrorCode::conflict);
    EXPECT_EQ(this->refused(this->talk.change(record_id(*first.record), 1, {})),
              ErrorCode::precondition_failed);
    body.set("domainId", "umbra"); // another domain's ids are its own
    EXPECT_FALSE(must(this->context, this->talk.create(body, this->member())).repeated);
    const auto mine =
        must(this->context, this->talk.list({.scope = this->member().scope(Role::viewer)}));
    EXPECT_EQ(mine.items.size(), 2u);
    EXPECT_EQ(must(this->context, this->talk.list({.scope = Scope::everything()})).items.size(),
              3u);
    EXPECT_EQ(
        must(this->context, this->talk.list({.scope = Scope::everything(), .execution = "o-1"}))
            .items.size(),
        1u);
}

TYPED_TEST_P(ConversationsContract, writers_at_a_time_give_one_order_and_a_reader_misses_nothing) {
    using namespace asio::experimental::awaitable_operators;
    Conversations other{this->adapter.store(), this->clock, this->context.get_executor()};
    std::vector<std::int64_t> seen;
    const auto [a, b, c, d, followed] =
        run(this->context, this->post_some(this->talk, this->id, "a", 10) &&
                               this->post_some(this->talk, this->id, "b", 10) &&
                               this->post_some(other, this->id, "c", 10) &&
                               this->post_some(other, this->id, "d", 10) &&
                               this->follow(this->id, 40, seen));
    ASSERT_TRUE(a && b && c && d && followed);
    std::vector<std::int64_t> expected(40);
    for (int i = 0; i < 40; ++i)
        expected[static_cast<std::size_t>(i)] = i + 1;
    EXPECT_EQ(seen, expected);
    const auto all = this->page({.descending = false, .limit = 100});
    std::vector<std::string> ids;
    std::map<char, int> next;
    for (const ValuePtr& message : all.items) {
        ids.push_back(this->message_id(message));
        // Of one writer they are in its order.
        const std::string text(message->at_path("text")->string_or());
        EXPECT_EQ(text, text[0] + std::to_string(next[text[0]]++));
    }
    EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
    EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), 40u);
}

TYPED_TEST_P(ConversationsContract, order_goes_on_after_a_restart_with_a_clock_that_went_back) {
    this->post("one");
    this->clock.utc_ms -= 3'600'000;
    Conversations restarted{this->adapter.store(), this->clock, this->context.get_executor()};
    must(this->context, restarted.post(this->id, this->said("two"), this->member()));
    this->post("three"); // what this process knew of the end is not true any more
    const auto all = this->page({.descending = false});
    EXPECT_EQ(this->texts(all.items), (std::vector<std::string>{"one", "two", "three"}));
    EXPECT_LT(this->message_id(all.items[0]), this->message_id(all.items[1]));
    EXPECT_LT(this->message_id(all.items[1]), this->message_id(all.items[2]));
}

TYPED_TEST_P(ConversationsContract, a_client_id_stands_for_one_message_under_parallel_retries) {
    using namespace asio::experimental::awaitable_operators;
    const Object body = this->said(
        "hello", {{"clientMessageId", "m-1"}, {"metadata", Object{{"n", 1}, {"x", 1.5}}}});
    const auto attempt = [&](Conversations& by) { return by.post(this->id, body, this->member()); };
    const auto [a, b, c, d] =
        run(this->context, attempt(this->talk) && attempt(this->talk) && attempt(this->reader) &&
                               attempt(this->reader));
    ASSERT_TRUE(a && b && c && d);
    EXPECT_EQ(a->repeated + b->repeated + c->repeated + d->repeated, 3);
    for (const auto* made : {&b, &c, &d})
        EXPECT_EQ(*(*made)->record, *a->record);
    EXPECT_EQ(this->page({}).items.size(), 1u);
    const auto conflict = [&](Object other) {
        return this->refused(this->talk.post(this->id, std::move(other), this->member()));
    };
    EXPECT_EQ(conflict(this->said("hello!", {{"clientMessageId", "m-1"}})), ErrorCode::conflict);
    EXPECT_EQ(conflict(this->said("hello", {{"clientMessageId", "m-1"}, {"taskId", "t"}})),
              ErrorCode::conflict);
    // It was edited since: the same request has the answer that it had.
    must(this->context, this->talk.edit(this->id, this->message_id(a->record), std::nullopt,
                                        {{"text", "bye"}}, this->member()));
    const auto later = run(this->context, attempt(this->talk));
    EXPECT_TRUE(later->repeated);
    EXPECT_EQ(*later->record, *a->record);
    this->post("next"); // a refused double takes no number
    EXPECT_EQ(this->page({}).items.front()->at_path("sequence")->integer_or(), 2);
}

TYPED_TEST_P(ConversationsContract, edits_and_deletions_are_later_states_and_the_log_keeps_all) {
    const auto first = this->post("teh quick fox", {{"clientMessageId", "m-1"}});
    const std::string message = this->message_id(first);
    this->post("second");
    this->clock.utc_ms += 1000;
    const auto edited =
        must(this->context,
             this->talk.edit(this->id, message, 1, {{"text", "the quick fox"}}, this->member()));
    EXPECT_EQ(edited->at_path("number")->integer_or(), 2);
    EXPECT_EQ(*edited->at_path("createdAt"), *first->at_path("createdAt"));
    EXPECT_EQ(*must(this->context, this->reader.message(this->id, message)), *edited);
    const auto same =
        must(this->context, this->talk.edit(this->id, message, std::nullopt,
                                            {{"text", "the quick fox"}}, this->member()));
    EXPECT_EQ(*same, *edited); // nothing new was said
    EXPECT_EQ(this->refused(this->talk.edit(this->id, message, 1, {{"text", "x"}}, this->member())),
              ErrorCode::precondition_failed);
    EXPECT_EQ(this->texts(this->page({.descending = false}).items),
              (std::vector<std::string>{"the quick fox", "second"}));
    const auto removed =
        must(this->context, this->talk.remove(this->id, message, std::nullopt, this->member()));
    EXPECT_FALSE(removed->at_path("text"));
    EXPECT_EQ(
        *must(this->context, this->talk.remove(this->id, message, std::nullopt, this->member())),
        *removed);
    EXPECT_EQ(this->refused(this->talk.edit(this->id, message, std::nullopt, {{"text", "x"}},
                                            this->member())),
              ErrorCode::conflict);
    EXPECT_EQ(this->texts(this->page({.descending = false}).items),
              (std::vector<std::string>{"(deleted)", "second"}));
    const auto states = must(this->context, this->talk.history(this->id, message));
    EXPECT_EQ(this->texts(states),
              (std::vector<std::string>{"teh quick fox", "the quick fox", "(deleted)"}));
    EXPECT_EQ(*states[0], *first); // as it was written
    EXPECT_EQ(this->refused(this->talk.message(this->id, message + ".2")), ErrorCode::not_found);
    const auto other =
        must(this->context, this->talk.create({{"domainId", "umbra"}}, this->member()));
    EXPECT_EQ(this->refused(this->talk.message(record_id(*other.record), message)),
              ErrorCode::not_found);
}

TYPED_TEST_P(ConversationsContract, of_edits_at_a_time_one_is_next_and_the_other_is_told) {
    using namespace asio::experimental::awaitable_operators;
    const std::string message = this->message_id(this->post("one"));
    const auto [a, b] =
        run(this->context,
            this->talk.edit(this->id, message, 1, {{"text", "a"}}, this->member()) &&
                this->reader.edit(this->id, message, 1, {{"text", "b"}}, this->member()));
    EXPECT_EQ(a.has_value() + b.has_value(), 1);
    const auto& lost = a ? b : a;
    EXPECT_EQ(lost.error().error_class(), ErrorClass::conflict);
    EXPECT_EQ(must(this->context, this->talk.history(this->id, message)).size(), 2u);
}

TYPED_TEST_P(ConversationsContract,
             only_authors_and_admins_change_and_only_services_speak_for_others) {
    const std::string message = this->message_id(this->post("mine"));
    const auto edit = [&](Caller who) {
        return this->talk.edit(this->id, message, std::nullopt, {{"text", "by " + who.subject}},
                               who);
    };
    EXPECT_EQ(this->refused(edit(this->caller("bob", Role::member))), ErrorCode::forbidden);
    EXPECT_EQ(this->refused(edit(this->caller("bot", Role::service))), ErrorCode::forbidden);
    EXPECT_EQ(this->refused(this->talk.remove(this->id, message, std::nullopt,
                                              this->caller("bob", Role::member))),
              ErrorCode::forbidden);
    const auto moderated = must(this->context, edit(this->caller("eve", Role::admin)));
    EXPECT_EQ(moderated->at_path("author")->string_or(), "ada");
    EXPECT_EQ(moderated->at_path("by")->string_or(), "eve");
    const Object spoken = this->said("hi", {{"author", "zoe"}});
    EXPECT_EQ(this->refused(this->talk.post(this->id, spoken, this->member())),
              ErrorCode::forbidden);
    const auto by_bot =
        must(this->context, this->talk.post(this->id, spoken, this->caller("bot", Role::service)));
    EXPECT_EQ(by_bot.record->at_path("author")->string_or(), "zoe");
    EXPECT_EQ(by_bot.record->at_path("by")->string_or(), "bot");
    EXPECT_EQ(this->refused(this->talk.post(this->id, {{"role", "user"}}, this->member())),
              ErrorCode::invalid_argument);
    EXPECT_EQ(this->refused(this->talk.post("none", this->said("x"), this->member())),
              ErrorCode::not_found);
}

TYPED_TEST_P(ConversationsContract, pages_go_both_ways_over_edited_messages) {
    for (int i = 1; i <= 23; ++i) {
        const std::string message = this->message_id(this->post("m" + std::to_string(i)));
        for (int state = 0; state < (i % 5 == 0 ? 12 : i % 3 == 0); ++state)
            must(this->context,
                 this->talk.edit(this->id, message, std::nullopt,
                                 {{"text", "m" + std::to_string(i) + "-" + std::to_string(state)}},
                                 this->member()));
    }
    for (const bool descending : {false, true}) {
        const auto whole = this->texts(this->page({.descending = descending, .limit = 500}).items);
        ASSERT_EQ(whole.size(), 23u);
        EXPECT_EQ(whole[descending ? 22 : 0], "m1");
        EXPECT_EQ(whole[descending ? 20 : 2], "m3-0");
        EXPECT_EQ(whole[descending ? 18 : 4], "m5-11");
        for (const std::size_t limit : {1u, 4u, 5u, 22u, 23u}) {
            std::vector<std::vector<std::string>> pages;
            RecordPage last;
            std::string cursor;
            do {
                last = this->page({.cursor = cursor, .descending = descending, .limit = limit});
                pages.push_back(this->texts(last.items));
                EXPECT_EQ(last.previous.empty(), pages.size() == 1);
                cursor = last.next;
            } while (!cursor.empty());
            std::vector<std::string> joined;
            for (const auto& one : pages)
                joined.insert(joined.end(), one.begin(), one.end());
            EXPECT_EQ(joined, whole) << limit;
            for (std::size_t back = pages.size() - 1; back-- > 0;) {
                last =
                    this->page({.cursor = last.previous, .descending = descending, .limit = limit});
                EXPECT_EQ(this->texts(last.items), pages[back]) << limit;
                EXPECT_FALSE(last.next.empty());
            }
            EXPECT_TRUE(last.previous.empty()) << limit;
        }
    }
    EXPECT_EQ(this->texts(this->page({.after_sequence = 21}).items),
              (std::vector<std::string>{"m23", "m22"}));
    EXPECT_EQ(this->texts(this->page({.after_sequence = 21, .descending = false}).items),
              (std::vector<std::string>{"m22", "m23"}));
    EXPECT_TRUE(this->page({.after_sequence = 23}).items.empty());
    for (const char* cursor : {"x", "bjA", "!!", "cjE", "bi0x", "bm4"})
        EXPECT_EQ(this->refused(this->talk.page({.conversation = this->id, .cursor = cursor})),
                  ErrorCode::invalid_argument)
            << cursor;
}

TYPED_TEST_P(ConversationsContract,
             a_search_finds_newest_states_of_ones_domains_or_is_unsupported) {
    const std::string message = this->message_id(this->post("a red fox"));
    this->post("a grey wolf");
    must(this->context, this->talk.edit(this->id, message, std::nullopt, {{"text", "a blue fox"}},
                                        this->member()));
    const std::string gone = this->message_id(this->post("a secret fox"));
    must(this->context, this->talk.remove(this->id, gone, std::nullopt, this->member()));
    const auto theirs = record_id(
        *must(this->context, this->talk.create({{"domainId", "umbra"}}, this->member())).record);
    ++this->clock.utc_ms; // ids of one millisecond are ordered in a conversation only
    must(this->context, this->talk.post(theirs, this->said("their fox"), this->member()));
    const auto search = [&](std::string text, Scope scope) {
        return run(this->context,
                   this->talk.search({.text = std::move(text), .scope = std::move(scope)}));
    };
    const Scope mine = this->member().scope(Role::viewer);
    EXPECT_EQ(this->texts(search("", mine)->items),
              (std::vector<std::string>{"(deleted)", "a grey wolf", "a blue fox"}));
    const auto found = search("fox", mine);
    if (!found) {
        EXPECT_EQ(found.error().code(), ErrorCode::unsupported);
        return;
    }
    EXPECT_EQ(this->texts(found->items), std::vector<std::string>{"a blue fox"});
    EXPECT_TRUE(search("red", mine)->items.empty());
    EXPECT_TRUE(search("secret", mine)->items.empty());
    EXPECT_TRUE(search("fox", Scope{})->items.empty());
    EXPECT_EQ(this->texts(search("FOX", Scope::everything())->items),
              (std::vector<std::string>{"their fox", "a blue fox"}));
}

TYPED_TEST_P(ConversationsContract, an_ai_context_changes_only_from_the_version_that_is_named) {
    const data::AiContexts::Key key{"acme", this->id};
    const auto put = [&](std::optional<std::int64_t> version, Object body) {
        return this->contexts.put(key, version, std::move(body), this->member());
    };
    EXPECT_EQ(this->refused(this->contexts.get(key)), ErrorCode::not_found);
    EXPECT_EQ(this->refused(put(1, {})), ErrorCode::precondition_failed);
    const auto made = must(this->context, put(std::nullopt, {{"model", "m"}}));
    EXPECT_EQ(record_version(*made), 1);
    EXPECT_EQ(this->refused(put(std::nullopt, {})), ErrorCode::precondition_failed);
    must(this->context, put(1, {{"systemPrompt", "Be brief."}}));
    EXPECT_EQ(this->refused(put(1, {})), ErrorCode::precondition_failed);
    const auto now = must(this->context, this->contexts.get(key));
    EXPECT_EQ(record_version(*now), 2);
    EXPECT_FALSE(now->at_path("model")); // it is replaced whole
    EXPECT_EQ(this->refused(put(2, {{"limits", Object{{"maxTokens", std::int64_t{-1}}}}})),
              ErrorCode::invalid_argument);
    // A domain and an execution that together spell another pair are another key.
    EXPECT_NE((data::AiContexts::Key{.domain = "a:b", .execution = "c"}.id()),
              (data::AiContexts::Key{.domain = "a", .execution = "b:c"}.id()));
}

TYPED_TEST_P(ConversationsContract, a_window_has_what_is_fixed_then_passages_then_the_newest) {
    must(this->context,
         this->contexts.put({.domain = "acme", .execution = "o-1"}, std::nullopt,
                            {{"systemPrompt", "shared prompt"},
                             {"model", "shared model"},
                             {"pinned", Array{Object{{"text", "total 7"}, {"source", "o-1"}}}}},
                            this->member()));
    must(this->context, this->contexts.put({"acme", this->id}, std::nullopt,
                                           {{"systemPrompt", "own prompt"},
                                            {"pinned", Array{Object{{"text", "likes tea"}}}},
                                            {"summary", Object{{"text", "so far"},
                                                               {"uptoSequence", std::int64_t{2}}}}},
                                           this->member()));
    for (int i = 1; i <= 8; ++i)
        this->post("m" + std::to_string(i), {{"role", i % 2 ? "user" : "assistant"}});
    must(this->context,
         this->talk.remove(this->id, this->message_id(this->page({.limit = 3}).items.back()),
                           std::nullopt, this->member())); // m6
    this->passages.passages = {{"page one", "handbook", "c1", 10, 18, 0.9},
                               {"page two", "handbook", "c2", 20, 28, 0.5}};
    const auto window = this->window(100'000);
    EXPECT_EQ(this->parts(window),
              (std::vector<std::string>{"system own prompt", "pinned total 7", "pinned likes tea",
                                        "summary so far", "passage page one", "passage page two",
                                        "message m3", "message m4", "message m5", "message m7",
                                        "message m8"}));
    EXPECT_EQ(window.model, "shared model");
    EXPECT_FALSE(window.content.stopped());
    EXPECT_EQ(this->passages.asked.text, "m7"); // the newest thing that the user said
    EXPECT_FALSE(this->passages.asked.message.empty());
    EXPECT_EQ(this->passages.asked.domain, "acme");
    EXPECT_EQ(this->passages.asked.execution, "o-1");
    const auto json = *parse_json(this->shown(window));
    const auto& listed = *json.at_path("parts")->template get_if<Array>();
    EXPECT_EQ(listed[4].at_path("source.document")->string_or(), "handbook");
    EXPECT_EQ(listed[6].at_path("source.sequence")->integer_or(), 3);
    std::int64_t sum = 0;
    for (const Value& part : listed) {
        EXPECT_EQ(part.at_path("tokens")->integer_or(),
                  static_cast<std::int64_t>(
                      data::estimate_tokens(part.at_path("text")->string_or()) + 4));
        sum += part.at_path("tokens")->integer_or();
    }
    EXPECT_EQ(json.at_path("tokens")->integer_or(), sum);
    this->passages.failure = ErrorCode::unavailable;
    const auto without = this->window(100'000);
    EXPECT_EQ(without.passages_failed, ErrorCode::unavailable);
    EXPECT_EQ(this->parts(without).size(), 9u);
}

TYPED_TEST_P(ConversationsContract,
             windows_keep_to_the_budget_grow_with_it_and_are_the_same_again) {
    must(
        this->context,
        this->contexts.put({"acme", this->id}, std::nullopt,
                           {{"systemPrompt", "Answer in German, and say what you are not sure of."},
                            {"pinned", Array{Object{{"text", "a fact"}}, Object{{"text", "b"}}}},
                            {"limits", Object{{"maxTokens", std::int64_t{1500}},
                                              {"maxMessages", std::int64_t{50}}}}},
                           this->member()));
    std::vector<std::string> long_ago;
    for (int i = 1; i <= 60; ++i)
        this->post(std::string(static_cast<std::size_t>(i * 37 % 90), 'x') + " \\u00fc " +
                   std::to_string(i));
    this->passages.passages = {{"some passage of a book", "book", "1", 0, 22, 1}};
    std::multiset<std::string> smaller;
    std::size_t counts = 0;
    for (std::size_t budget = 1; budget < 1800; budget += budget < 60 ? 1 : 41) {
        const auto window = this->window(budget);
        EXPECT_LE(window.content.tokens(), std::min<std::size_t>(budget, 1500));
        const auto parts = this->parts(window);
        std::multiset<std::string> now(parts.begin(), parts.end());
        EXPECT_TRUE(std::includes(now.begin(), now.end(), smaller.begin(), smaller.end()))
            << budget;
        counts += now.size() > smaller.size();
        EXPECT_EQ(this->shown(this->window(budget)), this->shown(window));
        smaller = std::move(now);
    }
    EXPECT_GT(counts, 20u);
    const auto last = this->window(1'000'000);
    EXPECT_TRUE(last.content.stopped());
}

REGISTER_TYPED_TEST_SUITE_P(ConversationsContract, a_conversation_is_made_once_for_its_client_id,
                            writers_at_a_time_give_one_order_and_a_reader_misses_nothing,
                            order_goes_on_after_a_restart_with_a_clock_that_went_back,
                            a_client_id_stands_for_one_message_under_parallel_retries,
                            edits_and_deletions_are_later_states_and_the_log_keeps_all,
                            of_edits_at_a_time_one_is_next_and_the_other_is_told,
                            only_authors_and_admins_change_and_only_services_speak_for_others,
                            pages_go_both_ways_over_edited_messages,
                            a_search_finds_newest_states_of_ones_domains_or_is_unsupported,
                            an_ai_context_changes_only_from_the_version_that_is_named,
                            a_window_has_what_is_fixed_then_passages_then_the_newest,
                            windows_keep_to_the_budget_grow_with_it_and_are_the_same_again);

} // namespace netbuild::test
