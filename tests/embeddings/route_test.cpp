// SPDX-License-Identifier: Apache-2.0
// What clients send: every mistake is a 4xx that names the field.
#include "http/embedding_routes.hpp"

#include <gtest/gtest.h>

#include "embeddings/world.hpp"
#include "memory/memory_bus.hpp"
#include "memory/memory_store.hpp"
#include "wire/base64url.hpp"
#include "wire/json.hpp"

namespace netbuild::test {
namespace {

struct StandingClock final : ReadModelClock {
    [[nodiscard]] Position applied() const override { return Position{1, 0}; }
    [[nodiscard]] std::int64_t lag_ms() const override { return 0; }
    awaitable<result<void>> wait_applied(Position, Clock::duration) override {
        co_return result<void>{};
    }
};

class EmbeddingRoutes : public testing::Test {
protected:
    EmbeddingRoutes() {
        own.add_to(routes);
        index = "/v1/embeddings/indexes/" + world.create("a", "acme", "cosine");
        world.add(index.substr(index.rfind('/') + 1), 1, 3);
    }
    http::Response ask(std::string method, std::string path, std::string body = {}) {
        http::Request request{.method = std::move(method), .path = std::move(path)};
        request.body = std::move(body);
        return run(world.context, routes.handle(std::move(request)));
    }
    /// The field of a refusal; what else came of it.
    std::string refused(std::string path, std::string body) {
        const auto answer = ask("POST", std::move(path), std::move(body));
        if (answer.status < 400 || answer.status > 499)
            return std::to_string(answer.status) + " " + answer.body;
        const auto problem = parse_json(answer.body);
        const Value* field = problem->at_path("field");
        return field ? std::string(field->string_or()) : answer.body;
    }
    std::string refused_vector(const std::string& members) {
        return refused(index + "/vectors",
                       R"({"vectors":[{"vectorId":"a","source":"s","values":[1,2,3]},{)" + members +
                           "}]}");
    }

    TemporaryFolder folder;
    EmbeddingWorld world{folder.file("")};
    MemoryStore store;
    MemoryBus bus{world.context.get_executor(), world.clock, MemoryBus::Options{}};
    StandingClock model;
    query::QueryService queries{{store, model, world.clock}};
    http::EmbeddingRoutes own{world.embeddings};
    http::Routes routes{{queries, model, world.clock, [] { return Value(Object{}); },
                         [] { return std::vector<std::string>(); }, [] { return std::string(); }}};
    std::string index;
};

TEST_F(EmbeddingRoutes, find_what_is_near_with_what_it_was_made_of) {
    const auto answer =
        ask("POST", index + "/search", R"({"values":[3,1,2],"k":2,"filter":{"source":"odd.txt"}})");
    EXPECT_EQ(answer.status, 200) << answer.body;
    const auto body = parse_json(answer.body);
    EXPECT_EQ(body->at_path("method")->string_or(), "exact");
    const auto& items = *body->at_path("items")->get_if<Array>();
    ASSERT_EQ(items.size(), 2u);
    EXPECT_EQ(items[0].at_path("vectorId")->string_or(), "v3");
    EXPECT_EQ(items[0].at_path("domainId")->string_or(), "acme");
    EXPECT_NEAR(*items[0].at_path("score")->get_if<double>(), 1, 1e-6);
    EXPECT_FALSE(items[0].at_path("vector"));
    const auto packed =
        ask("POST", index + "/search",
            R"({"float32":")" +
                encode_base64url(std::string("\0\0\x40\x40\0\0\x80\x3f\0\0\0\x40", 12)) +
                R"(","filter":{"metadata":{"third":0}}})");
    EXPECT_EQ(parse_json(packed.body)->at_path("items")->get_if<Array>()->size(), 1u)
        << packed.body;
    EXPECT_EQ(ask("GET", index + "/vectors/v2").status, 200);
    EXPECT_EQ(ask("GET", index + "/vectors/v9").status, 404);
    EXPECT_EQ(ask("DELETE", index + "/vectors/v2").status, 204);
    EXPECT_EQ(ask("DELETE", index + "/vectors/v2").status, 204);
    EXPECT_EQ(ask("GET", index + "/vectors/v2").status, 404);
    EXPECT_EQ(ask("POST", index + "/remove", R"({"source":"odd.txt"})").body, R"({"removed":2})");
    EXPECT_EQ(ask("GET", index).status, 200);
    EXPECT_EQ(ask("DELETE", index).status, 204);
    EXPECT_EQ(ask("GET", index).status, 404);
    EXPECT_EQ(ask("POST", index + "/search", R"({"values":[3,1,2]})").status, 404);
}

