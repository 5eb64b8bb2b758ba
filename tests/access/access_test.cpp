// SPDX-License-Identifier: Apache-2.0
// Routes × roles × own and other domain, from the rule table itself.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "data/conversation_records.hpp"
#include "data/domains.hpp"
#include "data/embedding_records.hpp"
#include "data/embeddings.hpp"
#include "data/identity_records.hpp"
#include "data/payment_records.hpp"
#include "data/schema.hpp"
#include "data/snapshot_records.hpp"
#include "gateway/world.hpp"
#include "http/auth_routes.hpp"
#include "http/conversation_routes.hpp"
#include "http/domain_routes.hpp"
#include "http/embedding_routes.hpp"
#include "http/member_routes.hpp"
#include "http/payment_routes.hpp"
#include "http/queue_routes.hpp"
#include "http/ratelimit_routes.hpp"
#include "http/realtime_routes.hpp"
#include "http/session_routes.hpp"
#include "http/snapshot_routes.hpp"
#include "memory/memory_bus.hpp"
#include "memory/memory_job_queue.hpp"
#include "memory/memory_rate_limiter.hpp"
#include "memory/memory_sessions.hpp"
#include "memory/memory_store.hpp"
#include "model/collections.hpp"
#include "sqlite/sqlite_records.hpp"
#include "support/run.hpp"
#include "support/standing_clock.hpp"
#include "support/temporary_folder.hpp"
#include "vectors/vector_folder.hpp"
#include "wire/json.hpp"

namespace netbuild::test {
namespace {

using http::Domain;
using http::Rule;
using http::Who;

constexpr std::string_view own = "acme", other = "umbra";

/// What a path's variables and the body are, for an object of `domain`.
std::string variable(std::string_view name, std::string_view domain) {
    if (name == "domainId") return std::string(domain);
    if (name == "executionId") return "order-" + std::string(domain);
    if (name == "definitionId") return "definition-" + std::string(domain);
    if (name == "sessionId" || name == "socketId") return "none";
    if (name == "paymentId") return "payment-" + std::string(domain);
    if (name == "taskId") return "task-" + std::string(domain);
    if (name == "snapshotId") return "snapshot-" + std::string(domain);
    if (name == "conversationId") return "conversation-" + std::string(domain);
    if (name == "messageId") return "message-" + std::string(domain);
    if (name == "indexId") return "index-" + std::string(domain);
    if (name == "vectorId") return "v";
    if (name == "userId") return "user-" + std::string(domain);
    if (name == "queue") return "mail"; // of no domain
    if (name == "jobId") return "1-1";
    if (name == "keyId") return "key-" + std::string(domain);
    ADD_FAILURE() << "say here what {" << name << "} is, and plant such an object in both domains";
    return "none";
}

std::string body_of(const Rule& rule, std::string_view domain) {
    if (rule.path == "/v1/executions:batchGet")
        return R"({"ids":["order-)" + std::string(domain) + "\"]}";
    if (rule.path == "/v1/domains/{domainId}") return R"({"name":"A","status":"active"})";
    if (rule.path == "/v1/payments")
        return R"({"domainId":")" + std::string(domain) + R"(","amount":5,"currency":"EUR"})";
    if (rule.path == "/v1/conversations") return R"({"domainId":")" + std::string(domain) + "\"}";
    if (rule.path == "/v1/conversations/{conversationId}/messages")
        return R"({"role":"user","text":"x"})";
    if (rule.path == "/v1/conversations/{conversationId}/messages/{messageId}")
        return R"({"text":"y"})";
    if (rule.path == "/v1/embeddings/indexes")
        return R"({"name":"n","model":"m","dimension":2,"metric":"l2","domainId":")" +
               std::string(domain) + "\"}";
    if (rule.path == "/v1/domains/{domainId}/users/{userId}") return R"({"role":"viewer"})";
    if (rule.path == "/v1/domains/{domainId}/api-keys") return R"({"name":"n","role":"viewer"})";
    if (rule.path.ends_with("block"))
        return R"({"policy":"p","limit":5,"periodMs":1000)" +
               std::string(rule.path.ends_with("unblock") ? "}" : R"(,"forMs":1})");
    if (rule.path.starts_with("/v1/ratelimit:"))
        return R"({"checks":[{"policy":"p","limit":5,"periodMs":1000}]})";
    if (rule.path.ends_with("/search")) return R"({"values":[1,2]})";
    if (rule.path.ends_with("/{queue}/jobs")) return R"({"jobs":[{"payload":1}]})";
    if (rule.path.ends_with(":complete") || rule.path.ends_with(":heartbeat"))
        return R"({"token":"1-1"})";
    if (rule.path.ends_with(":fail")) return R"({"token":"1-1","error":"x"})";
    return "{}";
}

