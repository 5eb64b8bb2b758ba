// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/record_changes.hpp"
#include "ports/record_store.hpp"

namespace netbuild {

/// Records in one SQLite file: a table a collection, the body as BSON, indexed fields as columns
/// beside it. One writer thread, `readers` connections that see what is committed.
class SqliteRecords final : public RecordStore {
public:
    struct Options {
        /// The folder is made if it is missing.
        std::string path;
        std::size_t readers = 2;
        /// How long another process's write lock is waited for.
        int busy_timeout_ms = 5000;
        std::size_t page_cache_kib = 8192;
        /// What SqliteRecordChanges is to see: noted down in the commit's own transaction.
        std::span<const RecordEvents> events = {};
        /// What nobody reads is given up beyond so many, the oldest first, and whoever reads later
        /// is told of the gap.
        std::int64_t changes_max = 1'000'000;
    };
    explicit SqliteRecords(Options options);
    ~SqliteRecords() override;

    awaitable<result<void>> ping() override;
    awaitable<result<std::vector<SchemaChange>>>
    schema_changes(std::span<const Collection> collections) override;
    awaitable<result<void>> apply(SchemaChange change, SchemaProgress progress) override;
    awaitable<result<std::vector<ValuePtr>>> get(const Collection& collection,
                                                 std::vector<std::string> ids) override;
    awaitable<result<Remains>> forget_removed() override;
    awaitable<result<std::uint64_t>> remove_expired(const Collection& collection, Date now,
                                                    std::size_t limit) override;

private:
    awaitable<result<void>> write(std::vector<RecordWrite> writes) override;
    awaitable<result<std::vector<ValuePtr>>> walk(Plan plan) override;

    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
