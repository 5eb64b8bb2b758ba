// SPDX-License-Identifier: Apache-2.0
#include "payments_contract.hpp"
#include "privacy_contract.hpp"
#include "snapshots_contract.hpp"

#include "sqlite/sqlite_records.hpp"
#include "sqlite/sqlite_store.hpp"
#include "support/temporary_folder.hpp"

namespace netbuild::test {
namespace {

struct Sqlite {
    static constexpr int calls_between_kills = 3;
    std::unique_ptr<RecordStore> open() {
        return std::make_unique<SqliteRecords>(
            SqliteRecords::Options{.path = folder_.file("netbuild.sqlite")});
    }
    TemporaryFolder folder_;
};
struct SqliteBoth {
    RecordStore& records() { return records_; }
    DocumentStore& documents() { return documents_; }
    TemporaryFolder folder_;
    SqliteRecords records_{{.path = folder_.file("records.sqlite")}};
    SqliteStore documents_{{.path = folder_.file("store.sqlite")}};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, PaymentsContract, Sqlite);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, SnapshotsContract, SqliteBoth);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, PrivacyContract, Sqlite);

} // namespace
} // namespace netbuild::test
