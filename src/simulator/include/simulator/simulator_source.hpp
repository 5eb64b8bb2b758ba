// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "ports/change_source.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// Order processes as Camunda 7.24 with history level `full` writes them, from start to retention:
/// review task (claims, delegation, variables of every type), an external task or a message wait or
/// a failing job, a shipping task with its timer, the end; for the demo, for tests and for load.
/// Everything drawn comes from the seed; transactions, Positions and times are a function of the
/// options and the start time alone.
class SimulatorSource final : public ChangeSource {
public:
    struct Options {
        std::uint64_t seed = 1;
        /// Order processes in all; 0: without end.
        std::uint64_t instances = 1000;
        /// Started in one second of the clock; 0: as fast as they are read (then the commit times
        /// lie in the past, and simulated time runs at 100 a second).
        double instances_per_second = 0;
        /// Domains that own them, each with its deployment.
        unsigned tenants = 4;
        /// The first commit time, µs since 1970 UTC; nullopt: from the clock at the first open().
        /// A simulation that is to resume in another process must get the same one.
        std::optional<std::int64_t> start_at_us;
        std::size_t batch_transactions_max = 256;
        std::size_t batch_bytes_max = 1024 * 1024;
    };

    SimulatorSource(Options options, Clock& clock);
    ~SimulatorSource() override;

    awaitable<result<SourceIdentity>> identify() override;
    awaitable<result<Lsn>> end_of_history() override;
    /// Never has a snapshot: the first transactions are the deployments. With `after`, what came
    /// before is made again and dropped.
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override;
    /// With a rate, waits until the next transaction is due. `end` with the last transaction.
    awaitable<result<ChangeBatch>> next() override;
    void confirm(Position durable) override;
    awaitable<void> close() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) override;

private:
    class Simulation;
    Options options_;
    Clock& clock_;
    std::unique_ptr<Simulation> simulation_;
    SourceStart start_;
    Position confirmed_;
};

} // namespace netbuild
