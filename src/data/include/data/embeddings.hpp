// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/embedding_cache.hpp"
#include "model/caller.hpp"
#include "runtime/random.hpp"

namespace netbuild::data {

/// Registered indexes of vectors that others compute: no model runs here. An index belongs to one
/// domain, and so do its vectors. One executor.
class Embeddings {
public:
    Embeddings(RecordStore& records, EmbeddingCache& cache, Clock& clock, Random random)
        : records_(records), cache_(cache), clock_(clock), random_(random) {}

    /// `body` by embedding_index_fields. already_exists: the domain has one of that name.
    awaitable<result<ValuePtr>> create(Object body, std::string actor);
    /// not_found, also for one that is being removed.
    awaitable<result<ValuePtr>> get(std::string id);
    awaitable<result<RecordPage>> list(Scope scope, std::size_t limit, std::string after);
    /// It is gone at once; its records and files follow. precondition_failed: another version.
    awaitable<result<void>> erase(ValuePtr index, std::optional<std::int64_t> version);
    /// Searched vector by vector until its graph is built anew.
    void rebuild(const Value& index) { cache_.forget(record_id(index)); }

    /// Counts the records and writes the file anew from them. unavailable: the folder is another
    /// process's.
    awaitable<result<void>> mend(std::string index);

    static constexpr std::size_t vectors_max = 48, k_max = 500, effort_max = 2000;

    struct Added {
        std::int64_t added = 0, replaced = 0, unchanged = 0;
        ValuePtr index;
    };
    /// All of them or none, and searched from now on; an id that is there with other content is
    /// replaced, so that a retry does no harm. `vectors`: at most vectors_max objects by
    /// embedding_fields with `values` or `float32`. invalid_argument names the member.
    awaitable<result<Added>> add(std::string index, Array vectors);
    /// How many there were.
    awaitable<result<std::int64_t>> remove(std::string index, std::vector<std::string> ids);
    /// Every vector of a document; in steps, each of which is whole.
    awaitable<result<std::int64_t>> remove_source(std::string index, std::string source);
    awaitable<result<ValuePtr>> vector(std::string index, std::string id);
    awaitable<result<RecordPage>> vectors(std::string index, std::size_t limit, std::string after);

    struct Hit {
        /// Of the collection `embeddings`.
        ValuePtr record;
        float score = 0;
    };
    struct Answer {
        std::vector<Hit> hits;
        VectorAnswer::Method method = VectorAnswer::Method::exact;
    };
    awaitable<result<Answer>> search(ValuePtr index, VectorQuery query);

    /// An index of that name with the file's vectors, whose ids are the file's; `cosine` takes an
    /// inner product for one. What an earlier import of the same file began is finished. `more` may
    /// hold an object by id with what is known of the vectors. conflict: there is another index of
    /// that name.
    struct Import {
        std::string domain, name, model, source;
        bool cosine = false;
        std::map<std::int64_t, Object> more = {};
        std::function<void(std::uint64_t done, std::uint64_t of)> on_progress = {};
    };
    awaitable<result<ValuePtr>> import(ForeignVectors vectors, Import what, std::string actor);

    [[nodiscard]] EmbeddingCache& cache() noexcept { return cache_; }

private:
    struct Plan {
        std::vector<RecordWrite> writes;
        Added outcome;
    };
    awaitable<result<Plan>> plan_of(const Value& index, const std::vector<Object>& bodies);
    awaitable<result<std::int64_t>> remove_records(std::string index,
                                                   std::vector<std::string> keys);
    [[nodiscard]] RecordWrite removal(const std::string& index, std::int64_t sequence,
                                      std::int64_t label) const;
    awaitable<result<ValuePtr>> importing(const ForeignVectors& vectors, Import what,
                                          std::string actor);
    [[nodiscard]] Date now() const { return Date{clock_.utc_us() / 1000}; }

    RecordStore& records_;
    EmbeddingCache& cache_;
    Clock& clock_;
    Random random_;
};

/// As clients see them: without the vector and what is only ours.
[[nodiscard]] Object shown_index(const Value& record, const VectorState& state);
[[nodiscard]] Object shown_embedding(const Value& record);

} // namespace netbuild::data
