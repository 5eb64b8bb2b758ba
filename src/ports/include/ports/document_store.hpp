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
        /// Removes the document if its `sync.lsn` is less than `lsn`, or it has none.
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

/// A load of projected documents from the engine's tables while the stream runs.
struct LoadState {
    enum class Kind : unsigned char {
        first,
        /// The history has changed: until the end of it documents may be of the old one.
        reconcile,
        /// Asked for by `resync` or `verify --repair`; the model is as good as before meanwhile.
        request,
    };
    std::string id;
    Kind kind = Kind::first;
    /// Documents of the scope with a lesser `sync.lsn` are still to be loaded. 0: not begun.
    std::uint64_t base = 0;
    /// The last process instance of the newest durable chunk.
    std::string after;
    std::uint64_t instances = 0, instances_estimate = 0;
    /// A reconcile of the history that the documents are of, of which a part was not seen: what has
    /// ended and is not in the tables was removed by the engine's clean-up meanwhile.
    bool same_history = false;
    /// What is loaded: all, or the process instances and what else is named here.
    bool all = true;
    std::vector<std::string> scope;
    bool definitions = false, standalone_tasks = false;

    static constexpr std::size_t scope_max = 500;

    /// The model does not hold all up to the checkpoint's Position before it is done.
    [[nodiscard]] bool leaves_model_incomplete() const noexcept { return kind != Kind::request; }
};

/// Where a capture stands; the document of `sync_checkpoints` with _id = engine name or "engine".
struct Checkpoint {
    std::string engine = "engine";
    std::string slot;
    /// Which `claim` its writer made: a stored one of a later claim is not overwritten.
    std::uint64_t generation = 0;
    Position position;
    SourceIdentity source;
    /// The first one is on its way, the others wait.
    std::vector<LoadState> loads;
    /// Ids of the newest requests that are done, the last one newest.
    std::vector<std::string> loads_done;
    /// Another one after any process definition changed; 0: not known.
    std::uint64_t definitions_version = 0;
    std::int64_t at_us = 0;

    static constexpr std::size_t loads_max = 16, loads_done_max = 64;
    [[nodiscard]] bool model_complete() const noexcept {
        return loads.empty() || !loads.front().leaves_model_incomplete();
    }
};

/// Who writes: the generation that `claim` gave. Of a worker that was stopped and woken, or cut
/// off, while another one took over, it is an earlier one than the store's.
struct Fence {
    std::string engine = "engine";
    std::uint64_t generation = 0;
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
    /// conflict after a later claim, and nothing is written. A store without transactions looks
    /// before every stage (parts, documents): what is on its way at that moment still arrives. The
    /// checkpoint is compared and moved in one step everywhere.
    std::optional<Fence> fence;
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

/// A walk over a whole collection.
class DocumentScan {
public:
    virtual ~DocumentScan() = default;
    /// The next documents, a bounded number of them; none: that was all.
    virtual awaitable<result<std::vector<ValuePtr>>> next() = 0;
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
    /// Takes the engine's documents over, durably: a generation greater than any before, with which
    /// the batches of earlier ones are refused.
    virtual awaitable<result<std::uint64_t>> claim(std::string engine) = 0;
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
    /// Each document that is there all the time once, in any order; others perhaps. No snapshot.
    /// Not to outlive the store. By default find() page by page: a store that can does better.
    virtual std::unique_ptr<DocumentScan> scan(std::string_view collection);
    /// How many match.
    virtual awaitable<result<std::uint64_t>> count(std::string_view collection, Filter filter) = 0;
    /// Removes what matches; how many it were.
    virtual awaitable<result<std::uint64_t>> erase(std::string_view collection, Filter filter) = 0;
};

} // namespace netbuild
