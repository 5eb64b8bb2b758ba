// SPDX-License-Identifier: Apache-2.0
#include "data/embedded_passages.hpp"

#include <algorithm>
#include <tuple>

#include "data/embedding_input.hpp"

namespace netbuild::data {
namespace {

constexpr std::string_view question_prefix = "message:";
/// Questions lie near a question: so many more are looked at than wanted.
constexpr std::size_t looked_at = 4;

std::size_t size_at(const Value& record, std::string_view field) {
    const Value* value = record.at_path(field);
    return value ? static_cast<std::size_t>(std::max<std::int64_t>(value->integer_or(), 0)) : 0;
}

bool is_before(const Passage& a, const Passage& b) {
    if (a.score != b.score) return a.score > b.score;
    return std::tie(a.document, a.chunk, a.from) < std::tie(b.document, b.chunk, b.from);
}

/// The first of each, the second of each …
std::vector<Passage> in_turns(std::vector<std::vector<Passage>> lists, std::size_t limit) {
    std::vector<Passage> merged;
    for (std::size_t rank = 0; merged.size() < limit; ++rank) {
        bool any = false;
        for (auto& list : lists) {
            if (rank >= list.size() || merged.size() == limit) continue;
            merged.push_back(std::move(list[rank]));
            any = true;
        }
        if (!any) break;
    }
    return merged;
}

} // namespace

awaitable<result<std::vector<Passage>>>
EmbeddedPassages::of_index(ValuePtr index, ValuePtr question, std::size_t limit) {
    VectorQuery query{.k = std::min(looked_at * limit, Embeddings::k_max)};
    const Value* bytes = question->at_path("vector");
    const auto* vector = bytes ? bytes->get_if<Binary>() : nullptr;
    if (!vector || !vector_of_bytes(vector->bytes, spec_of(*index).dimension, query.values))
        co_return fail(ErrorCode::corrupt, "embedding " + record_id(*question));
    CO_TRY(const auto answer, co_await embeddings_.search(index, std::move(query)));
    std::vector<Passage> passages;
    for (const Embeddings::Hit& hit : answer.hits) {
        const Value& record = *hit.record;
        if (record.text_at("vectorId").starts_with(question_prefix)) continue;
        Passage passage{.text = std::string(record.text_at("text")),
                        .document = std::string(record.text_at("source")),
                        .chunk = std::string(record.text_at("chunk")),
                        .from = size_at(record, "from"),
                        .to = size_at(record, "to"),
                        .score = hit.score};
        if (!passage.text.empty()) passages.push_back(std::move(passage));
    }
    std::stable_sort(passages.begin(), passages.end(), is_before);
    if (passages.size() > limit) passages.resize(limit);
    co_return passages;
}

awaitable<result<std::vector<Passage>>> EmbeddedPassages::retrieve(PassageQuery query) {
    std::vector<std::vector<Passage>> lists;
    if (query.message.empty() || query.limit == 0) co_return std::vector<Passage>();
    CO_TRY(const RecordPage indexes,
           co_await embeddings_.list({.domains = {query.domain}}, indexes_max, ""));
    for (const ValuePtr& index : indexes.items) {
        auto question = co_await embeddings_.vector(record_id(*index),
                                                    std::string(question_prefix) + query.message);
        if (!question && question.error().code() == ErrorCode::not_found) continue;
        if (!question) co_return std::move(question).error();
        CO_TRY(auto list, co_await of_index(index, *question, query.limit));
        lists.push_back(std::move(list));
    }
    co_return in_turns(std::move(lists), query.limit);
}

} // namespace netbuild::data
