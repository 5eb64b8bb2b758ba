// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/document_store.hpp"

namespace netbuild {

/// Documents in MongoDB 4.2 and later (replica set; pipeline updates, transactions).
class MongoStore final : public DocumentStore {
public:
    struct Options {
        /// mongodb://… or mongodb+srv://…; TLS and authentication by its options. The database is
        /// that of the path, else `netbuild`.
        std::string uri;
        std::size_t pool_max = 50;
        /// Clients that are connected at start.
        std::size_t pool_min = 10;
        std::size_t threads = 8;
        Clock::duration socket_timeout = std::chrono::seconds(45);
        Clock::duration server_selection_timeout = std::chrono::seconds(3);
        /// A large batch is written in so many bulks at a time, fewer than threads.
        std::size_t parallel_bulks = 1;
    };
    explicit MongoStore(Options options);
    ~MongoStore() override;

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
    std::unique_ptr<DocumentScan> scan(std::string_view collection) override;
    awaitable<result<std::uint64_t>> count(std::string_view collection, Filter filter) override;
    awaitable<result<std::uint64_t>> erase(std::string_view collection, Filter filter) override;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
