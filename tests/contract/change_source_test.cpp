// SPDX-License-Identifier: Apache-2.0
#include "change_source_contract.hpp"

#include "recording/recording_source.hpp"
#include "simulator/simulator_source.hpp"

namespace netbuild::test {
namespace {

struct Simulator {
    static constexpr std::size_t transactions_min = 20;
    explicit Simulator(asio::io_context&) {}
    ChangeSource& source() { return source_; }
    void commit() {}
    SystemClock clock_;
    SimulatorSource source_{{.seed = 5, .instances = 10, .start_at_us = 1'700'000'000'000'000},
                            clock_};
};

struct Recording {
    static constexpr std::size_t transactions_min = 50;
    explicit Recording(asio::io_context&) {}
    ChangeSource& source() { return source_; }
    void commit() {}
    RecordingSource source_{{.path = NETBUILD_DEMO_RECORDING}};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Simulator, ChangeSourceContract, Simulator);
INSTANTIATE_TYPED_TEST_SUITE_P(Recording, ChangeSourceContract, Recording);

} // namespace
} // namespace netbuild::test
