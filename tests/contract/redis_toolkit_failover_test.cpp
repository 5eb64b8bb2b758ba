// SPDX-License-Identifier: Apache-2.0
// What sessions, rate limits and queues go through when the servers change under them: on servers
// of each test's own. Replication is asynchronous, so what is asked for is what the replica had.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "jobs/job_worker.hpp"
#include "limits/rate_gate.hpp"
#include "redis/redis_cluster_bus.hpp"
#include "redis/redis_job_queue.hpp"
#include "redis/redis_rate_limiter.hpp"
#include "redis/redis_sessions.hpp"
#include "runtime/task_group.hpp"
#include "support/private_redis.hpp"
#include "support/run.hpp"
#include "support/servers.hpp"

namespace netbuild::test {
namespace {

using namespace std::chrono_literals;
using Ack = JobQueue::Ack;
using limits::Source;

/// Nothing here may take longer, however busy the machine is.
constexpr auto patience = 20s;

/// All three on one client, as a process has them.
struct Toolkit {
    Toolkit(asio::io_context& its_context, const std::string& url, Clock::duration timeout = 2s)
        : context(its_context),
          client(context.get_executor(), clock, {.url = url, .timeout = timeout}),
          wakes(context.get_executor(), clock, {.url = url}) {
        client.start().value();
        wakes.start().value();
    }
    ~Toolkit() {
        test::run(context, [](Toolkit& ending) -> awaitable<bool> {
            co_await ending.wakes.stop();
            co_await ending.client.stop();
            co_return true;
        }(*this));
    }
    Toolkit(const Toolkit&) = delete;

    template <class T>
    T run(awaitable<T> task) {
        return test::run(context, std::move(task));
    }
    template <class T>
    T must(awaitable<result<T>> task) {
        return test::must(context, std::move(task));
    }
    /// Until it succeeds: a failover takes longer than a call.
    template <class Make>
    auto at_last(Make make) {
        const Deadline deadline(clock, patience);
        while (true) {
            auto outcome = run(make());
            if (outcome) return std::move(*outcome);
            EXPECT_TRUE(outcome.error().transient()) << outcome.error().message();
            if (deadline.passed(clock)) throw std::runtime_error(outcome.error().message());
            must(clock.sleep(10ms));
        }
    }
    [[nodiscard]] testing::AssertionResult comes(const std::function<bool()>& is_so) {
        const Deadline deadline(clock, patience);
        while (!is_so()) {
            if (deadline.passed(clock)) return testing::AssertionFailure() << "it never comes";
            must(clock.sleep(1ms));
        }
        return testing::AssertionSuccess();
    }
    /// The replica has all that this client has written to the key's server.
    void replicated(const std::string& key) {
        const auto reply = must(client.execute(RedisCommand::on(key, {"WAIT", "1", "5000"}), 10s));
        if (reply.integer < 1) throw std::runtime_error("no replica has " + key);
    }