/// Of a route of the installation, for who may.
int status_everywhere(const Rule& rule) {
    if (rule.path == "/v1/sessions") return rule.method == "POST" ? 201 : 200;
    // No client and no session has such an id; to end a session that is not there is no error.
    if (rule.path.find("{sessionId}") != std::string_view::npos)
        return rule.method == "DELETE" ? 204 : 404;
    if (rule.path.ends_with("block")) return 204;
    // Nor a job or a run.
    if (rule.path.ends_with("{socketId}") || rule.path.ends_with("{jobId}")) return 404;
    if (rule.path.find("{jobId}:") != std::string_view::npos) return 409;
    if (rule.path.ends_with(":pause") || rule.path.ends_with(":resume")) return 204;
    return rule.method == "POST" && rule.path.ends_with("/jobs") ? 201 : 200;
}

class Access : public testing::Test {
protected:
    Access() {
        auth.add_to(routes);
        member_routes.add_to(routes);
        domain_routes.add_to(routes);
        payment_routes.add_to(routes);
        snapshot_routes.add_to(routes);
        conversation_routes.add_to(routes);
        embedding_routes.add_to(routes);
        realtime_routes.add_to(routes);
        ratelimit_routes.add_to(routes);
        session_routes.add_to(routes);
        queue_routes.add_to(routes);
        tasks.spawn("feed", feed.follow_engine());
        must(context, data::apply_schema(records, {}));
        auto batch = std::make_shared<ApplyBatch>();
        for (const std::string_view domain : {own, other}) {
            const std::string name(domain);
            must(context, domains.put(name, Object{{"name", name}, {"status", "active"}},
                                      std::nullopt, "test"));
            must(context, records.commit(RecordWrite::insert(data::embedding_indexes,
                                                             "index-" + name, index_of(name))));
            must(context,
                 embeddings.add("index-" + name, Array{Object{{"vectorId", "v"},
                                                              {"source", "s"},
                                                              {"values", Array{1.0, 2.0}}}}));
            plant(*batch, collections::workflow_executions,
                  {{"_id", "instance-" + name},
                   {"processInstanceId", "instance-" + name},
                   {"executionId", "order-" + name},
                   {"domainId", domain},
                   {"status", "active"},
                   {"startedAt", Date{1}},
                   {"variables", Object{}},
                   {"activeTasks", Object{}},
                   {"definition", Object{{"id", "d"}, {"key", "k"}}}});
            plant(*batch, collections::tasks,
                  {{"_id", "task-" + name},
                   {"processInstanceId", "instance-" + name},
                   {"domainId", domain},
                   {"status", "pending"},
                   {"createdAt", Date{1}}});
            plant(*batch, collections::process_definitions,
                  {{"_id", "definition-" + name}, {"key", "k"}, {"domainId", domain}});
            plant_own(name);
            plant_members(name);
            plant_conversation(name);
        }
        must(context, store.apply(batch));
    }

