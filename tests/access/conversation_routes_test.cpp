// SPDX-License-Identifier: Apache-2.0
// Conversations, messages and AI contexts over their routes: what a client sends and gets, held to
// the API file; bad input is 4xx that names the field.
#include <gtest/gtest.h>

#include "data/conversation_records.hpp"
#include "data/schema.hpp"
#include "http/conversation_routes.hpp"
#include "memory/memory_store.hpp"
#include "sqlite/sqlite_records.hpp"
#include "support/run.hpp"
#include "support/temporary_folder.hpp"
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

struct Answer {
    int status = 0;
    Value body;
    std::string etag;
    [[nodiscard]] std::string text(std::string_view path) const {
        const Value* found = body.at_path(path);
        return found ? std::string(found->string_or()) : "";
    }
    [[nodiscard]] std::int64_t number(std::string_view path) const {
        const Value* found = body.at_path(path);
        return found ? found->integer_or(-1) : -1;
    }
    [[nodiscard]] const Array& items(std::string_view path = "items") const {
        return *body.at_path(path)->get_if<Array>();
    }
};

class ConversationRoutes : public testing::Test {
protected:
    ConversationRoutes() {
        conversation_routes.add_to(routes);
        must(context, data::apply_schema(records, {}));
        api = *parse_json(
            run(context, routes.handle({.method = "GET", .path = "/openapi.json"})).body);
    }

    /// An answer that is not as the API file says fails the test.
    Answer ask(const std::string& method, std::string path, std::string body = "",
               std::string if_match = "") {
        http::Request request{.method = method};
        const auto mark = path.find('?');
        request.path = path.substr(0, mark);
        while (mark != std::string::npos && path.size() > mark) {
            const auto from = path.rfind(path.rfind('&') == std::string::npos ? '?' : '&');
            const std::string pair = path.substr(from + 1);
            const auto equals = pair.find('=');
            request.query.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
            path.resize(from);
        }
        request.body = std::move(body);
        if (!if_match.empty()) request.headers["if-match"] = std::move(if_match);
        const std::string asked = request.path;
        const auto response = run(context, routes.handle(std::move(request)));
        Answer answer{.status = response.status};
        for (const auto& [name, value] : response.headers) {
            if (name == "ETag") answer.etag = value;
        }
        if (!response.body.empty()) answer.body = *parse_json(response.body);
        check(method, asked, answer);
        return answer;
    }

    void check(const std::string& method, const std::string& asked, const Answer& answer) {
        std::string path = asked;
        const auto segments = std::count(path.begin(), path.end(), '/');
        path = path.starts_with("/v1/domains")
                   ? "/v1/domains/{domainId}/executions/{executionId}/ai-context"
               : path.ends_with("/ai-context") ? "/v1/conversations/{conversationId}/ai-context"
               : path == "/v1/messages"        ? path
               : segments == 2                 ? "/v1/conversations"
               : segments == 3                 ? "/v1/conversations/{conversationId}"
               : segments == 4                 ? "/v1/conversations/{conversationId}/messages"
               : segments == 5 ? "/v1/conversations/{conversationId}/messages/{messageId}"
                               : "/v1/conversations/{conversationId}/messages/{messageId}/history";
        std::string lower;
        for (const char c : method)
            lower.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
        const Value* of_path = api.at_path("paths")->get_if<Object>()->find(path);
        ASSERT_TRUE(of_path) << path;
        const Value* responses = of_path->get_if<Object>()->find(lower);
        ASSERT_TRUE(responses) << method << " " << path;
        const Object& statuses = *responses->at_path("responses")->get_if<Object>();
        const Value* said = statuses.find(std::to_string(answer.status));
        if (!said && answer.status >= 400) said = statuses.find("default");
        ASSERT_TRUE(said) << method << " " << path << ": " << answer.status;
        said = &resolved(*said);
        const Value* content = said->at_path("content");
        if (!content) {
            EXPECT_TRUE(answer.body.is_null());
            return;
        }
        const Value& schema = *content->get_if<Object>()->begin()->value.at_path("schema");
        EXPECT_EQ(mismatch(schema, answer.body, "body"), "") << method << " " << path;
    }

    const Value& resolved(const Value& schema) const {
        const Value* reference = schema.at_path("$ref");
        if (!reference) return schema;
        const Value* at = &api; // "#/components/schemas/Message"
        std::string_view left = reference->string_or().substr(2);
        while (!left.empty()) {
            const auto slash = left.find('/');
            at = at->get_if<Object>()->find(left.substr(0, slash));
            left = slash == std::string_view::npos ? std::string_view{} : left.substr(slash + 1);
        }
        return *at;
    }

