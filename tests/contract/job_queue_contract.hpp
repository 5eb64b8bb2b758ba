// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ports/job_queue.hpp"
#include "runtime/random.hpp"
#include "support/run.hpp"
#include "support/servers.hpp"

namespace netbuild::test {

using namespace std::chrono_literals;

/// What a JobQueue does, whichever it is. `Fixture` has queue(), must(task) and pass(time).
template <class Fixture>
class JobQueueContract : public testing::Test {
protected:
    using Ack = JobQueue::Ack;
    using Run = JobQueue::Run;
    using After = JobQueue::After;

    JobQueue& queue() { return fixture.queue(); }
    template <class T>
    T must(awaitable<result<T>> task) {
        return fixture.must(std::move(task));
    }
    std::string add(NewJob job) { return must(queue().add(name, {std::move(job)})).front().id; }
    std::string add(const std::string& payload) { return add(NewJob{.payload = payload}); }
    std::vector<ClaimedJob> claim(std::size_t count = 1, std::chrono::milliseconds lease = 60s,
                                  std::chrono::milliseconds wait = 0s) {
        return must(
            queue().claim(name, {.count = count, .lease = lease, .wait = wait, .worker = "one"}));
    }
    /// There has to be one.
    ClaimedJob one(std::chrono::milliseconds lease = 60s, std::chrono::milliseconds wait = 0s) {
        auto claimed = claim(1, lease, wait);
        if (claimed.size() != 1) throw std::runtime_error("no job to claim");
        return std::move(claimed.front());
    }
    Ack complete(const ClaimedJob& job, const std::string& result = {}) {
        return must(queue().complete(name, {{{job.id, job.token}, result}})).front();
    }
    Ack fail(const ClaimedJob& job, const std::string& error, After after = After::retry,
             std::optional<std::chrono::milliseconds> retry_in = 0ms) {
        return must(queue().fail(name, {{{job.id, job.token}, error, after, retry_in}})).front();
    }
    Ack beat(const ClaimedJob& job, std::chrono::milliseconds lease = 60s) {
        return must(queue().heartbeat(name, {{job.id, job.token}}, lease)).front();
    }
    JobView show(const std::string& id) { return must(queue().show(name, id)); }
    JobState state(const std::string& id) { return show(id).state; }
    template <class T>
    ErrorCode refused(awaitable<result<T>> task) {
        auto outcome = fixture.run(std::move(task));
        EXPECT_FALSE(outcome);
        return outcome ? ErrorCode::internal : outcome.error().code();
    }
    QueueStats stats() { return must(queue().stats(name)); }

