// SPDX-License-Identifier: Apache-2.0
// netbuild_queue_bench [--url redis://…] [--jobs N] [--payload BYTES]: rates of single adds and of
// whole jobs through a JobWorker, and how long a waiting worker takes to begin what is added. One
// thread is the client. Its own CPU time is told beside the rates.
#include <ctime>

#include "bench.hpp"
#include "jobs/job_worker.hpp"
#include "redis/redis_cluster_bus.hpp"
#include "redis/redis_job_queue.hpp"
#include "run.hpp"
#include "runtime/task_group.hpp"

namespace netbuild::bench {
namespace {

double cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct World {
    explicit World(const std::string& url)
        : client(context.get_executor(), clock, {.url = url}),
          wakes(context.get_executor(), clock, {.url = url}),
          queue(context.get_executor(), clock, client, wakes, {.prefix = "netbuild:bench:"}) {
        client.start().value();
        wakes.start().value();
    }
    asio::io_context context{1};
    SystemClock clock;
    RedisClient client;
    RedisClusterBus wakes;
    RedisJobQueue queue;
};

struct Rate {
    double per_second = 0, cpu_us = 0;
};

/// `parallel` callers that add one job after the other; `many` jobs a call.
Rate add(World& world, const std::string& name, std::size_t jobs, std::size_t parallel,
         std::size_t many, const NewJob& job) {
    std::size_t left = parallel;
    const auto begun = SteadyClock::now();
    const double cpu = cpu_seconds();
    for (std::size_t i = 0; i < parallel; ++i)
        asio::co_spawn(
            world.context,
            [](World& of, std::string to, std::size_t each, std::size_t at_once,
               NewJob wanted) -> awaitable<void> {
                for (std::size_t done = 0; done < each; done += at_once) {
                    const auto added =
                        co_await of.queue.add(to, std::vector<NewJob>(at_once, wanted));
                    if (!added) die(added.error().message());
                }
            }(world, name, jobs / parallel, many, job),
            [&left](const std::exception_ptr&) { --left; });
    world.context.restart();
    while (left > 0)
        world.context.run_one();
    const auto count = static_cast<double>(jobs / parallel * parallel);
    return {count / seconds_since(begun), 1e6 * (cpu_seconds() - cpu) / count};
}

void stop(World& world, TaskGroup& tasks) {
    run(world.context, [](TaskGroup& group) -> awaitable<result<void>> {
        co_await group.stop();
        co_return result<void>{};
    }(tasks));
}

Rate process(World& world, const std::string& name, std::size_t jobs, std::size_t concurrency) {
    std::size_t handled = 0;
    TaskGroup tasks(world.context.get_executor(), [](const std::string& what, const Error& error) {
        die(what + ": " + error.message());
    });
    jobs::JobWorker worker(world.context.get_executor(), world.clock, world.queue,
                           {.queue = name, .worker = "bench", .concurrency = concurrency},
                           [&](const ClaimedJob&) -> awaitable<result<std::string>> {
                               ++handled;
                               co_return std::string();
                           });
    const auto begun = SteadyClock::now();
    const double cpu = cpu_seconds();
    tasks.spawn("worker", worker.run());
    world.context.restart();
    while (worker.counters().completed < jobs)
        world.context.run_one();
    const Rate rate{static_cast<double>(jobs) / seconds_since(begun),
                    1e6 * (cpu_seconds() - cpu) / static_cast<double>(jobs)};
    stop(world, tasks);
    if (handled < jobs) die("not all jobs were handled");
    return rate;
}

/// From the call of add to the handler's first line, one job at a time on an idle queue.
std::vector<double> pick_up(World& world, const std::string& name, std::size_t rounds) {
    std::vector<double> latencies;
    SteadyClock::time_point begun;
    TaskGroup tasks(world.context.get_executor(), [](const std::string& what, const Error& error) {
        die(what + ": " + error.message());
    });
    jobs::JobWorker worker(world.context.get_executor(), world.clock, world.queue,
                           {.queue = name, .worker = "bench", .concurrency = 1},
                           [&](const ClaimedJob&) -> awaitable<result<std::string>> {
                               latencies.push_back(1e3 * seconds_since(begun));
                               co_return std::string();
                           });
    tasks.spawn("worker", worker.run());
    run(world.context, world.clock.sleep(std::chrono::milliseconds(200)));
    for (std::size_t i = 0; i < rounds; ++i) {
        begun = SteadyClock::now();
        run(world.context, world.queue.add(name, {NewJob{.payload = "{}"}}));
        world.context.restart();
        while (worker.counters().completed <= i)
            world.context.run_one();
        run(world.context, world.clock.sleep(std::chrono::milliseconds(1)));
    }
    stop(world, tasks);
    return latencies;
}

void forget(World& world, const std::string& name) {
    std::vector<std::string> keys;
    for (const char* key :
         {"meta", "jobs", "ready", "leases", "delayed", "dead", "results", "done"})
        keys.push_back("netbuild:bench:queue:{" + name + "}:" + key);
    std::vector<std::string_view> words{"UNLINK"};
    words.insert(words.end(), keys.begin(), keys.end());
    run(world.context, world.client.execute(RedisCommand::on(keys.front(), words)));
    run(world.context, world.client.execute(RedisCommand::on("netbuild:bench:queues",
                                                             {"DEL", "netbuild:bench:queues"})));
}

} // namespace
} // namespace netbuild::bench