    void plant_conversation(const std::string& domain) {
        const Object made{{"domainId", domain}, {"createdAt", Date{1}}};
        Object conversation = made, message = made;
        conversation.set("createdBy", "test");
        conversation.set("updatedAt", Date{1});
        for (const char* field : {"messageId", "conversationId"})
            message.set(field, variable(field, domain));
        for (const char* field : {"sequence", "number"})
            message.set(field, std::int64_t{1});
        for (const char* field : {"author", "by"})
            message.set(field, "test");
        message.set("state", "posted");
        message.set("role", "user");
        message.set("text", "x");
        message.set("at", Date{1});
        const std::string id = variable("conversationId", domain);
        must(context,
             records.commit(
                 {RecordWrite::insert(data::conversations, id, conversation),
                  RecordWrite::insert(data::messages, variable("messageId", domain), message)}));
        const Caller test{.subject = "test"};
        must(context, contexts.put({domain, id}, std::nullopt, {}, test));
        must(context, contexts.put({.domain = domain, .execution = "order-" + domain}, std::nullopt,
                                   {}, test));
    }

    void plant_members(const std::string& domain) {
        const std::string user = variable("userId", domain);
        must(context,
             records.commit(
                 {RecordWrite::insert(data::users, user,
                                      Object{{"status", "active"}, {"createdAt", Date{1}}}),
                  RecordWrite::insert(
                      data::memberships, user + "/" + domain,
                      Object{{"userId", user}, {"domainId", domain}, {"role", "viewer"}}),
                  RecordWrite::insert(data::api_keys, variable("keyId", domain),
                                      Object{{"name", "n"},
                                             {"domainId", domain},
                                             {"role", "viewer"},
                                             {"secretHash", "x"},
                                             {"createdBy", "test"},
                                             {"createdAt", Date{1}}})}));
    }

    static Object index_of(const std::string& domain) {
        return {{"name", "i"},          {"model", "m"},
                {"metric", "l2"},       {"dimension", std::int64_t{2}},
                {"status", "ready"},    {"sequence", std::int64_t{0}},
                {"domainId", domain},   {"count", std::int64_t{0}},
                {"createdAt", Date{1}}, {"createdBy", "test"}};
    }

    static void plant(ApplyBatch& batch, std::string_view collection, Object body) {
        DocumentWrite write;
        write.collection = collection;
        write.id = body.find("_id")->string_or();
        write.lsn = 1;
        body.set("sync", Object{{"lsn", std::int64_t{1}}});
        write.body = std::make_shared<const Value>(std::move(body));
        batch.documents.push_back(std::move(write));
    }

    void plant_own(const std::string& domain) {
        must(context, records.commit(RecordWrite::insert(data::payments, "payment-" + domain,
                                                         Object{{"domainId", domain},
                                                                {"amount", std::int64_t{5}},
                                                                {"currency", "EUR"},
                                                                {"status", "created"},
                                                                {"authorized", std::int64_t{0}},
                                                                {"captured", std::int64_t{0}},
                                                                {"refunded", std::int64_t{0}},
                                                                {"createdAt", Date{1}},
                                                                {"createdBy", "test"},
                                                                {"updatedAt", Date{1}}})));
        must(context, records.commit(RecordWrite::insert(
                          data::task_snapshots, "snapshot-" + domain,
                          Object{{"sequence", std::int64_t{domain == own ? -1 : -2}},
                                 {"chain", "instance-" + domain},
                                 {"number", std::int64_t{-1}},
                                 {"previousHash", "0"},
                                 {"previousInAll", "0"},
                                 {"contentHash", "0"},
                                 {"hash", "0"},
                                 {"content", "{}"},
                                 {"taskId", "task-" + domain},
                                 {"domainId", domain}})));
    }

    std::string token(std::string_view domain, Role role) {
        return "Bearer " + must(context, identity.sign("test", {{std::string(domain), role}},
                                                       std::chrono::minutes(5)));
    }

    ~Access() override {
        tasks.cancel();
        context.restart();
        while (tasks.size() > 0 && context.run_one() > 0) {
        }
    }

