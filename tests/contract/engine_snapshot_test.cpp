// SPDX-License-Identifier: Apache-2.0
// EngineSnapshot (ports/change_source.hpp) on PostgreSQL: rows go straight into Camunda's tables.
#include <map>
#include <set>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <gtest/gtest.h>

#include "postgres/engine_snapshot.hpp"
#include "postgres/replication_source.hpp"
#include "support/postgres.hpp"

namespace netbuild::test {
namespace {

using camunda::Table;

class EngineSnapshotOnPostgres : public testing::Test {
protected:
    ~EngineSnapshotOnPostgres() override {
        for (const char* table : {"act_hi_procinst", "act_hi_taskinst", "act_hi_varinst",
                                  "act_hi_identitylink", "act_ge_bytearray", "act_hi_actinst"})
            sql("delete from " + std::string(table) + " where id_ like '" + name + "%'");
    }
    postgres::Rows sql(const std::string& text) { return execute(context, clock, text); }

    /// Process instances first … last, each with so many variables, a task, a candidate and a value
    /// in bytes.
    void insert_instances(int first, int last, int variables) {
        const auto series = [&](const std::string& columns) {
            return "select " + columns + " from generate_series(" + std::to_string(first) + ", " +
                   std::to_string(last) + ") i";
        };
        const std::string id = "'" + name + "-' || lpad(i::text, 5, '0')";
        sql("insert into act_hi_procinst (id_, proc_inst_id_, proc_def_id_, start_time_, state_) " +
            series(id + ", " + id + ", 'order:1:x', now(), 'ACTIVE'"));
        sql("insert into act_hi_taskinst (id_, proc_inst_id_, name_, start_time_) " +
            series(id + " || '-task', " + id + ", E'a\\\\b\\tc\\nd', now()"));
        sql("insert into act_hi_identitylink (id_, timestamp_, type_, user_id_, task_id_, "
            "operation_type_) " +
            series(id + " || '-link', now(), 'candidate', 'demo', " + id + " || '-task', 'add'"));
        sql("insert into act_ge_bytearray (id_, name_, bytes_) " +
            series(id + " || '-bytes', 'v', '\\x00ff0a09'"));
        sql("insert into act_hi_varinst (id_, proc_inst_id_, name_, var_type_, bytearray_id_, "
            "create_time_, state_) " +
            series(id + " || '-file', " + id + ", 'file', 'bytes', " + id +
                   " || '-bytes', now(), 'CREATED'"));
        sql("insert into act_hi_varinst (id_, proc_inst_id_, name_, var_type_, text_, "
            "create_time_, state_) " +
            series(id + " || '-' || k, " + id + ", 'v' || k, 'string', 'value', now(), 'CREATED'") +
            ", generate_series(1, " + std::to_string(variables) + ") k");
    }
    void insert_standalone_task(const std::string& suffix) {
        sql("insert into act_hi_taskinst (id_, name_, start_time_) values ('" + name + suffix +
            "', 'standalone', now())");
        sql("insert into act_hi_varinst (id_, task_id_, name_, var_type_, text_, create_time_, "
            "state_) values ('" +
            name + suffix + "-v', '" + name + suffix +
            "', 'v', 'string', 'value', now(), 'CREATED')");
    }
    std::unique_ptr<EngineSnapshot> snapshot(ChangeSource::SnapshotTaken taken = {}) {
        return must(context, postgres::take_snapshot(context.get_executor(), clock, database(),
                                                     "public", 0, taken));
    }
    /// Rows of this test by table.
    std::map<Table, std::set<std::string>> ours(const Transaction& rows) {
        std::map<Table, std::set<std::string>> found;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::string id(rows.row(i).cells[0].text);
            EXPECT_EQ(rows.row(i).operation, RowOperation::insert);
            if (id.starts_with(name)) EXPECT_TRUE(found[rows.row(i).table].insert(id).second) << id;
        }
        return found;
    }
    std::string instance(int number) {
        std::string digits = std::to_string(number);
        return name + "-" + std::string(5 - digits.size(), '0') + digits;
    }
    /// A temporary slot goes with its session, a moment after the connection's end; other tests may
    /// have theirs for a moment, too.
    bool no_slot_is_left() {
        for (int attempt = 0; attempt < 200; ++attempt) {
            if (sql("select count(*) from pg_replication_slots where slot_name like "
                    "'netbuild\\_snapshot\\_%' or slot_name like '" +
                    name + "%'")
                    .text(0, 0) == "0")
                return true;
        }
        return false;
    }
    /// Connections that the tests of others cannot be taken for.
    postgres::ConnectionOptions database() {
        auto options = camunda_database();
        options.parameters["application_name"] = name;
        return options;
    }