    asio::io_context& context;
    SystemClock clock;
    RedisClient client;
    RedisClusterBus wakes;
    RedisJobQueue queue{context.get_executor(), clock, client, wakes};
    RedisRateLimiter limiter{context.get_executor(), client};
    limits::RateGate gate{limiter, clock, Random(1), {}};
    RedisSessions sessions{client, clock, {}};
    SessionStore& store = sessions.store();
};

/// A master and its replica. Which of the two is which, operators change.
struct Pair {
    Pair() { follow(1, 0); }
    void follow(int replica, int master) {
        redis.ask(replica, "replicaof 127.0.0.1 " + redis.port(master));
        redis.until(replica, "info replication", "master_link_status:up");
        redis.until(master, "info replication", "state=online");
    }
    /// As a failover does: for a moment both could be written.
    void hand_over(int from, int to) {
        redis.ask(to, "replicaof no one");
        follow(from, to);
    }
    const PrivateRedis redis{2, false};
};

std::string key_of(const std::string& queue) { return "netbuild:queue:{" + queue + "}:jobs"; }
std::string key_of(const Session& session) {
    return "netbuild:session:{" + session.handle.substr(3) + "}";
}

/// A queue whose keys this master has.
std::string queue_at(const PrivateRedis& redis, int server) {
    while (true) {
        std::string name = unique_name("queue");
        if (redis.owner(key_of(name)) == server) return name;
    }
}

/// Somebody waits in a claim.
bool listened_to(const PrivateRedis& redis, int server, const std::string& queue) {
    return redis.ask(server, "pubsub shardchannels").find(queue) != std::string::npos;
}

void stop(Toolkit& kit, TaskGroup& tasks) {
    kit.run([](TaskGroup& group) -> awaitable<bool> {
        co_await group.stop();
        co_return true;
    }(tasks));
}

/// Jobs with a key each, added one after the other whatever happens: one that the replica had not
/// got is added again.
struct Adds {
    awaitable<result<void>> run(Toolkit& kit, std::string queue) {
        while (!enough) {
            const std::string number = std::to_string(safe.size());
            const bool after = failed_over;
            const auto added = co_await kit.queue.add(
                queue,
                std::vector<NewJob>{{.payload = number, .key = number, .attempts_max = 1'000'000}});
            if (!added) {
                EXPECT_TRUE(added.error().transient()) << added.error().message();
                ++refused;
                CO_TRY_VOID(co_await kit.clock.sleep(10ms));
                continue;
            }
            if (!after) {
                const std::string key = key_of(queue);
                const auto copies =
                    co_await kit.client.execute(RedisCommand::on(key, {"WAIT", "1", "200"}), 5s);
                if (!copies || copies->integer < 1) continue;
            }
            safe.emplace(number, added->front().id);
            CO_TRY_VOID(co_await kit.clock.sleep(1ms));
        }
        ended = true;
        co_return result<void>{};
    }
    bool failed_over = false, enough = false, ended = false;
    std::size_t refused = 0;
    std::map<std::string, std::string> safe; // payload and id
};

TEST(QueueFailover, a_master_that_dies_takes_no_job_with_it_and_workers_go_on) {
    PrivateRedis redis(6, true);
    asio::io_context context{1};
    // The one that dies is the one that the URL names.
    Toolkit kit(context, redis.url(0)), other(context, redis.url(0));
    const std::string busy = queue_at(redis, 0), idle = queue_at(redis, 0);
    std::map<std::string, std::map<std::string, int>> runs; // of each queue's payloads
    TaskGroup tasks(context.get_executor(), [](const std::string&, const Error& error) {
        ADD_FAILURE() << error.message();
    });
    std::list<jobs::JobWorker> workers;
    for (const std::string& name : {busy, idle}) {
        auto& worker = workers.emplace_back(
            context.get_executor(), kit.clock, kit.queue,
            jobs::JobWorker::Options{.queue = name, .concurrency = 4, .lease = 1s},
            [&runs, name](const ClaimedJob& job) -> awaitable<result<std::string>> {
                ++runs[name][job.payload];
                co_return job.token;
            });
        tasks.spawn("worker", worker.run());
    }
    Adds adds;
    tasks.spawn("adds", adds.run(other, busy));
    // Nothing is there for its worker, who waits in a claim.
    kit.must(kit.queue.add(idle, {NewJob{.payload = "late", .delay = 3s}}));
    kit.replicated(key_of(idle));
    ASSERT_TRUE(kit.comes([&] { return adds.safe.size() >= 100 && listened_to(redis, 0, idle); }));

    redis.kill(0);
    adds.failed_over = true;
    const std::size_t before = adds.safe.size();
    ASSERT_TRUE(kit.comes([&] { return adds.safe.size() >= before + 100; }));
    adds.enough = true;
    ASSERT_TRUE(kit.comes([&] { return adds.ended; }));
    EXPECT_GT(adds.refused, 0u); // it was a failover that they went through

    ASSERT_TRUE(kit.comes([&] { return runs[idle].contains("late"); }));
    const auto jobs_of = [&](const std::string& name) {
        return kit.at_last([&] { return kit.queue.stats(name); });
    };
    const auto waits = [](const QueueStats& stats) {
        return stats.ready + stats.delayed + stats.running > 0;
    };
    ASSERT_TRUE(kit.comes([&] { return !waits(jobs_of(busy)) && !waits(jobs_of(idle)); }));
    for (const auto& [payload, id] : adds.safe) {
        EXPECT_GT(runs[busy][payload], 0) << payload;
        EXPECT_EQ(kit.must(kit.queue.show(busy, id)).state, JobState::completed) << payload;
    }
    const QueueStats stats = jobs_of(busy);
    EXPECT_EQ(stats.added, adds.safe.size());
    EXPECT_EQ(stats.completed, stats.added);
    EXPECT_EQ(stats.dead, 0u);
    EXPECT_EQ(jobs_of(idle).completed, 1u);
    stop(kit, tasks);
}

TEST(QueueFailover, a_job_in_hand_is_completed_after_it_or_comes_again_and_no_token_does_two) {
    PrivateRedis redis(6, true);
    asio::io_context context{1};
    Toolkit kit(context, redis.url(1));
    const std::string name = queue_at(redis, 0);
    const auto claim = [&](std::chrono::milliseconds lease, std::chrono::milliseconds wait) {
        auto claimed = kit.at_last(
            [&] { return kit.queue.claim(name, {.lease = lease, .wait = wait, .worker = "w"}); });
        if (claimed.size() != 1) throw std::runtime_error("no job to claim");
        return std::move(claimed.front());
    };
    const auto complete = [&](const ClaimedJob& job) {
        return kit
            .at_last([&] {
                return kit.queue.complete(
                    name, std::vector<JobQueue::Completion>{{{job.id, job.token}, job.token}});
            })
            .front();
    };
    kit.must(kit.queue.add(name, {NewJob{.payload = "held"}, NewJob{.payload = "silent"},
                                  NewJob{.payload = "ready"}}));
    const ClaimedJob held = claim(60s, 0s);
    const ClaimedJob silent = claim(500ms, 0s); // its worker is never heard of again
    kit.replicated(key_of(name));

    redis.kill(0);
    EXPECT_EQ(complete(held), Ack::done);
    EXPECT_EQ(complete(held), Ack::repeated);
    const ClaimedJob ready = claim(60s, 10s), again = claim(60s, 10s);
    EXPECT_EQ(ready.payload, "ready");
    EXPECT_EQ(again.id, silent.id);
    EXPECT_EQ(again.attempt, 2u);
    EXPECT_NE(again.token, silent.token);
    EXPECT_EQ(complete(silent), Ack::stale);
    for (const ClaimedJob& job : {ready, again}) {
        EXPECT_EQ(complete(job), Ack::done) << job.payload;
        EXPECT_EQ(complete(job), Ack::repeated) << job.payload;
    }
    const auto stats = kit.must(kit.queue.stats(name));
    EXPECT_EQ(stats.completed, 3u);
    EXPECT_EQ(stats.reclaimed, 1u);
    EXPECT_EQ(kit.must(kit.queue.show(name, held.id)).result, held.token);
}

TEST(QueueFailover, a_server_that_is_read_only_for_a_while_gives_nothing_and_loses_nothing) {
    Pair pair;
    asio::io_context context{1};
    Toolkit first(context, pair.redis.url(0), 500ms), second(context, pair.redis.url(1), 500ms);
    const std::string name = unique_name("queue"), waited = unique_name("queue");
    first.must(first.queue.add(name, {NewJob{.payload = "held"}, NewJob{.payload = "ready"},
                                      NewJob{.payload = "late", .delay = 500ms}}));
    const auto claim = [&](Toolkit& kit, std::chrono::milliseconds wait) {
        return kit.must(kit.queue.claim(name, {.wait = wait, .worker = "w"})).at(0);
    };
    const auto complete = [&](Toolkit& kit, const ClaimedJob& job) {
        return kit.queue.complete(name,
                                  std::vector<JobQueue::Completion>{{{job.id, job.token}, "done"}});
    };
    const ClaimedJob held = claim(first, 0s);
    // One that waits in a claim from before it until after it.
    std::string handled;
    TaskGroup tasks(context.get_executor(), [](const std::string&, const Error& error) {
        ADD_FAILURE() << error.message();
    });
    jobs::JobWorker worker(context.get_executor(), first.clock, first.queue, {.queue = waited},
                           [&](const ClaimedJob& job) -> awaitable<result<std::string>> {
                               handled = job.payload;
                               co_return "done";
                           });
    tasks.spawn("worker", worker.run());
    ASSERT_TRUE(first.comes([&] { return listened_to(pair.redis, 0, waited); }));
    first.replicated(key_of(name));

    pair.hand_over(0, 1);
    const auto refused = [&](const auto& outcome) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code(), ErrorCode::unavailable) << outcome.error().message();
        EXPECT_NE(outcome.error().message().find("replica"), std::string::npos)
            << outcome.error().message();
    };
    refused(first.run(first.queue.add(name, {NewJob{.payload = "refused"}})));
    refused(first.run(first.queue.claim(name, {.wait = 10s})));
    refused(first.run(complete(first, held)));
    refused(first.run(first.queue.stats(name)));
    EXPECT_EQ(second.must(complete(second, held)).front(), Ack::done);
    const ClaimedJob ready = claim(second, 0s);
    EXPECT_EQ(ready.payload, "ready");
    second.must(second.queue.add(waited, {NewJob{.payload = "added meanwhile"}}));
    second.replicated(key_of(name));

