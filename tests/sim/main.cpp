// SPDX-License-Identifier: Apache-2.0
// The deterministic simulation: worlds drawn from seeds, each run to its end and checked.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "planted_faults.hpp"
#include "telemetry/log.hpp"
#include "wire/json.hpp"
#include "world.hpp"

namespace netbuild::sim {
namespace {

struct Failure {
    std::uint64_t seed = 0;
    std::string reason;
};

struct Options {
    std::optional<std::uint64_t> seed;
    std::uint64_t first_seed = 1;
    std::uint64_t seeds_max = UINT64_MAX;
    std::uint64_t kill_points_min = 10'000;
    std::uint64_t kill_points_required = 0;
    double minutes = 0;
    Plant plant = Plant::none;
    bool json = false;
    bool verbose = false;
    bool must_find = false;
};

struct Tally {
    std::uint64_t seeds = 0;
    std::uint64_t kill_points = 0;
    std::uint64_t worlds = 0;
    std::uint64_t transactions = 0;
    std::uint64_t lives = 0;
    std::set<std::string> killed_at;
    std::vector<Failure> failures;

    void add(const Outcome& outcome) {
        ++worlds;
        kill_points += outcome.kill_points;
        transactions += outcome.transactions;
        lives += outcome.lives;
        killed_at.insert(outcome.killed_at.begin(), outcome.killed_at.end());
    }
    void fail(std::uint64_t seed, std::string reason) {
        std::fprintf(stderr, "seed %llu: %s\n  again: ./dev sim --seed %llu\n",
                     static_cast<unsigned long long>(seed), reason.c_str(),
                     static_cast<unsigned long long>(seed));
        failures.push_back({seed, std::move(reason)});
    }
};

/// Deaths at every await of a short history, each in a world of its own: none is counted twice.
void run_deaths(std::uint64_t seed, Plant plant, Tally& tally) {
    Plan plan = plan_one_death(seed);
    const auto script = draw_script(seed, plan.instances);
    World calm(plan, script, plant);
    const Outcome undisturbed = calm.run();
    tally.add(undisturbed);
    if (!undisturbed.failure.empty())
        return tally.fail(seed, "undisturbed: " + undisturbed.failure);
    const Expected expected = calm.undisturbed();
    for (std::uint64_t await = 0; await < undisturbed.awaits; ++await) {
        plan.fatal = await;
        plan.moment = static_cast<Moment>((await + seed) % 4);
        World world(plan, script, plant);
        const Outcome outcome = world.run(&expected);
        tally.add(outcome);
        if (!outcome.failure.empty())
            return tally.fail(seed, fmt::format("killed at await {}, moment {}: {}", await,
                                                static_cast<int>(plan.moment), outcome.failure));
    }
}

/// Everything at once; with `twice`, the second run must be the first one again.
void run_chaos(std::uint64_t seed, Plant plant, bool twice, Tally& tally) {
    const Plan plan = plan_chaos(seed);
    const auto script = draw_script(seed, plan.instances);
    World world(plan, script, plant);
    const Outcome outcome = world.run();
    tally.add(outcome);
    if (!outcome.failure.empty()) return tally.fail(seed, outcome.failure);
    if (!twice) return;
    World again(plan, script, plant);
    if (again.run().trace_hash != outcome.trace_hash)
        tally.fail(seed, "the same seed gave another trace");
}

void print(const Tally& tally, bool json, double seconds) {
    std::fprintf(stderr,
                 "%llu seeds, %llu worlds, %llu processes, %llu transactions committed, "
                 "%llu kill points at %zu kinds of await, %zu failures, %.1f s\n",
                 static_cast<unsigned long long>(tally.seeds),
                 static_cast<unsigned long long>(tally.worlds),
                 static_cast<unsigned long long>(tally.lives),
                 static_cast<unsigned long long>(tally.transactions),
                 static_cast<unsigned long long>(tally.kill_points), tally.killed_at.size(),
                 tally.failures.size(), seconds);
    if (!json) return;
    Array failures;
    for (const Failure& one : tally.failures)
        failures.push_back(
            Object{{"seed", static_cast<std::int64_t>(one.seed)}, {"reason", one.reason}});
    const Object summary{{"seeds", static_cast<std::int64_t>(tally.seeds)},
                         {"killPoints", static_cast<std::int64_t>(tally.kill_points)},
                         {"failures", std::move(failures)}};
    std::printf("%s\n", to_json(Value(summary)).c_str());
}

int run(const Options& options) {
    using Timer = std::chrono::steady_clock; // how long to go on; no world sees it
    const auto began = Timer::now();
    const auto seconds = [&] {
        return std::chrono::duration<double>(Timer::now() - began).count();
    };
    constexpr std::uint64_t failures_max = 10;
    constexpr std::uint64_t twice_of = 8;
    Tally tally;
    if (options.seed) {
        ++tally.seeds;
        run_chaos(*options.seed, options.plant, true, tally);
        run_deaths(*options.seed, options.plant, tally);
    } else {
        for (std::uint64_t seed = options.first_seed; tally.seeds < options.seeds_max; ++seed) {
            const bool enough = options.minutes > 0 ? seconds() >= options.minutes * 60
                                                    : tally.kill_points >= options.kill_points_min;
            if (enough || tally.failures.size() >= failures_max) break;
            ++tally.seeds;
            run_chaos(seed, options.plant, seed % twice_of == 0, tally);
            if (options.plant == Plant::none || seed % twice_of == 0)
                run_deaths(seed, options.plant, tally);
            if (options.plant != Plant::none && !tally.failures.empty()) break;
        }
    }
    print(tally, options.json, seconds());
    if (tally.kill_points < options.kill_points_required) {
        std::fprintf(stderr, "%llu kill points were to be met\n",
                     static_cast<unsigned long long>(options.kill_points_required));
        return 1;
    }
    return tally.failures.empty() == options.must_find ? 1 : 0;
}

constexpr std::string_view usage = R"(usage: netbuild_sim [flags]

