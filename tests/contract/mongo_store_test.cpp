// SPDX-License-Identifier: Apache-2.0
#include "document_store_contract.hpp"

#include "mongo/mongo_store.hpp"
#include "support/servers.hpp"

namespace netbuild::test {
namespace {

/// A database of its own for each test.
struct Mongo {
    explicit Mongo(asio::io_context&) {}
    DocumentStore& store() { return store_; }
    MongoStore store_{
        {.uri = mongodb_address() + "/" + unique_name("contract"), .pool_min = 2, .threads = 4}};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Mongo, DocumentStoreContract, Mongo);

TEST(MongoStore, a_server_that_is_away_is_unavailable) {
    asio::io_context context;
    MongoStore store({.uri = "mongodb://127.0.0.1:1/x",
                      .server_selection_timeout = std::chrono::milliseconds(50)});
    EXPECT_EQ(run(context, store.ping()).error().code(), ErrorCode::unavailable);
}

TEST(MongoStore, a_bad_uri_is_a_configuration_error) {
    asio::io_context context;
    MongoStore store({.uri = "http://nothing"});
    EXPECT_EQ(run(context, store.ping()).error().code(), ErrorCode::invalid_configuration);
}

} // namespace
} // namespace netbuild::test
