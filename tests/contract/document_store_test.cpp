// SPDX-License-Identifier: Apache-2.0
#include "document_store_contract.hpp"

#include "memory/memory_store.hpp"
#include "sqlite/sqlite_store.hpp"
#include "support/temporary_folder.hpp"

namespace netbuild::test {
namespace {

struct Memory {
    explicit Memory(asio::io_context&) {}
    DocumentStore& store() { return store_; }
    MemoryStore store_;
};
struct Sqlite {
    explicit Sqlite(asio::io_context&) {}
    DocumentStore& store() { return store_; }
    TemporaryFolder folder_;
    SqliteStore store_{{.path = folder_.file("store.sqlite")}};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, DocumentStoreContract, Memory);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, DocumentStoreContract, Sqlite);

} // namespace
} // namespace netbuild::test