    http::Response ask(const Rule& rule, std::string_view domain, std::string authorization) {
        http::Request request;
        request.method = rule.method;
        for (std::string_view left = rule.path; !left.empty();) {
            left.remove_prefix(1);
            const auto slash = left.find('/');
            const std::string_view segment = left.substr(0, slash);
            request.path += "/";
            const auto close = segment.find('}');
            request.path += segment.starts_with('{')
                                ? variable(segment.substr(1, close - 1), domain)
                                : std::string(segment);
            if (segment.starts_with('{')) request.path += segment.substr(close + 1);
            left = slash == std::string_view::npos ? std::string_view{} : left.substr(slash);
        }
        if (!authorization.empty()) request.headers["authorization"] = std::move(authorization);
        if (rule.method != "GET") request.body = body_of(rule, domain);
        if (rule.path == "/v1/sessions" && rule.method != "POST")
            request.query = {{"userId", "ada"}};
        if (rule.method == "PUT" || rule.method == "DELETE")
            request.headers["if-match"] = "\"999\"";
        if (rule.method == "POST")
            request.headers["idempotency-key"] = "k" + std::to_string(++requests);
        // The head of a stream says the same as an answer.
        if (routes.streams(request)) return run_plain(routes.stream_head(request));
        return run_plain(routes.handle(request));
    }

    http::Response run_plain(awaitable<http::Response> task) {
        return run(context, std::move(task));
    }

    int requests = 0;
    asio::io_context context;
    SystemClock clock;
    TemporaryFolder folder;
    SqliteRecords records{{.path = folder.file("records.sqlite")}};
    MemoryStore store;
    MemoryBus bus{context.get_executor(), clock, MemoryBus::Options{}};
    StandingClock model;
    query::QueryService queries{{store, model, clock}};
    identity::Identity identity{records, clock, {.passwords = {.memory_kib = 64, .passes = 1}}};
    data::Domains domains{records, clock};
    http::AuthRoutes auth{identity};
    http::MemberRoutes member_routes{identity};
    http::DomainRoutes domain_routes{domains};
    Random random{1};
    payments::Payments payments{{records, clock, random}};
    http::PaymentRoutes payment_routes{payments};
    snapshots::TaskSnapshots snapshots{{records, store, clock, random}};
    http::SnapshotRoutes snapshot_routes{snapshots};
    data::Conversations conversations{records, clock, context.get_executor()};
    data::AiContexts contexts{records, conversations, clock, nullptr};
    http::ConversationRoutes conversation_routes{conversations, contexts};
    vectors::VectorFolder vector_folder{{.folder = folder.file("vectors"), .threads = 1}};
    data::EmbeddingCache cache{records, vector_folder, clock, context.get_executor(), {}};
    data::Embeddings embeddings{records, cache, clock, Random(1)};
    http::EmbeddingRoutes embedding_routes{embeddings};
    gateway::Archive archive;
    feed::EventFeed feed{{bus, nullptr, archive, clock, context.get_executor()}, {}};
    gateway::Directory directory;
    gateway::MemorySessions sessions{clock, {}};
    gateway::EventGateway gateway{{context.get_executor(), clock, feed, directory, sessions, {}},
                                  {}};
    http::RealtimeRoutes realtime_routes{gateway};
    MemoryRateLimiter limiter{clock, {}};
    limits::RateGate gate{limiter, clock, Random(1), {}};
    http::RateLimitRoutes ratelimit_routes{gate, {}};
    MemorySessions user_sessions{clock, {}};
    http::SessionRoutes session_routes{user_sessions, {"secret"}};
    MemoryJobQueue queue{context.get_executor(), clock};
    http::QueueRoutes queue_routes{queue};
    TaskGroup tasks{context.get_executor(), [](const std::string&, const Error&) {}};
    http::Routes routes{{.queries = queries,
                         .model = model,
                         .clock = clock,
                         .status = [] { return Value(Object{}); },
                         .unready = [] { return std::vector<std::string>(); },
                         .metrics = [] { return std::string("x"); },
                         .authenticator = &auth,
                         .feed = &feed}};
};

