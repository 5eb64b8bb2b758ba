// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an export and an erasure promise, on every store: an adapter's test instantiates the suite
// with a type that has `std::unique_ptr<RecordStore> open()` and says after how many calls of the
// store the next kill comes.
#include <set>

#include <gtest/gtest.h>

#include "data/ai_contexts.hpp"
#include "data/conversation_records.hpp"
#include "data/conversations.hpp"
#include "data/embedding_records.hpp"
#include "data/identity_records.hpp"
#include "data/payment_records.hpp"
#include "data/privacy.hpp"
#include "data/schema.hpp"
#include "data/snapshot_records.hpp"
#include "identity/identity.hpp"
#include "payments_contract.hpp"
#include "support/temporary_folder.hpp"
#include "vectors/vector_folder.hpp"

namespace netbuild::test {

/// Embeddings over one store.
struct VectorDesk {
    VectorDesk(asio::io_context& context, RecordStore& records, VectorIndexes& folder)
        : cache(records, folder, clock, context.get_executor(), {}),
          embeddings(records, cache, clock, Random(3)),
          privacy(records, embeddings, clock, Random::from_system()) {}
    SystemClock clock;
    data::EmbeddingCache cache;
    data::Embeddings embeddings;
    data::Privacy privacy;
};

template <class Adapter>
class PrivacyContract : public testing::Test {
protected:
    static constexpr const char* password = "correct horse battery";
    static constexpr const char* email = "Ada.Lovelace@example.org";

    PrivacyContract() {
        must(context, data::apply_schema(*store, {}));
        plant();
    }

    /// Ada and Bob, with something of Ada's in every collection.
    void plant() {
        ada = must(context, identity.create_user({email, "Ada Lovelace", password}, "test"));
        bob = must(context, identity.create_user({"bob@example.org", "Bob", password}, "test"));
        for (const std::string& user : {ada, bob})
            must(context, identity.set_role(user, "acme", Role::admin, "test"));
        tokens.clear();
        for (const char* address : {email, email, "bob@example.org"}) {
            const auto in = must(context, identity.login(address, password, "a browser"));
            tokens.push_back(in.access_token);
        }
        must(context, identity.allow_reset(ada, "test"));
        ada_key = must(context, identity.create_api_key("import", "acme", Role::service, ada));
        bob_key = must(context, identity.create_api_key("export", "acme", Role::service, bob));
        talk();
        pay();
        snapshot();
        embed();
    }
    static Caller caller(const std::string& subject, Role role = Role::admin) {
        return {.subject = subject, .roles = {{"acme", role}}};
    }
    void talk() {
        data::Conversations conversations(*store, clock, context.get_executor());
        const auto made =
            must(context,
                 conversations.create(
                     {{"domainId", "acme"},
                      {"title", "Invoices"},
                      {"clientConversationId", "c1-" + ada},
                      {"metadata", Object{{"owner", ada}, {"mail", "ADA.lovelace@example.org"}}}},
                     caller(ada)));
        conversation = record_id(*made.record);
        const auto post = [&](Object body, const Caller& by) {
            return record_id(
                *must(context, conversations.post(conversation, std::move(body), by)).record);
        };
        adas_first =
            post({{"role", "user"}, {"text", "alpha"}, {"clientMessageId", "m1"}}, caller(ada));
        bobs = post({{"role", "user"}, {"text", "beta"}, {"clientMessageId", "m2"}}, caller(bob));
        const std::string spoken = post({{"role", "user"}, {"text", "gamma"}, {"author", ada}},
                                        caller("key_x", Role::service));
        must(context, conversations.edit(
                          conversation, adas_first, std::nullopt,
                          {{"text", "alpha 2"}, {"metadata", Object{{"to", Array{ada, bob}}}}},
                          caller(ada)));
        must(context, conversations.edit(conversation, spoken, std::nullopt, {{"text", "gamma 2"}},
                                         caller(bob)));
        must(context, conversations.remove(conversation, spoken, std::nullopt, caller(ada)));
        data::AiContexts contexts(*store, conversations, clock, nullptr);
        must(context, contexts.put({.domain = "acme", .conversation = conversation}, std::nullopt,
                                   {{"model", "m"}}, caller(ada)));
    }
    void pay() {
        Till till(context, *store);
        const Object body{{"domainId", "acme"},
                          {"amount", std::int64_t{700}},
                          {"currency", "EUR"},
                          {"userId", ada}};
        payment = Till::id_in(
            must(context, till.service.create(Till::request(ada, "/v1/payments", body), body))
                .body);
    }
    void snapshot() {
        const Object body{{"sequence", std::int64_t{1}},
                          {"chain", "p"},
                          {"number", std::int64_t{1}},
                          {"previousHash", "0"},
                          {"previousInAll", "0"},
                          {"contentHash", "0"},
                          {"hash", "0"},
                          {"content", R"({"task":{"assignee":")" + ada + R"(","secret":"x"}})"},
                          {"taskId", "t"}};
        must(context, store->commit(RecordWrite::insert(data::task_snapshots, "s1", body)));
    }
    void embed() {
        index = record_id(*must(context, desk.embeddings.create({{"domainId", "acme"},
                                                                 {"name", "talk"},
                                                                 {"model", "m"},
                                                                 {"dimension", std::int64_t{2}},
                                                                 {"metric", "l2"}},
                                                                "test")));
        const auto vector = [](const char* id, const std::string& source, Object metadata = {}) {
            return Value(Object{{"vectorId", id},
                                {"source", source},
                                {"metadata", std::move(metadata)},
                                {"values", Array{1.0, 2.0}}});
        };
        must(context,
             desk.embeddings.add(index, Array{vector("v1", adas_first),
                                              vector("v2", "message:" + adas_first),
                                              vector("v3", "cv.pdf", {{"author", ada}}),
                                              vector("v4", bobs), vector("v5", "manual.pdf")}));
    }