    pair.hand_over(1, 0);
    EXPECT_EQ(first.at_last([&] { return complete(first, held); }).front(), Ack::repeated);
    EXPECT_EQ(first.must(complete(first, ready)).front(), Ack::done);
    const ClaimedJob late = claim(first, 10s);
    EXPECT_EQ(late.payload, "late");
    EXPECT_EQ(first.must(complete(first, late)).front(), Ack::done);
    ASSERT_TRUE(first.comes([&] { return handled == "added meanwhile"; }));
    const auto stats = first.must(first.queue.stats(name));
    EXPECT_EQ(stats.added, 3u);
    EXPECT_EQ(stats.completed, 3u);
    EXPECT_EQ(stats.duplicates + stats.reclaimed + stats.dead, 0u);
    stop(first, tasks);
}

TEST(QueueFailover, of_a_claim_that_the_replica_never_got_one_completion_counts) {
    Pair pair;
    asio::io_context context{1};
    Toolkit first(context, pair.redis.url(0)), second(context, pair.redis.url(1));
    const std::string name = unique_name("queue");
    const auto claim = [&](Toolkit& kit) {
        return kit.must(kit.queue.claim(name, {.worker = "w"})).at(0);
    };
    const auto complete = [&](const ClaimedJob& job, const std::string& by) {
        return second
            .must(second.queue.complete(
                name, std::vector<JobQueue::Completion>{{{job.id, job.token}, by}}))
            .front();
    };
    first.must(first.queue.add(name, {NewJob{.payload = "both"}}));
    first.replicated(key_of(name));
    pair.redis.ask(1, "replicaof no one"); // and so it misses the claim
    const ClaimedJob lost = claim(first);
    // Nobody has the job, there: it is given to another.
    EXPECT_EQ(complete(lost, "first"), Ack::stale);
    const ClaimedJob given = claim(second);
    EXPECT_EQ(given.id, lost.id);
    EXPECT_EQ(complete(given, "second"), Ack::done);
    EXPECT_NE(complete(lost, "first"), Ack::done);
    EXPECT_EQ(second.must(second.queue.stats(name)).completed, 1u);
    EXPECT_EQ(second.must(second.queue.show(name, given.id)).result, "second");
}

