// SPDX-License-Identifier: Apache-2.0
#include "data/embeddings.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "data/embedding_input.hpp"
#include "data/embedding_records.hpp"

namespace netbuild::data {
namespace {

using Op = RecordCondition::Operator;

/// Writers of one index meet at its registry's record; the loser tries again, so often.
constexpr int attempts_max = 20;
/// A node that sleeps for longer reads all vectors again (embedding_cache.cpp: half of it).
constexpr std::int64_t removals_kept_ms = std::int64_t{24} * 3600 * 1000;

Error wrong(std::string_view field, std::string_view must) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", field, must));
}

std::string key_of(const std::string& index, std::string_view vector) {
    return fmt::format("{}/{}", index, vector);
}

/// What a client said of a vector; two of them with the same are one.
Object said_of(const Object& record) {
    Object said;
    for (const auto& member : record) {
        const Field* field = embeddings.field(member.key);
        if (field && (!field->server || member.key == "vector"))
            said.append(member.key, member.value);
    }
    return said;
}

/// The record's body of a vector of a request, without its label.
result<Object> body_of(const Value& input, const std::string& prefix, const Value& index,
                       Date now) {
    Object body = *input.get_if<Object>();
    TRY(const auto values, read_vector(body, prefix, spec_of(index)));
    body.erase("values");
    body.erase("float32");
    TRY_VOID(tags_of(body, prefix));
    if (body.find("vectorId")->string_or().find('/') != std::string_view::npos)
        return wrong(prefix + "vectorId", "must not hold a slash");
    const Value* from = body.find("from");
    const Value* to = body.find("to");
    if ((from && from->integer_or() < 0) ||
        (to && to->integer_or() < (from ? from->integer_or() : 0)))
        return wrong(prefix + (to ? "to" : "from"), "must be 0 <= from <= to");
    body.set("vector", Binary{vector_bytes(values)});
    body.set("indexId", record_id(index));
    body.set("domainId", *index.at_path("domainId"));
    body.set("createdAt", now);
    return body;
}

RecordWrite registry_write(const Value& index, std::int64_t sequence, std::int64_t count) {
    Object body = record_body(index);
    body.set("sequence", sequence);
    body.set("count", count);
    return RecordWrite::replace(embedding_indexes, record_id(index), record_version(index),
                                std::move(body));
}

} // namespace

awaitable<result<ValuePtr>> Embeddings::create(Object body, std::string actor) {
    const std::int64_t dimension = body.find("dimension")->integer_or();
    if (dimension < 1 || dimension > static_cast<std::int64_t>(embedding_dimension_max))
        co_return wrong("dimension", fmt::format("must be 1 to {}", embedding_dimension_max));
    if (!body.contains("status")) body.set("status", "ready");
    body.set("sequence", std::int64_t{0});
    body.set("count", std::int64_t{0});
    body.set("createdAt", now());
    body.set("createdBy", std::move(actor));
    const std::uint64_t high = random_.next(), low = random_.next();
    const std::string id = fmt::format("emb_{:016x}{:08x}", high, low >> 32);
    auto done = co_await cache_.commit(RecordWrite::insert(embedding_indexes, id, body));
    if (!done && done.error().code() == ErrorCode::already_exists)
        co_return fail(ErrorCode::already_exists, "name: the domain has such an index");
    if (!done) co_return std::move(done).error();
    co_return co_await records_.one(embedding_indexes, id);
}

awaitable<result<ValuePtr>> Embeddings::get(std::string id) {
    CO_TRY(const auto found, co_await records_.get(embedding_indexes, {id}));
    if (!found.front() || found.front()->at_path("status")->string_or() == "removing")
        co_return fail(ErrorCode::not_found, "index " + id);
    co_return found.front();
}

awaitable<result<RecordPage>> Embeddings::list(Scope scope, std::size_t limit, std::string after) {
    RecordQuery query{.collection = &embedding_indexes, .limit = limit, .after = std::move(after)};
    if (!scope.all)
        query.where.push_back(
            {"domainId", Op::in, Array(scope.domains.begin(), scope.domains.end())});
    CO_TRY(RecordPage page, co_await records_.find(std::move(query)));
    std::erase_if(page.items, [](const ValuePtr& record) {
        return record->at_path("status")->string_or() == "removing";
    });
    co_return page;
}