    asio::io_context context;
    SystemClock clock;
    std::string name = unique_name("snapshot");
};

TEST_F(EngineSnapshotOnPostgres, holds_what_committed_at_or_before_its_position_and_nothing_later) {
    insert_instances(1, 3, 2);
    const Lsn before = must(context, ReplicationSource(context.get_executor(), clock,
                                                       {.connection = camunda_database()})
                                         .end_of_history());
    const auto taken = snapshot();
    insert_instances(4, 6, 2);
    sql("update act_hi_procinst set state_ = 'LATER' where id_ = '" + instance(1) + "'");
    EXPECT_GE(taken->position().lsn(), before);
    std::map<std::string, std::string> states;
    while (auto chunk = must(context, taken->next())) {
        for (std::size_t i = 0; i < chunk->rows.size(); ++i) {
            const Row row = chunk->rows.row(i);
            EXPECT_EQ(chunk->rows.position, taken->position());
            if (row.table == Table::hi_procinst &&
                row.text(camunda::hi_procinst::id).starts_with(name))
                states.emplace(row.text(camunda::hi_procinst::id),
                               row.text(camunda::hi_procinst::state));
        }
    }
    EXPECT_EQ(states,
              (std::map<std::string, std::string>{
                  {instance(1), "ACTIVE"}, {instance(2), "ACTIVE"}, {instance(3), "ACTIVE"}}));
}

TEST_F(EngineSnapshotOnPostgres,
       gives_every_instance_once_with_all_its_rows_definitions_first_standalone_tasks_last) {
    insert_instances(1, 300, 8);
    insert_instances(301, 301, 7000); // more than a chunk may have, and not to be divided
    insert_instances(302, 400, 60);
    insert_standalone_task("-alone");
    const auto taken = snapshot();
    EXPECT_GE(taken->instances_estimate(), 400u);
    std::map<Table, std::size_t> counts;
    std::set<std::string> instances;
    std::string last;
    bool first = true, standalone = false;
    while (auto chunk = must(context, taken->next())) {
        const auto found = ours(chunk->rows);
        if (std::exchange(first, false)) {
            EXPECT_EQ(chunk->instances, 0u);
            EXPECT_TRUE(chunk->upto.empty());
            EXPECT_TRUE(found.empty());
            continue;
        }
        if (chunk->upto.empty()) {
            if (found.empty()) continue;
            standalone = true;
            EXPECT_EQ(found.at(Table::hi_taskinst), std::set<std::string>{name + "-alone"});
            EXPECT_EQ(found.at(Table::hi_varinst), std::set<std::string>{name + "-alone-v"});
            continue;
        }
        EXPECT_FALSE(standalone) << "tasks without a process come last";
        EXPECT_LT(last, chunk->upto) << "in the order of ids";
        last = chunk->upto;
        if (chunk->instances > 1) EXPECT_LE(chunk->rows.size(), 2000u);
        for (const auto& [table, ids] : found)
            counts[table] += ids.size();
        const auto here = found.find(Table::hi_procinst);
        if (here == found.end()) continue;
        for (const std::string& id : here->second) {
            EXPECT_TRUE(instances.insert(id).second) << id << " came twice";
            EXPECT_EQ(found.at(Table::hi_taskinst).count(id + "-task"), 1u);
            EXPECT_EQ(found.at(Table::ge_bytearray).count(id + "-bytes"), 1u);
            EXPECT_EQ(found.at(Table::hi_identitylink).count(id + "-link"), 1u);
        }
    }
    EXPECT_TRUE(standalone);
    EXPECT_EQ(instances.size(), 400u);
    EXPECT_EQ(counts[Table::hi_varinst], 300u * 9 + 7001 + 99u * 61);
}

TEST_F(EngineSnapshotOnPostgres, text_with_escapes_and_bytes_come_out_as_they_are) {
    insert_instances(1, 1, 1);
    const auto taken = snapshot();
    const Transaction rows = must(context, taken->read({.instances = {instance(1)}}));
    bool name_seen = false, bytes_seen = false;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Row row = rows.row(i);
        if (row.table == Table::hi_taskinst) {
            name_seen = true;
            EXPECT_EQ(row.text(camunda::hi_taskinst::name), "a\\b\tc\nd");
            EXPECT_TRUE(row.is_null(camunda::hi_taskinst::assignee));
        }
        if (row.table == Table::ge_bytearray) {
            bytes_seen = true;
            EXPECT_EQ(row.text(camunda::ge_bytearray::bytes), "\\x00ff0a09");
        }
    }
    EXPECT_TRUE(name_seen && bytes_seen);
}