  --seed N          that seed alone, its chaos twice (the traces must be equal)
  --minutes M       seeds from --first on for so long; else until 10,000 kill points
  --first N         the first seed; 1
  --seeds N         at most so many seeds
  --kill-points N   until so many kill points
  --at-least N      fails if there were fewer kill points
  --plant NAME      with a planted fault; ends at the seed that finds it
  --must-find       exit 0 if something was found, 1 if not
  --plants          the planted faults' names
  --json            a summary as the last line on stdout
  --verbose         all that happens, and the pipeline's own log
)";

template <class Number>
bool parse(std::string_view text, Number& number) {
    return std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc{};
}

/// nullopt: wrong usage.
std::optional<Options> parse_options(const std::vector<std::string_view>& arguments) {
    Options options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view flag = arguments[i];
        if (flag == "--json") {
            options.json = true;
            continue;
        }
        if (flag == "--verbose") {
            options.verbose = true;
            continue;
        }
        if (flag == "--must-find") {
            options.must_find = true;
            continue;
        }
        if (++i == arguments.size()) return std::nullopt;
        const std::string_view value = arguments[i];
        bool good = true;
        if (flag == "--seed") {
            good = parse(value, options.seed.emplace());
        } else if (flag == "--first") {
            good = parse(value, options.first_seed);
        } else if (flag == "--seeds") {
            good = parse(value, options.seeds_max);
        } else if (flag == "--kill-points") {
            good = parse(value, options.kill_points_min);
        } else if (flag == "--at-least") {
            good = parse(value, options.kill_points_required);
        } else if (flag == "--minutes") {
            good = parse(value, options.minutes);
        } else if (flag == "--plant") {
            const auto plant = find_plant(value);
            if (plant) options.plant = *plant;
            good = plant.has_value();
        } else {
            return std::nullopt;
        }
        if (!good) return std::nullopt;
    }
    return options;
}

} // namespace
} // namespace netbuild::sim

int main(int argc, char** argv) {
    using namespace netbuild;
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    if (arguments.size() == 1 && arguments[0] == "--plants") {
        for (const auto& one : sim::plants())
            std::printf("%s\n", std::string(one.name).c_str());
        return 0;
    }
    const auto options = sim::parse_options(arguments);
    if (!options) {
        std::fputs(std::string(sim::usage).c_str(), stderr);
        return 2;
    }
    constexpr auto silent = static_cast<log::Level>(static_cast<int>(log::Level::error) + 1);
    log::configure(options->verbose ? log::Level::debug : silent, log::Format::text);
    return sim::run(*options);
}
