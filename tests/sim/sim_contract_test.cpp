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
    SystemClock clock_;
    sim::FakeRedis bus_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, EventBusContract, SimulatedRedis);

} // namespace
} // namespace netbuild::test
