// SPDX-License-Identifier: Apache-2.0
// Rate limits: checks through Redis, as many in flight as asked for, on one core; and keys that are
// known to be denied, which nobody is asked about.
#include <sys/resource.h>

#include "limits/rate_gate.hpp"
#include "redis/redis_rate_limiter.hpp"
#include "run.hpp"

namespace netbuild::bench {
namespace {

RatePolicyPtr policy_of(std::int64_t limit, std::chrono::milliseconds period,
                        std::int64_t burst = 0) {
    auto policy =
        RatePolicy::make({.name = "bench", .limit = limit, .period = period, .burst = burst});
    if (!policy) die(policy.error().message());
    return *policy;
}

std::vector<std::string> keys_of(std::size_t count) {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string user = "usr_" + std::to_string(i);
        const std::string_view parts[] = {user};
        keys.push_back(rate_key(parts));
    }
    return keys;
}

/// User and system time of this process.
double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Keeps so many checks in flight until the time is up.
class Load {
public:
    Load(asio::io_context& context, limits::RateGate& gate, std::size_t in_flight, std::size_t keys)
        : context_(context), gate_(gate), in_flight_(in_flight), keys_(keys_of(keys)) {}

    void run_for(double seconds) {
        done_ = allowed_ = 0;
        start_ = SteadyClock::now();
        cpu_ = cpu_seconds();
        ends_ = start_ + std::chrono::duration_cast<SteadyClock::duration>(
                             std::chrono::duration<double>(seconds));
        context_.restart();
        over_ = false;
        for (std::size_t i = 0; i < in_flight_; ++i)
            next();
        while (open_ > 0)
            context_.run_one();
        rate = static_cast<double>(done_) / seconds_since(start_);
        cpu_us = 1e6 * (cpu_seconds() - cpu_) / static_cast<double>(done_);
    }
    double rate = 0, cpu_us = 0;
    [[nodiscard]] double allowed_share() const {
        return static_cast<double>(allowed_) / static_cast<double>(done_);
    }

private:
    void next() {
        ++open_;
        at_ = at_ + 1 == keys_.size() ? 0 : at_ + 1;
        gate_.act(RateAction::check, {{policy_, keys_[at_]}},
                  [this](result<limits::Outcome> outcome) {
                      if (!outcome || outcome->source != limits::Source::store)
                          die("Redis did not answer");
                      --open_;
                      allowed_ += outcome->decision.allowed ? 1 : 0;
                      // The clock costs as much as a tenth of a check: not at each of them.
                      if (++done_ % 64 == 0) over_ = SteadyClock::now() >= ends_;
                      if (!over_) next();
                  });
    }

    asio::io_context& context_;
    limits::RateGate& gate_;
    std::size_t in_flight_;
    std::vector<std::string> keys_;
    // The peer's million points: nobody is denied, so each check is written, and keys stay.
    RatePolicyPtr policy_ = policy_of(600, std::chrono::minutes(1), 1'000'000);
    std::size_t at_ = 0, open_ = 0;
    std::uint64_t done_ = 0, allowed_ = 0;
    bool over_ = false;
    SteadyClock::time_point start_, ends_;
    double cpu_ = 0;
};

} // namespace

/// --redis URL --seconds S --in-flight N --keys K
int run_ratelimit(const Arguments& arguments) {
    asio::io_context context(1);
    SystemClock clock;
    RedisClient client(context.get_executor(), clock, {.url = arguments.text("redis")});
    if (const auto started = client.start(); !started) die(started.error().message());
    RedisRateLimiter limiter(context.get_executor(), client);
    limits::RateGate gate(limiter, clock, Random(1), {});
    const auto in_flight = static_cast<std::size_t>(arguments.number("in-flight", 100));
    Load load(context, gate, in_flight, static_cast<std::size_t>(arguments.number("keys", 10'000)));
    load.run_for(1); // connected, and warm
    load.run_for(arguments.number("seconds", 5));
    fmt::print("{{\"rate\": {:.0f}, \"cpuUs\": {:.3f}, \"inFlight\": {}, \"allowed\": {:.3f}}}\n",
               load.rate, load.cpu_us, in_flight, load.allowed_share());
    run(context, [](RedisClient& ending) -> awaitable<result<void>> {
        co_await ending.stop();
        co_return result<void>{};
    }(client));
    return 0;
}

/// --seconds S --keys K: how long a key is denied, for keys that are: hash, look-up and clock.
int run_ratelimit_local(const Arguments& arguments) {
    asio::io_context context(1);
    SystemClock clock;
    // Never asked: what it would say does not matter.
    class Silent final : public RateLimiter {
    public:
        void act(RateAction, std::vector<RateCharge>, OnDecision) override { die("it was asked"); }
        awaitable<result<void>> block(RatePolicyPtr, std::string,
                                      std::chrono::milliseconds) override {
            co_return result<void>{};
        }
        awaitable<result<void>> unblock(RatePolicyPtr, std::string) override {
            co_return result<void>{};
        }
    } silent;
    limits::RateGate gate(silent, clock, Random(1), {.hold_max = std::chrono::hours(1)});
    const RatePolicyPtr policy = policy_of(10, std::chrono::seconds(1));
    const auto keys = keys_of(static_cast<std::size_t>(arguments.number("keys", 10'000)));
    for (const std::string& key : keys)
        run(context, gate.block(policy, key, std::chrono::hours(1)));
    const double seconds = arguments.number("seconds", 3);
    std::uint64_t denied = 0, asked = 0;
    const auto start = SteadyClock::now();
    while (seconds_since(start) < seconds) {
        for (const std::string& key : keys) {
            ++asked;
            denied += gate.denied_for(*policy, key) > Clock::duration::zero() ? 1 : 0;
        }
    }
    const double rate = static_cast<double>(asked) / seconds_since(start);
    fmt::print("{{\"rate\": {:.0f}, \"keys\": {}, \"denied\": {:.4f}}}\n", rate, keys.size(),
               static_cast<double>(denied) / static_cast<double>(asked));
    return 0;
}

} // namespace netbuild::bench
