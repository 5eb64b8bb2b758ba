// SPDX-License-Identifier: Apache-2.0
// Workers and those who add are killed, a thousand of them, at whatever they are doing. At the end
// every job whose add was acknowledged has been completed, once, by one token.
#include <csignal>
#include <map>
#include <set>
#include <sstream>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "jobs/job_worker.hpp"
#include "redis/redis_cluster_bus.hpp"
#include "redis/redis_job_queue.hpp"
#include "runtime/task_group.hpp"
#include "support/private_redis.hpp"
#include "support/redis_servers.hpp"
#include "support/run.hpp"

namespace netbuild::test {
namespace {

using namespace std::chrono_literals;

/// Of workers; those who add are killed besides.
constexpr std::size_t kills_wanted = 1000, processes = 6, adders = 2;

/// A client of the queue, in whichever process.
struct Peer {
    explicit Peer(std::string its_url = redis_server(RedisKind::single).url)
        : url(std::move(its_url)) {
        client.start().value();
        wakes.start().value();
    }
    void stop() {
        must(context, [](Peer& peer) -> awaitable<result<void>> {
            co_await peer.wakes.stop();
            co_await peer.client.stop();
            co_return result<void>{};
        }(*this));
    }
    std::string url;
    asio::io_context context{1};
    SystemClock clock;
    RedisClient client{context.get_executor(), clock, {.url = url}};
    RedisClusterBus wakes{context.get_executor(), clock, {.url = url}};
    RedisJobQueue queue{context.get_executor(), clock, client, wakes, {.prefix = "netbuild:test:"}};
};

/// One line is one write: a kill leaves whole lines.
void tell(int to, const std::string& line) { (void)!write(to, line.data(), line.size()); }

/// A queue that tells of each completion that it was told of.
class Telling final : public JobQueue {
public:
    Telling(JobQueue& queue, int to) : queue_(queue), to_(to) {}
    awaitable<result<std::vector<Added>>> add(std::string queue,
                                              std::vector<NewJob> jobs) override {
        return queue_.add(std::move(queue), std::move(jobs));
    }
    awaitable<result<std::vector<ClaimedJob>>> claim(std::string queue, ClaimTerms terms) override {
        return queue_.claim(std::move(queue), std::move(terms));
    }
    awaitable<result<std::vector<Ack>>> complete(std::string queue,
                                                 std::vector<Completion> completions) override {
        const Run run = completions.front().run;
        CO_TRY(auto acks, co_await queue_.complete(std::move(queue), std::move(completions)));
        if (acks.front() == Ack::done) tell(to_, "done " + run.id + " " + run.token + "\n");
        if (acks.front() == Ack::stale) tell(to_, "stale " + run.id + " " + run.token + "\n");
        co_return acks;
    }
    awaitable<result<std::vector<Ack>>> fail(std::string queue,
                                             std::vector<Failure> failures) override {
        return queue_.fail(std::move(queue), std::move(failures));
    }
    awaitable<result<std::vector<Ack>>> heartbeat(std::string queue, std::vector<Run> runs,
                                                  std::chrono::milliseconds lease) override {
        return queue_.heartbeat(std::move(queue), std::move(runs), lease);
    }
    awaitable<result<void>> cancel(std::string queue, std::string id) override {
        return queue_.cancel(std::move(queue), std::move(id));
    }
    awaitable<result<void>> pause(std::string queue, bool paused) override {
        return queue_.pause(std::move(queue), paused);
    }
    awaitable<result<std::uint64_t>> retry_dead(std::string queue,
                                                std::vector<std::string> ids) override {
        return queue_.retry_dead(std::move(queue), std::move(ids));
    }
    awaitable<result<std::uint64_t>> drain(std::string queue) override {
        return queue_.drain(std::move(queue));
    }
    awaitable<result<JobView>> show(std::string queue, std::string id) override {
        return queue_.show(std::move(queue), std::move(id));
    }
    awaitable<result<Page>> list(std::string queue, JobState state, std::string cursor,
                                 std::size_t limit) override {
        return queue_.list(std::move(queue), state, std::move(cursor), limit);
    }
    awaitable<result<QueueStats>> stats(std::string queue) override {
        return queue_.stats(std::move(queue));
    }
    awaitable<result<std::vector<std::string>>> queues() override { return queue_.queues(); }

private:
    JobQueue& queue_;
    int to_;
};

[[noreturn]] void add_until_killed(const std::string& name, int to) {
    Peer peer;
    while (true) {
        std::vector<NewJob> jobs(3);
        for (NewJob& job : jobs) {
            job.payload = "p";
            job.attempts_max = 1'000'000; // each kill of its worker is one
            job.backoff_first = 5ms;
        }
        jobs.back().delay = 10ms;
        const auto added = run(peer.context, peer.queue.add(name, std::move(jobs)));
        std::string lines;
        for (const auto& one : added.value())
            lines += "added " + one.id + "\n";
        tell(to, lines);
        must(peer.context, peer.clock.sleep(5ms));
    }
}

[[noreturn]] void work_until_killed(const std::string& name, int to) {
    Peer peer;
    Telling telling(peer.queue, to);
    Random random = Random::from_system();
    jobs::JobWorker worker(
        peer.context.get_executor(), peer.clock, telling,
        {.queue = name, .concurrency = 4, .lease = 300ms},
        [&](const ClaimedJob& job) -> awaitable<result<std::string>> {
            tell(to, "began " + job.id + "\n");
            CO_TRY_VOID(co_await peer.clock.sleep(std::chrono::microseconds(random.below(4000))));
            if (random.below(10) == 0) co_return fail(ErrorCode::unavailable, "drawn");
            co_return job.token;
        });
    TaskGroup tasks(peer.context.get_executor(), [](const std::string&, const Error&) {});
    tasks.spawn("worker", worker.run());
    while (true)
        peer.context.run_one();
}

/// What all processes have told.
struct Told {
    std::set<std::string> added, begun;
    std::map<std::string, std::set<std::string>> done; // tokens
    std::size_t stale = 0;
    void line(const std::string& text) {
        std::istringstream words(text);
        std::string what, id, token;
        words >> what >> id >> token;
        if (what == "added") added.insert(id);
        if (what == "began") begun.insert(id);
        if (what == "done") EXPECT_TRUE(done[id].insert(token).second) << text;
        if (what == "stale") ++stale;
    }
};

class Process {
public:
    Process(const std::string& name, bool adder) : adder_(adder) {
        int ends[2];
        if (pipe(ends) != 0) throw std::runtime_error("pipe");
        pid_ = fork();
        if (pid_ == 0) {
            close(ends[0]);
            adder ? add_until_killed(name, ends[1]) : work_until_killed(name, ends[1]);
        }
        close(ends[1]);
        from_ = ends[0];
    }
    Process(Process&& other) noexcept
        : adder_(other.adder_),
          pid_(std::exchange(other.pid_, -1)),
          from_(std::exchange(other.from_, -1)),
          text_(std::move(other.text_)) {}
    ~Process() {
        if (pid_ < 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        close(from_);
    }
    /// True: it has told something since the last call.
    bool read(Told& told) {
        bool any = false;
        std::array<char, 65536> bytes{};
        while (true) {
            pollfd ready{from_, POLLIN, 0};
            if (poll(&ready, 1, 0) <= 0) return any;
            const auto size = ::read(from_, bytes.data(), bytes.size());
            if (size <= 0) return any;
            any = true;
            text_.append(bytes.data(), static_cast<std::size_t>(size));
            for (auto end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
                told.line(text_.substr(0, end));
                text_.erase(0, end + 1);
            }
        }
    }
    /// What it has written stays to be read.
    void end(Told& told) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        read(told);
        close(from_);
        pid_ = -1;
    }
    [[nodiscard]] bool adder() const { return adder_; }
    [[nodiscard]] int from() const { return from_; }

private:
    bool adder_;
    pid_t pid_ = -1;
    int from_ = -1;
    std::string text_;
};

TEST(JobQueueKills,
     a_thousand_kills_of_workers_and_more_of_adders_lose_no_job_and_complete_none_twice) {
    const std::string name = unique_name("killed");
    Random random(11);
    Told told;
    std::list<Process> all;
    std::size_t kills = 0, adder_kills = 0;
    while (kills < kills_wanted) {
        while (all.size() < processes) {
            const auto have = static_cast<std::size_t>(std::count_if(
                all.begin(), all.end(), [](const Process& one) { return one.adder(); }));
            all.emplace_back(name, have < adders);
        }
        // The first that tells of its work has some more time for it, up to 3 ms.
        std::vector<pollfd> sources;
        for (const Process& one : all)
            sources.push_back({one.from(), POLLIN, 0});
        ASSERT_GT(poll(sources.data(), sources.size(), 10'000), 0) << "nobody works";
        std::size_t at = 0;
        for (auto one = all.begin(); one != all.end(); ++at) {
            if (!(sources[at].revents & (POLLIN | POLLHUP)) || random.below(2) == 0) {
                one->read(told);
                ++one;
                continue;
            }
            usleep(static_cast<useconds_t>(random.below(3000)));
            one->end(told);
            ++(one->adder() ? adder_kills : kills);
            one = all.erase(one);
        }
    }
    for (Process& one : all)
        one.end(told);
    all.clear();

    // One that nobody kills does what is left.
    Peer peer;
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    Telling telling(peer.queue, ends[1]);
    TaskGroup tasks(peer.context.get_executor(), [](const std::string&, const Error&) {});
    jobs::JobWorker worker(
        peer.context.get_executor(), peer.clock, telling,
        {.queue = name, .concurrency = 50, .lease = 300ms},
        [](const ClaimedJob& job) -> awaitable<result<std::string>> { co_return job.token; });
    tasks.spawn("worker", worker.run());
    QueueStats stats;
    const Deadline deadline(peer.clock, 60s);
    std::string text;
    do {
        ASSERT_FALSE(deadline.passed(peer.clock));
        must(peer.context, peer.clock.sleep(20ms));
        std::array<char, 65536> bytes{};
        for (pollfd ready{ends[0], POLLIN, 0}; poll(&ready, 1, 0) > 0;)
            text.append(bytes.data(),
                        static_cast<std::size_t>(read(ends[0], bytes.data(), bytes.size())));
        stats = must(peer.context, peer.queue.stats(name));
    } while (stats.ready + stats.delayed + stats.running > 0);
    run(peer.context, [](TaskGroup& group) -> awaitable<bool> {
        co_await group.stop();
        co_return true;
    }(tasks));
    for (pollfd ready{ends[0], POLLIN, 0}; poll(&ready, 1, 0) > 0;) {
        std::array<char, 65536> bytes{};
        text.append(bytes.data(),
                    static_cast<std::size_t>(read(ends[0], bytes.data(), bytes.size())));
    }
    close(ends[0]);
    close(ends[1]);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        told.line(line);

    EXPECT_EQ(stats.dead, 0u);
    EXPECT_EQ(stats.completed, stats.added);
    // An add may be done whose acknowledgement was killed.
    EXPECT_GE(stats.added, told.added.size());
    EXPECT_GT(stats.reclaimed, kills_wanted / 4); // the kills did hit runs
    for (const auto& [id, tokens] : told.done)
        EXPECT_EQ(tokens.size(), 1u) << id;
    for (const std::string& id : told.added) {
        const auto job = must(peer.context, peer.queue.show(name, id));
        EXPECT_EQ(job.state, JobState::completed) << id;
        // The token that completed it is the one that its worker was told, if it lived to hear it.
        if (const auto done = told.done.find(id); done != told.done.end())
            EXPECT_EQ(job.result, *done->second.begin()) << id;
    }
    std::printf(
        "%zu workers and %zu adders killed, %zu adds acknowledged, %llu jobs, %llu runs reclaimed, "
        "%zu tokens stale\n",
        kills, adder_kills, told.added.size(), static_cast<unsigned long long>(stats.completed),
        static_cast<unsigned long long>(stats.reclaimed), told.stale);
    must(peer.context, peer.queue.drain(name));
    peer.stop();
}

TEST(JobQueueRestarts, a_redis_that_is_killed_and_comes_back_with_its_file_loses_no_job) {
    PrivateRedis redis(1, false, {"--appendonly", "yes", "--appendfsync", "always"});
    Peer peer(redis.url(0));
    const std::string name = unique_name("restarted");
    constexpr std::uint64_t jobs_wanted = 600;
    std::set<std::string> handled;
    TaskGroup tasks(peer.context.get_executor(), [](const std::string&, const Error& error) {
        ADD_FAILURE() << error.message();
    });
    jobs::JobWorker worker(peer.context.get_executor(), peer.clock, peer.queue,
                           {.queue = name, .concurrency = 4, .lease = 500ms},
                           [&](const ClaimedJob& job) -> awaitable<result<std::string>> {
                               CO_TRY_VOID(co_await peer.clock.sleep(2ms));
                               handled.insert(job.payload);
                               co_return job.token;
                           });
    tasks.spawn("worker", worker.run());
    // Whatever became of an add, with its key it may be sent again.
    const auto add_all = [](Peer& of, std::string to) -> awaitable<result<void>> {
        for (std::uint64_t i = 0; i < jobs_wanted;) {
            const std::string number = std::to_string(i);
            std::vector<NewJob> jobs{
                NewJob{.payload = number, .key = number, .attempts_max = 1'000'000}};
            const auto added = co_await of.queue.add(to, std::move(jobs));
            if (added) {
                ++i;
                continue;
            }
            EXPECT_TRUE(added.error().transient()) << added.error().message();
            CO_TRY_VOID(co_await of.clock.sleep(10ms));
        }
        co_return result<void>{};
    };
    tasks.spawn("adds", add_all(peer, name));
    const Deadline deadline(peer.clock, 60s);
    for (std::size_t kill = 1; kill <= 3; ++kill) {
        while (handled.size() < 100 * kill) {
            ASSERT_FALSE(deadline.passed(peer.clock));
            must(peer.context, peer.clock.sleep(1ms));
        }
        redis.kill(0);
        must(peer.context, peer.clock.sleep(100ms));
        redis.start(0);
    }
    QueueStats stats;
    while (stats.completed < jobs_wanted) {
        ASSERT_FALSE(deadline.passed(peer.clock)) << stats.completed << " of " << stats.added;
        must(peer.context, peer.clock.sleep(20ms));
        if (auto seen = run(peer.context, peer.queue.stats(name))) stats = std::move(*seen);
    }
    EXPECT_EQ(handled.size(), jobs_wanted);
    EXPECT_EQ(stats.added, jobs_wanted);
    EXPECT_EQ(stats.completed, jobs_wanted);
    EXPECT_EQ(stats.ready + stats.delayed + stats.running + stats.dead, 0u);
    run(peer.context, [](TaskGroup& group) -> awaitable<bool> {
        co_await group.stop();
        co_return true;
    }(tasks));
    peer.stop();
}

} // namespace
} // namespace netbuild::test