    template <class Each>
    void each_record(Each each) {
        for (const Collection& collection : data::own_collections()) {
            RecordQuery query{.collection = &collection, .limit = 100};
            do {
                const auto page = must(context, store->find(query));
                for (const ValuePtr& record : page.items)
                    each(collection, *record);
                query.after = page.next;
            } while (!query.after.empty());
        }
    }
    /// An empty store, as the constructor had it.
    void clear() {
        each_record([&](const Collection& collection, const Value& record) {
            if (collection.name == "signing_keys") return;
            Collection open = collection;
            open.append_only = false;
            must(context, store->commit(
                              RecordWrite::erase(open, record_id(record), record_version(record))));
        });
    }
    static std::size_t times(std::string_view text, std::string_view what) {
        std::size_t count = 0;
        for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1))
            ++count;
        return count;
    }
    /// How many records of each collection there are and how often they name Ada, her address or
    /// her pseudonym, of which there is one at the most.
    std::string traces() {
        std::map<std::string, std::array<std::size_t, 4>> found;
        std::set<std::string> pseudonyms;
        each_record([&](const Collection& collection, const Value& record) {
            // What an interrupted erasure adds to the trail is the one thing that may differ.
            if (collection.name == "audit") return;
            const std::string text = to_json(record);
            auto& [records, ids, addresses, erased] = found[std::string(collection.name)];
            ++records;
            ids += times(text, ada);
            addresses += times(text, "ovelace@example.org");
            erased += times(text, "erased_");
            for (auto at = text.find("erased_"); at != std::string::npos;
                 at = text.find("erased_", at + 1))
                pseudonyms.insert(text.substr(at, 7 + 32));
        });
        std::string all = std::to_string(pseudonyms.size()) + " pseudonyms";
        for (const auto& [collection, counts] : found)
            all += "\n" + collection + " " + std::to_string(counts[0]) + ": " +
                   std::to_string(counts[1]) + " " + std::to_string(counts[2]) + " " +
                   std::to_string(counts[3]);
        return all;
    }
    bool valid(const std::string& token) {
        identity::Identity fresh(*store, clock, cheap()); // one that remembers nothing
        return run(context, fresh.authenticate("Bearer " + token)).has_value();
    }
    Value exported(const std::string& user, std::string* text = nullptr) {
        std::string document;
        std::size_t longest = 0;
        must(context,
             desk.privacy.export_person(user, "test", [&](std::string_view piece) -> result<void> {
                 longest = std::max(longest, piece.size());
                 document += piece;
                 return {};
             }));
        EXPECT_LT(longest, document.size() / 2) << "it comes in pieces";
        if (text) *text = document;
        auto parsed = parse_json(document);
        if (!parsed) throw std::runtime_error(document);
        return *parsed;
    }
    static identity::IdentityOptions cheap() {
        return {.passwords = {.memory_kib = 64, .passes = 1, .threads = 1}};
    }

    asio::io_context context;
    SystemClock clock;
    Adapter adapter;
    std::unique_ptr<RecordStore> store = adapter.open();
    TemporaryFolder folder;
    vectors::VectorFolder files{{.folder = folder.file("vectors"), .threads = 1}};
    VectorDesk desk{context, *store, files};
    identity::Identity identity{*store, clock, cheap()};
    std::string ada, bob, ada_key, bob_key, conversation, adas_first, bobs, payment, index;
    std::vector<std::string> tokens;
};
TYPED_TEST_SUITE_P(PrivacyContract);

