// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/value.hpp"
#include "ports/document_store.hpp"

namespace netbuild::sync {

/// A document as the projection sees it: the store's content with every projected transaction
/// folded in. The body is shared with batches on their way to the store, and copied before the next
/// change if anyone else still holds it.
class CachedDocument {
public:
    CachedDocument(std::string_view collection, std::string id)
        : collection_(collection), id_(std::move(id)) {}

    [[nodiscard]] std::string_view collection() const noexcept { return collection_; }
    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    [[nodiscard]] bool exists() const noexcept { return body_ != nullptr; }
    /// Position::number of the last transaction folded in.
    [[nodiscard]] std::uint64_t lsn() const noexcept { return lsn_; }
    [[nodiscard]] bool dirty() const noexcept { return dirty_; }
    /// Null if it does not exist.
    [[nodiscard]] ValuePtr shared() const noexcept { return body_; }
    /// Only if it exists.
    [[nodiscard]] const Object& body() const noexcept { return *body_->get_if<Object>(); }
    [[nodiscard]] const Value* find(std::string_view key) const noexcept {
        return body_ ? body().find(key) : nullptr;
    }
    /// The member if it is an object, else an empty one.
    [[nodiscard]] const Object& object(std::string_view key) const noexcept;

    /// Makes the document if it is missing.
    Object& edit();
    /// True if that changed anything.
    bool set(std::string_view key, Value value);
    bool set_in(std::string_view map, std::string_view key, Value value);
    bool erase_in(std::string_view map, std::string_view key);
    /// The document is to be removed from the store.
    void remove();

private:
    friend class DocumentCache;
    std::string_view collection_;
    std::string id_;
    std::shared_ptr<Value> body_;
    std::uint64_t lsn_ = 0;
    bool dirty_ = false;
    bool stored_ = false;    // as far as known here: loaded from the store, or on its way there
    unsigned in_flight_ = 0; // batches that hold a state of it
    std::size_t bytes_ = 0;
    std::list<CachedDocument*>::iterator place_; // in the cache's order of use
};

/// The documents that the projection works on. Bounded: what was used longest ago leaves, unless it
/// is dirty or on its way to the store.
class DocumentCache {
public:
    struct Limits {
        std::size_t documents_max;
        std::size_t bytes_max;
    };
    explicit DocumentCache(Limits limits) : limits_(limits) {}

    /// Null if it has to be loaded first.
    [[nodiscard]] CachedDocument* find(std::string_view collection, std::string_view id);
    /// `body` null: the store has none.
    CachedDocument& put(std::string_view collection, std::string id, const ValuePtr& body);
    /// Everything dirty, as writes that share the bodies; the documents are clean afterwards.
    void take_dirty(ApplyBatch& batch);
    /// The batch is durable.
    void written(const ApplyBatch& batch);
    void evict();
    [[nodiscard]] std::size_t dirty_count() const noexcept { return dirty_.size(); }
    /// As they were loaded.
    [[nodiscard]] std::size_t dirty_bytes() const noexcept { return dirty_bytes_; }
    /// The state that a document got elsewhere: it is to be written.
    void adopt(const DocumentWrite& write);
    [[nodiscard]] std::size_t size() const noexcept { return documents_.size(); }
    /// While it stays, what was found in the cache still is there.
    [[nodiscard]] std::uint64_t removals() const noexcept { return removals_; }
    /// Stamps `sync` and marks the document to be written.
    void stamp(CachedDocument& document, std::uint64_t lsn, Date at);
    /// If the cache has it as missing: as removed at `lsn`, so that nothing older brings it back.
    void keep_removed(std::string_view collection, std::string_view id, std::uint64_t lsn);
    /// The store has erased what is older than `lsn`: so are these.
    void forget_before(std::uint64_t lsn);
    void clear();

private:
    struct KeyHash {
        // Not noexcept: so libstdc++ keeps each key's hash, and walks a bucket without hashing.
        std::size_t operator()(const std::pair<std::string_view, std::string_view>& key) const {
            // Length and first letter tell the few collections apart; an address would not do, for
            // equal literals of two files may have two.
            return std::hash<std::string_view>{}(key.second) ^
                   (key.first.size() << 8 | static_cast<unsigned char>(key.first.front()));
        }
    };
    using Key = std::pair<std::string_view, std::string_view>;

    void mark(CachedDocument& document);
    void written(const std::vector<DocumentWrite>& writes);

    Limits limits_;
    // Keys view the collection's constant and the document's own id.
    std::unordered_map<Key, std::unique_ptr<CachedDocument>, KeyHash> documents_;
    std::list<CachedDocument*> order_; // newest first
    std::vector<CachedDocument*> dirty_;
    std::size_t bytes_ = 0;
    std::size_t dirty_bytes_ = 0;
    std::uint64_t removals_ = 0;
};

} // namespace netbuild::sync
