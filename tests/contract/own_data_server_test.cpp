// SPDX-License-Identifier: Apache-2.0
#include "payments_contract.hpp"
#include "privacy_contract.hpp"
#include "snapshots_contract.hpp"

#include "mongo/mongo_records.hpp"
#include "mongo/mongo_store.hpp"
#include "support/servers.hpp"

namespace netbuild::test {
namespace {

/// A database of its own for each test.
struct Mongo {
    static constexpr int calls_between_kills = 7;
    std::unique_ptr<RecordStore> open() {
        return std::make_unique<MongoRecords>(MongoRecords::Options{.uri = uri_, .threads = 4},
                                              clock_);
    }
    SystemClock clock_;
    std::string uri_ = mongodb_address() + "/" + unique_name("payments");
};
struct MongoBoth {
    RecordStore& records() { return records_; }
    DocumentStore& documents() { return documents_; }
    SystemClock clock_;
    std::string uri_ = mongodb_address() + "/" + unique_name("snapshots");
    MongoRecords records_{{.uri = uri_, .threads = 4}, clock_};
    MongoStore documents_{{.uri = uri_, .pool_min = 2, .threads = 4}};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Mongo, PaymentsContract, Mongo);
INSTANTIATE_TYPED_TEST_SUITE_P(Mongo, SnapshotsContract, MongoBoth);
INSTANTIATE_TYPED_TEST_SUITE_P(Mongo, PrivacyContract, Mongo);

} // namespace
} // namespace netbuild::test
