// SPDX-License-Identifier: Apache-2.0
// The contract of ports/process_engine.hpp on Camunda's database and on its REST API: of the same
// instance both say the same.
#include <gtest/gtest.h>

#include "camunda/database_engine.hpp"
#include "camunda/rest_engine.hpp"
#include "support/postgres.hpp"
#include "wire/json.hpp"

namespace netbuild::test {
namespace {

/// An instance of two open tasks, as Camunda's tables hold one; gone with its owner.
class Instance {
public:
    Instance(asio::io_context& context, Clock& clock) : context_(context), clock_(clock) {
        definition_ = unique_name("contract") + ":1:x";
        run_sql("insert into act_re_procdef (id_, rev_, key_, version_, suspension_state_, startable_) "
                "values ($1, 1, 'contract', 1, 1, true)", {definition_});
        for (const std::string& id : {id_, older_}) {
            run_sql("insert into act_hi_procinst (id_, proc_inst_id_, business_key_, proc_def_id_, start_time_, state_) "
                    "values ($1::varchar, $1::varchar, $2, $3, now() - case when $1::varchar = $4::varchar then interval '1 hour' else interval '0' end, 'ACTIVE')",
                    {id, key_, definition_, older_});
            run_sql("insert into act_ru_execution (id_, rev_, proc_inst_id_, root_proc_inst_id_, business_key_, proc_def_id_, "
                    "suspension_state_, is_active_, is_concurrent_, is_scope_, is_event_scope_, cached_ent_state_, sequence_counter_) "
                    "values ($1::varchar, 1, $1::varchar, $1::varchar, $2, $3, 1, true, false, true, false, 0, 1)", {id, key_, definition_});
        }
        for (int i = 0; i < 2; ++i) {
            run_sql("insert into act_ru_task (id_, rev_, execution_id_, proc_inst_id_, proc_def_id_, name_, task_def_key_, "
                    "assignee_, priority_, create_time_, due_date_, suspension_state_, task_state_) values "
                    "($1, 1, $2::varchar, $2::varchar, $3, 'Task', 'task', 'kim', 50, timestamp '2026-01-02 03:04:05.678' + $4::interval, "
                    "timestamp '2027-01-01 00:00:00', 1, 'Created')",
                    {id_ + "-t" + std::to_string(i), id_, definition_, std::to_string(i) + " seconds"});
        }
    }
    ~Instance() {
        run_sql("delete from act_ru_task where proc_inst_id_ = $1", {id_});
        run_sql("delete from act_ru_execution where business_key_ = $1", {key_});
        run_sql("delete from act_hi_procinst where business_key_ = $1", {key_});
        run_sql("delete from act_re_procdef where id_ = $1", {definition_});
    }
    const std::string id_ = unique_name("instance");
    const std::string older_ = unique_name("older");
    const std::string key_ = "key /?&=ä " + unique_name("k");

private:
    void run_sql(std::string sql, std::vector<std::optional<std::string>> parameters) {
        execute(context_, clock_, std::move(sql), std::move(parameters));
    }
    asio::io_context& context_;
    Clock& clock_;
    std::string definition_;
};

struct Database {
    explicit Database(asio::io_context& context) : pool_(context.get_executor(), clock_, {.connection = camunda_database()}) {}
    ProcessEngine& engine() { return engine_; }
    SystemClock clock_;
    postgres::Pool pool_;
    DatabaseEngine engine_{pool_, "public", TimeZone::utc()};
};
struct Rest {
    explicit Rest(asio::io_context& context)
        : engine_(context.get_executor(), {.url = "http://127.0.0.1:" + server_port(80) + "/engine-rest"}) {}
    ProcessEngine& engine() { return engine_; }
    RestEngine engine_;
};

template <class Adapter>
class ProcessEngineContract : public testing::Test {
protected:
    asio::io_context context;
    SystemClock clock;
    Instance instance{context, clock};
    Adapter adapter{context};
};
using Adapters = testing::Types<Database, Rest>;
TYPED_TEST_SUITE(ProcessEngineContract, Adapters);

TYPED_TEST(ProcessEngineContract, finds_by_id_and_by_business_key_the_newest_first) {
    const auto by_id = must(this->context, this->adapter.engine().executions(
                                               {InstanceKey::Kind::process_instance_id, this->instance.id_}));
    ASSERT_EQ(by_id.size(), 1u);
    const auto by_key = must(this->context, this->adapter.engine().executions(
                                                {InstanceKey::Kind::business_key, this->instance.key_}));
    ASSERT_EQ(by_key.size(), 2u);
    EXPECT_EQ(by_key[0].process_instance_id, this->instance.id_);
    EXPECT_EQ(by_key[1].process_instance_id, this->instance.older_);
    EXPECT_EQ(by_key[0].business_key, this->instance.key_);
    EXPECT_EQ(by_key[0].active_tasks, by_id[0].active_tasks);
}

TYPED_TEST(ProcessEngineContract, has_rests_fields_in_rests_order_and_formats) {
    const auto found = must(this->context, this->adapter.engine().executions(
                                               {InstanceKey::Kind::process_instance_id, this->instance.id_}));
    EXPECT_NE(to_json(found[0].process_state).find(R"("caseInstanceId":null,"ended":false,"suspended":false,"tenantId":null,"definitionKey":"contract"})"),
              std::string::npos) << to_json(found[0].process_state);
    ASSERT_EQ(found[0].active_tasks.size(), 2u);
    const std::string task = to_json(found[0].active_tasks[0]);
    EXPECT_NE(task.find(R"("name":"Task","assignee":"kim","created":"2026-01-02T03:04:05.678+0000","due":"2027-01-01T00:00:00.000+0000","followUp":null)"),
              std::string::npos) << task;
    EXPECT_NE(task.find(R"("suspended":false,"formKey":null,"camundaFormRef":null,"tenantId":null,"taskState":"Created"})"), std::string::npos) << task;
}

TYPED_TEST(ProcessEngineContract, what_is_not_running_is_an_empty_answer) {
    for (const auto kind : {InstanceKey::Kind::process_instance_id, InstanceKey::Kind::business_key}) {
        EXPECT_TRUE(must(this->context, this->adapter.engine().executions({kind, "no such"})).empty());
    }
    EXPECT_TRUE(run(this->context, this->adapter.engine().ping()));
}

TEST(RestEngine, an_engine_that_is_away_is_unavailable) {
    asio::io_context context;
    RestEngine engine(context.get_executor(), {.url = "http://127.0.0.1:1/engine-rest"});
    EXPECT_EQ(run(context, engine.executions({InstanceKey::Kind::business_key, "x"})).error().code(), ErrorCode::unavailable);
}

} // namespace
} // namespace netbuild::test
