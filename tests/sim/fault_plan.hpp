// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "life.hpp"
#include "runtime/clock.hpp"
#include "sync/options.hpp"

namespace netbuild::sim {

/// Something that happens to a server, to the clock, or to the process as a whole.
struct Fault {
    enum class Kind : unsigned char {
        connection_lost,
        slot_dropped,
        slot_recreated,
        failover_loses_tail,
        restored_elsewhere,
        wrong_engine_followed,
        store_failover,
        store_slow,
        bus_loses_all,
        bus_loses_newest,
        bus_out_of_memory,
        history_cleaned_up,
        wall_clock_jumps,
        process_killed,
        count_,
    };
    Kind kind{};
    Clock::duration at{};
    /// What else the fault needs to know.
    std::uint64_t draw = 0;
};

/// Everything about a world that is drawn.
struct Plan {
    std::uint64_t seed = 0;
    std::uint64_t instances = 3;
    /// Committed before the first process starts: the first load finds them.
    std::size_t committed_before = 0;
    Clock::duration commit_gap_max = std::chrono::milliseconds(20);
    double shared_time = 0.2;
    sync::PipelineOptions pipeline;
    /// One death, in the first life; or deaths again and again until peace.
    std::optional<std::uint64_t> fatal;
    Moment moment = Moment::before;
    bool dies_again = false;
    double trouble = 0;
    double break_probability = 0;
    std::size_t batch_transactions_max = 7;
    std::vector<Fault> faults;
};

/// A short history and one death: to be run for every await.
[[nodiscard]] Plan plan_one_death(std::uint64_t seed);
/// A world in which everything goes wrong that the seed thinks of.
[[nodiscard]] Plan plan_chaos(std::uint64_t seed);

} // namespace netbuild::sim