TEST_F(EmbeddingRoutes, name_the_member_of_a_vector_that_is_wrong) {
    const std::string good = R"("vectorId":"b","source":"s",)";
    EXPECT_EQ(refused_vector(good + R"("values":[1,2])"), "vectors[1].values");
    EXPECT_EQ(refused_vector(good + R"("values":[1,2,3,4])"), "vectors[1].values");
    EXPECT_EQ(refused_vector(good + R"("values":[1,"2",3])"), "vectors[1].values[1]");
    EXPECT_EQ(refused_vector(good + R"("values":[1,1e39,3])"), "vectors[1].values[1]");
    EXPECT_EQ(refused_vector(good + R"("values":[0,0,0])"), "vectors[1].values");
    EXPECT_EQ(refused_vector(good + R"("values":7)"), "vectors[1].values");
    EXPECT_EQ(refused_vector(good + R"("kind":1)"), "vectors[1].kind");
    EXPECT_EQ(refused_vector(R"("vectorId":"b","values":[1,2,3])"), "vectors[1].source");
    EXPECT_EQ(refused_vector(R"("vectorId":"a","source":"s","values":[1,2,3])"),
              "vectors[1].vectorId");
    EXPECT_EQ(refused_vector(R"("vectorId":"a/b","source":"s","values":[1,2,3])"),
              "vectors[1].vectorId");
    EXPECT_EQ(refused_vector(good + R"("values":[1,2,3],"from":5,"to":4)"), "vectors[1].to");
    EXPECT_EQ(refused_vector(good + R"("values":[1,2,3],"metadata":[1])"), "vectors[1].metadata");
    EXPECT_EQ(refused_vector(good + R"("values":[1,2,3],"metadata":{"$gt":1})"),
              "vectors[1].metadata.$gt");
    EXPECT_EQ(refused_vector(good + R"("values":[1,2,3],"label":1)"), "vectors[1].label");
    EXPECT_EQ(refused_vector(good + R"("values":[1,2,3],"metadata":{"a":")" +
                             std::string(5000, 'x') + "\"}"),
              "vectors[1].metadata");
    for (const std::string& bytes : {std::string("\0\0\xc0\x7f\0\0\0\0\0\0\0\0", 12), // NaN
                                     std::string("\0\0\x80\x7f\0\0\0\0\0\0\0\0", 12), // infinity
                                     std::string("\0\0\x80\x3f", 4)})
        EXPECT_EQ(refused_vector(good + R"("float32":")" + encode_base64url(bytes) + "\""),
                  "vectors[1].float32");
    EXPECT_EQ(refused_vector(good + R"("float32":"***")"), "vectors[1].float32");
    EXPECT_EQ(refused(index + "/vectors", R"({"vectors":[]})"), "vectors");
    EXPECT_EQ(refused(index + "/vectors", "{}"), "vectors");
    // A refused request did nothing.
    EXPECT_EQ(parse_json(ask("GET", index).body)->at_path("count")->integer_or(), 3);
}

TEST_F(EmbeddingRoutes, name_the_member_of_a_search_that_is_wrong) {
    const std::string search = index + "/search";
    EXPECT_EQ(refused(search, R"({"values":[1]})"), "values");
    EXPECT_EQ(refused(search, "{}"), "values");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"float32":"AAAA"})"), "float32");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"k":0})"), "k");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"k":501})"), "k");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"k":1.5})"), "k");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"effort":99999})"), "effort");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"filters":{}})"), "filters");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"filter":{"sauce":"x"}})"), "filter.sauce");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"filter":{"metadata":{"a":{"b":1}}}})"),
              "filter.metadata.a");
    EXPECT_EQ(refused(search, R"({"values":[1,2,3],"filter":{"metadata":1}})"), "filter.metadata");
    EXPECT_EQ(refused(index + "/remove", "{}"), "vectorIds");
}

TEST_F(EmbeddingRoutes, name_the_member_of_an_index_that_is_wrong) {
    const std::string path = "/v1/embeddings/indexes";
    const std::string good = R"({"domainId":"acme","name":"n","model":"m",)";
    EXPECT_EQ(refused(path, good + R"("dimension":0,"metric":"l2"})"), "dimension");
    EXPECT_EQ(refused(path, good + R"("dimension":5000,"metric":"l2"})"), "dimension");
    EXPECT_EQ(refused(path, good + R"("dimension":3,"metric":"l3"})"), "metric");
    EXPECT_EQ(refused(path, good + R"("dimension":3,"metric":"l2","file":"x"})"), "file");
    EXPECT_EQ(
        refused(path, R"({"domainId":"*","name":"n","model":"m","dimension":3,"metric":"l2"})"),
        "domainId");
    EXPECT_EQ(ask("POST", path,
                  R"({"domainId":"acme","name":"a","model":"m","dimension":3,"metric":"l2"})")
                  .status,
              409);
}

} // namespace
} // namespace netbuild::test
