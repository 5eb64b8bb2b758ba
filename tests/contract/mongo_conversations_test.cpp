// SPDX-License-Identifier: Apache-2.0
#include "conversations_contract.hpp"

#include "mongo/mongo_records.hpp"
#include "support/servers.hpp"

namespace netbuild::test {
namespace {

/// A database of its own for each test.
struct Mongo {
    explicit Mongo(asio::io_context&) {}
    RecordStore& store() { return store_; }
    SystemClock clock_;
    MongoRecords store_{{.uri = mongodb_address() + "/" + unique_name("talk"), .threads = 4},
                        clock_};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Mongo, ConversationsContract, Mongo);

} // namespace
} // namespace netbuild::test