TEST_F(EngineSnapshotOnPostgres, starts_after_what_was_read_before) {
    insert_instances(1, 20, 1);
    const auto taken = snapshot();
    taken->start_after(instance(15));
    std::set<std::string> instances;
    while (auto chunk = must(context, taken->next())) {
        auto found = ours(chunk->rows);
        instances.merge(found[Table::hi_procinst]);
    }
    EXPECT_EQ(instances, (std::set<std::string>{instance(16), instance(17), instance(18),
                                                instance(19), instance(20)}));
}

TEST_F(EngineSnapshotOnPostgres, reads_by_instance_and_by_task_also_while_a_next_waits) {
    using namespace asio::experimental::awaitable_operators;
    insert_instances(1, 200, 5);
    insert_standalone_task("-alone");
    insert_standalone_task("-other");
    const auto taken = snapshot();
    must(context, taken->next());
    InstanceSelection selection;
    selection.instances = {instance(3), "unknown'\\\""};
    selection.tasks = {instance(7) + "-task", name + "-alone", "unknown"};
    struct Both {
        std::size_t chunk = 0;
        Transaction first, second;
    };
    auto both = must(
        context, [](EngineSnapshot& from, InstanceSelection wanted) -> awaitable<result<Both>> {
            auto [chunk, first, second] = co_await (from.next() && from.read(wanted) &&
                                                    from.read({.instances = {"unknown"}}));
            CO_TRY(auto next, std::move(chunk));
            Both outcome;
            outcome.chunk = next->instances;
            CO_TRY(outcome.first, std::move(first));
            CO_TRY(outcome.second, std::move(second));
            co_return std::move(outcome);
        }(*taken, selection));
    EXPECT_GT(both.chunk, 0u);
    EXPECT_EQ(both.second.size(), 0u);
    auto found = ours(both.first);
    EXPECT_EQ(found[Table::hi_procinst], (std::set<std::string>{instance(3), instance(7)}));
    EXPECT_EQ(
        found[Table::hi_taskinst],
        (std::set<std::string>{instance(3) + "-task", instance(7) + "-task", name + "-alone"}));
    EXPECT_EQ(found[Table::hi_varinst].count(name + "-alone-v"), 1u);
    auto alone = ours(must(context, taken->read({.standalone_tasks = true})));
    EXPECT_EQ(alone[Table::hi_taskinst], (std::set<std::string>{name + "-alone", name + "-other"}));
    EXPECT_EQ(must(context, taken->read({})).size(), 0u);
}

TEST_F(EngineSnapshotOnPostgres, a_lost_connection_is_a_transient_error) {
    insert_instances(1, 5, 1);
    const auto taken = snapshot();
    must(context, taken->next());
    sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = '" + name +
        "'");
    const auto next = run(context, taken->next());
    ASSERT_FALSE(next);
    EXPECT_TRUE(next.error().transient()) << next.error().message();
    const auto read = run(context, taken->read({.instances = {instance(1)}}));
    ASSERT_FALSE(read);
    EXPECT_TRUE(read.error().transient()) << read.error().message();
    EXPECT_TRUE(no_slot_is_left());
}

TEST_F(EngineSnapshotOnPostgres, is_given_up_when_its_position_does_not_serve) {
    Position seen;
    const auto refused =
        run(context, postgres::take_snapshot(context.get_executor(), clock, camunda_database(),
                                             "public", 0, [&](Position position) {
                                                 seen = position;
                                                 return false;
                                             }));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::overloaded);
    EXPECT_FALSE(seen.is_zero());
    const auto taken = snapshot([&](Position position) {
        seen = position;
        return true;
    });
    EXPECT_EQ(taken->position(), seen);
    EXPECT_TRUE(no_slot_is_left());
}

TEST_F(EngineSnapshotOnPostgres, is_passed_by_an_idle_stream) {
    ReplicationSource source(context.get_executor(), clock,
                             {.connection = camunda_database(), .slot = name});
    must(context, source.open({}));
    const auto taken = must(context, source.snapshot({}));
    Position upto;
    while (upto <= taken->position())
        upto = must(context, source.next()).upto;
    EXPECT_GT(upto, taken->position());
    must(context, [](ChangeSource& closed) -> awaitable<result<void>> {
        co_await closed.close();
        co_return result<void>{};
    }(source));
    must(context, source.drop_slot());
    EXPECT_TRUE(no_slot_is_left());
}

} // namespace
} // namespace netbuild::test