RatePolicyPtr policy_of(RateForm form, bool fail_open = true) {
    RatePolicySettings settings;
    settings.name = unique_name("rate");
    settings.limit = 100;
    // So that what comes back while a test runs does not show.
    settings.period = form == RateForm::microseconds ? 36'000'001ms : 36'000'000ms;
    if (form == RateForm::window) settings.algorithm = RateAlgorithm::sliding_window;
    settings.fail_open = fail_open;
    auto policy = RatePolicy::make(settings).value();
    EXPECT_EQ(policy->terms().form, form);
    return policy;
}
constexpr std::array forms{RateForm::milliseconds, RateForm::microseconds, RateForm::window};

class LimitsFailover : public testing::Test {
protected:
    /// What a check while the store is away has to be.
    static void obeys(const RatePolicyPtr& policy, const limits::Outcome& outcome) {
        const bool open = policy->settings().fail_open;
        EXPECT_EQ(outcome.source, open ? Source::failed_open : Source::failed_closed);
        EXPECT_EQ(outcome.decision.allowed, open);
        ASSERT_TRUE(outcome.trouble);
        EXPECT_TRUE(outcome.trouble->code() == ErrorCode::unavailable ||
                    outcome.trouble->code() == ErrorCode::outcome_unknown)
            << outcome.trouble->message();
    }
    static limits::Outcome check(Toolkit& kit, std::vector<RateCharge> charges) {
        return kit.must(kit.gate.act(RateAction::check, std::move(charges)));
    }
    /// One request at each policy, all at the same time.
    static std::vector<limits::Outcome>
    check_each(Toolkit& kit, const std::vector<RatePolicyPtr>& policies, const std::string& key) {
        std::vector<limits::Outcome> outcomes(policies.size());
        std::size_t answers = 0;
        for (std::size_t i = 0; i < policies.size(); ++i)
            kit.gate.act(RateAction::check, {{policies[i], key}},
                         [&outcomes, &answers, i](result<limits::Outcome> outcome) {
                             outcomes[i] = std::move(outcome).value();
                             ++answers;
                         });
        kit.context.restart();
        while (answers < policies.size())
            kit.context.run_one();
        return outcomes;
    }
    /// Of each form one that lets in while the store is away, and one that does not.
    static std::vector<RatePolicyPtr> of_all_kinds() {
        std::vector<RatePolicyPtr> policies;
        for (const RateForm form : forms)
            for (const bool open : {true, false})
                policies.push_back(policy_of(form, open));
        return policies;
    }
    static std::int64_t remaining(Toolkit& kit, const RatePolicyPtr& policy,
                                  const std::string& key) {
        return kit.at_last([&] { return kit.limiter.act(RateAction::peek, {{policy, key}}); })
            .limits.at(0)
            .remaining;
    }
    asio::io_context context{1};
};

