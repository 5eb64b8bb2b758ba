// SPDX-License-Identifier: Apache-2.0
#include "record_changes_contract.hpp"

#include <mongoc/mongoc.h>

#include "mongo/mongo_record_changes.hpp"
#include "mongo/mongo_records.hpp"
#include "support/servers.hpp"

namespace netbuild::test {
namespace {

/// A database of its own for each test.
struct Mongo {
    RecordStore& records() { return records_; }
    std::unique_ptr<RecordChanges> changes() {
        return std::make_unique<MongoRecordChanges>(
            MongoRecordChanges::Options{.uri = uri_, .events = parcel_events}, clock_);
    }
    SystemClock clock_;
    std::string uri_ = mongodb_address() + "/" + unique_name("changes");
    MongoRecords records_{{.uri = uri_, .threads = 4}, clock_};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Mongo, RecordChangesContract, Mongo);

/// Another program, such as a service with mongoose.
class OtherProgram {
public:
    explicit OtherProgram(const std::string& uri)
        : client_(mongoc_client_new(uri.c_str())), database_(uri.substr(uri.rfind('/') + 1)) {}
    ~OtherProgram() { mongoc_client_destroy(client_); }
    OtherProgram(const OtherProgram&) = delete;

    /// In extended JSON.
    void insert(const char* collection, const std::string& document) {
        with(collection, [&](mongoc_collection_t* into) {
            bson_t* body = read(document);
            EXPECT_TRUE(mongoc_collection_insert_one(into, body, nullptr, nullptr, &error_))
                << error_.message;
            bson_destroy(body);
        });
    }
    void update(const char* collection, const std::string& filter, const std::string& change) {
        with(collection, [&](mongoc_collection_t* in) {
            bson_t* selector = read(filter);
            bson_t* body = read(change);
            EXPECT_TRUE(mongoc_collection_update_one(in, selector, body, nullptr, nullptr, &error_))
                << error_.message;
            bson_destroy(selector);
            bson_destroy(body);
        });
    }

private:
    template <class Function>
    void with(const char* name, Function function) {
        mongoc_collection_t* found = mongoc_client_get_collection(client_, database_.c_str(), name);
        function(found);
        mongoc_collection_destroy(found);
    }
    bson_t* read(const std::string& json) {
        return bson_new_from_json(reinterpret_cast<const std::uint8_t*>(json.data()),
                                  static_cast<ssize_t>(json.size()), &error_);
    }

    mongoc_client_t* client_;
    std::string database_;
    bson_error_t error_{};
};

class MongoChanges : public RecordChangesContract<Mongo> {};

TEST_F(MongoChanges, what_another_program_writes_is_told) {
    const auto changes = opened();
    OtherProgram service(adapter.uri_);
    service.insert("unvalidated", R"({"_id": 1})");
    service.insert("contract_parcels",
                   R"({"_id": "p", "version": {"$numberLong": "1"}, "domainId": "acme",
                       "state": "packed", "executionId": "order-7"})");
    service.update("contract_parcels", R"({"_id": "p"})", R"({"$set": {"state": "sent"}})");
    const auto taken = take(*changes, 2);
    EXPECT_EQ(texts(taken),
              (std::vector<std::string>{"parcel:created p packed", "parcel:updated p sent"}));
    ASSERT_EQ(taken.size(), 2u);
    EXPECT_EQ(taken[1].event()->domain_id, "acme");
    EXPECT_EQ(taken[1].event()->execution_id, "order-7");
}

TEST_F(MongoChanges, a_change_is_given_at_once_and_not_when_the_wait_for_more_ends) {
    MongoRecordChanges changes(
        {.uri = adapter.uri_, .events = parcel_events, .await_max = std::chrono::seconds(60)},
        clock);
    must(context, changes.open({}));
    insert("a");
    const auto began = clock.monotonic();
    EXPECT_EQ(must(context, changes.next(std::chrono::seconds(60))).changes.size(), 1u);
    EXPECT_LT(clock.monotonic() - began, std::chrono::seconds(30));
}

/// The stream's server, which may lose what it had.
class ForgetfulBus final : public EventBus {
public:
    explicit ForgetfulBus(std::function<std::unique_ptr<MemoryBus>()> make)
        : make_(std::move(make)), bus_(make_()) {}
    /// All but the oldest `kept`.
    awaitable<result<void>> lose(std::size_t kept) {
        auto events = (co_await bus_->read({}, 1000, Clock::duration::zero())).value();
        events.resize(std::min(kept, events.size()));
        bus_ = make_();
        if (!events.empty()) CO_TRY_VOID(co_await bus_->append(std::move(events), {}));
        co_return result<void>{};
    }
    awaitable<result<void>> ping() override { return bus_->ping(); }
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override {
        return bus_->append(std::move(events), terms);
    }
    awaitable<result<Position>> last() override { return bus_->last(); }
    awaitable<result<Position>> first() override { return bus_->first(); }
    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) override {
        return bus_->read(after, count, wait);
    }
    awaitable<result<void>> trim_before(Position position) override {
        return bus_->trim_before(position);
    }

private:
    std::function<std::unique_ptr<MemoryBus>()> make_;
    std::unique_ptr<MemoryBus> bus_;
};

