// SPDX-License-Identifier: Apache-2.0
// /v1/sessions as a service sees it, over sessions in memory.
#include "http/session_routes.hpp"

#include <gtest/gtest.h>

#include "memory/memory_sessions.hpp"
#include "memory/memory_store.hpp"
#include "support/run.hpp"
#include "support/standing_clock.hpp"
#include "wire/json.hpp"
#include "wire/signed_cookie.hpp"

namespace netbuild::test {
namespace {

class SessionRoutesTest : public testing::Test {
protected:
    SessionRoutesTest() { session_routes.add_to(routes); }

    struct Told {
        int status = 0;
        Value body;
        std::string text;
        [[nodiscard]] std::string at(std::string_view path) const {
            const Value* value = body.at_path(path);
            return value ? std::string(value->string_or(to_json(*value))) : "nothing";
        }
    };
    Told told(std::string method, std::string path, std::string body = "", std::string user = "") {
        http::Request request{.method = std::move(method), .path = "/v1/sessions" + path};
        request.body = std::move(body);
        if (!user.empty()) request.query = {{"userId", user}};
        const auto response = run(context, routes.handle(std::move(request)));
        const auto parsed = parse_json(response.body);
        return {response.status, parsed ? *parsed : Value(), response.body};
    }

    asio::io_context context;
    SystemClock clock;
    MemoryStore store;
    StandingClock model;
    query::QueryService queries{{store, model, clock}};
    MemorySessions sessions{clock, {}};
    http::SessionRoutes session_routes{sessions, {"new secret", "old secret"}};
    http::Routes routes{{.queries = queries,
                         .model = model,
                         .clock = clock,
                         .status = [] { return Value(Object{}); },
                         .unready = [] { return std::vector<std::string>(); },
                         .metrics = [] { return std::string("x"); }}};
};

TEST_F(SessionRoutesTest, a_session_is_made_read_changed_rotated_and_revoked) {
    const auto made = told("POST", "", R"({"data":{"cart":["a"],"theme":"dark","none":null}})");
    ASSERT_EQ(made.status, 201) << made.text;
    EXPECT_EQ(made.at("userId"), "null");
    const std::string path = "/" + made.at("sessionId");
    const auto read = told("GET", path);
    EXPECT_EQ(read.status, 200);
    EXPECT_EQ(read.at("data"), R"({"cart":["a"],"theme":"dark"})");
    EXPECT_EQ(read.text.find(made.at("sessionId")), std::string::npos);
    const auto changed =
        told("PATCH", path, R"({"set":{"cart":["a","b"],"theme":null},"expected":{"cart":["a"]}})");
    EXPECT_EQ(changed.status, 200) << changed.text;
    EXPECT_EQ(changed.at("data"), R"({"cart":["a","b"]})");
    const auto late = told("PATCH", path, R"({"set":{"cart":[]},"expected":{"cart":["a"]}})");
    EXPECT_EQ(late.status, 409);
    EXPECT_NE(late.text.find("field cart has another value"), std::string::npos) << late.text;
    const auto rotated = told("POST", path + "/rotate", R"({"userId":"ada"})");
    ASSERT_EQ(rotated.status, 200) << rotated.text;
    EXPECT_EQ(rotated.at("userId"), "ada");
    EXPECT_EQ(told("GET", path).status, 404);
    EXPECT_EQ(told("PATCH", path, R"({"set":{"a":1}})").status, 404);
    EXPECT_EQ(told("POST", path + "/rotate", "{}").status, 404);
    const std::string now = "/" + rotated.at("sessionId");
    EXPECT_EQ(told("POST", now + "/rotate", R"({"userId":"bob"})").status, 400);
    EXPECT_EQ(told("GET", now).at("data"), R"({"cart":["a","b"]})");
    EXPECT_EQ(told("DELETE", now).status, 204);
    EXPECT_EQ(told("DELETE", now).status, 204);
    EXPECT_EQ(told("GET", now).status, 404);
}

TEST_F(SessionRoutesTest, a_user_s_sessions_are_listed_without_ids_and_ended_one_by_one_or_all) {
    std::vector<std::string> ids, handles;
    for (int i = 0; i < 3; ++i) {
        const auto made = told("POST", "", R"({"userId":"ada"})");
        ids.push_back(made.at("sessionId"));
        handles.push_back(made.at("handle"));
    }
    const auto listed = told("GET", "", "", "ada");
    const auto* items = listed.body.at_path("items")->get_if<Array>();
    ASSERT_EQ(items->size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ((*items)[i].at_path("handle")->string_or(), handles[i]);
        EXPECT_EQ(listed.text.find(ids[i]), std::string::npos);
    }
    // A handle ends a session; it is not one.
    EXPECT_EQ(told("GET", "/" + handles[0]).status, 404);
    EXPECT_EQ(told("DELETE", "/" + handles[0]).status, 204);
    EXPECT_EQ(told("GET", "/" + ids[0]).status, 404);
    EXPECT_EQ(told("DELETE", "", "", "ada").at("revoked"), "2");
    EXPECT_EQ(told("GET", "/" + ids[2]).status, 404);
    EXPECT_EQ(told("GET", "", "", "ada").at("items"), "[]");
    EXPECT_EQ(told("GET", "").status, 400);
    EXPECT_EQ(told("DELETE", "").status, 400);
}

TEST_F(SessionRoutesTest, a_signed_cookie_stands_for_the_id_and_a_forged_one_for_nothing) {
    const auto made = told("POST", "", "{}");
    const std::string id = made.at("sessionId");
    EXPECT_EQ(made.at("cookie"), sign_cookie(id, "new secret"));
    for (const char* secret : {"new secret", "old secret"}) {
        std::string path = "/" + sign_cookie(id, secret);
        for (std::size_t at = 0; (at = path.find('/', at + 1)) != std::string::npos;)
            path.replace(at, 1, "%2F");
        EXPECT_EQ(told("GET", path).status, 200) << path;
    }
    EXPECT_EQ(told("GET", "/s:" + id).status, 404);
    EXPECT_EQ(told("GET", "/s:" + id + ".AAAA").status, 404);
    EXPECT_EQ(told("DELETE", "/s:" + id + ".AAAA").status, 204);
    EXPECT_EQ(told("GET", "/" + id).status, 200);
}

TEST_F(SessionRoutesTest, what_is_no_body_of_such_a_request_is_refused_and_named) {
    const std::string path = "/" + told("POST", "", "{}").at("sessionId");
    const auto field = [&](std::string method, std::string at, std::string body) {
        const auto answer = told(std::move(method), std::move(at), std::move(body));
        EXPECT_EQ(answer.status, 400) << answer.text;
        return answer.at("field");
    };
    EXPECT_EQ(field("POST", "", R"({"data":[]})"), "data");
    EXPECT_EQ(field("POST", "", R"({"data":"x"})"), "data");
    EXPECT_EQ(field("POST", "", R"({"user":"x"})"), "user");
    EXPECT_EQ(field("POST", "", R"({"userId":7})"), "userId");
    EXPECT_EQ(field("PATCH", path, R"({"set":{"$inc":1}})"), "set.$inc");
    EXPECT_EQ(field("PATCH", path, R"({"set":{"a.b":1}})"), "set.a.b");
    EXPECT_EQ(field("PATCH", path, R"({"expected":3})"), "expected");
    EXPECT_EQ(field("PATCH", path, R"({"set":{"":1}})"), "set");
    EXPECT_EQ(told("PATCH", path, R"({"set":{"big":")" + std::string(65'000, 'x') + "\"}}").status,
              200);
    EXPECT_EQ(told("PATCH", path, R"({"set":{"more":")" + std::string(600, 'x') + "\"}}").status,
              413);
}

} // namespace
} // namespace netbuild::test