    static bool is_of(std::string_view type, const Value& value) {
        return (type == "object" && value.is<Object>()) || (type == "array" && value.is<Array>()) ||
               (type == "string" && value.is<std::string>()) ||
               (type == "boolean" && value.is<bool>()) || (type == "null" && value.is_null()) ||
               (type == "integer" && (value.is<std::int32_t>() || value.is<std::int64_t>()));
    }

    /// The first place where the value is not as the schema says; the part of JSON Schema that the
    /// API file uses for these routes.
    std::string mismatch(const Value& written, const Value& value, const std::string& where) const {
        const Value& schema = resolved(written);
        if (const Value* any = schema.at_path("anyOf")) {
            std::string all;
            for (const Value& one : *any->get_if<Array>()) {
                const std::string wrong = mismatch(one, value, where);
                if (wrong.empty()) return "";
                all += wrong + "; ";
            }
            return all;
        }
        if (const Value* type = schema.at_path("type")) {
            bool fits = is_of(type->string_or(), value);
            if (const auto* types = type->get_if<Array>())
                for (const Value& one : *types)
                    fits |= is_of(one.string_or(), value);
            if (!fits) return where + ": type";
        }
        if (const Value* choices = schema.at_path("enum")) {
            const auto& list = *choices->get_if<Array>();
            if (std::find(list.begin(), list.end(), value) == list.end()) return where + ": enum";
        }
        if (const auto* list = value.get_if<Array>(); list && schema.at_path("items")) {
            for (const Value& one : *list) {
                std::string wrong = mismatch(*schema.at_path("items"), one, where + "[]");
                if (!wrong.empty()) return wrong;
            }
        }
        return value.is<Object>() ? members_mismatch(schema, *value.get_if<Object>(), where) : "";
    }

    std::string members_mismatch(const Value& schema, const Object& object,
                                 const std::string& where) const {
        if (const Value* required = schema.at_path("required")) {
            for (const Value& name : *required->get_if<Array>())
                if (!object.contains(name.string_or()))
                    return where + "." + std::string(name.string_or()) + ": missing";
        }
        const Value* properties = schema.at_path("properties");
        for (const auto& member : object) {
            const Value* of = properties ? properties->get_if<Object>()->find(member.key) : nullptr;
            if (!of && schema.at_path("additionalProperties"))
                return where + "." + member.key + ": unknown";
            if (!of) continue;
            std::string wrong = mismatch(*of, member.value, where + "." + member.key);
            if (!wrong.empty()) return wrong;
        }
        return "";
    }

    std::string begin() {
        const auto made = ask("POST", "/v1/conversations", R"({"domainId":"acme"})");
        EXPECT_EQ(made.status, 201);
        return "/v1/conversations/" + made.text("id");
    }

    asio::io_context context;
    SystemClock clock;
    TemporaryFolder folder;
    SqliteRecords records{{.path = folder.file("records.sqlite")}};
    MemoryStore store;
    StandingClock model;
    query::QueryService queries{{store, model, clock}};
    data::Conversations conversations{records, clock, context.get_executor()};
    data::AiContexts contexts{records, conversations, clock, nullptr};
    http::ConversationRoutes conversation_routes{conversations, contexts};
    http::Routes routes{{queries, model, clock, [] { return Value(Object{}); },
                         [] { return std::vector<std::string>(); }, [] { return std::string(); }}};
    Value api;
};

TEST_F(ConversationRoutes, a_conversation_is_begun_changed_and_listed) {
    const std::string body =
        R"({"domainId":"acme","title":"A","executionId":"o/1","metadata":{"a":[1]},"clientConversationId":"x"})";
    const auto made = ask("POST", "/v1/conversations", body);
    EXPECT_EQ(made.status, 201);
    EXPECT_EQ(made.etag, "\"1\"");
    EXPECT_EQ(ask("POST", "/v1/conversations", body).body, made.body);
    const std::string path = "/v1/conversations/" + made.text("id");
    EXPECT_EQ(ask("GET", path).body, made.body);
    EXPECT_EQ(ask("PUT", path, R"({"title":"B"})").status, 412); // If-Match is needed
    EXPECT_EQ(ask("PUT", path, R"({"title":"B"})", "\"1\"").number("version"), 2);
    EXPECT_EQ(ask("PUT", path, R"({"title":"C"})", "\"1\"").status, 412);
    begin();
    const auto page = ask("GET", "/v1/conversations?limit=1&domainId=acme");
    ASSERT_EQ(page.items().size(), 1u);
    const auto next = ask("GET", "/v1/conversations?limit=1&cursor=" + page.text("nextCursor"));
    EXPECT_EQ(next.items()[0].at_path("title")->string_or(), "B");
    EXPECT_TRUE(next.body.at_path("nextCursor")->is_null());
    EXPECT_EQ(ask("GET", "/v1/conversations?limit=1&cursor=" + next.text("previousCursor")).items(),
              page.items());
    EXPECT_EQ(ask("GET", "/v1/conversations?executionId=o/1").items().size(),
              0u); // it has none now
}

