// SPDX-License-Identifier: Apache-2.0
#include "record_store_contract.hpp"

#include "mongo/mongo_records.hpp"
#include "support/servers.hpp"

namespace netbuild::test {
namespace {

/// A database of its own for each test.
struct Mongo {
    explicit Mongo(asio::io_context&) {}
    RecordStore& store() { return store_; }
    SystemClock clock_;
    MongoRecords store_{{.uri = mongodb_address() + "/" + unique_name("records"), .threads = 4},
                        clock_};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Mongo, RecordStoreContract, Mongo);

} // namespace
} // namespace netbuild::test
