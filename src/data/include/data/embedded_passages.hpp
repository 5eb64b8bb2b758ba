// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/embeddings.hpp"
#include "ports/passage_retriever.hpp"

namespace netbuild::data {

/// Passages that lie near a question in the domain's indexes. No model runs here: whoever computes
/// a domain's vectors adds the question's too, as the vector `message:MESSAGEID` of each index that
/// is to be asked. An index without it is not asked; without any there are no passages.
class EmbeddedPassages final : public PassageRetriever {
public:
    explicit EmbeddedPassages(Embeddings& embeddings) : embeddings_(embeddings) {}

    /// Scores of different indexes do not compare: theirs take turns, in the order of the indexes'
    /// ids. Vectors without `text` say nothing and are left out, questions are no passages.
    awaitable<result<std::vector<Passage>>> retrieve(PassageQuery query) override;

    static constexpr std::size_t indexes_max = 16;

private:
    awaitable<result<std::vector<Passage>>> of_index(ValuePtr index, ValuePtr question,
                                                     std::size_t limit);

    Embeddings& embeddings_;
};

} // namespace netbuild::data