awaitable<result<void>> Embeddings::erase(ValuePtr index, std::optional<std::int64_t> version) {
    const std::string id = record_id(*index);
    if (version && *version != record_version(*index))
        co_return fail(ErrorCode::precondition_failed, "index " + id);
    for (int attempt = 1;; ++attempt) {
        Object body = record_body(*index);
        body.set("status", "removing");
        // Its name is free at once.
        body.set("name", id);
        auto done = co_await cache_.commit(
            RecordWrite::replace(embedding_indexes, id, record_version(*index), std::move(body)));
        if (done) break;
        if (done.error().code() != ErrorCode::conflict || version || attempt == attempts_max)
            co_return done;
        CO_TRY(index, co_await get(id));
    }
    cache_.touched(id);
    co_return result<void>{};
}

awaitable<result<void>> Embeddings::mend(std::string id) {
    for (int attempt = 1;; ++attempt) {
        CO_TRY(const ValuePtr index, co_await get(id));
        CO_TRY(const auto check, co_await cache_.check(index));
        if (check.vectors == index->integer_at("count")) break;
        auto done = co_await cache_.commit(
            registry_write(*index, index->integer_at("sequence"), check.vectors));
        if (done) break;
        if (done.error().code() != ErrorCode::conflict || attempt == attempts_max) co_return done;
    }
    CO_TRY(const ValuePtr index, co_await get(id));
    cache_.forget(id); // nobody raised the sequence when somebody else changed a record
    CO_TRY(const auto memory, co_await cache_.current(index));
    bool more = true;
    while (more) {
        CO_TRY(more, co_await memory->tend());
    }
    co_return co_await cache_.save(id);
}

RecordWrite Embeddings::removal(const std::string& index, std::int64_t sequence,
                                std::int64_t label) const {
    return RecordWrite::insert(embedding_removals, fmt::format("{}/{:016}", index, sequence),
                               Object{{"indexId", index},
                                      {"sequence", sequence},
                                      {"label", label},
                                      {"expiresAt", Date{now().milliseconds + removals_kept_ms}}});
}

awaitable<result<Embeddings::Plan>> Embeddings::plan_of(const Value& index,
                                                        const std::vector<Object>& bodies) {
    const std::string id = record_id(index);
    std::vector<std::string> keys;
    for (const Object& body : bodies)
        keys.push_back(key_of(id, body.find("vectorId")->string_or()));
    CO_TRY(const auto there, co_await records_.get(embeddings, keys));
    Plan plan;
    std::int64_t sequence = index.integer_at("sequence");
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        if (there[i] && said_of(record_body(*there[i])) == said_of(bodies[i])) {
            ++plan.outcome.unchanged;
            continue;
        }
        Object body = bodies[i];
        body.set("label", ++sequence);
        if (!there[i]) {
            ++plan.outcome.added;
            plan.writes.push_back(RecordWrite::insert(embeddings, keys[i], std::move(body)));
            continue;
        }
        ++plan.outcome.replaced;
        plan.writes.push_back(
            RecordWrite::replace(embeddings, keys[i], record_version(*there[i]), std::move(body)));
        plan.writes.push_back(removal(id, ++sequence, there[i]->integer_at("label")));
    }
    const std::int64_t count = index.integer_at("count") + plan.outcome.added;
    CO_TRY_VOID(cache_.admits(index, count));
    if (!plan.writes.empty()) plan.writes.push_back(registry_write(index, sequence, count));
    co_return plan;
}

