// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_store.hpp"

#include <algorithm>

#include "model/collections.hpp"
#include "ports/checkpoint_document.hpp"
#include "ports/query_order.hpp"

namespace netbuild {

awaitable<result<void>> MemoryStore::prepare(std::span<const CollectionSpec> collections) {
    for (const auto& spec : collections)
        collections_[spec.name];
    co_return result<void>{};
}

awaitable<result<void>> MemoryStore::ping() { co_return result<void>{}; }

void MemoryStore::write(const DocumentWrite& write) {
    Collection& target = collections_[std::string(write.collection)];
    const auto found = target.find(write.id);
    switch (write.kind) {
    case DocumentWrite::Kind::insert_only:
        if (found == target.end()) target.emplace(write.id, Document{write.lsn, write.body});
        return;
    case DocumentWrite::Kind::replace:
        if (found == target.end()) {
            target.emplace(write.id, Document{write.lsn, write.body});
        } else if (found->second.lsn < write.lsn) {
            found->second = {write.lsn, write.body};
        }
        return;
    case DocumentWrite::Kind::erase:
        if (found != target.end() && found->second.lsn < write.lsn) target.erase(found);
        return;
    }
}

result<void> MemoryStore::check_fence(const std::string& engine, std::uint64_t generation) const {
    const auto& known = collection(collections::sync_checkpoints);
    const auto found = known.find(engine);
    const auto claimed = found == known.end() ? 0 : claimed_generation(found->second.body);
    if (claimed > generation) return fenced_off(engine, generation, claimed);
    return {};
}

awaitable<result<std::uint64_t>> MemoryStore::claim(std::string engine) {
    Document& document = collections_[std::string(collections::sync_checkpoints)][engine];
    const std::uint64_t generation = claimed_generation(document.body) + 1;
    document.body =
        std::make_shared<const Value>(claim_document(engine, document.body, generation));
    co_return generation;
}

awaitable<result<void>> MemoryStore::apply(std::shared_ptr<const ApplyBatch> batch) {
    if (batch->fence) CO_TRY_VOID(check_fence(batch->fence->engine, batch->fence->generation));
    if (batch->checkpoint)
        CO_TRY_VOID(check_fence(batch->checkpoint->engine, batch->checkpoint->generation));
    for (const auto& event : batch->events)
        write(event);
    for (const auto& part : batch->parts)
        write(part);
    for (const auto& document : batch->documents)
        write(document);
    if (const auto& moved = batch->checkpoint) {
        auto& checkpoints = collections_[std::string(collections::sync_checkpoints)];
        Document& document = checkpoints[moved->engine];
        // Of the same Position too: the end of a first load says so at its own.
        if (document.lsn <= moved->position.number) {
            document = {moved->position.number,
                        std::make_shared<const Value>(checkpoint_document(*moved))};
        }
    }
    co_return result<void>{};
}

awaitable<result<std::optional<Checkpoint>>> MemoryStore::checkpoint(std::string engine) {
    const auto& known = collection(collections::sync_checkpoints);
    const auto found = known.find(engine);
    if (found == known.end()) co_return std::optional<Checkpoint>();
    co_return parse_checkpoint(found->second.body);
}

awaitable<result<void>> MemoryStore::erase_checkpoint(std::string engine) {
    collections_[std::string(collections::sync_checkpoints)].erase(engine);
    co_return result<void>{};
}

const MemoryStore::Collection& MemoryStore::collection(std::string_view name) const {
    static const Collection empty;
    const auto found = collections_.find(name);
    return found == collections_.end() ? empty : found->second;
}

awaitable<result<std::vector<ValuePtr>>> MemoryStore::get(std::string_view name,
                                                          std::vector<std::string> ids) {
    const Collection& source = collection(name);
    std::vector<ValuePtr> documents;
    for (const std::string& id : ids) {
        const auto found = source.find(id);
        documents.push_back(found == source.end() ? nullptr : found->second.body);
    }
    co_return documents;
}

std::vector<ValuePtr> MemoryStore::select(const Query& query) const {
    std::vector<OrderedDocument> found;
    for (const auto& [id, document] : collection(query.collection)) {
        if (matches(query.filter, *document.body)) add_ordered(query, document.body, found);
    }
    return take_page(query, std::move(found));
}

awaitable<result<std::vector<ValuePtr>>> MemoryStore::find(Query query) { co_return select(query); }

awaitable<result<std::vector<std::vector<ValuePtr>>>>
MemoryStore::find_together(std::vector<Query> queries) {
    std::vector<std::vector<ValuePtr>> answers;
    for (const Query& query : queries)
        answers.push_back(select(query));
    co_return answers;
}

awaitable<result<std::uint64_t>> MemoryStore::count(std::string_view name, Filter filter) {
    std::uint64_t count = 0;
    for (const auto& [id, document] : collection(name))
        count += matches(filter, *document.body);
    co_return count;
}

awaitable<result<std::uint64_t>> MemoryStore::erase(std::string_view name, Filter filter) {
    co_return std::erase_if(collections_[std::string(name)],
                            [&](const auto& entry) { return matches(filter, *entry.second.body); });
}

} // namespace netbuild
