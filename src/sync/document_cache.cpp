// SPDX-License-Identifier: Apache-2.0
#include "sync/document_cache.hpp"

#include <algorithm>

#include "model/collections.hpp"

namespace netbuild::sync {
namespace {

/// What a new document has room for: as many as the largest of the read model has.
constexpr std::size_t document_members = 24;

} // namespace

const Object& CachedDocument::object(std::string_view key) const noexcept {
    static const Object empty;
    const Value* member = find(key);
    const auto* found = member ? member->get_if<Object>() : nullptr;
    return found ? *found : empty;
}

Object& CachedDocument::edit() {
    if (!body_) {
        body_ = std::make_shared<Value>(Object{});
        auto& made = *body_->get_if<Object>();
        made.reserve(document_members);
        made.append("_id", id_);
    } else if (body_.use_count() > 1) { // a batch on its way, or the store itself, holds it too
        body_ = std::make_shared<Value>(*body_);
    }
    return *body_->get_if<Object>();
}

bool CachedDocument::set(std::string_view key, Value value) {
    const Value* current = find(key);
    if (!current) {
        edit().append(std::string(key), std::move(value));
        return true;
    }
    if (*current == value) return false;
    edit().set(key, std::move(value));
    return true;
}

bool CachedDocument::set_in(std::string_view map, std::string_view key, Value value) {
    const Value* current = object(map).find(key);
    if (current && *current == value) return false;
    Object& members = edit().object_at(map);
    if (current) {
        members.set(key, std::move(value));
    } else {
        members.append(std::string(key), std::move(value));
    }
    return true;
}

bool CachedDocument::erase_in(std::string_view map, std::string_view key) {
    if (!object(map).contains(key)) return false;
    return edit().object_at(map).erase(key);
}

void CachedDocument::remove() { body_.reset(); }

void DocumentCache::stamp(CachedDocument& document, std::uint64_t lsn, Date at) {
    if (document.exists()) {
        document.edit().set("sync", Object{{"lsn", static_cast<std::int64_t>(lsn)}, {"at", at}});
    }
    document.lsn_ = lsn;
    mark(document);
}

void DocumentCache::mark(CachedDocument& document) {
    if (std::exchange(document.dirty_, true)) return;
    dirty_.push_back(&document);
    dirty_bytes_ += document.bytes_;
}

void DocumentCache::adopt(const DocumentWrite& write) {
    CachedDocument& document = put(write.collection, write.id, nullptr);
    document.body_ = std::const_pointer_cast<Value>(write.body); // shared: edit() copies it
    document.lsn_ = write.lsn;
    mark(document);
}

CachedDocument* DocumentCache::find(std::string_view collection, std::string_view id) {
    const auto found = documents_.find(Key(collection, id));
    if (found == documents_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second->place_);
    return found->second.get();
}

CachedDocument& DocumentCache::put(std::string_view collection, std::string id,
                                   const ValuePtr& body) {
    if (CachedDocument* existing = find(collection, id)) return *existing;
    auto made = std::make_unique<CachedDocument>(collection, std::move(id));
    if (body) {
        made->body_ = std::const_pointer_cast<Value>(body); // edit() copies what others hold too
        const Value* lsn = body->at_path("sync.lsn");
        made->lsn_ = lsn ? static_cast<std::uint64_t>(lsn->integer_or()) : 0;
        made->bytes_ = approximate_bytes(*body);
        made->stored_ = true;
    }
    bytes_ += made->bytes_;
    order_.push_front(made.get());
    made->place_ = order_.begin();
    CachedDocument& document = *made;
    documents_.emplace(Key(document.collection_, document.id_), std::move(made));
    return document;
}

void DocumentCache::take_dirty(ApplyBatch& batch) {
    for (CachedDocument* document : dirty_) {
        document->dirty_ = false;
        ++document->in_flight_;
        DocumentWrite write;
        write.collection = document->collection_;
        write.id = document->id_;
        write.lsn = document->lsn_;
        write.kind = document->body_ ? DocumentWrite::Kind::replace : DocumentWrite::Kind::erase;
        write.body = document->body_;
        write.expected_new = !std::exchange(document->stored_, document->exists());
        const Value* instance = document->find("processInstanceId");
        write.partition = instance ? instance->string_or() : std::string_view{};
        bytes_ -= document->bytes_;
        document->bytes_ = document->body_ ? approximate_bytes(*document->body_) : 0;
        bytes_ += document->bytes_;
        const bool part = write.collection != collections::workflow_executions;
        (part ? batch.parts : batch.documents).push_back(std::move(write));
    }
    dirty_.clear();
    dirty_bytes_ = 0;
}

void DocumentCache::written(const ApplyBatch& batch) {
    written(batch.parts);
    written(batch.documents);
    evict();
}

void DocumentCache::written(const std::vector<DocumentWrite>& writes) {
    for (const DocumentWrite& write : writes) {
        const auto found = documents_.find(Key(write.collection, write.id));
        if (found == documents_.end()) continue;
        CachedDocument& document = *found->second;
        --document.in_flight_;
        if (document.body_ == write.body && document.in_flight_ == 0) {
            // An ended instance is hardly ever touched again.
            const Value* ended = document.find("endedAt");
            if (ended && !ended->is_null() && !document.dirty_) {
                order_.splice(order_.end(), order_, document.place_);
            }
        }
    }
}

void DocumentCache::evict() {
    auto place = order_.end();
    while (place != order_.begin() &&
           (documents_.size() > limits_.documents_max || bytes_ > limits_.bytes_max)) {
        --place;
        CachedDocument& document = **place;
        if (document.dirty_ || document.in_flight_ > 0) continue;
        bytes_ -= document.bytes_;
        const Key key(document.collection_, document.id_);
        place = order_.erase(place);
        documents_.erase(documents_.find(key));
        ++removals_;
    }
}

void DocumentCache::keep_removed(std::string_view collection, std::string_view id,
                                 std::uint64_t lsn) {
    CachedDocument* document = find(collection, id);
    if (document && !document->exists()) document->lsn_ = std::max(document->lsn_, lsn);
}

void DocumentCache::forget_before(std::uint64_t lsn) {
    for (auto place = order_.begin(); place != order_.end();) {
        CachedDocument& document = **place;
        if (document.lsn_ >= lsn || document.dirty_ || document.in_flight_ > 0) {
            ++place;
            continue;
        }
        bytes_ -= document.bytes_;
        const Key key(document.collection_, document.id_);
        place = order_.erase(place);
        documents_.erase(documents_.find(key));
        ++removals_;
    }
}

void DocumentCache::clear() {
    order_.clear();
    dirty_.clear();
    documents_.clear();
    ++removals_;
    bytes_ = dirty_bytes_ = 0;
}

} // namespace netbuild::sync