/// It hangs: its connections stay and give nothing. Else it is killed.
class LimitsMaster : public LimitsFailover, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(LimitsFailover, LimitsMaster, testing::Bool(),
                         [](const auto& how) { return how.param ? "hangs" : "is_killed"; });

TEST_P(LimitsMaster, that_is_away_makes_policies_fail_in_time_and_its_replica_counts_on) {
    constexpr auto timeout = 500ms;
    // The other masters answer meanwhile.
    PrivateRedis redis(6, true, {"--cluster-require-full-coverage", "no"});
    Toolkit kit(context, redis.url(GetParam() ? 0 : 1), timeout);
    // Subjects: one of the master that dies, one of another.
    const auto open = policy_of(RateForm::milliseconds);
    const auto subject_at = [&](int server) {
        for (int i = 0;; ++i) {
            std::string key = "k" + std::to_string(i);
            if (redis.owner(rate_state_name("netbuild:rate:", *open, key)) == server) return key;
        }
    };
    const std::string dying = subject_at(0), living = subject_at(2);
    const auto policies = of_all_kinds();
    for (int i = 0; i < 3; ++i) {
        for (const auto& outcome : check_each(kit, policies, dying))
            ASSERT_EQ(outcome.source, Source::store);
    }
    const int replica = redis.replica_of(0);
    kit.replicated("{" + dying + "}");

    GetParam() ? redis.hang(0) : redis.kill(0);
    auto began = kit.clock.monotonic();
    auto outcomes = check_each(kit, policies, dying);
    // An answer may be late by a turn of the sweep, and by a machine that is busy.
    EXPECT_LT(kit.clock.monotonic() - began, timeout + 1s);
    for (std::size_t i = 0; i < policies.size(); ++i)
        obeys(policies[i], outcomes[i]);
    // Of several, what was charged at a living master is given back.
    obeys(open, check(kit, {{open, living}, {open, dying}}));
    EXPECT_EQ(remaining(kit, open, living), 100);

    // One that it was not known of may have been counted.
    std::map<std::string, int> unknown;
    std::set<std::string> counted;
    const Deadline deadline(kit.clock, patience);
    while (counted.size() < policies.size()) {
        ASSERT_FALSE(deadline.passed(kit.clock));
        began = kit.clock.monotonic();
        outcomes = check_each(kit, policies, dying);
        EXPECT_LT(kit.clock.monotonic() - began, timeout + 1s);
        for (std::size_t i = 0; i < policies.size(); ++i) {
            const std::string& name = policies[i]->name();
            if (outcomes[i].source != Source::store) {
                obeys(policies[i], outcomes[i]);
                unknown[name] += outcomes[i].trouble->code() == ErrorCode::outcome_unknown;
            } else if (counted.insert(name).second) {
                EXPECT_TRUE(outcomes[i].decision.allowed);
                EXPECT_LE(outcomes[i].decision.limits.at(0).remaining, 96) << name;
                EXPECT_GE(outcomes[i].decision.limits.at(0).remaining, 96 - unknown[name]) << name;
            }
        }
    }
    // It had never been told the scripts.
    EXPECT_NE(redis.ask(replica, "info errorstats").find("errorstat_NOSCRIPT"), std::string::npos);
    EXPECT_TRUE(check(kit, {{open, living}, {open, dying}}).decision.allowed);

    // The former master comes back as a replica, and nobody asks it.
    const std::int64_t left = remaining(kit, policies.front(), dying);
    GetParam() ? redis.go_on(0) : redis.start(0);
    redis.until(0, "info replication", "role:slave");
    EXPECT_EQ(remaining(kit, policies.front(), dying), left);
    EXPECT_EQ(check(kit, {{policies.front(), dying}}).source, Source::store);
}