awaitable<result<Embeddings::Added>> Embeddings::add(std::string id, Array vectors) {
    CO_TRY(ValuePtr index, co_await get(id));
    if (vectors.empty() || vectors.size() > vectors_max)
        co_return wrong("vectors", fmt::format("must be 1 to {}", vectors_max));
    std::vector<Object> bodies;
    std::set<std::string> ids;
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        const std::string prefix = fmt::format("vectors[{}].", i);
        CO_TRY(Object body, body_of(vectors[i], prefix, *index, now()));
        if (!ids.emplace(body.find("vectorId")->string_or()).second)
            co_return wrong(prefix + "vectorId", "is there twice");
        bodies.push_back(std::move(body));
    }
    for (int attempt = 1;; ++attempt) {
        CO_TRY(Plan plan, co_await plan_of(*index, bodies));
        auto done = co_await cache_.commit(std::move(plan.writes));
        if (done) {
            cache_.touched(id);
            CO_TRY(plan.outcome.index, co_await get(id));
            co_return plan.outcome;
        }
        // Another writer was faster: of this index, or of one of these vectors.
        if (done.error().error_class() != ErrorClass::conflict || attempt == attempts_max)
            co_return std::move(done).error();
        CO_TRY(index, co_await get(id));
    }
}

awaitable<result<std::int64_t>> Embeddings::remove_records(std::string id,
                                                           std::vector<std::string> keys) {
    for (int attempt = 1;; ++attempt) {
        CO_TRY(const ValuePtr index, co_await get(id));
        CO_TRY(const auto there, co_await records_.get(embeddings, keys));
        std::int64_t sequence = index->integer_at("sequence"), removed = 0;
        std::vector<RecordWrite> writes;
        for (const ValuePtr& record : there) {
            if (!record) continue;
            ++removed;
            writes.push_back(
                RecordWrite::erase(embeddings, record_id(*record), record_version(*record)));
            writes.push_back(removal(id, ++sequence, record->integer_at("label")));
        }
        if (removed == 0) co_return 0;
        writes.push_back(registry_write(*index, sequence, index->integer_at("count") - removed));
        auto done = co_await cache_.commit(std::move(writes));
        if (done) {
            cache_.touched(id);
            co_return removed;
        }
        const bool again = done.error().error_class() == ErrorClass::conflict ||
                           done.error().code() == ErrorCode::not_found;
        if (!again || attempt == attempts_max) co_return std::move(done).error();
    }
}

awaitable<result<std::int64_t>> Embeddings::remove(std::string index,
                                                   std::vector<std::string> ids) {
    if (ids.empty() || ids.size() > vectors_max)
        co_return wrong("vectorIds", fmt::format("must be 1 to {}", vectors_max));
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (std::string& id : ids)
        id = key_of(index, id);
    co_return co_await remove_records(std::move(index), std::move(ids));
}

awaitable<result<std::int64_t>> Embeddings::remove_source(std::string index, std::string source) {
    std::int64_t removed = 0;
    while (true) {
        RecordQuery query{
            .collection = &embeddings,
            .where = {{.field = "indexId", .value = index}, {.field = "source", .value = source}},
            .limit = vectors_max};
        CO_TRY(const RecordPage page, co_await records_.find(std::move(query)));
        std::vector<std::string> keys;
        for (const ValuePtr& record : page.items)
            keys.push_back(record_id(*record));
        if (keys.empty()) co_return removed;
        CO_TRY(const std::int64_t step, co_await remove_records(index, std::move(keys)));
        removed += step;
    }
}

awaitable<result<ValuePtr>> Embeddings::vector(std::string index, std::string id) {
    CO_TRY(const auto found, co_await records_.get(embeddings, {key_of(index, id)}));
    if (!found.front()) co_return fail(ErrorCode::not_found, "vector " + id);
    co_return found.front();
}

awaitable<result<RecordPage>> Embeddings::vectors(std::string index, std::size_t limit,
                                                  std::string after) {
    RecordQuery query{.collection = &embeddings,
                      .where = {{.field = "indexId", .value = std::move(index)}},
                      .sort = {"label"},
                      .limit = limit,
                      .after = std::move(after)};
    co_return co_await records_.find(std::move(query));
}

awaitable<result<Embeddings::Answer>> Embeddings::search(ValuePtr index, VectorQuery query) {
    if (query.k < 1 || query.k > k_max) co_return wrong("k", fmt::format("must be 1 to {}", k_max));
    if (query.effort > effort_max)
        co_return wrong("effort", fmt::format("must be 1 to {}", effort_max));
    CO_TRY(const auto memory, co_await cache_.current(index));
    CO_TRY(const VectorAnswer found, co_await memory->search(std::move(query)));
    std::vector<std::string> keys;
    for (const VectorHit& hit : found.hits)
        keys.push_back(hit.key);
    Answer answer{.hits = {}, .method = found.method};
    if (keys.empty()) co_return answer;
    CO_TRY(const auto records, co_await records_.get(embeddings, std::move(keys)));
    for (std::size_t i = 0; i < records.size(); ++i) {
        // Removed or replaced since: what is there now was not compared.
        if (!records[i] || records[i]->integer_at("label") != found.hits[i].label) continue;
        answer.hits.push_back({records[i], found.hits[i].score});
    }
    co_return answer;
}

