// SPDX-License-Identifier: Apache-2.0
#include "record_changes_contract.hpp"

#include "data/record_events.hpp"
#include "data/schema.hpp"
#include "sqlite/sqlite_record_changes.hpp"
#include "sqlite/sqlite_records.hpp"
#include "support/temporary_folder.hpp"

namespace netbuild::test {
namespace {

struct Sqlite {
    RecordStore& records() { return records_; }
    std::unique_ptr<RecordChanges> changes() {
        return std::make_unique<SqliteRecordChanges>(
            SqliteRecordChanges::Options{.path = folder_.file("records.sqlite"),
                                         .events = parcel_events,
                                         .poll_interval = std::chrono::milliseconds(5),
                                         .kept_max = 3},
            clock_);
    }
    TemporaryFolder folder_;
    SystemClock clock_;
    SqliteRecords records_{
        {.path = folder_.file("records.sqlite"), .events = parcel_events, .changes_max = 1000}};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, RecordChangesContract, Sqlite);

class SqliteChanges : public RecordChangesContract<Sqlite> {};

TEST_F(SqliteChanges, an_emptied_stream_of_one_process_is_filled_from_what_was_kept) {
    auto changes = opened();
    for (const char* id : {"a", "b", "c", "d", "e"})
        insert(id);
    EXPECT_EQ(take(*changes, 5).size(), 5u);
    must(context, changes->confirm());
    changes = opened(Position{});
    EXPECT_EQ(texts(take(*changes, 3)),
              (std::vector<std::string>{"parcel:created c packed", "parcel:created d packed",
                                        "parcel:created e packed"}));
    EXPECT_TRUE(silent(*changes));
}

TEST_F(SqliteChanges, what_nobody_reads_is_given_up_and_the_gap_is_said) {
    auto changes = opened();
    insert("first");
    const auto first = take(*changes, 1);
    ASSERT_EQ(first.size(), 1u);
    must(context, changes->confirm());
    for (int i = 0; i < 2000;) {
        std::vector<RecordWrite> writes;
        for (; writes.size() < RecordStore::writes_max; ++i)
            writes.push_back(RecordWrite::insert(parcels, std::to_string(i), parcel("packed")));
        commit(std::move(writes));
    }
    changes = opened();
    sync::RecordProgress progress;
    sync::RecordCapture capture({*changes, bus, clock, random, [] { return true; }}, progress);
    while (must(context, capture.step(std::chrono::milliseconds(50))) > 0) {
    }
    EXPECT_EQ(progress.gaps, 1u);
    EXPECT_GE(progress.events, 900u);
    EXPECT_LE(progress.events, 1000u + RecordStore::writes_max);
    const auto events = must(context, bus.read({}, 2000, Clock::duration::zero()));
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events.front()->type, "gap");
    EXPECT_NE(events.front()->payload.find("\"from\":\"" + to_string(first[0].position) + "\""),
              std::string::npos)
        << events.front()->payload;
    EXPECT_NE(events.front()->payload.find("\"reason\":\"capture_away\""), std::string::npos);
    EXPECT_NE(events.back()->payload.find("\"id\":\"1999\""), std::string::npos);
    EXPECT_EQ(events.size(), progress.events + 1);
}

TEST(RecordEvents, secrets_and_who_signs_in_are_never_told_and_what_is_told_is_declared) {
    std::set<std::string_view> told;
    for (const RecordEvents& one : data::record_events()) {
        told.insert(one.collection->name);
        for (const std::string_view field : one.fields) {
            const Field* declared = one.collection->field(field);
            ASSERT_NE(declared, nullptr) << one.subject << "." << field;
            EXPECT_NE(declared->type, FieldType::json) << one.subject << "." << field;
        }
        // A user's record is of no domain: members of one are not told of it.
        EXPECT_TRUE(one.domain == "_id" || one.collection->field(one.domain) ||
                    one.collection->name == "users")
            << one.subject;
        for (const char* content :
             {"text", "title", "content", "description", "amount", "reference", "systemPrompt",
              "userId", "author", "reason", "email", "emailKey", "name", "passwordHash",
              "passwordChangedAt", "pseudonym"})
            EXPECT_EQ(std::ranges::count(one.fields, std::string_view(content)), 0)
                << one.subject << "." << content;
    }
    for (const char* name : {"conversations", "messages", "payments", "domains", "users"})
        EXPECT_TRUE(told.contains(name)) << name;
    for (const char* name :
         {"memberships", "sessions", "refresh_tokens", "reset_tokens", "api_keys",
          "sign_in_attempts", "signing_keys", "audit", "idempotency_keys"})
        EXPECT_FALSE(told.contains(name)) << name;
}

} // namespace
} // namespace netbuild::test
