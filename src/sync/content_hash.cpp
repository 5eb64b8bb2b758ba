// SPDX-License-Identifier: Apache-2.0
#include "sync/content_hash.hpp"

#include "model/collections.hpp"
#include "wire/json.hpp"
#include "wire/sha256.hpp"

namespace netbuild::sync {
namespace {

constexpr std::size_t page_documents = 500;

} // namespace

Value without_sync(const Value& document) {
    Value copy = document;
    auto* object = copy.get_if<Object>();
    if (!object) return copy;
    object->erase("sync");
    Value* tasks = object->find("activeTasks");
    if (auto* entries = tasks ? tasks->get_if<Object>() : nullptr) {
        for (auto& entry : *entries) {
            if (auto* task = entry.value.get_if<Object>()) task->erase("sync");
        }
    }
    return copy;
}

awaitable<result<ContentHash>> content_hash(DocumentStore& store) {
    Sha256 hash;
    ContentHash outcome;
    for (const std::string_view collection : collections::projected) {
        Query query;
        query.collection = collection;
        query.limit = page_documents;
        while (true) {
            CO_TRY(const auto documents, co_await store.find(query));
            for (const ValuePtr& document : documents) {
                hash.add(collection);
                hash.add(" ");
                hash.add(to_json(without_sync(*document), JsonStyle::canonical));
                hash.add("\n");
            }
            outcome.documents += documents.size();
            if (documents.size() < page_documents) break;
            query.after = {*documents.back()->at_path("_id")};
        }
    }
    outcome.sha256 = hash.hex();
    co_return outcome;
}

} // namespace netbuild::sync
