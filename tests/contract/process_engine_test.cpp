// SPDX-License-Identifier: Apache-2.0
// The contract of ports/process_engine.hpp on Camunda's database and on its REST API: of the same
// instance both say the same.
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "camunda/database_engine.hpp"
#include "camunda/rest_engine.hpp"
#include "support/postgres.hpp"
#include "wire/json.hpp"

namespace netbuild::test {
namespace {

/// What a command prints.
std::string output_of(const std::string& command) {
    std::FILE* pipe = popen(command.c_str(), "r");
    if (!pipe) throw std::runtime_error(command);
    std::string text;
    char piece[4096];
    while (const std::size_t size = std::fread(piece, 1, sizeof piece, pipe))
        text.append(piece, size);
    if (pclose(pipe) != 0) throw std::runtime_error(command + ": " + text);
    return text;
}

std::string rest_url() { return "http://127.0.0.1:" + server_port(80) + "/engine-rest"; }

/// Two instances of one business key in a real Camunda; gone with their owner.
class Instance {
public:
    Instance() {
        static const std::string deployed =
            output_of("curl -sSf -F deployment-name=contract -F tenant-id=contract -F "
                      "data=@" NETBUILD_ORDER_BPMN " " +
                      rest_url() + "/deployment/create");
        older_ = start();
        id_ = start();
    }
    ~Instance() {
        for (const std::string& id : {id_, older_}) {
            (void)std::system(
                ("curl -sf -X DELETE " + rest_url() + "/process-instance/" + id).c_str());
        }
    }
    const std::string key_ = "key /?&=ä " + unique_name("k");
    std::string id_, older_;

private:
    std::string start() {
        const std::string answer = output_of(
            "curl -sSf -H 'Content-Type: application/json' -d '{\"businessKey\":\"" + key_ +
            "\"}' " + rest_url() + "/process-definition/key/order/tenant-id/contract/start");
        const auto parsed = parse_json(answer).value();
        return std::string(parsed.at_path("id")->string_or());
    }
};

struct Database {
    explicit Database(asio::io_context& context)
        : pool_(context.get_executor(), clock_, {.connection = camunda_database()}) {}
    ProcessEngine& engine() { return engine_; }
    SystemClock clock_;
    postgres::Pool pool_;
    DatabaseEngine engine_{pool_, "public", TimeZone::utc()};
};
struct Rest {
    explicit Rest(asio::io_context& context)
        : engine_(context.get_executor(), {.url = rest_url()}) {}
    ProcessEngine& engine() { return engine_; }
    RestEngine engine_;
};

template <class Adapter>
class ProcessEngineContract : public testing::Test {
protected:
    asio::io_context context;
    Instance instance;
    Adapter adapter{context};
};
using Adapters = testing::Types<Database, Rest>;
TYPED_TEST_SUITE(ProcessEngineContract, Adapters);

TYPED_TEST(ProcessEngineContract, finds_by_id_and_by_business_key_the_newest_first) {
    const auto by_id =
        must(this->context, this->adapter.engine().executions(
                                {InstanceKey::Kind::process_instance_id, this->instance.id_}));
    ASSERT_EQ(by_id.size(), 1u);
    const auto by_key = must(
        this->context,
        this->adapter.engine().executions({InstanceKey::Kind::business_key, this->instance.key_}));
    ASSERT_EQ(by_key.size(), 2u);
    EXPECT_EQ(by_key[0].process_instance_id, this->instance.id_);
    EXPECT_EQ(by_key[1].process_instance_id, this->instance.older_);
    EXPECT_EQ(by_key[0].business_key, this->instance.key_);
    EXPECT_EQ(by_key[0].active_tasks, by_id[0].active_tasks);
}

TYPED_TEST(ProcessEngineContract, has_rests_fields_in_rests_order_and_formats) {
    const auto found =
        must(this->context, this->adapter.engine().executions(
                                {InstanceKey::Kind::process_instance_id, this->instance.id_}));
    const std::string state = to_json(found[0].process_state);
    EXPECT_NE(
        state.find(
            R"("caseInstanceId":null,"ended":false,"suspended":false,"tenantId":"contract","definitionKey":"order"})"),
        std::string::npos)
        << state;
    EXPECT_TRUE(state.starts_with(R"({"links":[],"id":")" + this->instance.id_ +
                                  R"(","definitionId":"order:)"))
        << state;
    ASSERT_EQ(found[0].active_tasks.size(), 1u);
    const std::string task = to_json(found[0].active_tasks[0]);
    EXPECT_NE(task.find(R"("name":"Review","assignee":null,"created":"20)"), std::string::npos)
        << task;
    EXPECT_NE(
        task.find(
            R"(+0000","due":null,"followUp":null,"lastUpdated":null,"delegationState":null,"description":null)"),
        std::string::npos)
        << task;
    EXPECT_TRUE(task.ends_with(
        R"("suspended":false,"formKey":null,"camundaFormRef":null,"tenantId":"contract","taskState":"Created"})"))
        << task;
}

TYPED_TEST(ProcessEngineContract, what_is_not_running_is_an_empty_answer) {
    for (const auto kind :
         {InstanceKey::Kind::process_instance_id, InstanceKey::Kind::business_key}) {
        EXPECT_TRUE(
            must(this->context, this->adapter.engine().executions({kind, "no such"})).empty());
    }
    EXPECT_TRUE(run(this->context, this->adapter.engine().ping()));
}

TEST(RestEngine, an_engine_that_is_away_is_unavailable) {
    asio::io_context context;
    RestEngine engine(context.get_executor(), {.url = "http://127.0.0.1:1/engine-rest"});
    EXPECT_EQ(
        run(context, engine.executions({InstanceKey::Kind::business_key, "x"})).error().code(),
        ErrorCode::unavailable);
}

} // namespace
} // namespace netbuild::test