TEST_F(LimitsFailover, a_server_that_is_read_only_for_a_while_is_named_and_counts_on_afterwards) {
    Pair pair;
    Toolkit first(context, pair.redis.url(0), 500ms), second(context, pair.redis.url(1), 500ms);
    const auto policies = of_all_kinds();
    for (const auto& outcome : check_each(first, policies, "key"))
        ASSERT_EQ(outcome.source, Source::store);
    first.replicated("key");
    pair.hand_over(0, 1);
    const auto away = check_each(first, policies, "key");
    const auto there = check_each(second, policies, "key");
    for (std::size_t i = 0; i < policies.size(); ++i) {
        obeys(policies[i], away[i]);
        EXPECT_EQ(away[i].trouble->code(), ErrorCode::unavailable);
        EXPECT_NE(away[i].trouble->message().find("replica"), std::string::npos)
            << away[i].trouble->message();
        EXPECT_EQ(there[i].source, Source::store);
        EXPECT_EQ(there[i].decision.limits.at(0).remaining, 98);
    }
    second.replicated("key");
    pair.hand_over(1, 0);
    first.at_last([&] { return first.client.execute(RedisCommand::on("key", {"DEL", "key"})); });
    for (const auto& outcome : check_each(first, policies, "key"))
        EXPECT_EQ(outcome.decision.limits.at(0).remaining, 97);
}