    std::string name = unique_name("queue");
    Fixture fixture;
};

TYPED_TEST_SUITE_P(JobQueueContract);

TYPED_TEST_P(JobQueueContract, what_is_added_is_given_in_order_and_completed_once) {
    const auto first = this->add("1"), second = this->add("2");
    EXPECT_EQ(this->state(first), JobState::ready);
    const auto claimed = this->claim(10);
    ASSERT_EQ(claimed.size(), 2u);
    EXPECT_EQ(claimed[0].id, first);
    EXPECT_EQ(claimed[0].payload, "1");
    EXPECT_EQ(claimed[0].attempt, 1u);
    EXPECT_EQ(claimed[1].payload, "2");
    EXPECT_TRUE(this->claim(10).empty());
    EXPECT_EQ(this->state(first), JobState::running);
    EXPECT_EQ(this->show(first).worker, "one");
    EXPECT_EQ(this->complete(claimed[0], "one is done"), JobQueue::Ack::done);
    EXPECT_EQ(this->show(first).result, "one is done");
    EXPECT_EQ(this->state(first), JobState::completed);
    EXPECT_EQ(this->state(second), JobState::running);
}

TYPED_TEST_P(JobQueueContract, a_completion_is_done_once_and_its_repetition_is_known) {
    this->add("1");
    const auto job = this->one();
    EXPECT_EQ(this->complete({.id = job.id, .token = "1-1"}), JobQueue::Ack::stale);
    EXPECT_EQ(this->complete(job, "first"), JobQueue::Ack::done);
    EXPECT_EQ(this->complete(job, "second"), JobQueue::Ack::repeated);
    EXPECT_EQ(this->show(job.id).result, "first");
    EXPECT_EQ(this->fail(job, "no"), JobQueue::Ack::stale);
    EXPECT_EQ(this->beat(job), JobQueue::Ack::stale);
    EXPECT_EQ(this->stats().completed, 1u);
    this->add("2");
    const auto other = this->one();
    const auto acks = this->must(this->queue().complete(
        this->name, {{{other.id, other.token}, "a"}, {{other.id, other.token}, "b"}}));
    EXPECT_EQ(acks, (std::vector{JobQueue::Ack::done, JobQueue::Ack::repeated}));
    EXPECT_EQ(this->stats().completed, 2u);
}

TYPED_TEST_P(JobQueueContract, a_key_adds_one_job_while_its_window_lasts) {
    const NewJob wanted{.payload = "p", .key = "order 7", .key_window = 300ms};
    const auto first = this->must(this->queue().add(this->name, {wanted, wanted}));
    EXPECT_FALSE(first[0].duplicate);
    EXPECT_TRUE(first[1].duplicate);
    EXPECT_EQ(first[1].id, first[0].id);
    EXPECT_EQ(this->complete(this->one()), JobQueue::Ack::done);
    const auto again = this->must(this->queue().add(this->name, {wanted}));
    EXPECT_TRUE(again[0].duplicate);
    EXPECT_EQ(again[0].id, first[0].id);
    this->fixture.pass(400ms);
    EXPECT_FALSE(this->must(this->queue().add(this->name, {wanted}))[0].duplicate);
    EXPECT_EQ(this->stats().added, 2u);
    EXPECT_EQ(this->stats().duplicates, 2u);
}

TYPED_TEST_P(JobQueueContract, a_delayed_job_is_given_when_it_is_due_and_who_waits_gets_it) {
    const auto late = this->add({.payload = "late", .delay = 300ms});
    this->add({.payload = "past", .at_ms = 1000});
    EXPECT_EQ(this->state(late), JobState::delayed);
    EXPECT_GT(this->show(late).due_ms, this->show(late).added_ms);
    EXPECT_EQ(this->one().payload, "past");
    EXPECT_TRUE(this->claim().empty());
    EXPECT_EQ(this->one(60s, 30s).payload, "late");
}

TYPED_TEST_P(JobQueueContract, who_waits_gets_what_is_added_or_nothing_at_the_end) {
    EXPECT_TRUE(this->claim(1, 60s, 50ms).empty());
    // The add comes while the claim waits.
    const auto claimed = this->must([](auto& test) -> awaitable<result<std::vector<ClaimedJob>>> {
        JobQueue& queue = test.queue();
        std::string added;
        asio::co_spawn(
            test.fixture.context(),
            [](auto& of) -> awaitable<result<void>> {
                CO_TRY_VOID(co_await of.fixture.clock().sleep(50ms));
                CO_TRY_VOID(co_await of.queue().add(of.name, {NewJob{.payload = "now"}}));
                co_return result<void>{};
            }(test),
            [](const std::exception_ptr&, const result<void>&) {});
        co_return co_await queue.claim(test.name, {.wait = 30s});
    }(*this));
    ASSERT_EQ(claimed.size(), 1u);
    EXPECT_EQ(claimed[0].payload, "now");
}

TYPED_TEST_P(JobQueueContract, a_failed_run_is_tried_again_and_at_last_a_dead_letter) {
    const auto id = this->add(
        {.payload = "p", .attempts_max = 2, .backoff_first = 100ms, .backoff_max = 100ms});
    EXPECT_EQ(this->fail(this->one(), "first trouble", JobQueue::After::retry, std::nullopt),
              JobQueue::Ack::done);
    EXPECT_EQ(this->state(id), JobState::delayed);
    EXPECT_EQ(this->show(id).error, "first trouble");
    const auto again = this->one(60s, 30s);
    EXPECT_EQ(again.id, id);
    EXPECT_EQ(again.attempt, 2u);
    EXPECT_EQ(again.error, "first trouble");
    EXPECT_EQ(this->fail(again, "second"), JobQueue::Ack::done);
    EXPECT_EQ(this->state(id), JobState::dead);
    EXPECT_EQ(this->show(id).error, "second");
    EXPECT_EQ(this->show(id).payload, "p");
    EXPECT_TRUE(this->claim().empty());
    EXPECT_EQ(this->must(this->queue().retry_dead(this->name, {id})), 1u);
    EXPECT_EQ(this->must(this->queue().retry_dead(this->name, {id})), 0u);
    const auto revived = this->one();
    EXPECT_EQ(revived.id, id);
    EXPECT_EQ(revived.attempt, 1u);
    EXPECT_NE(revived.token, again.token);
    EXPECT_EQ(this->complete(revived), JobQueue::Ack::done);
    const auto counts = this->stats();
    EXPECT_EQ(counts.failed, 2u);
    EXPECT_EQ(counts.died, 1u);
}

TYPED_TEST_P(JobQueueContract, what_no_retry_helps_is_dead_at_once_and_a_release_counts_nothing) {
    const auto id = this->add({.payload = "p", .attempts_max = 1});
    EXPECT_EQ(this->fail(this->one(), "ending", JobQueue::After::release), JobQueue::Ack::done);
    const auto again = this->one();
    EXPECT_EQ(again.attempt, 1u);
    EXPECT_EQ(this->fail(again, "hopeless", JobQueue::After::dead), JobQueue::Ack::done);
    EXPECT_EQ(this->state(id), JobState::dead);
    EXPECT_EQ(this->stats().failed, 1u);
    EXPECT_EQ(this->must(this->queue().retry_dead(this->name, {})), 1u);
    EXPECT_EQ(this->state(id), JobState::ready);
}

TYPED_TEST_P(JobQueueContract, a_silent_workers_job_is_given_to_another_and_its_token_is_stale) {
    const auto id = this->add("p");
    const auto first = this->one(100ms);
    const auto second = this->one(60s, 30s); // when the lease ends
    EXPECT_EQ(second.id, id);
    EXPECT_EQ(second.attempt, 2u);
    EXPECT_NE(second.token, first.token);
    EXPECT_EQ(this->beat(first), JobQueue::Ack::stale);
    EXPECT_EQ(this->fail(first, "late"), JobQueue::Ack::stale);
    EXPECT_EQ(this->complete(first, "late"), JobQueue::Ack::stale);
    EXPECT_EQ(this->state(id), JobState::running);
    EXPECT_EQ(this->complete(second, "good"), JobQueue::Ack::done);
    EXPECT_EQ(this->show(id).result, "good");
    EXPECT_EQ(this->stats().reclaimed, 1u);
}

TYPED_TEST_P(JobQueueContract, a_job_whose_workers_all_die_is_a_dead_letter) {
    const auto id = this->add({.payload = "p", .attempts_max = 2});
    this->one(100ms);
    this->one(100ms, 30s);
    this->fixture.pass(200ms);
    EXPECT_TRUE(this->claim().empty());
    EXPECT_EQ(this->state(id), JobState::dead);
    EXPECT_NE(this->show(id).error.find("lease"), std::string::npos);
}

TYPED_TEST_P(JobQueueContract, heartbeats_keep_a_lease_but_no_run_past_its_time_out) {
    const auto id = this->add("kept");
    const auto kept = this->one(300ms);
    for (int i = 0; i < 4; ++i) {
        this->fixture.pass(150ms);
        EXPECT_EQ(this->beat(kept, 300ms), JobQueue::Ack::done);
    }
    EXPECT_EQ(this->complete(kept), JobQueue::Ack::done);
    EXPECT_EQ(this->state(id), JobState::completed);

    const auto slow = this->add({.payload = "slow", .backoff_first = 0ms, .timeout = 300ms});
    const auto run = this->one();
    EXPECT_EQ(run.timeout, 300ms);
    EXPECT_EQ(this->beat(run), JobQueue::Ack::done);
    this->fixture.pass(400ms);
    EXPECT_EQ(this->beat(run), JobQueue::Ack::stale);
    const auto again = this->one();
    EXPECT_EQ(again.id, slow);
    EXPECT_NE(again.error.find("timed out"), std::string::npos);
}

TYPED_TEST_P(JobQueueContract, a_cancelled_job_is_given_to_nobody_whatever_its_state) {
    const auto ready = this->add("ready");
    const auto delayed = this->add({.payload = "delayed", .delay = 50ms});
    this->must(this->queue().cancel(this->name, ready));
    this->must(this->queue().cancel(this->name, delayed));
    this->fixture.pass(100ms);
    EXPECT_TRUE(this->claim().empty());
    EXPECT_EQ(this->state(ready), JobState::cancelled);
    this->add("running");
    const auto running = this->one();
    this->must(this->queue().cancel(this->name, running.id));
    EXPECT_EQ(this->beat(running), JobQueue::Ack::stale);
    EXPECT_EQ(this->complete(running), JobQueue::Ack::stale);
    const auto dead = this->add("dead");
    EXPECT_EQ(this->fail(this->one(), "no", JobQueue::After::dead), JobQueue::Ack::done);
    this->must(this->queue().cancel(this->name, dead));
    EXPECT_EQ(this->must(this->queue().retry_dead(this->name, {dead})), 0u);
    EXPECT_EQ(this->refused(this->queue().cancel(this->name, dead)), ErrorCode::conflict);
    EXPECT_EQ(this->refused(this->queue().cancel(this->name, "1-1")), ErrorCode::not_found);
    EXPECT_EQ(this->stats().cancelled, 4u);
}

TYPED_TEST_P(JobQueueContract, a_paused_queue_takes_jobs_and_gives_none) {
    this->must(this->queue().pause(this->name, true));
    this->add("p");
    EXPECT_TRUE(this->claim(1, 60s, 20ms).empty());
    EXPECT_TRUE(this->stats().paused);
    this->must(this->queue().pause(this->name, false));
    EXPECT_EQ(this->one().payload, "p");
    EXPECT_FALSE(this->stats().paused);
}

TYPED_TEST_P(JobQueueContract, a_drain_leaves_what_runs_and_what_is_dead) {
    this->add("running");
    const auto running = this->one();
    for (int i = 0; i < 30; ++i)
        this->add("ready");
    this->add({.payload = "delayed", .delay = 60s});
    EXPECT_EQ(this->must(this->queue().drain(this->name)), 31u);
    EXPECT_TRUE(this->claim().empty());
    const auto counts = this->stats();
    EXPECT_EQ(counts.ready + counts.delayed, 0u);
    EXPECT_EQ(counts.running, 1u);
    EXPECT_EQ(this->complete(running), JobQueue::Ack::done);
    this->add("after");
    EXPECT_EQ(this->one().payload, "after");
}

TYPED_TEST_P(JobQueueContract, an_outcome_can_be_read_for_as_long_as_it_is_kept) {
    const auto kept = this->add({.payload = "p", .keep = 300ms});
    const auto unkept = this->add({.payload = "p", .keep = 0ms});
    const auto jobs = this->claim(2);
    EXPECT_EQ(this->complete(jobs[0], "result"), JobQueue::Ack::done);
    EXPECT_EQ(this->complete(jobs[1], "result"), JobQueue::Ack::done);
    EXPECT_EQ(this->show(kept).result, "result");
    EXPECT_EQ(this->refused(this->queue().show(this->name, unkept)), ErrorCode::not_found);
    this->fixture.pass(400ms);
    EXPECT_EQ(this->stats().kept, 0u);
    EXPECT_EQ(this->refused(this->queue().show(this->name, kept)), ErrorCode::not_found);
}

TYPED_TEST_P(JobQueueContract, lists_have_every_job_of_a_state_page_by_page) {
    std::set<std::string> added;
    for (int i = 0; i < 7; ++i)
        added.insert(this->add(std::to_string(i)));
    const auto listed = [this](JobState state) {
        std::set<std::string> ids;
        std::string cursor;
        do {
            auto page = this->must(this->queue().list(this->name, state, cursor, 3));
            for (const auto& job : page.jobs) {
                EXPECT_EQ(job.state, state);
                EXPECT_TRUE(ids.insert(job.id).second);
            }
            cursor = page.next;
        } while (!cursor.empty());
        return ids;
    };
    EXPECT_EQ(listed(JobState::ready), added);
    auto jobs = this->claim(7);
    EXPECT_TRUE(listed(JobState::ready).empty());
    EXPECT_EQ(listed(JobState::running), added);
    for (std::size_t i = 0; i < 7; ++i)
        this->fail(jobs[i], "no", JobQueue::After::dead);
    EXPECT_EQ(listed(JobState::dead), added);
    this->must(this->queue().retry_dead(this->name, {}));
    jobs = this->claim(7);
    for (std::size_t i = 0; i < 7; ++i)
        this->fail(jobs[i], "later", JobQueue::After::retry, 60s);
    EXPECT_EQ(listed(JobState::delayed), added);
    for (const auto& id : added)
        this->must(this->queue().cancel(this->name, id));
    EXPECT_EQ(listed(JobState::cancelled), added);
    EXPECT_EQ(this->refused(this->queue().list(this->name, JobState::dead, "nonsense", 3)),
              ErrorCode::invalid_argument);
    const auto names = this->must(this->queue().queues());
    EXPECT_NE(std::find(names.begin(), names.end(), this->name), names.end());
}

TYPED_TEST_P(JobQueueContract, stats_count_what_is_there_and_what_was) {
    for (int i = 0; i < 5; ++i)
        this->add("p");
    this->add({.payload = "p", .delay = 60s});
    const auto jobs = this->claim(3);
    this->complete(jobs[0]);
    this->fail(jobs[1], "no", JobQueue::After::dead);
    this->fixture.pass(20ms);
    const auto counts = this->stats();
    EXPECT_EQ(counts.queue, this->name);
    EXPECT_EQ(counts.ready, 2u);
    EXPECT_EQ(counts.delayed, 1u);
    EXPECT_EQ(counts.running, 1u);
    EXPECT_EQ(counts.dead, 1u);
    EXPECT_EQ(counts.kept, 1u);
    EXPECT_EQ(counts.added, 6u);
    EXPECT_EQ(counts.completed, 1u);
    EXPECT_GE(counts.oldest_ready, 20ms);
}

TYPED_TEST_P(JobQueueContract, any_bytes_come_back_as_they_were) {
    std::string bytes;
    for (int i = 0; i < 256; ++i)
        bytes.push_back(static_cast<char>(i));
    this->add(bytes);
    this->add("");
    this->add("7 0\n1 2 3"); // as a record begins
    this->add(std::string(JobQueue::payload_bytes_max, 'x'));
    const auto jobs = this->claim(10);
    ASSERT_EQ(jobs.size(), 4u);
    EXPECT_EQ(jobs[0].payload, bytes);
    EXPECT_EQ(jobs[1].payload, "");
    EXPECT_EQ(jobs[2].payload, "7 0\n1 2 3");
    EXPECT_EQ(jobs[3].payload.size(), JobQueue::payload_bytes_max);
    EXPECT_EQ(this->fail(jobs[0], bytes), JobQueue::Ack::done);
    const auto again = this->one();
    EXPECT_EQ(again.payload, bytes);
    EXPECT_EQ(again.error, bytes);
    EXPECT_EQ(this->complete(again, bytes), JobQueue::Ack::done);
    EXPECT_EQ(this->show(again.id).result, bytes);
}

TYPED_TEST_P(JobQueueContract, what_is_not_allowed_is_refused_before_anything_is_done) {
    auto& queue = this->queue();
    const auto invalid = [this](auto task) {
        EXPECT_EQ(this->refused(std::move(task)), ErrorCode::invalid_argument);
    };
    for (const std::string& bad : std::vector<std::string>{
             "", "a b", "}{", "a{b}", "*", "é", ":a", std::string(65, 'a'), std::string("a\0b", 3)})
        invalid(queue.add(bad, {NewJob{}}));
    invalid(queue.add(this->name, {}));
    invalid(queue.add(this->name, {NewJob{.key = std::string(129, 'k')}}));
    invalid(queue.add(this->name, {NewJob{.key = "a\nb"}}));
    invalid(queue.add(this->name, {NewJob{.delay = -1ms}}));
    invalid(queue.add(this->name, {NewJob{.attempts_max = 0}}));
    EXPECT_EQ(
        this->refused(queue.add(
            this->name,
            {NewJob{}, NewJob{.payload = std::string(JobQueue::payload_bytes_max + 1, 'x')}})),
        ErrorCode::payload_too_large);
    const NewJob large{.payload = std::string(JobQueue::payload_bytes_max, 'x')};
    EXPECT_EQ(this->refused(queue.add(this->name, std::vector<NewJob>(65, large))),
              ErrorCode::payload_too_large);
    invalid(queue.claim(this->name, {.count = 0}));
    invalid(queue.claim(this->name, {.count = 1001}));
    invalid(queue.claim(this->name, {.lease = 1ms}));
    invalid(queue.claim(this->name, {.worker = "a b"}));
    invalid(queue.complete(this->name, {{{"1-1", "no token"}, ""}}));
    invalid(queue.complete(this->name, {{{"../x", "1-1"}, ""}}));
    EXPECT_EQ(this->stats().added, 0u);
}

/// Workers of all kinds, drawn: at the end each job has ended once, and the counts agree.
TYPED_TEST_P(JobQueueContract, whatever_workers_do_every_job_is_accounted_for) {
    Random random(7);
    std::set<std::string> open, completed, cancelled;
    std::vector<ClaimedJob> held;
    std::size_t added = 0;
    while (added < 120 || !open.empty()) {
        const auto draw = random.below(10);
        if (added < 120 && draw < 3) {
            std::vector<NewJob> jobs(1 + random.below(5));
            for (NewJob& job : jobs) {
                job.attempts_max = 1'000'000;
                job.backoff_first = 1ms;
                if (random.below(4) == 0) job.delay = 5ms;
            }
            for (const auto& one : this->must(this->queue().add(this->name, jobs)))
                open.insert(one.id);
            added += jobs.size();
            continue;
        }
        if (held.size() < 20)
            for (auto& job : this->claim(1 + random.below(5), 100ms, open.empty() ? 0ms : 200ms))
                held.push_back(std::move(job));
        if (held.empty()) continue;
        const auto at = held.begin() + static_cast<std::ptrdiff_t>(random.below(held.size()));
        const ClaimedJob job = *at;
        held.erase(at);
        if (draw < 6) {
            if (this->complete(job) == JobQueue::Ack::done) {
                EXPECT_TRUE(completed.insert(job.id).second);
                EXPECT_EQ(open.erase(job.id), 1u);
            }
        } else if (draw == 6) {
            this->fail(job, "drawn",
                       random.below(2) ? JobQueue::After::retry : JobQueue::After::release);
        } else if (draw == 7 && open.contains(job.id)) {
            this->must(this->queue().cancel(this->name, job.id));
            cancelled.insert(job.id);
            open.erase(job.id);
        } // else: it is never heard of again
    }
    const auto counts = this->stats();
    EXPECT_EQ(counts.added, added);
    EXPECT_EQ(counts.completed, completed.size());
    EXPECT_EQ(counts.cancelled, cancelled.size());
    EXPECT_EQ(counts.ready + counts.delayed + counts.running + counts.dead, 0u);
    EXPECT_EQ(completed.size() + cancelled.size(), added);
}

REGISTER_TYPED_TEST_SUITE_P(
    JobQueueContract, what_is_added_is_given_in_order_and_completed_once,
    a_completion_is_done_once_and_its_repetition_is_known,
    a_key_adds_one_job_while_its_window_lasts,
    a_delayed_job_is_given_when_it_is_due_and_who_waits_gets_it,
    who_waits_gets_what_is_added_or_nothing_at_the_end,
    a_failed_run_is_tried_again_and_at_last_a_dead_letter,
    what_no_retry_helps_is_dead_at_once_and_a_release_counts_nothing,
    a_silent_workers_job_is_given_to_another_and_its_token_is_stale,
    a_job_whose_workers_all_die_is_a_dead_letter,
    heartbeats_keep_a_lease_but_no_run_past_its_time_out,
    a_cancelled_job_is_given_to_nobody_whatever_its_state, a_paused_queue_takes_jobs_and_gives_none,
    a_drain_leaves_what_runs_and_what_is_dead, an_outcome_can_be_read_for_as_long_as_it_is_kept,
    lists_have_every_job_of_a_state_page_by_page, stats_count_what_is_there_and_what_was,
    any_bytes_come_back_as_they_were, what_is_not_allowed_is_refused_before_anything_is_done,
    whatever_workers_do_every_job_is_accounted_for);

} // namespace netbuild::test
