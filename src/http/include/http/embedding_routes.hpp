// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/embeddings.hpp"
#include "http/routes.hpp"

namespace netbuild::http {

/// /v1/embeddings: indexes of vectors, and what is near a vector in them.
class EmbeddingRoutes {
public:
    explicit EmbeddingRoutes(data::Embeddings& embeddings) : embeddings_(embeddings) {}
    void add_to(Routes& routes);

private:
    awaitable<result<ValuePtr>> admitted(Call& call);
    awaitable<result<Reply>> create(Call& call);
    awaitable<result<Reply>> list(Call& call);
    awaitable<result<Reply>> get(Call& call);
    awaitable<result<Reply>> erase(Call& call);
    awaitable<result<Reply>> rebuild(Call& call);
    awaitable<result<Reply>> add(Call& call);
    awaitable<result<Reply>> vectors(Call& call);
    awaitable<result<Reply>> vector(Call& call);
    awaitable<result<Reply>> remove_vector(Call& call);
    awaitable<result<Reply>> remove(Call& call);
    awaitable<result<Reply>> search(Call& call);
    [[nodiscard]] Reply shown(const Value& index, int status) const;

    data::Embeddings& embeddings_;
};

} // namespace netbuild::http
