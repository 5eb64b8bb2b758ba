// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/document_store.hpp"

namespace netbuild {

/// Documents in one SQLite file (https://www.sqlite.org/wal.html). One writer thread, `readers`
/// connections that see committed batches only. Several processes may have the file open; one of
/// them should write.
class SqliteStore final : public DocumentStore {
public:
    struct Options {
        /// The folder is made if it is missing.
        std::string path;
        std::size_t readers = 2;
        /// How long another process's write lock is waited for.
        int busy_timeout_ms = 5000;
        std::size_t page_cache_kib = 8192;
    };
    explicit SqliteStore(Options options);
    ~SqliteStore() override;

    awaitable<result<void>> prepare(std::span<const CollectionSpec> collections) override;
    awaitable<result<void>> ping() override;
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override;
    awaitable<result<std::uint64_t>> claim(std::string engine) override;
    awaitable<result<std::optional<Checkpoint>>> checkpoint(std::string engine) override;
    awaitable<result<void>> erase_checkpoint(std::string engine) override;
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                 std::vector<std::string> ids) override;
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override;
    awaitable<result<std::vector<std::vector<ValuePtr>>>>
    find_together(std::vector<Query> queries) override;
    awaitable<result<std::uint64_t>> count(std::string_view collection, Filter filter) override;
    awaitable<result<std::uint64_t>> erase(std::string_view collection, Filter filter) override;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