int main(int count, char** values) {
    using namespace netbuild;
    using namespace netbuild::bench;
    std::vector<char*> all{values, values + count};
    all.insert(all.begin() + 1, values[0]); // there are no subcommands
    const Arguments arguments(static_cast<int>(all.size()), all.data());
    const auto jobs = static_cast<std::size_t>(arguments.number("jobs", 200'000));
    const auto parallel = static_cast<std::size_t>(arguments.number("parallel", 200));
    const NewJob job{
        .payload = std::string(static_cast<std::size_t>(arguments.number("payload", 100)), 'x'),
        .keep =
            std::chrono::milliseconds(static_cast<std::int64_t>(arguments.number("keep-ms", 0)))};
    World world(arguments.text("url", "redis://127.0.0.1:6379"));
    const std::string name = "bench-" + std::to_string(world.clock.utc_us());
    const Rate added = add(world, name, jobs, parallel, 1, job);
    const Rate processed = process(world, name, jobs / parallel * parallel,
                                   static_cast<std::size_t>(arguments.number("concurrency", 200)));
    const Rate bulk = add(world, name, jobs, 4, 100, job);
    forget(world, name);
    auto latencies =
        pick_up(world, name, static_cast<std::size_t>(arguments.number("rounds", 2000)));
    forget(world, name);
    fmt::print("{{\"queue_add_rate\":{:.0f},\"add_cpu_us\":{:.2f},\"queue_add_many_rate\":{:.0f},"
               "\"add_many_cpu_us\":{:.2f},\"queue_process_rate\":{:.0f},\"process_cpu_us\":{:.2f},"
               "\"queue_pickup_p50_ms\":{:.3f},\"queue_pickup_p99_ms\":{:.3f},\"jobs\":{},"
               "\"payload_bytes\":{},\"parallel\":{},\"keep_ms\":{}}}\n",
               added.per_second, added.cpu_us, bulk.per_second, bulk.cpu_us, processed.per_second,
               processed.cpu_us, percentile(latencies, 0.5), percentile(latencies, 0.99), jobs,
               job.payload.size(), parallel, job.keep.count());
    const auto stopped = [](World& of) -> awaitable<result<void>> {
        co_await of.wakes.stop();
        co_await of.client.stop();
        co_return result<void>{};
    };
    bench::run(world.context, stopped(world));
    return 0;
}
