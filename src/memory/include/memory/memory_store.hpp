// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "ports/document_store.hpp"

namespace netbuild {

/// Documents in memory, for tests and for measuring everything before the store.
class MemoryStore final : public DocumentStore {
public:
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
    struct Document {
        std::uint64_t lsn = 0;
        ValuePtr body;
    };
    using Collection = std::map<std::string, Document, std::less<>>;

    void write(const DocumentWrite& write);
    [[nodiscard]] result<void> check_fence(const std::string& engine,
                                           std::uint64_t generation) const;
    [[nodiscard]] std::vector<ValuePtr> select(const Query& query) const;
    [[nodiscard]] const Collection& collection(std::string_view name) const;

    std::map<std::string, Collection, std::less<>> collections_;
};

} // namespace netbuild
