// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/record_store.hpp"
#include "runtime/random.hpp"

namespace netbuild {

/// Records in MongoDB 4.2 and later (replica set: a commit of several writes is a transaction). Its
/// pool is its own: a load of the read model keeps no sign-in waiting.
class MongoRecords final : public RecordStore {
public:
    struct Options {
        /// As MongoStore's.
        std::string uri;
        std::size_t pool_max = 20;
        std::size_t threads = 8;
        Clock::duration socket_timeout = std::chrono::seconds(45);
        Clock::duration server_selection_timeout = std::chrono::seconds(3);
        /// A transaction that met another one is tried again so often.
        int attempts_max = 16;
    };
    MongoRecords(Options options, Clock& clock);
    ~MongoRecords() override;

    awaitable<result<void>> ping() override;
    awaitable<result<std::vector<SchemaChange>>>
    schema_changes(std::span<const Collection> collections) override;
    awaitable<result<void>> apply(SchemaChange change, SchemaProgress progress) override;
    awaitable<result<std::vector<ValuePtr>>> get(const Collection& collection,
                                                 std::vector<std::string> ids) override;
    awaitable<result<std::uint64_t>> remove_expired(const Collection& collection, Date now,
                                                    std::size_t limit) override;

private:
    awaitable<result<void>> write(std::vector<RecordWrite> writes) override;
    awaitable<result<std::vector<ValuePtr>>> walk(Plan plan) override;

    class Impl;
    Clock& clock_;
    Random random_;
    int attempts_max_;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