TEST_F(Access, the_api_file_has_the_same_routes_and_says_which_are_anyones) {
    const auto api =
        parse_json(run_plain(routes.handle({.method = "GET", .path = "/openapi.json"})).body);
    ASSERT_TRUE(api.has_value());
    std::map<std::string, bool> described, ruled;
    for (const auto& path : *api->at_path("paths")->get_if<Object>()) {
        for (const auto& operation : *path.value.get_if<Object>()) {
            std::string method = operation.key;
            for (char& c : method)
                c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            described[method + " " + path.key] = operation.value.at_path("security") != nullptr;
        }
    }
    for (const Rule& rule : http::rules())
        ruled[std::string(rule.method) + " " + std::string(rule.path)] = rule.who == Who::anyone;
    EXPECT_EQ(described, ruled);
}

TEST_F(Access, without_a_token_only_what_is_anyones_is_answered) {
    for (const Rule& rule : http::rules()) {
        const int status = ask(rule, own, "").status;
        const std::string where = std::string(rule.method) + " " + std::string(rule.path);
        if (rule.who == Who::token) {
            EXPECT_EQ(status, 401) << where;
        } else if (rule.path != "/v1/auth/password/reset" && rule.path != "/v1/auth/login" &&
                   rule.path != "/v1/auth/refresh") {
            EXPECT_EQ(status, 200) << where;
        }
    }
}

