// SPDX-License-Identifier: Apache-2.0
#include "http/embedding_routes.hpp"

#include <charconv>

#include <fmt/format.h>

#include "data/embedding_input.hpp"
#include "data/embedding_records.hpp"
#include "page_reply.hpp"

namespace netbuild::http {
namespace {

using data::Embeddings;

constexpr Field values{.name = "values",
                       .type = FieldType::list,
                       .size_max = data::embedding_dimension_max,
                       .element = FieldType::number};
constexpr Field float32{.name = "float32"};

constexpr const Field& stored(std::string_view name) {
    for (const Field& field : data::embedding_fields) {
        if (field.name == name) return field;
    }
    throw "no such field"; // not at run time: the callers are constexpr
}
constexpr Field vector_fields[] = {
    stored("vectorId"), stored("source"),   stored("chunk"), stored("from"), stored("to"),
    stored("text"),     stored("metadata"), values,          float32,
};
constexpr Field add_fields[] = {
    {.name = "vectors",
     .type = FieldType::list,
     .required = true,
     .size_max = Embeddings::vectors_max,
     .fields = vector_fields,
     .element = FieldType::object},
};
constexpr Field filter_fields[] = {
    {.name = "source", .size_max = 500},
    {.name = "metadata", .type = FieldType::json},
};
constexpr Field search_fields[] = {
    values,
    float32,
    {.name = "k", .type = FieldType::integer},
    {.name = "effort", .type = FieldType::integer},
    {.name = "filter", .type = FieldType::object, .fields = filter_fields},
};
constexpr Field remove_fields[] = {
    {.name = "vectorIds", .type = FieldType::list, .size_max = Embeddings::vectors_max},
    {.name = "source", .size_max = 500},
};

constexpr std::int64_t k_default = 10;

/// 1 to `max`, or `otherwise` where it is not there.
result<std::size_t> whole(const Object& body, std::string_view name, std::size_t max,
                          std::size_t otherwise) {
    const Value* value = body.find(name);
    if (!value) return otherwise;
    const std::int64_t number = value->integer_or();
    if (number < 1 || number > static_cast<std::int64_t>(max))
        return fail(ErrorCode::invalid_argument, fmt::format("{}: must be 1 to {}", name, max));
    return static_cast<std::size_t>(number);
}

result<std::optional<std::int64_t>> if_match(const Call& call) {
    const std::string_view header = call.request.header("if-match");
    if (header.empty()) return std::optional<std::int64_t>();
    std::int64_t version = 0;
    const bool quoted = header.size() > 2 && header.front() == '"' && header.back() == '"';
    const std::string_view digits = quoted ? header.substr(1, header.size() - 2) : header;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
    if (!quoted || ec != std::errc{} || end != digits.data() + digits.size())
        return fail(ErrorCode::invalid_argument, "If-Match: must be an ETag, such as \"3\"");
    return std::optional(version);
}

result<VectorQuery> query_of(const Object& body, VectorSpec spec) {
    VectorQuery query;
    TRY(query.values, data::read_vector(body, "", spec));
    TRY(query.k, whole(body, "k", Embeddings::k_max, k_default));
    TRY(query.effort, whole(body, "effort", Embeddings::effort_max, 0));
    if (const Value* filter = body.find("filter")) {
        TRY(query.tags, data::tags_of_filter(*filter->get_if<Object>()));
    }
    return query;
}

} // namespace

void EmbeddingRoutes::add_to(Routes& routes) {
    routes.add("POST", "/v1/embeddings/indexes", [this](Call& call) { return create(call); });
    routes.add("GET", "/v1/embeddings/indexes", [this](Call& call) { return list(call); });
    const auto one = [&](std::string_view method, const std::string& rest, auto member) {
        routes.add(method, "/v1/embeddings/indexes/{indexId}" + rest,
                   [this, member](Call& call) { return (this->*member)(call); });
    };
    one("GET", "", &EmbeddingRoutes::get);
    one("DELETE", "", &EmbeddingRoutes::erase);
    one("POST", "/rebuild", &EmbeddingRoutes::rebuild);
    one("POST", "/vectors", &EmbeddingRoutes::add);
    one("GET", "/vectors", &EmbeddingRoutes::vectors);
    one("GET", "/vectors/{vectorId}", &EmbeddingRoutes::vector);
    one("DELETE", "/vectors/{vectorId}", &EmbeddingRoutes::remove_vector);
    one("POST", "/remove", &EmbeddingRoutes::remove);
    one("POST", "/search", &EmbeddingRoutes::search);
}

Reply EmbeddingRoutes::shown(const Value& index, int status) const {
    return {.status = status,
            .body = data::shown_index(index, embeddings_.cache().state(record_id(index))),
            .headers = {{"ETag", fmt::format("\"{}\"", record_version(index))}}};
}

/// The index of the path, if the caller may know of it.
awaitable<result<ValuePtr>> EmbeddingRoutes::admitted(Call& call) {
    const std::string& id = call.segment("indexId");
    CO_TRY(const ValuePtr index, co_await embeddings_.get(id));
    CO_TRY_VOID(call.admit(index->at_path("domainId")->string_or(), "index " + id));
    co_return index;
}

awaitable<result<Reply>> EmbeddingRoutes::create(Call& call) {
    CO_TRY(Object body, call.body(data::embedding_index_fields));
    const std::string domain(body.find("domainId")->string_or());
    CO_TRY_VOID(call.admit(domain, "domain " + domain));
    if (domain == every_domain)
        co_return fail(ErrorCode::invalid_argument, "domainId: an index belongs to one domain");
    CO_TRY(const ValuePtr index, co_await embeddings_.create(std::move(body), call.caller.subject));
    co_return shown(*index, 201);
}

awaitable<result<Reply>> EmbeddingRoutes::list(Call& call) {
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    CO_TRY(const RecordPage page,
           co_await embeddings_.list(call.scope(), limit, std::string(call.parameter("cursor"))));
    co_return page_reply(page, [&](const Value& index) {
        return data::shown_index(index, embeddings_.cache().state(record_id(index)));
    });
}

awaitable<result<Reply>> EmbeddingRoutes::get(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    co_return shown(*index, 200);
}

awaitable<result<Reply>> EmbeddingRoutes::erase(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    CO_TRY(const auto version, if_match(call));
    CO_TRY_VOID(co_await embeddings_.erase(index, version));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> EmbeddingRoutes::rebuild(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    embeddings_.rebuild(*index);
    co_return shown(*index, 202);
}

awaitable<result<Reply>> EmbeddingRoutes::add(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    CO_TRY(Object body, call.body(add_fields));
    CO_TRY(const auto done,
           co_await embeddings_.add(record_id(*index),
                                    std::move(*body.find("vectors")->get_if<Array>())));
    co_return Reply{.body = Object{{"added", done.added},
                                   {"replaced", done.replaced},
                                   {"unchanged", done.unchanged},
                                   {"count", *done.index->at_path("count")}}};
}

awaitable<result<Reply>> EmbeddingRoutes::vectors(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    CO_TRY(const RecordPage page,
           co_await embeddings_.vectors(record_id(*index), limit,
                                        std::string(call.parameter("cursor"))));
    co_return page_reply(page, data::shown_embedding);
}

awaitable<result<Reply>> EmbeddingRoutes::vector(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    CO_TRY(const ValuePtr record,
           co_await embeddings_.vector(record_id(*index), call.segment("vectorId")));
    co_return Reply{.body = data::shown_embedding(*record)};
}

/// What is gone already is no error: a retry answers like the first.
awaitable<result<Reply>> EmbeddingRoutes::remove_vector(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    CO_TRY_VOID(co_await embeddings_.remove(record_id(*index), {call.segment("vectorId")}));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> EmbeddingRoutes::remove(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    CO_TRY(const Object body, call.body(remove_fields));
    const Value* ids = body.find("vectorIds");
    const Value* source = body.find("source");
    if ((ids == nullptr) == (source == nullptr))
        co_return fail(ErrorCode::invalid_argument,
                       "vectorIds: either these or a source must be there");
    std::int64_t removed = 0;
    if (source) {
        CO_TRY(removed, co_await embeddings_.remove_source(record_id(*index),
                                                           std::string(source->string_or())));
    } else {
        std::vector<std::string> names;
        for (const Value& id : *ids->get_if<Array>())
            names.emplace_back(id.string_or());
        CO_TRY(removed, co_await embeddings_.remove(record_id(*index), std::move(names)));
    }
    co_return Reply{.body = Object{{"removed", removed}}};
}

awaitable<result<Reply>> EmbeddingRoutes::search(Call& call) {
    CO_TRY(const ValuePtr index, co_await admitted(call));
    CO_TRY(const Object body, call.body(search_fields));
    CO_TRY(VectorQuery query, query_of(body, data::spec_of(*index)));
    CO_TRY(const auto answer, co_await embeddings_.search(index, std::move(query)));
    Array items;
    for (const auto& hit : answer.hits) {
        Object item = data::shown_embedding(*hit.record);
        item.set("score", static_cast<double>(hit.score));
        items.emplace_back(std::move(item));
    }
    const bool exact = answer.method == VectorAnswer::Method::exact;
    co_return Reply{.body =
                        Object{{"items", std::move(items)}, {"method", exact ? "exact" : "graph"}}};
}

} // namespace netbuild::http