TEST(SessionsFailover, what_was_revoked_stays_so_and_what_was_there_is_there) {
    PrivateRedis redis(6, true);
    asio::io_context context{1};
    Toolkit kit(context, redis.url(0), 500ms);
    // Three of each on the master that dies: the list of the user's may be on any.
    std::vector<NewSession> alive, ended, rotated, moved;
    while (alive.size() < 9) {
        NewSession made = kit.must(kit.store.create("ada", {{"n", 1}}));
        if (alive.size() < 6 && redis.owner(key_of(made.session)) != 0) {
            kit.must(kit.store.revoke(made.id));
            continue;
        }
        alive.push_back(std::move(made));
    }
    ended.assign(alive.begin(), alive.begin() + 2);
    rotated.assign(alive.begin() + 2, alive.begin() + 4);
    alive.erase(alive.begin(), alive.begin() + 4);
    for (const NewSession& session : ended)
        ASSERT_TRUE(kit.must(kit.store.revoke(session.id)));
    for (const NewSession& session : rotated)
        moved.push_back(kit.must(kit.store.rotate(session.id, {})));
    for (const auto* group : {&alive, &ended, &rotated, &moved})
        for (const NewSession& session : *group)
            kit.replicated(key_of(session.session));

    redis.kill(0);
    const auto gone = [&](auto make) {
        const Deadline deadline(kit.clock, patience);
        auto outcome = kit.run(make());
        for (; !outcome && outcome.error().transient(); outcome = kit.run(make()))
            ASSERT_FALSE(deadline.passed(kit.clock)) << outcome.error().message();
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code(), ErrorCode::not_found) << outcome.error().message();
    };
    for (const auto* group : {&ended, &rotated}) {
        for (const NewSession& session : *group) {
            gone([&] { return kit.store.read(session.id); });
            gone([&] { return kit.store.update(session.id, {.set = {{"n", 2}}, .expected = {}}); });
            gone([&] { return kit.store.rotate(session.id, {}); });
            // Nor does a write that comes late bring it back.
            const std::string key = key_of(session.session);
            const std::string text =
                kit
                    .must(kit.client.execute(RedisCommand::on(
                        key_of(alive.front().session), {"GET", key_of(alive.front().session)})))
                    .text;
            kit.must(kit.client.execute(RedisCommand::on(key, {"SET", key, text, "EX", "60"})));
            gone([&] { return kit.store.update(session.id, {.set = {{"n", 2}}, .expected = {}}); });
        }
    }
    for (const auto* group : {&alive, &moved})
        for (const NewSession& session : *group)
            EXPECT_EQ(kit.at_last([&] { return kit.store.read(session.id); }).data,
                      (Object{{"n", 1}}));
    EXPECT_EQ(kit.at_last([&] { return kit.store.list("ada"); }).size(),
              alive.size() + moved.size());
    EXPECT_EQ(kit.must(kit.store.revoke_all("ada")), alive.size() + moved.size());
}

TEST(SessionsFailover, compare_and_set_over_it_loses_no_update_that_the_replica_had) {
    PrivateRedis redis(6, true);
    asio::io_context context{1};
    Toolkit kit(context, redis.url(1), 300ms);
    NewSession made = kit.must(kit.store.create("", {{"n", 0}}));
    while (redis.owner(key_of(made.session)) != 0)
        made = kit.must(kit.store.create("", {{"n", 0}}));
    // Two count in one field, each from the value that it has read.
    struct Count {
        bool failed_over = false, enough = false;
        int kept = 0, perhaps = 0, conflicts = 0, away = 0, ended = 0;
    } count;
    const auto increment = [](Toolkit& with, NewSession session,
                              Count& all) -> awaitable<result<void>> {
        const std::string key = key_of(session.session);
        while (!all.enough) {
            const auto read = co_await with.store.read(session.id);
            if (!read) {
                EXPECT_TRUE(read.error().transient()) << read.error().message();
                ++all.away;
                continue;
            }
            const auto n = read->data.find("n")->integer_or(0);
            const bool after = all.failed_over;
            const auto written = co_await with.store.update(
                session.id, {.set = {{"n", n + 1}}, .expected = {{"n", n}}});
            if (!written) {
                const ErrorCode code = written.error().code();
                EXPECT_TRUE(code == ErrorCode::conflict || code == ErrorCode::unavailable ||
                            code == ErrorCode::outcome_unknown)
                    << written.error().message();
                ++(code == ErrorCode::conflict          ? all.conflicts
                   : code == ErrorCode::outcome_unknown ? all.perhaps
                                                        : all.away);
                continue;
            }
            if (!after) {
                const auto copies =
                    co_await with.client.execute(RedisCommand::on(key, {"WAIT", "1", "200"}), 5s);
                if (!copies || copies->integer < 1) {
                    ++all.perhaps;
                    continue;
                }
            }
            ++all.kept;
        }
        ++all.ended;
        co_return result<void>{};
    };
    TaskGroup tasks(context.get_executor(), [](const std::string&, const Error& error) {
        ADD_FAILURE() << error.message();
    });
    for (int i = 0; i < 2; ++i)
        tasks.spawn("count", increment(kit, made, count));
    ASSERT_TRUE(kit.comes([&] { return count.kept >= 100; }));
    redis.kill(0);
    count.failed_over = true;
    const int before = count.kept;
    ASSERT_TRUE(kit.comes([&] { return count.kept >= before + 100; }));
    count.enough = true;
    ASSERT_TRUE(kit.comes([&] { return count.ended == 2; }));
    const auto n = kit.must(kit.store.read(made.id)).data.find("n")->integer_or(0);
    EXPECT_GE(n, count.kept);
    EXPECT_LE(n, count.kept + count.perhaps);
    EXPECT_GT(count.conflicts, 0);
    EXPECT_GT(count.away + count.perhaps, 0);
    stop(kit, tasks);
}

