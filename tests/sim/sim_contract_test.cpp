// SPDX-License-Identifier: Apache-2.0
// The fakes that the simulation believes in keep the ports' contracts, like every adapter.
#include "contract/change_source_contract.hpp"
#include "contract/document_store_contract.hpp"
#include "contract/event_bus_contract.hpp"
#include "fake_redis.hpp"
#include "fake_source.hpp"
#include "replica_set.hpp"
#include "workload.hpp"

namespace netbuild::test {
namespace {

struct SimulatedEngine {
    static constexpr std::size_t transactions_min = 12;
    explicit SimulatedEngine(asio::io_context& context)
        : engine_(context.get_executor(), "7300"),
          source_(engine_, clock_, Random(1), {.batch_transactions_max = 5}) {}
    ChangeSource& source() { return source_; }
    void commit() {
        const auto& one = script_.at(next_);
        engine_.commit(one.transaction, next_++, 1'700'000'000'000'000);
    }
    SystemClock clock_;
    std::vector<sim::ScriptEntry> script_ = sim::draw_script(5, 4);
    std::size_t next_ = 0;
    sim::FakeEngine engine_;
    sim::FakeSource source_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, ChangeSourceContract, SimulatedEngine);

struct SimulatedReplicaSet {
    explicit SimulatedReplicaSet(asio::io_context& context) : clock_(context) {}
    DocumentStore& store() { return store_; }
    sim::SimulatedClock clock_;
    sim::ReplicaSet store_{clock_, Random(1), {.replication_max = {}}};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, DocumentStoreContract, SimulatedReplicaSet);

struct SimulatedRedis {
    explicit SimulatedRedis(asio::io_context& context) : bus_(context.get_executor(), clock_) {}
    EventBus& bus() { return bus_; }
    void lose_after(Position position) {
        std::size_t newer = 0;
        for (const StreamEventPtr& entry : bus_.entries())
            newer += entry->position > position;
        position.is_zero() ? bus_.lose_all() : bus_.lose_newest(newer);
    }
    /// What the channels had since the last call.
    std::vector<std::string> announced() {
        std::vector<std::string> payloads;
        for (; seen_ < bus_.published().size(); ++seen_)
            payloads.push_back(bus_.published()[seen_]->payload);
        return payloads;
    }
    static std::string channel() { return "process:started"; }
    std::size_t seen_ = 0;
    SystemClock clock_;
    sim::FakeRedis bus_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, EventBusContract, SimulatedRedis);

} // namespace
} // namespace netbuild::test
