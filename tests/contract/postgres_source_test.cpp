// SPDX-License-Identifier: Apache-2.0
#include "change_source_contract.hpp"

#include <algorithm>

#include "postgres/replication_source.hpp"
#include "support/postgres.hpp"

namespace netbuild::test {
namespace {

/// A slot of its own on the stack's Camunda database; each commit writes a standalone task's row.
class Replication {
public:
    static constexpr std::size_t transactions_min = 6;
    explicit Replication(asio::io_context& context) : context_(context) {}
    ~Replication() {
        run(context_, source_.drop_slot()).value();
        execute(context_, clock_, "delete from act_hi_taskinst where id_ like $1 || '%'", {slot_});
    }
    ChangeSource& source() { return source_; }
    void commit() {
        execute(
            context_, clock_,
            "insert into act_hi_taskinst (id_, name_, start_time_) values ($1, 'contract', now())",
            {slot_ + "-" + std::to_string(count_++)});
    }

    asio::io_context& context_;
    SystemClock clock_;
    std::string slot_ = unique_name("contract");
    int count_ = 0;
    ReplicationSource source_{
        context_.get_executor(), clock_, {.connection = camunda_database(), .slot = slot_}};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Postgres, ChangeSourceContract, Replication);

class PostgresSource : public testing::Test {
protected:
    asio::io_context context;
    Replication replication{context};
};

TEST_F(PostgresSource, a_slot_that_another_worker_has_is_in_use) {
    auto snapshot = must(context, replication.source().open({}));
    while (must(context, snapshot->next())) {
    }
    replication.commit();
    must(context, replication.source().next());
    ReplicationSource second(context.get_executor(), replication.clock_,
                             {.connection = camunda_database(), .slot = replication.slot_});
    const auto refused = run(context, second.open({0, snapshot->position()}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::slot_in_use);
    close(context, replication.source());
    // PostgreSQL frees the slot a moment after the connection has ended.
    for (int attempt = 0; attempt < 200; ++attempt) {
        if (execute(context, replication.clock_,
                    "select active from pg_replication_slots where slot_name = $1",
                    {replication.slot_})
                .text(0, 0) == "f") {
            break;
        }
    }
    EXPECT_TRUE(run(context, second.open({0, snapshot->position()})));
    close(context, second);
}

TEST_F(PostgresSource, workers_that_start_at_the_same_moment_make_one_publication) {
    const std::string publication = unique_name("contract");
    // Somebody makes it before all of them, too late for them to see it, and not as they need it.
    auto first = must(context, postgres::Connection::connect(
                                   context.get_executor(), replication.clock_, camunda_database()));
    must(context, first->query({"begin"}));
    must(context,
         first->query({"create publication " + publication + " for table act_re_procdef"}));
    std::vector<std::unique_ptr<ReplicationSource>> workers;
    std::vector<std::optional<result<std::unique_ptr<EngineSnapshot>>>> opened(3);
    for (std::size_t i = 0; i < opened.size(); ++i) {
        workers.push_back(std::make_unique<ReplicationSource>(
            context.get_executor(), replication.clock_,
            ReplicationSource::Options{.connection = camunda_database(),
                                       .slot = unique_name("contract") + std::to_string(i),
                                       .publication = publication}));
        asio::co_spawn(context, workers[i]->open({}), [&, i](const std::exception_ptr&, auto done) {
            opened[i].emplace(std::move(done));
        });
    }
    while (execute(context, replication.clock_,
                   "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query "
                   "like 'create publication \"' || $1 || '\"%'",
                   {publication})
               .text(0, 0) != std::to_string(opened.size())) {
    }
    must(context, first->query({"commit"}));
    context.restart();
    while (!std::ranges::all_of(opened, [](const auto& one) { return one.has_value(); }))
        ASSERT_GT(context.run_one(), 0u);
    for (std::size_t i = 0; i < opened.size(); ++i) {
        EXPECT_TRUE(*opened[i]) << opened[i]->error().message();
    }
    opened.clear();
    for (const auto& worker : workers) {
        close(context, *worker);
        EXPECT_TRUE(run(context, worker->drop_slot()));
    }
    execute(context, replication.clock_, "drop publication " + publication);
}

TEST_F(PostgresSource, a_stream_that_was_opened_again_still_confirms) {
    auto snapshot = must(context, replication.source().open({}));
    while (must(context, snapshot->next())) {
    }
    close(context, replication.source());
    must(context, replication.source().open({0, snapshot->position()}));
    replication.commit();
    const Position upto = must(context, replication.source().next()).upto;
    replication.source().confirm(upto);
    bool confirmed = false;
    for (int attempt = 0; attempt < 500 && !confirmed; ++attempt) {
        confirmed = execute(context, replication.clock_,
                            "select confirmed_flush_lsn >= $2::pg_lsn from pg_replication_slots "
                            "where slot_name = $1",
                            {replication.slot_, to_string(upto.lsn())})
                        .text(0, 0) == "t";
    }
    EXPECT_TRUE(confirmed);
    close(context, replication.source());
}

TEST_F(PostgresSource, while_one_worker_loads_another_one_does_not_take_its_slot) {
    auto snapshot = must(context, replication.source().open({}));
    ReplicationSource second(context.get_executor(), replication.clock_,
                             {.connection = camunda_database(), .slot = replication.slot_});
    const auto refused = run(context, second.open({}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::slot_in_use);
    while (must(context, snapshot->next())) {
    }
    snapshot.reset();
    close(context, replication.source()); // it died in its load
    auto again = must(context, second.open({}));
    EXPECT_TRUE(again);
    again.reset();
    close(context, second);
}

TEST_F(PostgresSource, a_slot_that_is_gone_or_is_past_our_checkpoint_is_not_found) {
    const auto gone = run(context, replication.source().open({0, Position::at(0, Lsn{100})}));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code(), ErrorCode::not_found);
    auto snapshot = must(context, replication.source().open({}));
    while (must(context, snapshot->next())) {
    }
    const auto past = run(context, replication.source().open({0, Position::at(0, Lsn{100})}));
    ASSERT_FALSE(past);
    EXPECT_EQ(past.error().code(), ErrorCode::not_found);
    close(context, replication.source());
}

TEST_F(PostgresSource, a_wrong_password_and_a_server_that_is_away_have_codes_of_their_own) {
    auto options = camunda_database();
    options.parameters["password"] = "wrong";
    ReplicationSource wrong(context.get_executor(), replication.clock_, {.connection = options});
    EXPECT_EQ(run(context, wrong.identify()).error().code(), ErrorCode::unauthorized);
    options.parameters["port"] = "1";
    ReplicationSource away(context.get_executor(), replication.clock_, {.connection = options});
    EXPECT_EQ(run(context, away.identify()).error().code(), ErrorCode::unavailable);
}

TEST_F(PostgresSource, a_database_without_camunda_is_a_configuration_error_with_its_mend) {
    ReplicationSource source(context.get_executor(), replication.clock_,
                             {.connection = camunda_database(),
                              .schema = "information_schema",
                              .slot = replication.slot_});
    const auto opened = run(context, source.open({}));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), ErrorCode::invalid_configuration);
    EXPECT_NE(opened.error().detail().find("[engine] schema"), std::string::npos);
}

} // namespace
} // namespace netbuild::test