TEST_F(MongoChanges, a_stream_that_lost_its_end_is_filled_from_the_oplog_and_an_empty_one_says_so) {
    ForgetfulBus forgetful([this] {
        return std::make_unique<MemoryBus>(context.get_executor(), clock, MemoryBus::Options{});
    });
    const auto changes = adapter.changes();
    sync::RecordProgress progress;
    sync::RecordCapture capture({*changes, forgetful, clock, random, [] { return true; }},
                                progress);
    const auto events = [&] {
        return must(context, forgetful.read({}, 1000, Clock::duration::zero()));
    };
    const auto until = [&](std::size_t count) {
        for (int i = 0; i < 200 && events().size() < count; ++i)
            (void)run(context, capture.step(std::chrono::milliseconds(50)));
        return events();
    };
    EXPECT_EQ(must(context, capture.step(std::chrono::milliseconds(50))), 0u);
    insert("a");
    commit({RecordWrite::insert(parcels, "b", parcel("packed")),
            RecordWrite::insert(parcels, "c", parcel("packed"))});
    insert("d");
    const auto before = until(4);
    ASSERT_EQ(before.size(), 4u);
    const auto same = [&](const std::vector<StreamEventPtr>& now) {
        for (std::size_t i = 0; i < before.size(); ++i) {
            EXPECT_EQ(now[i]->position, before[i]->position);
            EXPECT_EQ(now[i]->payload, before[i]->payload);
        }
    };
    // In the middle of a commit; and nobody writes.
    must(context, forgetful.lose(2));
    const auto idle = until(4);
    ASSERT_EQ(idle.size(), 4u);
    same(idle);
    // With the next write.
    must(context, forgetful.lose(1));
    insert("e");
    const auto written = until(5);
    ASSERT_EQ(written.size(), 5u);
    same(written);
    EXPECT_EQ(progress.gaps, 0u);
    must(context, forgetful.lose(0));
    insert("f");
    const auto emptied = until(2);
    ASSERT_EQ(emptied.size(), 2u);
    EXPECT_EQ(emptied[0]->type, "gap");
    EXPECT_EQ(emptied[0]->position, written[4]->position);
    EXPECT_NE(emptied[0]->payload.find("\"from\":\"0-0\""), std::string::npos);
    EXPECT_NE(emptied[0]->payload.find("\"reason\":\"stream_lost\""), std::string::npos);
    EXPECT_NE(emptied[1]->payload.find("\"id\":\"f\""), std::string::npos);
    EXPECT_EQ(progress.gaps, 1u);
}

TEST_F(MongoChanges, what_no_declaration_allows_is_told_too_and_stays_small) {
    // Of a collection without a validator, as a service may have made it before us.
    static constexpr RecordEvents loose[] = {
        {.collection = &parcels, .subject = "parcel", .fields = parcel_told}};
    OtherProgram service(mongodb_address() + "/" +
                         adapter.uri_.substr(adapter.uri_.rfind('/') + 1) + "_loose");
    MongoRecordChanges changes({.uri = adapter.uri_ + "_loose", .events = loose}, clock);
    must(context, changes.open({}));
    service.insert("contract_parcels",
                   R"({"_id": {"$oid": "5f0000000000000000000001"}, "state": ")" +
                       std::string(2000, 'x') +
                       R"(", "price": {"$numberDecimal": "1.5"}, "domainId": {"a": 1}})");
    const auto batch = must(context, changes.next(soon));
    ASSERT_EQ(batch.changes.size(), 1u);
    const auto event = batch.changes[0].event();
    EXPECT_EQ(event->domain_id, "");
    EXPECT_NE(event->payload.find(R"("domainId":null,"id":"5f0000000000000000000001"})"),
              std::string::npos)
        << event->payload;
}

TEST_F(MongoChanges,
       a_token_that_the_server_does_not_take_is_a_gap_and_what_comes_after_it_is_told) {
    auto changes = adapter.changes();
    {
        sync::RecordProgress before;
        sync::RecordCapture capture({*changes, bus, clock, random, [] { return true; }}, before);
        EXPECT_EQ(must(context, capture.step(std::chrono::milliseconds(50))), 0u);
        insert("a");
        EXPECT_EQ(must(context, capture.step(soon)), 1u);
    }
    const auto first = streamed();
    ASSERT_EQ(first.size(), 1u);
    insert("lost");
    OtherProgram(adapter.uri_)
        .update("sync_checkpoints", R"({"_id": "records.changes"})",
                // {"_data": "00"}
                R"({"$set": {"token": {"$binary": {"base64": "EwAAAAJfZGF0YQADAAAAMDAAAA==",
                                                   "subType": "00"}}}})");
    changes = adapter.changes();
    sync::RecordProgress progress;
    sync::RecordCapture capture({*changes, bus, clock, random, [] { return true; }}, progress);
    EXPECT_EQ(must(context, capture.step(soon)), 0u);
    insert("b");
    EXPECT_EQ(must(context, capture.step(soon)), 1u);
    EXPECT_EQ(progress.gaps, 1u);
    const auto events = streamed();
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[1]->type, "gap");
    EXPECT_NE(events[1]->payload.find("\"from\":\"" + to_string(first[0]->position) + "\""),
              std::string::npos)
        << events[1]->payload;
    EXPECT_NE(events[1]->payload.find("\"reason\":\"history_lost\""), std::string::npos);
    EXPECT_NE(events[2]->payload.find("\"id\":\"b\""), std::string::npos);
    // The new place holds: the next process has nothing to say.
    EXPECT_TRUE(silent(*opened()));
}

} // namespace
} // namespace netbuild::test