TEST_F(ConversationRoutes, messages_are_posted_paged_edited_and_deleted) {
    const std::string path = begin() + "/messages";
    const std::string body =
        R"({"role":"user","text":"hi","clientMessageId":"1","attachments":[{"name":"a.png","mediaType":"image/png","sizeBytes":12}]})";
    const auto first = ask("POST", path, body);
    EXPECT_EQ(first.status, 201);
    EXPECT_EQ(first.number("sequence"), 1);
    EXPECT_EQ(ask("POST", path, body).body, first.body);
    EXPECT_EQ(ask("POST", path, R"({"role":"user","text":"ho","clientMessageId":"1"})").status,
              409);
    for (int i = 2; i <= 5; ++i)
        ask("POST", path, R"({"role":"assistant","text":"answer )" + std::to_string(i) + "\"}");
    const auto page = ask("GET", path + "?limit=2");
    ASSERT_EQ(page.items().size(), 2u);
    EXPECT_EQ(page.items()[0].at_path("sequence")->integer_or(), 5);
    EXPECT_TRUE(page.body.at_path("previousCursor")->is_null());
    const auto next = ask("GET", path + "?limit=2&cursor=" + page.text("nextCursor"));
    EXPECT_EQ(next.items()[0].at_path("sequence")->integer_or(), 3);
    EXPECT_EQ(ask("GET", path + "?limit=2&cursor=" + next.text("previousCursor")).items(),
              page.items());
    EXPECT_EQ(ask("GET", path + "?sort=sequence&afterSequence=4").items().size(), 1u);
    const std::string one = path + "/" + first.text("id");
    EXPECT_EQ(ask("PUT", one, R"({"text":"hello"})", "\"1\"").etag, "\"2\"");
    EXPECT_EQ(ask("PUT", one, R"({"text":"hullo"})", "\"1\"").status, 412);
    EXPECT_EQ(ask("GET", one).text("text"), "hello");
    EXPECT_EQ(ask("DELETE", one).status, 204);
    EXPECT_EQ(ask("DELETE", one).status, 204);
    EXPECT_EQ(ask("GET", one).text("state"), "deleted");
    EXPECT_EQ(ask("PUT", one, R"({"text":"x"})").status, 409);
    EXPECT_EQ(ask("GET", one + "/history").items().size(), 3u);
    EXPECT_EQ(ask("GET", "/v1/messages?q=answer&domainId=acme").items().size(), 4u);
    EXPECT_EQ(ask("GET", "/v1/messages?q=hello").items().size(), 0u);
}

TEST_F(ConversationRoutes, an_ai_context_has_versions_and_makes_windows) {
    const std::string conversation = begin(), path = conversation + "/ai-context";
    EXPECT_EQ(ask("GET", path).status, 404);
    const std::string body =
        R"({"systemPrompt":"Be brief.","pinned":[{"text":"VAT is 19 %","source":"erp"}],"model":"m","limits":{"maxTokens":500}})";
    EXPECT_EQ(ask("PUT", path, body).status, 201);
    EXPECT_EQ(ask("PUT", path, body).status, 412);
    EXPECT_EQ(ask("PUT", path, body, "\"1\"").etag, "\"2\"");
    EXPECT_EQ(ask("GET", path).number("version"), 2);
    ask("POST", conversation + "/messages", R"({"role":"user","text":"What is due?"})");
    const auto window = ask("GET", path + "?maxTokens=100");
    EXPECT_EQ(window.items("parts").size(), 3u);
    EXPECT_EQ(window.number("maxTokens"), 100);
    EXPECT_LE(window.number("tokens"), 100);
    EXPECT_EQ(ask("GET", path + "?maxTokens=100000").number("maxTokens"), 500);
    EXPECT_EQ(ask("GET", path + "?maxTokens=20").text("stoppedAt.kind"), "pinned");
    const std::string shared = "/v1/domains/acme/executions/o-1/ai-context";
    EXPECT_EQ(ask("GET", shared).status, 404);
    EXPECT_EQ(ask("PUT", shared, R"({"model":"m"})").status, 201);
    EXPECT_EQ(ask("GET", shared).text("executionId"), "o-1");
    EXPECT_EQ(ask("PUT", "/v1/domains/*/executions/o-1/ai-context", "{}").status, 400);
}

