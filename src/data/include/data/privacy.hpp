// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/embeddings.hpp"
#include "ports/record_store.hpp"
#include "runtime/random.hpp"

namespace netbuild::data {

/// What becomes of a person's traces in a collection when the person is erased.
enum class Fate : unsigned char {
    /// It holds nobody's.
    nobodys,
    /// It stays and names the user's id, of which only a tombstone is left.
    kept,
    /// It is gone soon by itself.
    expires,
    pseudonymised,
    removed,
    /// The user's own record.
    tombstone,
};

/// A record is a person's if one of its texts is the user's id, begins with it and a slash, or is
/// the e-mail address; and in the further cases that are named here.
struct PersonalData {
    const Collection* collection = nullptr;
    Fate fate = Fate::nobodys;
    std::string_view why;
    /// The list's name in an export; empty: it is in none.
    std::string_view exported = {};
    /// Left out of an export.
    std::string_view withheld = {};
    /// Also if the record of `of` is the person's that this field names.
    std::string_view via = {};
    const Collection* of = nullptr;
    /// A text of JSON, in which one of the texts may be it.
    std::string_view inside = {};
    /// What a pseudonym does not go well with, and is removed instead.
    std::array<std::string_view, 2> forgotten = {};
};
/// All of own_collections(), in the order in which they are erased: what leads to a record before
/// what it is found by.
[[nodiscard]] std::span<const PersonalData> personal_data() noexcept;

struct PersonCounts {
    /// Records by collection.
    std::map<std::string_view, std::int64_t> records;
    /// Indexes that have lost vectors.
    std::set<std::string> indexes;
    /// Other programs' records that name the person: they stay, for their programs to erase.
    std::int64_t others = 0;
};

/// Everything that is known about a person, given out or erased; docs/guide/privacy.md. Collections
/// are walked whole, some records at a time: that takes long and little memory.
class Privacy {
public:
    Privacy(RecordStore& records, Embeddings& embeddings, Clock& clock, Random random)
        : records_(records), embeddings_(embeddings), clock_(clock), random_(random) {}

    using Sink = std::function<result<void>(std::string_view text)>;
    /// One JSON document into `sink`, piece by piece. not_found.
    awaitable<result<PersonCounts>> export_person(std::string user, std::string actor, Sink sink);
    /// May be killed at any point and run again. not_found; conflict: the person's records are
    /// being written all the time.
    awaitable<result<PersonCounts>> erase_person(std::string user, std::string actor);

private:
    struct Person {
        std::string id, email, email_key, pseudonym;
        [[nodiscard]] bool is(std::string_view text) const;
        [[nodiscard]] bool named_in(const Value& value) const;
        /// Anonymous: every text that names the person is the pseudonym.
        [[nodiscard]] Value without(Value value) const;
    };
    static Person person_of(const Value& user);

    awaitable<result<std::vector<ValuePtr>>> theirs(const PersonalData* what, const Person* person,
                                                    std::vector<ValuePtr> records);
    awaitable<result<std::int64_t>> export_list(const PersonalData* what, const Person* person,
                                                const Sink* sink);
    awaitable<result<Person>> begin(std::string user, std::string actor);
    awaitable<result<std::int64_t>> erase_in(const PersonalData* what, const Person* person,
                                             PersonCounts* counts);
    awaitable<result<std::int64_t>> erase_records(const PersonalData* what, const Person* person,
                                                  std::vector<ValuePtr> records,
                                                  PersonCounts* counts);
    awaitable<result<std::int64_t>> remove_vectors(std::vector<ValuePtr> records,
                                                   PersonCounts* counts);
    awaitable<result<void>> finish(Person person, std::string actor, std::string detail);
    [[nodiscard]] RecordWrite audited(std::string actor, std::string action, std::string user,
                                      std::string detail);
    [[nodiscard]] Date now() const { return Date{clock_.utc_us() / 1000}; }

    RecordStore& records_;
    Embeddings& embeddings_;
    Clock& clock_;
    Random random_;
};

} // namespace netbuild::data
