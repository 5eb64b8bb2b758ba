// SPDX-License-Identifier: Apache-2.0
#include "cluster_keys_contract.hpp"

#include "realtime/fake_bus.hpp"
#include "sim/simulated_clock.hpp"

namespace netbuild::test {
namespace {

struct Fake {
    explicit Fake(asio::io_context& context)
        : clock_(context), bus_(context.get_executor(), &clock_) {}
    ClusterBus& bus() { return bus_; }
    void pass(Clock::duration time) {
        bool passed = false;
        clock_.after(time, [&] { passed = true; });
        clock_.run_until([&] { return passed; }, time);
    }
    sim::SimulatedClock clock_;
    FakeBus bus_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, ClusterKeysContract, Fake);

} // namespace
} // namespace netbuild::test
