// SPDX-License-Identifier: Apache-2.0
#include "conversations_contract.hpp"

#include "sqlite/sqlite_records.hpp"
#include "support/temporary_folder.hpp"

namespace netbuild::test {
namespace {

struct Sqlite {
    explicit Sqlite(asio::io_context&) {}
    RecordStore& store() { return store_; }
    TemporaryFolder folder_;
    SqliteRecords store_{{.path = folder_.file("records.sqlite")}};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, ConversationsContract, Sqlite);

} // namespace
} // namespace netbuild::test
