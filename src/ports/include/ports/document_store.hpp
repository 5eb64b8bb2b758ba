// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/position.hpp"
#include "model/value.hpp"
#include "ports/change_source.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

using ValuePtr = std::shared_ptr<const Value>;

/// An index over dotted paths, ascending ("domainId") or descending ("-startedAt").
struct IndexSpec {
    std::vector<std::string> paths;
    bool unique = false;
};
struct CollectionSpec {
    std::string name;
    std::vector<IndexSpec> indexes;
};

/// One document of an ApplyBatch. The body always holds its own "_id".
struct DocumentWrite {
    enum class Kind : unsigned char {
        /// Replaces the document if the stored `sync.lsn` is less than `lsn`, or inserts it.
        replace,
        /// Inserts; a document of that id is kept as first written.
        insert_only,
        /// Removes the document if its `sync.lsn` is less than `lsn`.
        erase,
    };
    Kind kind = Kind::replace;
    std::string_view collection; // a constant of model/collections.hpp
    std::string id;
    std::uint64_t lsn = 0; // Position::number
    ValuePtr body;         // an Object; null for erase
    /// For replace: the store had no document of that id when the writer last looked. A store may
    /// try an insert first; the outcome is the same if it is wrong.
    bool expected_new = false;
    /// Writes of one partition (a process instance) are applied in order; others may be parallel.
    std::string_view partition; // points into the body or the id
};

/// Where a capture stands; the document of `sync_checkpoints` with _id = engine name or "engine".
struct Checkpoint {
    std::string engine = "engine";
    std::string slot;
    Position position;
    SourceIdentity source;
    /// True while a first load runs: what it wrote is to be removed before a new one.
    bool loading = false;
    std::int64_t at_us = 0;
};

/// What is made durable together, each member only when the one before it is: an adapter with
/// transactions does it in one. Whoever finds an event's or a part's owner written knows by this
/// order that they are too.
struct ApplyBatch {
    std::vector<DocumentWrite> events;
    /// Documents that belong to one of `documents`: tasks, definitions.
    std::vector<DocumentWrite> parts;
    /// Process instances.
    std::vector<DocumentWrite> documents;
    /// Only moves forward.
    std::optional<Checkpoint> checkpoint;
};

/// A condition on one path. An Array at the path matches if any element does (as MongoDB's).
struct Condition {
    enum class Operator : unsigned char {
        equal,
        not_equal,
        less,
        less_or_equal,
        greater,
        greater_or_equal,
        /// `value` is an Array; equal to any element.
        in,
        /// `value` is a string with * for any run of characters; anchored at both ends.
        like,
        /// `value` is a bool. A member that is null exists.
        exists,
        /// `value` is a bool: has the object or array no members; what is not there has none.
        empty,
    };
    std::string path;
    Operator op = Operator::equal;
    Value value;
};
/// All conditions hold; and, for each group, at least one of it.
struct Filter {
    std::vector<Condition> all;
    std::vector<std::vector<Condition>> any_of;
};
/// Values of different types compare as MongoDB orders them; an order condition (less …) holds only
/// between values of one type class (numbers, strings, dates, booleans).
[[nodiscard]] int compare_values(const Value& left, const Value& right) noexcept;
[[nodiscard]] bool matches(const Filter& filter, const Value& document);

struct SortKey {
    std::string path;
    bool descending = false;
};
struct Query {
    std::string_view collection;
    Filter filter;
    /// `_id` is always added as the last key, ascending, so that the order is total.
    std::vector<SortKey> sort;
    /// The caller does not care (`sort` and `after` are empty): spares a store the sorting.
    bool any_order = false;
    std::size_t limit = 50;
    /// Values of the sort keys and the _id of the last item of the page before; empty: from the
    /// start.
    std::vector<Value> after;
    /// Members to leave out of the answer (dotted paths).
    std::vector<std::string> without;
};

/// Documents by collection, the read model and NetBuild's own. Blocking drivers work on their own
/// pools; every call may be made from any executor and resumes there.
/// Contract: `tests/contract/document_store_contract.hpp`.
class DocumentStore {
public:
    virtual ~DocumentStore() = default;

    /// Connects if need be and creates what is missing (collections, indexes). unavailable,
    /// unauthorized.
    virtual awaitable<result<void>> prepare(std::span<const CollectionSpec> collections) = 0;
    virtual awaitable<result<void>> ping() = 0;

    /// Durable when it returns (majority and journaled; SQLite synchronous=FULL). Idempotent: the
    /// same batch again, whole or after a cut anywhere, ends in the same content.
    virtual awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) = 0;
    /// nullopt if there is none.
    virtual awaitable<result<std::optional<Checkpoint>>> checkpoint(std::string engine) = 0;
    virtual awaitable<result<void>> erase_checkpoint(std::string engine) = 0;

    /// In the order of `ids`; a null pointer where there is no such document.
    virtual awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                         std::vector<std::string> ids) = 0;
    virtual awaitable<result<std::vector<ValuePtr>>> find(Query query) = 0;
    /// All answers from one snapshot of the store.
    virtual awaitable<result<std::vector<std::vector<ValuePtr>>>>
    find_together(std::vector<Query> queries) = 0;
    /// How many match.
    virtual awaitable<result<std::uint64_t>> count(std::string_view collection, Filter filter) = 0;
    /// Removes what matches; how many it were.
    virtual awaitable<result<std::uint64_t>> erase(std::string_view collection, Filter filter) = 0;
};

} // namespace netbuild
