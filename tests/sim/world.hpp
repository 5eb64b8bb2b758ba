// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkers.hpp"
#include "fault_plan.hpp"
#include "process.hpp"
#include "workload.hpp"

namespace netbuild::sim {

struct Outcome {
    /// What was wrong; empty: nothing.
    std::string failure;
    std::uint64_t trace_hash = 0;
    /// Deaths at an await with an unconfirmed transaction in flight.
    std::uint64_t kill_points = 0;
    /// Of the process that was to die only once: how many awaits it had.
    std::uint64_t awaits = 0;
    /// What the deaths interrupted.
    std::set<std::string> killed_at;
    std::uint64_t transactions = 0;
    std::uint64_t lives = 0;
};

/// A simulated plant: Camunda's database, the stores, and one process of ours after the other. Two
/// phases: faults while nothing may go wrong for good (safety), then peace, in which everything has
/// to come right within a bounded time (liveness). Everything follows from the plan.
class World {
public:
    World(const Plan& plan, const std::vector<ScriptEntry>& script, Plant plant);
    ~World();
    /// `calm`: what an undisturbed run of the whole script makes, if the caller knows it.
    [[nodiscard]] Outcome run(const Expected* calm = nullptr);
    /// What an undisturbed run makes of the history that there was.
    [[nodiscard]] Expected undisturbed() const;

private:
    struct Epoch {
        std::uint32_t number;
        Lsn after;
        std::size_t branch;
        Lsn loaded_again{};
    };
    void schedule_commits();
    void commit_next();
    void schedule_faults();
    void inflict(const Fault& fault);
    void lose_tail(const Fault& fault);
    void begin_life(bool immortal);
    void end_life();
    void begin_branch(std::size_t of_engine);
    void follow(std::size_t engine);
    [[nodiscard]] bool reloaded() const;
    void note_durable(const ApplyBatch& batch);
    void note_confirmed(Lsn confirmed);
    void note_resumed(Position position);
    void fail(std::string reason);
    [[nodiscard]] bool converged();
    void live_until_peace();
    void delete_unpublished_events();
    void converge();
    void check(const Expected* calm);
    [[nodiscard]] std::int64_t commit_time();
    [[nodiscard]] std::optional<Checkpoint> durable_checkpoint();
    [[nodiscard]] FakeEngine& engine() { return *engines_[followed_]; }

    const Plan plan_;
    const std::vector<ScriptEntry>& script_;
    const Plant plant_;
    asio::io_context checker_context_;
    asio::io_context context_;
    SimulatedClock clock_;
    Trace trace_;
    Random random_;
    Random commit_random_; // of its own: commits are the same whoever dies
    /// Camunda's database, and one that is followed by mistake.
    std::vector<std::unique_ptr<FakeEngine>> engines_;
    std::size_t followed_ = 0;
    ReplicaSet store_;
    FakeRedis bus_;
    std::unique_ptr<Process> process_;
    std::deque<std::size_t> to_commit_;
    std::set<std::size_t> dropped_orders_;
    std::int64_t last_commit_us_ = 0;
    bool peace_ = false;
    bool wrong_engine_next_ = false;
    std::uint64_t systems_ = 1;
    /// Histories that were followed, the present one last; saved where they end.
    std::vector<std::vector<Committed>> branches_{{}};
    std::vector<SourceIdentity> branch_identities_{{}};
    std::vector<Epoch> epochs_;
    std::vector<Position> durable_events_;
    Position newest_checkpoint_;
    Outcome outcome_;
};

} // namespace netbuild::sim
