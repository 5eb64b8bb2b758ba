// SPDX-License-Identifier: Apache-2.0
#include "sync/content_hash.hpp"

#include "model/collections.hpp"
#include "wire/json.hpp"
#include "wire/sha256.hpp"

namespace netbuild::sync {
namespace {

constexpr std::size_t page_documents = 500;

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
    // The finalizer of MurmurHash3, over both: members are added up, so each must be well mixed.
    std::uint64_t x = a * 0x9E3779B97F4A7C15u ^ b;
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDu;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53u;
    return x ^ (x >> 33);
}

std::uint64_t text_digest(std::string_view text) { return std::hash<std::string_view>{}(text); }

std::uint64_t digest_of(const Value& value);

/// Of the members but the one named.
std::uint64_t digest_of(const Object& object, std::string_view without = {}) {
    std::uint64_t sum = 0;
    for (const auto& member : object) {
        if (without.empty() || member.key != without)
            sum += mixed(text_digest(member.key), digest_of(member.value));
    }
    return mixed(sum, object.size());
}

struct Digest {
    std::uint64_t operator()(std::monostate) const { return 0; }
    std::uint64_t operator()(bool value) const { return value ? 2 : 1; }
    std::uint64_t operator()(std::int32_t value) const { return std::hash<std::int32_t>{}(value); }
    std::uint64_t operator()(std::int64_t value) const { return std::hash<std::int64_t>{}(value); }
    std::uint64_t operator()(double value) const { return std::hash<double>{}(value); }
    std::uint64_t operator()(const std::string& text) const { return text_digest(text); }
    std::uint64_t operator()(Date date) const { return (*this)(date.milliseconds); }
    std::uint64_t operator()(const Binary& binary) const { return text_digest(binary.bytes); }
    std::uint64_t operator()(const Array& array) const {
        std::uint64_t sum = array.size();
        for (const Value& element : array)
            sum = mixed(sum, digest_of(element));
        return sum;
    }
    std::uint64_t operator()(const Object& object) const { return digest_of(object); }
};

std::uint64_t digest_of(const Value& value) {
    return mixed(std::visit(Digest{}, value.variant()), value.variant().index());
}

} // namespace

std::uint64_t content_digest(const Value& document) {
    const auto* object = document.get_if<Object>();
    if (!object) return digest_of(document);
    std::uint64_t sum = 0;
    for (const auto& member : *object) {
        if (member.key == "sync") continue;
        const auto* entries = member.key == "activeTasks" ? member.value.get_if<Object>() : nullptr;
        std::uint64_t content = 0;
        if (entries) {
            for (const auto& entry : *entries) {
                const auto* task = entry.value.get_if<Object>();
                content += mixed(text_digest(entry.key),
                                 task ? digest_of(*task, "sync") : digest_of(entry.value));
            }
        } else {
            content = digest_of(member.value);
        }
        sum += mixed(text_digest(member.key), content);
    }
    return sum;
}

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
