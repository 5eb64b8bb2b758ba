// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "fake_redis.hpp"
#include "fake_source.hpp"
#include "life.hpp"
#include "mortal_ports.hpp"
#include "planted_faults.hpp"
#include "replica_set.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::sim {

/// The servers that a process talks to.
struct Servers {
    asio::io_context& context;
    SimulatedClock& clock;
    FakeEngine& engine;
    ReplicaSet& store;
    FakeRedis& bus;
};

/// One process of `netbuild serve`: the real pipeline over ports that may end it, and a caller who
/// reads what was just committed.
class Process {
public:
    struct Options {
        Life::Options life;
        FakeSource::Options source;
        sync::PipelineOptions pipeline;
        Plant plant = Plant::none;
        /// That the freshness of reads is watched.
        bool reader = true;
    };
    Process(Servers servers, Trace& trace, Random random, Options options);

    void start();
    /// Both coroutines have ended.
    [[nodiscard]] bool ended() const { return outcome_.has_value() && !reading_; }
    /// Why it stopped without being killed; nullopt: it was killed, or runs.
    [[nodiscard]] std::optional<std::string> stopped() const;
    /// An answer that lied about its freshness; empty: none did.
    [[nodiscard]] const std::string& lie() const { return lie_; }

    [[nodiscard]] Life& life() { return life_; }
    [[nodiscard]] FakeSource& source() { return source_; }
    [[nodiscard]] const sync::Progress& progress() const { return progress_; }

private:
    awaitable<result<void>> read_own_writes();
    awaitable<result<void>> read_once();

    Servers servers_;
    Options options_;
    Random random_;
    Life life_;
    FakeSource source_;
    MortalSource mortal_source_;
    MortalStore mortal_store_;
    MortalBus mortal_bus_;
    PlantedSource planted_source_;
    PlantedStore planted_store_;
    PlantedBus planted_bus_;
    sync::Progress progress_;
    sync::Pipeline pipeline_;
    std::optional<result<void>> outcome_;
    bool reading_ = false;
    std::string lie_;
};

} // namespace netbuild::sim