/// The index that the vectors are to come into: new, or what an import that ended early left.
awaitable<result<ValuePtr>> Embeddings::importing(const ForeignVectors& vectors, Import what,
                                                  std::string actor) {
    const Metric metric = what.cosine ? Metric::cosine : vectors.spec.metric;
    if (what.cosine && vectors.spec.metric != Metric::ip)
        co_return fail(ErrorCode::unsupported, "cosine: the file's metric is l2");
    Object body{{"domainId", what.domain},
                {"name", what.name},
                {"model", what.model},
                {"dimension", static_cast<std::int64_t>(vectors.spec.dimension)},
                {"metric", metric_name(metric)},
                {"status", "importing"}};
    auto made = co_await create(body, std::move(actor));
    if (made || made.error().code() != ErrorCode::already_exists) co_return made;
    RecordQuery query{.collection = &embedding_indexes,
                      .where = {{.field = "domainId", .value = what.domain},
                                {.field = "name", .value = what.name}}};
    CO_TRY(const ValuePtr there, co_await records_.first(std::move(query)));
    if (there && there->at_path("status")->string_or() == "importing" &&
        *there->at_path("model") == *body.find("model") &&
        *there->at_path("dimension") == *body.find("dimension") &&
        *there->at_path("metric") == *body.find("metric"))
        co_return there;
    co_return std::move(made).error();
}

awaitable<result<ValuePtr>> Embeddings::import(ForeignVectors vectors, Import what,
                                               std::string actor) {
    CO_TRY(ValuePtr index, co_await importing(vectors, what, std::move(actor)));
    const std::string id = record_id(*index);
    CO_TRY_VOID(cache_.admits(*index, static_cast<std::int64_t>(vectors.ids.size())));
    const std::size_t dimension = vectors.spec.dimension;
    for (std::size_t at = 0; at < vectors.ids.size();) {
        Array batch;
        for (; batch.size() < vectors_max && at < vectors.ids.size(); ++at) {
            Object vector{{"vectorId", std::to_string(vectors.ids[at])}, {"source", what.source}};
            if (const auto more = what.more.find(vectors.ids[at]); more != what.more.end()) {
                for (const auto& member : more->second)
                    vector.set(member.key, member.value);
            }
            Array numbers;
            for (std::size_t i = at * dimension; i < (at + 1) * dimension; ++i)
                numbers.emplace_back(static_cast<double>(vectors.values[i]));
            vector.set("values", std::move(numbers));
            batch.emplace_back(std::move(vector));
        }
        CO_TRY_VOID(co_await add(id, std::move(batch)));
        if (what.on_progress) what.on_progress(at, vectors.ids.size());
    }
    for (int attempt = 1;; ++attempt) {
        CO_TRY(index, co_await get(id));
        Object body = record_body(*index);
        body.set("status", "ready");
        auto done = co_await cache_.commit(
            RecordWrite::replace(embedding_indexes, id, record_version(*index), std::move(body)));
        if (done) co_return co_await get(id);
        if (done.error().code() != ErrorCode::conflict || attempt == attempts_max)
            co_return std::move(done).error();
    }
}

Object shown_index(const Value& record, const VectorState& state) {
    Object shown = record_body(record);
    shown.set("indexId", record_id(record));
    shown.set("version", record_version(record));
    shown.set("inMemory", Object{{"vectors", static_cast<std::int64_t>(state.count)},
                                 {"inGraph", static_cast<std::int64_t>(state.in_graph)},
                                 {"bytes", static_cast<std::int64_t>(state.bytes)}});
    return shown;
}

Object shown_embedding(const Value& record) {
    Object shown = record_body(record);
    shown.erase("vector");
    return shown;
}

} // namespace netbuild::data
