// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <functional>

#include "memory/memory_store.hpp"
#include "runtime/random.hpp"
#include "simulated_clock.hpp"

namespace netbuild::sim {

/// A MongoDB replica set: the primary has a write at once, the majority a moment later, and a
/// failover loses what only the primary had. Nothing that was acknowledged is ever lost.
class ReplicaSet final : public DocumentStore {
public:
    struct Options {
        Clock::duration replication_max = std::chrono::milliseconds(3);
    };
    ReplicaSet(SimulatedClock& clock, Random random, Options options)
        : clock_(clock), random_(random), options_(options) {}

    /// The primary dies; a secondary that has what the majority has takes its place.
    void fail_over();
    void set_replication_max(Clock::duration time) { options_.replication_max = time; }
    /// What the majority has: durable whatever happens.
    MemoryStore& durable() { return majority_; }

    awaitable<result<void>> prepare(std::span<const CollectionSpec> specs) override;
    awaitable<result<void>> ping() override;
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override;
    awaitable<result<std::optional<Checkpoint>>> checkpoint(std::string engine) override;
    awaitable<result<std::uint64_t>> claim(std::string engine) override;
    awaitable<result<void>> erase_checkpoint(std::string engine) override;
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                 std::vector<std::string> ids) override;
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override;
    awaitable<result<std::vector<std::vector<ValuePtr>>>>
    find_together(std::vector<Query> queries) override;
    awaitable<result<std::uint64_t>> count(std::string_view collection, Filter filter) override;
    awaitable<result<std::uint64_t>> erase(std::string_view collection, Filter filter) override;

    // Planted faults that only the server can have.
    bool acknowledges_unreplicated = false;
    bool reads_unreplicated = false;
    /// Called with each batch that reaches the majority.
    std::function<void(const ApplyBatch&)> on_durable;

private:
    struct Pending {
        Clock::duration due;
        std::shared_ptr<const ApplyBatch> batch;
    };
    /// What the oplog has carried to the majority by now.
    awaitable<void> settle();
    awaitable<void> settle_all();
    awaitable<MemoryStore*> read();

    SimulatedClock& clock_;
    Random random_;
    Options options_;
    MemoryStore primary_, majority_;
    std::deque<Pending> pending_;
    std::uint64_t term_ = 1;
};

} // namespace netbuild::sim