TEST(SessionsFailover, a_server_that_is_read_only_is_unavailable_and_named) {
    Pair pair;
    asio::io_context context{1};
    Toolkit kit(context, pair.redis.url(0), 500ms);
    const auto made = kit.must(kit.store.create("ada", {{"n", 1}}));
    kit.replicated(key_of(made.session));
    pair.hand_over(0, 1);
    const auto refused = [&](const std::string& what, auto task) {
        const auto outcome = kit.run(std::move(task));
        ASSERT_FALSE(outcome) << what;
        EXPECT_EQ(outcome.error().code(), ErrorCode::unavailable) << what;
        EXPECT_NE(outcome.error().message().find("replica"), std::string::npos)
            << what << ": " << outcome.error().message();
    };
    refused("create", kit.store.create("ada", {}));
    refused("read", kit.store.read(made.id));
    refused("touch", kit.store.touch(made.id));
    refused("update", kit.store.update(made.id, {.set = {{"n", 2}}, .expected = {}}));
    refused("rotate", kit.store.rotate(made.id, {}));
    refused("revoke", kit.store.revoke(made.id));
    refused("revoke_all", kit.store.revoke_all("ada"));
    pair.hand_over(1, 0);
    EXPECT_EQ(kit.at_last([&] { return kit.store.read(made.id); }).data, (Object{{"n", 1}}));
    EXPECT_EQ(kit.must(kit.store.list("ada")).size(), 1u);
    EXPECT_TRUE(kit.must(kit.store.revoke(made.id)));
}

/// With min-replicas-to-write a master writes nothing while it has no replica: after a failover,
/// until somebody makes a new one.
TEST(ToolkitFaults, a_master_without_the_replicas_it_needs_is_unavailable_until_it_has_them) {
    const PrivateRedis redis(1, false);
    asio::io_context context{1};
    Toolkit kit(context, redis.url(0), 200ms);
    const auto policy = policy_of(RateForm::milliseconds);
    const auto made = kit.must(kit.store.create("ada", {}));
    const std::string name = unique_name("queue");
    kit.must(kit.queue.add(name, {NewJob{.payload = "p"}}));
    redis.ask(0, "config set min-replicas-to-write 1");
    const auto refused = [&](auto task) {
        const auto outcome = kit.run(std::move(task));
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code(), ErrorCode::unavailable) << outcome.error().message();
        EXPECT_NE(outcome.error().message().find("NOREPLICAS"), std::string::npos)
            << outcome.error().message();
    };
    refused(kit.store.read(made.id));
    refused(kit.store.revoke(made.id));
    refused(kit.limiter.act(RateAction::check, {{policy, "key"}}));
    refused(kit.queue.add(name, {NewJob{.payload = "p"}}));
    refused(kit.queue.claim(name, {}));
    redis.ask(0, "config set min-replicas-to-write 0");
    EXPECT_TRUE(kit.must(kit.store.revoke(made.id)));
    EXPECT_TRUE(kit.must(kit.limiter.act(RateAction::check, {{policy, "key"}})).allowed);
    EXPECT_EQ(kit.must(kit.queue.claim(name, {.count = 10})).size(), 1u);
}

} // namespace
} // namespace netbuild::test
