// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ports/collection.hpp"
#include "ports/document_store.hpp"

namespace netbuild {

/// One write of a commit. `body` is all of the record's fields, without _id and version.
struct RecordWrite {
    enum class Kind : unsigned char {
        insert,
        replace,
        erase,
        /// A replacement in an append-only collection, of `personal` fields and no others: so that
        /// a person can be forgotten where nothing else is.
        redact,
    };
    Kind kind = Kind::insert;
    const Collection* collection = nullptr;
    std::string id;
    /// The version that is replaced, erased or redacted. 0: of a record that another program wrote.
    std::int64_t version = 0;
    Object body;

    static RecordWrite insert(const Collection& collection, std::string id, Object body);
    static RecordWrite replace(const Collection& collection, std::string id, std::int64_t version,
                               Object body);
    static RecordWrite erase(const Collection& collection, std::string id, std::int64_t version);
    static RecordWrite redact(const Collection& collection, std::string id, std::int64_t version,
                              Object body);
};

struct RecordCondition {
    enum class Operator : unsigned char {
        /// Null: the record has no such field.
        equal,
        less,
        less_or_equal,
        greater,
        greater_or_equal,
        /// `value` is an Array; equal to any element. No element: nothing matches.
        in,
    };
    std::string_view field;
    Operator op = Operator::equal;
    Value value;
};

/// All conditions hold. Fields are indexed ones of the declaration or `_id`, values scalars of the
/// fields' types: nothing that a client sends can become an operator, a path or SQL.
struct RecordQuery {
    const Collection* collection = nullptr;
    std::vector<RecordCondition> where;
    /// Required fields; `_id` is the last key, unless a unique index has all of them. All keys have
    /// one direction.
    std::vector<std::string_view> sort;
    bool descending = false;
    std::size_t limit = 50;
    /// A cursor of an earlier page: what stands behind it, or (`before`) the nearest in front.
    std::string after = {}, before = {};
    /// Words, all of which Collection::searched holds: whole ones, without regard to case and
    /// accents. Empty: no search. unsupported: the store has no full-text index.
    std::string text = {};

    static constexpr std::size_t limit_max = 500, in_max = 500, words_max = 16;
};

/// In the query's order, whichever way it was paged.
struct RecordPage {
    std::vector<ValuePtr> items;
    /// Empty: nothing was there. Stable: writes elsewhere move no item from one page to another.
    std::string next, previous;
};

/// What the store has that the declaration has not, or the other way round.
struct SchemaChange {
    enum class Kind : unsigned char {
        create_collection,
        /// The validator differs.
        set_validator,
        create_index,
        /// One of ours (its name begins with nb_) that is declared no more.
        drop_index,
    };
    Kind kind = Kind::create_collection;
    const Collection* collection = nullptr;
    /// Of an index.
    std::string index;

    /// "create index messages.nb_conversationId".
    [[nodiscard]] std::string text() const;
};
/// Records done, and how many there are; 0 if that is not known.
using SchemaProgress = std::function<void(std::uint64_t done, std::uint64_t of)>;

/// NetBuild's own records: users, domains, conversations, payments … The projection's documents
/// have a port of their own (DocumentStore): there the log's Position orders writes, here a version
/// that the writer names. Every call may be made from any executor and resumes there.
/// Contract: `tests/contract/record_store_contract.hpp`.
class RecordStore {
public:
    virtual ~RecordStore() = default;

    virtual awaitable<result<void>> ping() = 0;

    /// In the order in which they are to be applied; none: nothing is to do.
    virtual awaitable<result<std::vector<SchemaChange>>>
    schema_changes(std::span<const Collection> collections) = 0;
    /// `progress` is called now and then, on any thread.
    virtual awaitable<result<void>> apply(SchemaChange change, SchemaProgress progress) = 0;

    /// All of the writes or none, durable when it returns; a new record has version 1, a replaced
    /// one the next. Fails with
    ///   already_exists  an _id or a unique index has it already; the detail names which
    ///   conflict        the record has another version
    ///   not_found       there is no such record to replace or erase
    ///   invalid_argument, payload_too_large   the body is not as declared
    ///   unsupported     the collection is append-only, or a redaction changes what is not personal
    ///   outcome_unknown whether it took effect is not known: read, or write again and see
    awaitable<result<void>> commit(std::vector<RecordWrite> writes);
    awaitable<result<void>> commit(RecordWrite write);

    /// In the order of `ids`; a null pointer where there is no such record.
    virtual awaitable<result<std::vector<ValuePtr>>> get(const Collection& collection,
                                                         std::vector<std::string> ids) = 0;
    /// not_found.
    awaitable<result<ValuePtr>> one(const Collection& collection, std::string id);
    awaitable<result<RecordPage>> find(RecordQuery query);
    /// The first that matches, or a null pointer.
    awaitable<result<ValuePtr>> first(RecordQuery query);
    /// Removes what expired before `now`, at most `limit` of it; how many it were. Append-only
    /// collections too.
    virtual awaitable<result<std::uint64_t>> remove_expired(const Collection& collection, Date now,
                                                            std::size_t limit) = 0;

    /// What becomes of the bytes that removed and replaced records had.
    enum class Remains : unsigned char {
        /// They are in none of the store's files.
        none,
        /// They may be until a later try: somebody reads an older state, or it would take long.
        some,
        /// They are the server's, by its own rules.
        servers,
    };
    /// Rewrites what has to be, where the files are the store's own.
    virtual awaitable<result<Remains>> forget_removed() { co_return Remains::servers; }

    static constexpr std::size_t writes_max = 100;

    /// A checked query as adapters run it: `keys` compare as one tuple.
    struct Plan {
        const Collection* collection = nullptr;
        std::vector<RecordCondition> where;
        /// The sort and _id.
        std::vector<std::string_view> keys;
        /// Of the store's walk: a page in front of a cursor is read backwards.
        bool descending = false;
        /// Values of the keys that the walk starts behind; empty: from its beginning.
        std::vector<Value> from;
        /// Of the search: no quotes, no backslashes, no blanks.
        std::vector<std::string> words;
        /// One more than the page has: whether there is more.
        std::size_t limit = 0;
        bool nothing = false;
    };

private:
    awaitable<result<void>> check_redaction(RecordWrite write);

protected:
    virtual awaitable<result<void>> write(std::vector<RecordWrite> writes) = 0;
    virtual awaitable<result<std::vector<ValuePtr>>> walk(Plan plan) = 0;
};

/// The record's fields, without _id and version: what a replacement starts from.
[[nodiscard]] Object record_body(const Value& record);
[[nodiscard]] std::string record_id(const Value& record);
[[nodiscard]] std::int64_t record_version(const Value& record);
/// The body as it is stored, with _id and version.
[[nodiscard]] Object stored_record(const RecordWrite& write);
/// nb_ and the fields; `unique_` or not is part of it, so that a change of it is a new index.
[[nodiscard]] std::string index_name(const RecordIndex& index);
/// nb_text_ and the field; empty: the collection has no full-text index.
[[nodiscard]] std::string search_index_name(const Collection& collection);
/// The declared index of that name, or null.
[[nodiscard]] const RecordIndex* find_index(const Collection& collection, std::string_view name);

} // namespace netbuild