TYPED_TEST_P(PrivacyContract, an_export_has_all_of_a_person_and_no_secret) {
    std::string text;
    const Value document = this->exported(this->ada, &text);
    EXPECT_EQ(document.at_path("user.email")->string_or(), this->email);
    std::map<std::string, std::int64_t> counts;
    for (const auto& member : *document.at_path("counts")->template get_if<Object>()) {
        counts[member.key] = member.value.integer_or();
        EXPECT_EQ(document.at_path(member.key)->template get_if<Array>()->size(),
                  static_cast<std::size_t>(member.value.integer_or()))
            << member.key;
    }
    EXPECT_EQ(counts["sessions"], 2);
    EXPECT_EQ(counts["roles"], 1);
    EXPECT_EQ(counts["apiKeys"], 1);
    EXPECT_EQ(counts["conversations"], 1);
    EXPECT_EQ(counts["messages"], 5); // two states of one, three of the other
    EXPECT_EQ(counts["aiContexts"], 1);
    EXPECT_EQ(counts["payments"], 1);
    EXPECT_EQ(counts["paymentEvents"], 1);
    EXPECT_EQ(counts["taskSnapshots"], 1);
    EXPECT_EQ(counts["embeddings"], 3);
    EXPECT_GE(counts["audit"], 5);
    for (const char* theirs : {"alpha", "alpha 2", "gamma 2"})
        EXPECT_NE(text.find(theirs), std::string::npos) << theirs;
    for (const char* nobodys :
         {"beta", "$argon2id", "passwordHash", "secretHash", "bob@", "\"secret\""})
        EXPECT_EQ(text.find(nobodys), std::string::npos) << nobodys;
    EXPECT_EQ(
        run(this->context, this->desk.privacy.export_person("usr_none", "test", {})).error().code(),
        ErrorCode::not_found);
}

TYPED_TEST_P(PrivacyContract, an_erased_person_is_named_only_where_that_must_stay) {
    const auto payments_before =
        must(this->context, this->store->one(data::payments, this->payment));
    const auto bobs_before = must(this->context, this->store->one(data::messages, this->bobs));
    const auto counts = must(this->context, this->desk.privacy.erase_person(this->ada, "test"));
    EXPECT_EQ(counts.records.at("messages"), 5);
    EXPECT_EQ(counts.records.at("embeddings"), 3);
    EXPECT_EQ(counts.records.at("sessions"), 2);
    EXPECT_EQ(counts.records.at("refresh_tokens"), 2);
    EXPECT_EQ(counts.records.at("reset_tokens"), 1);
    EXPECT_EQ(counts.indexes, std::set<std::string>{this->index});
    const std::set<std::string_view> may_name = {
        "users",           "payments",          "payment_events", "audit",           "domains",
        "domain_versions", "embedding_indexes", "task_snapshots", "idempotency_keys"};
    std::set<std::string> pseudonyms;
    this->each_record([&](const Collection& collection, const Value& record) {
        const std::string text = to_json(record);
        if (!may_name.contains(collection.name))
            EXPECT_EQ(text.find(this->ada), std::string::npos) << collection.name << text;
        EXPECT_EQ(text.find("ovelace"), std::string::npos) << collection.name << text;
    });
    const auto user = must(this->context, this->store->one(data::users, this->ada));
    std::set<std::string> fields;
    for (const auto& member : record_body(*user))
        fields.insert(member.key);
    EXPECT_EQ(fields, (std::set<std::string>{"createdAt", "erasedAt", "status"}));
    // One pseudonym, and what was said is still there.
    data::Conversations conversations(*this->store, this->clock, this->context.get_executor());
    const auto states =
        must(this->context, conversations.history(this->conversation, this->adas_first));
    ASSERT_EQ(states.size(), 2u);
    for (const ValuePtr& state : states) {
        for (const char* field : {"author", "by"})
            pseudonyms.emplace(state->at_path(field)->string_or());
        EXPECT_FALSE(state->at_path("clientMessageId"));
    }
    const auto talk =
        must(this->context, this->store->one(data::conversations, this->conversation));
    for (const char* field : {"createdBy", "metadata.owner", "metadata.mail"})
        pseudonyms.emplace(talk->at_path(field)->string_or());
    EXPECT_EQ(pseudonyms.size(), 1u);
    EXPECT_TRUE(pseudonyms.begin()->starts_with("erased_")) << *pseudonyms.begin();
    EXPECT_EQ(states.back()->at_path("text")->string_or(), "alpha 2");
    EXPECT_EQ((*states.back()->at_path("metadata.to")->template get_if<Array>())[1],
              Value(this->bob));
    // What is others' or must stay is as it was.
    EXPECT_EQ(*must(this->context, this->store->one(data::payments, this->payment)),
              *payments_before);
    EXPECT_EQ(*must(this->context, this->store->one(data::messages, this->bobs)), *bobs_before);
    EXPECT_EQ(must(this->context, this->desk.embeddings.vectors(this->index, 10, "")).items.size(),
              2u);
}