TEST_F(ConversationRoutes, bad_input_is_refused_by_the_name_of_its_field) {
    const std::string conversation = begin(), messages = conversation + "/messages",
                      context_path = conversation + "/ai-context";
    std::string deep = "1";
    for (int i = 0; i < 30; ++i)
        deep = "[" + deep + "]";
    const auto message = [](const std::string& member) {
        return R"({"role":"user","text":"x",)" + member + "}";
    };
    struct Case {
        std::string path, body, field;
    };
    for (const Case& one : std::vector<Case>{
             {"/v1/conversations", R"({})", "domainId"},
             {"/v1/conversations", R"({"domainId":{"$ne":""}})", "domainId"},
             {"/v1/conversations", R"({"domainId":"acme","createdBy":"me"})", "createdBy"},
             {"/v1/conversations", R"({"domainId":"acme","asked":{}})", "asked"},
             {"/v1/conversations", R"({"domainId":"acme","_id":"x"})", "_id"},
             {messages, "", "body"},
             {messages, "[]", "body"},
             {messages, R"({"text":"x"})", "role"},
             {messages, R"({"role":"root","text":"x"})", "role"},
             {messages, R"({"role":"user"})", "text"},
             {messages, R"({"role":"user","text":""})", "text"},
             {messages, R"({"role":"user","text":["x"]})", "text"},
             {messages, R"({"role":"user","text":")" + std::string(32'769, 'x') + "\"}", "text"},
             {messages, "{\"role\":\"user\",\"text\":\"a\xff\"}", ""},
             {messages, R"({"role":"user","text":"a\u0000b"})", "text"},
             {messages, message(R"("sequence":1)"), "sequence"},
             {messages, message(R"("number":2)"), "number"},
             {messages, message(R"("$set":1)"), "$set"},
             {messages, message(R"("metadata":{"$where":"1"})"), "metadata.$where"},
             {messages, message(R"("metadata":{"a.b":1})"), "metadata.a.b"},
             {messages, message(R"("metadata":)" + deep), ""},
             {messages, message(R"("clientMessageId":{"$gt":""})"), "clientMessageId"},
             {messages, message(R"("attachments":[{"name":"a"}])"), "attachments[0].mediaType"},
             {messages, message(R"("attachments":[{"name":"a","mediaType":"b","sizeBytes":-1}])"),
              "attachments[0].sizeBytes"},
             {context_path, R"({"pinned":[{"text":7}]})", "pinned[0].text"},
             {context_path, R"({"summary":{"text":"x"}})", "summary.uptoSequence"},
             {context_path, R"({"limits":{"maxTokens":-1}})", "limits.maxTokens"},
             {context_path, R"({"limits":{"maxMessages":2001}})", "limits.maxMessages"},
             {context_path, R"({"version":3})", "version"},
         }) {
        const auto answer = ask(one.path == context_path ? "PUT" : "POST", one.path, one.body);
        EXPECT_EQ(answer.status, 400) << one.body.substr(0, 200);
        if (one.field.empty()) {
            EXPECT_FALSE(answer.text("field").empty()) << one.body;
        } else {
            EXPECT_EQ(answer.text("field"), one.field) << one.body.substr(0, 200);
        }
    }
    for (const auto& [path, field] : std::vector<std::pair<std::string, std::string>>{
             {messages + "?limit=0", "limit"},
             {messages + "?limit=501", "limit"},
             {messages + "?sort=text", "sort"},
             {messages + "?cursor=x", "cursor"},
             {messages + "?afterSequence=-1", "afterSequence"},
             {messages + "?colour=1", "colour"},
             {"/v1/conversations?cursor=n.x", "cursor"},
             {"/v1/conversations?cursor=x", "cursor"},
             {"/v1/messages?q=\"", "q"},
             {context_path + "?maxTokens=0", "maxTokens"},
             {context_path + "?maxTokens=1e3", "maxTokens"},
             {context_path + "?maxTokens=1000001", "maxTokens"}}) {
        const auto answer = ask("GET", path);
        EXPECT_EQ(answer.status, 400) << path;
        EXPECT_EQ(answer.text("field"), field) << path;
    }
    EXPECT_EQ(ask("GET", "/v1/conversations/none").status, 404);
    EXPECT_EQ(ask("GET", messages + "/none").status, 404);
    EXPECT_EQ(ask("PUT", messages + "/none", R"({"text":"x"})", "1").text("field"), "If-Match");
    std::string huge = R"({"role":"user","text":"x","metadata":[)";
    for (int i = 0; i < 300; ++i)
        huge += "\"" + std::string(1000, 'y') + "\",";
    EXPECT_EQ(ask("POST", messages, huge + "1]}").status, 413);
    EXPECT_EQ(ask("GET", messages).items().size(), 0u);
}

} // namespace
} // namespace netbuild::test