TEST_F(Access, a_token_that_is_forged_expired_or_of_another_algorithm_is_none) {
    const Rule& rule = *std::find_if(http::rules().begin(), http::rules().end(),
                                     [](const Rule& one) { return one.path == "/v1/tasks"; });
    std::string good = token(own, Role::viewer);
    EXPECT_EQ(ask(rule, own, good).status, 200);
    std::string forged = good;
    forged[forged.size() / 2] = forged[forged.size() / 2] == 'A' ? 'B' : 'A';
    const identity::SigningKey stranger = identity::SigningKey::generate("sig_x");
    const std::string unsigned_one = // {"alg":"none"}.{"sub":"x","exp":99999999999}
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiZXhwIjo5OTk5OTk5OTk5OX0.";
    for (const std::string& bad :
         {forged, unsigned_one, std::string("Bearer "), std::string("Bearer x.y.z"),
          std::string("Basic YTpi"), good.substr(0, good.size() - 4),
          "Bearer " + stranger.sign(Object{{"iss", "netbuild"},
                                           {"sub", "x"},
                                           {"roles", Object{{"*", "owner"}}},
                                           {"exp", std::int64_t{99'999'999'999}}}),
          std::string("Bearer nbk_key_none.secret")}) {
        EXPECT_EQ(ask(rule, own, bad).status, 401) << bad;
    }
}

TEST_F(Access, each_route_for_each_role_in_the_own_and_in_another_domain) {
    for (const Rule& rule : http::rules()) {
        if (rule.who == Who::anyone) continue;
        const bool object =
            rule.domain == Domain::object ||
            (rule.domain == Domain::list && rule.path.find('{') != std::string::npos);
        for (const Role role :
             {Role::viewer, Role::service, Role::member, Role::admin, Role::owner}) {
            const std::string where = std::string(rule.method) + " " + std::string(rule.path) +
                                      " as " + std::string(role_name(role));
            const bool enough = rank(role) >= rank(rule.least);
            const auto in_own = ask(rule, own, token(own, role));
            const auto in_other = ask(rule, other, token(own, role));
            const auto everywhere = ask(rule, other, token(every_domain, role));
            EXPECT_NE(in_own.status, 500) << where << in_own.body;
            switch (rule.domain) {
            case Domain::installation:
                EXPECT_EQ(in_own.status, 403) << where;
                EXPECT_EQ(everywhere.status, enough ? status_everywhere(rule) : 403) << where;
                break;
            case Domain::none:
                EXPECT_TRUE(in_own.status != 401 && in_own.status != 403) << where;
                break;
            case Domain::object:
            case Domain::list:
                if (!enough) {
                    EXPECT_EQ(in_own.status, 403) << where;
                } else {
                    EXPECT_TRUE(in_own.status != 401 && in_own.status != 403 &&
                                in_own.status != 404)
                        << where << in_own.body;
                    EXPECT_EQ(everywhere.status, in_own.status) << where;
                }
                if (object && (enough || rule.domain == Domain::object)) {
                    EXPECT_EQ(in_other.status, 404) << where;
                    EXPECT_EQ(in_other.body.find(R"("domainId")"), std::string::npos) << where;
                }
                break;
            }
            // Whatever it is, of another domain it tells nothing.
            if (rule.domain == Domain::list && in_own.status == 200) {
                EXPECT_EQ(in_own.body.find(other), std::string::npos) << where << in_own.body;
            }
        }
    }
}

TEST_F(Access, lists_hold_what_is_ones_own) {
    for (const Rule& rule : http::rules()) {
        if (rule.domain != Domain::list || rule.path.find('{') != std::string::npos ||
            rule.path == "/v1/events")
            continue;
        const auto mine = parse_json(ask(rule, own, token(own, Role::viewer)).body);
        const auto all = parse_json(ask(rule, own, token(every_domain, Role::viewer)).body);
        ASSERT_TRUE(mine && all) << rule.path;
        EXPECT_EQ(mine->at_path("items")->get_if<Array>()->size(), 1u) << rule.path;
        EXPECT_EQ(all->at_path("items")->get_if<Array>()->size(), rule.method == "POST" ? 1u : 2u)
            << rule.path;
    }
    const Rule batch{"POST", "/v1/executions:batchGet"};
    const auto theirs = parse_json(ask(batch, other, token(own, Role::owner)).body);
    EXPECT_EQ(*theirs->at_path("items"), Value(Array{nullptr}));
}

TEST_F(Access, a_stream_of_another_domain_is_not_there) {
    http::Request request{
        .method = "GET", .path = "/v1/events", .query = {{"room", "domain:umbra"}}};
    request.headers["authorization"] = token(own, Role::viewer);
    EXPECT_EQ(run_plain(routes.stream_head(request)).status, 404);
    request.query = {{"room", "domain:acme"}};
    EXPECT_EQ(run_plain(routes.stream_head(request)).status, 200);
    request.headers.clear();
    EXPECT_EQ(run_plain(routes.stream_head(request)).status, 401);
}

TEST_F(Access, a_domain_changes_only_from_the_version_that_the_request_names) {
    http::Request request{.method = "PUT", .path = "/v1/domains/acme"};
    request.headers["authorization"] = token(own, Role::admin);
    request.body = R"({"name":"Acme","status":"active","settings":{"logo":"a.png"}})";
    EXPECT_EQ(run_plain(routes.handle(request)).status, 412); // it is there: If-Match is needed
    request.headers["if-match"] = "\"1\"";
    const auto changed = run_plain(routes.handle(request));
    EXPECT_EQ(changed.status, 200) << changed.body;
    EXPECT_EQ(std::find(changed.headers.begin(), changed.headers.end(),
                        std::pair<std::string, std::string>("ETag", "\"2\"")) ==
                  changed.headers.end(),
              false);
    EXPECT_EQ(run_plain(routes.handle(request)).status, 412);
    request.headers["if-match"] = "W/x";
    EXPECT_EQ(run_plain(routes.handle(request)).status, 400);
    request.headers["if-match"] = "\"2\"";
    request.body = R"({"name":"Acme","status":"active","settings":{"$where":1}})";
    const auto refused = run_plain(routes.handle(request));
    EXPECT_EQ(refused.status, 400);
    EXPECT_NE(refused.body.find(R"("field":"settings.$where")"), std::string::npos) << refused.body;
    request.method = "GET";
    request.path += "/versions";
    const auto versions = parse_json(run_plain(routes.handle(request)).body);
    ASSERT_EQ(versions->at_path("items")->get_if<Array>()->size(), 2u);
    request.path = "/v1/domains/acme";
    request.headers["if-none-match"] = "\"2\"";
    EXPECT_EQ(run_plain(routes.handle(request)).status, 304);
}

/// Requests about the own domain's members, as somebody with a role there.
class Members : public Access {
protected:
    struct Told {
        int status = 0;
        Value body;
        std::string text;
    };
    Told told(std::string method, std::string path, Role role, std::string body = "",
              std::string subject = "test") {
        http::Request request{.method = std::move(method), .path = "/v1/domains/acme" + path};
        request.headers["authorization"] =
            "Bearer " + must(context, identity.sign(std::move(subject), {{std::string(own), role}},
                                                    std::chrono::minutes(5)));
        request.body = std::move(body);
        if (const auto mark = request.path.find('?'); mark != std::string::npos) {
            const std::string query = request.path.substr(mark + 1);
            request.query = {{query.substr(0, query.find('=')), query.substr(query.find('=') + 1)}};
            request.path.resize(mark);
        }
        const auto response = run_plain(routes.handle(request));
        const auto parsed = parse_json(response.body);
        return {response.status, parsed ? *parsed : Value(), response.body};
    }
    static const Array& items(const Told& page) {
        return *page.body.at_path("items")->get_if<Array>();
    }
    int role_of(const std::string& user) {
        const auto roles = must(context, identity.roles_of(user));
        const auto found = roles.find(own);
        return found == roles.end() ? 0 : rank(found->second);
    }
};

TEST_F(Members, an_api_key_is_told_once_works_at_once_and_no_more_when_it_is_revoked) {
    const auto made = told("POST", "/api-keys", Role::admin, R"({"name":"ci","role":"service"})");
    ASSERT_EQ(made.status, 201) << made.text;
    const std::string key(made.body.at_path("key")->string_or());
    const std::string id(made.body.at_path("id")->string_or());
    EXPECT_EQ(must(context, identity.authenticate("Bearer " + key)).role_in(own), Role::service);
    const auto listed = told("GET", "/api-keys", Role::admin);
    EXPECT_EQ(items(listed).size(), 2u); // and the planted one
    EXPECT_EQ(listed.text.find(key.substr(key.find('.') + 1)), std::string::npos);
    EXPECT_EQ(listed.text.find("secretHash"), std::string::npos);
    EXPECT_EQ(told("DELETE", "/api-keys/key-umbra", Role::owner).status, 404);
    EXPECT_EQ(told("DELETE", "/api-keys/" + id, Role::admin).status, 204);
    EXPECT_EQ(told("DELETE", "/api-keys/" + id, Role::admin).status, 204);
    EXPECT_FALSE(run(context, identity.authenticate("Bearer " + key)).has_value());
    EXPECT_EQ(told("POST", "/api-keys", Role::admin, R"({"name":"ci","role":"owner"})").status,
              403);
    EXPECT_EQ(told("POST", "/api-keys", Role::admin, R"({"name":"ci","role":"king"})").status, 400);
}

TEST_F(Members, nobody_gives_or_takes_a_role_above_their_own_nor_their_own) {
    const std::string path = "/users/user-acme";
    EXPECT_EQ(told("PUT", path, Role::admin, R"({"role":"member"})").status, 200);
    EXPECT_EQ(role_of("user-acme"), rank(Role::member));
    EXPECT_EQ(told("PUT", path, Role::admin, R"({"role":"owner"})").status, 403);
    EXPECT_EQ(told("PUT", path, Role::owner, R"({"role":"owner"})").status, 200);
    EXPECT_EQ(told("PUT", path, Role::admin, R"({"role":"viewer"})").status, 403);
    EXPECT_EQ(told("DELETE", path, Role::admin).status, 403);
    EXPECT_EQ(told("DELETE", path, Role::owner, "", "user-acme").status, 403);
    EXPECT_EQ(told("PUT", path, Role::owner, R"({"role":"viewer"})", "user-acme").status, 403);
    EXPECT_EQ(role_of("user-acme"), rank(Role::owner));
    EXPECT_EQ(told("DELETE", path, Role::owner).status, 204);
    EXPECT_EQ(role_of("user-acme"), 0);
    EXPECT_EQ(told("DELETE", "/users/nobody", Role::admin).status, 204);
    EXPECT_EQ(told("PUT", "/users/nobody", Role::admin, R"({"role":"viewer"})").status, 404);
}

TEST_F(Members, are_listed_with_who_they_are) {
    const std::string user =
        must(context, identity.create_user({"ada@example.org", "Ada", ""}, "test"));
    ASSERT_EQ(told("PUT", "/users/" + user, Role::admin, R"({"role":"admin"})").status, 200);
    const auto first = told("GET", "/users?limit=1", Role::admin);
    const auto second =
        told("GET", "/users?cursor=" + std::string(first.body.at_path("nextCursor")->string_or()),
             Role::admin);
    ASSERT_EQ(items(first).size() + items(second).size(), 2u) << first.text << second.text;
    const std::string both = first.text + second.text;
    EXPECT_NE(both.find(R"("email":"ada@example.org")"), std::string::npos) << both;
    EXPECT_NE(both.find("user-acme"), std::string::npos) << both;
    EXPECT_EQ(both.find("umbra"), std::string::npos) << both;
}

TEST_F(Members, the_trail_has_what_was_done_to_roles_keys_and_the_domain_newest_first) {
    ASSERT_EQ(told("PUT", "/users/user-acme", Role::admin, R"({"role":"member"})").status, 200);
    ASSERT_EQ(told("POST", "/api-keys", Role::admin, R"({"name":"n","role":"viewer"})").status,
              201);
    Object changed{{"name", "Acme"}, {"status", "suspended"}};
    must(context, domains.put("acme", std::move(changed), 1, "test"));
    must(context,
         domains.put("elsewhere", {{"name", "E"}, {"status", "active"}}, std::nullopt, "test"));
    std::multiset<std::string> actions;
    std::string after;
    std::int64_t newest = INT64_MAX;
    do {
        const auto page =
            told("GET", after.empty() ? "/audit?limit=2" : "/audit?cursor=" + after, Role::admin);
        ASSERT_EQ(page.status, 200) << page.text;
        for (const Value& entry : items(page)) {
            EXPECT_EQ(entry.at_path("domainId")->string_or(), own);
            actions.emplace(entry.at_path("action")->string_or());
            const auto at = parse_date(entry.at_path("at")->string_or())->milliseconds;
            EXPECT_LE(at, newest);
            newest = at;
        }
        after = page.body.at_path("nextCursor")->string_or();
    } while (!after.empty());
    EXPECT_EQ(actions, (std::multiset<std::string>{"api_key.create", "domain.create",
                                                   "domain.replace", "role.set"}));
}

TEST_F(Members, who_tries_too_often_is_told_when_to_come_again) {
    http::Request request{.method = "POST", .path = "/v1/auth/login"};
    request.body = R"({"email":"nobody@example.org","password":"wrong password"})";
    http::Response response;
    for (int i = 0; i < 5 && response.status != 429; ++i)
        response = run_plain(routes.handle(request));
    ASSERT_EQ(response.status, 429) << response.body;
    const auto header = std::find_if(response.headers.begin(), response.headers.end(),
                                     [](const auto& one) { return one.first == "Retry-After"; });
    ASSERT_NE(header, response.headers.end());
    EXPECT_GE(std::stoi(header->second), 1);
    EXPECT_LE(std::stoi(header->second), 3);
}

} // namespace
} // namespace netbuild::test