TYPED_TEST_P(PrivacyContract, an_erased_person_cannot_come_in_and_others_can) {
    EXPECT_TRUE(this->valid(this->tokens[0]));
    must(this->context, this->desk.privacy.erase_person(this->ada, "test"));
    EXPECT_FALSE(this->valid(this->tokens[0]));
    EXPECT_FALSE(this->valid(this->tokens[1]));
    EXPECT_FALSE(this->valid(this->ada_key));
    EXPECT_TRUE(this->valid(this->tokens[2]));
    EXPECT_TRUE(this->valid(this->bob_key));
    EXPECT_FALSE(run(this->context, this->identity.login(this->email, this->password, "")));
    for (const auto code :
         {run(this->context, this->identity.set_status(this->ada, "active", "test")).error().code(),
          run(this->context, this->identity.set_role(this->ada, "acme", Role::viewer, "test"))
              .error()
              .code()})
        EXPECT_EQ(code, ErrorCode::conflict);
    // The address is free again, for another user.
    const auto again =
        must(this->context, this->identity.create_user({this->email, "", ""}, "test"));
    EXPECT_NE(again, this->ada);
    EXPECT_EQ(must(this->context, this->identity.users(10, "")).items.size(), 3u);
}

TYPED_TEST_P(PrivacyContract, both_are_in_the_trail_which_tells_nothing_of_what_was_erased) {
    (void)this->exported(this->ada);
    must(this->context, this->desk.privacy.erase_person(this->ada, "operator"));
    std::map<std::string, int> actions;
    this->each_record([&](const Collection& collection, const Value& record) {
        if (collection.name != "audit") return;
        ++actions[std::string(record.at_path("action")->string_or())];
        const std::string text = to_json(record);
        for (const char* gone : {"ovelace", "Ada L", "alpha", "erased_", "a browser"})
            EXPECT_EQ(text.find(gone), std::string::npos) << text;
    });
    EXPECT_EQ(actions["user.export"], 1);
    EXPECT_EQ(actions["user.erase.begin"], 1);
    EXPECT_EQ(actions["user.erase"], 1);
    // Once more finds nothing, and keeps the day.
    const auto erased_at = [&] {
        return *must(this->context, this->store->one(data::users, this->ada))->at_path("erasedAt");
    };
    const Value first = erased_at();
    const auto counts = must(this->context, this->desk.privacy.erase_person(this->ada, "test"));
    for (const auto& [collection, count] : counts.records)
        EXPECT_EQ(count, 0) << collection;
    EXPECT_EQ(erased_at(), first);
}

TYPED_TEST_P(PrivacyContract, a_kill_at_any_call_and_another_run_end_in_the_same_state) {
    using Moment = MortalRecords::Moment;
    must(this->context, this->desk.privacy.erase_person(this->ada, "test"));
    const std::string expected = this->traces();
    EXPECT_TRUE(expected.starts_with("1 pseudonyms\n")) << expected;
    int kills = 0;
    for (const Moment moment : {Moment::before, Moment::lost, Moment::after}) {
        for (int fatal = static_cast<int>(moment);; fatal += TypeParam::calls_between_kills) {
            this->clear();
            this->plant();
            MortalRecords mortal(*this->store, fatal, moment, true);
            VectorDesk dying(this->context, mortal, this->files);
            const auto first = run(this->context, dying.privacy.erase_person(this->ada, "test"));
            if (!mortal.reached()) {
                EXPECT_TRUE(first) << first.error().message();
                break;
            }
            ++kills;
            EXPECT_FALSE(first) << fatal;
            must(this->context, this->desk.privacy.erase_person(this->ada, "test"));
            ASSERT_EQ(this->traces(), expected) << "killed at " << fatal;
        }
    }
    EXPECT_GE(kills * TypeParam::calls_between_kills, 90) << "there are more calls than that";
}

REGISTER_TYPED_TEST_SUITE_P(PrivacyContract, an_export_has_all_of_a_person_and_no_secret,
                            an_erased_person_is_named_only_where_that_must_stay,
                            an_erased_person_cannot_come_in_and_others_can,
                            both_are_in_the_trail_which_tells_nothing_of_what_was_erased,
                            a_kill_at_any_call_and_another_run_end_in_the_same_state);

} // namespace netbuild::test
