// SPDX-License-Identifier: Apache-2.0
#include "event_bus_contract.hpp"

#include "memory/memory_bus.hpp"

namespace netbuild::test {
namespace {

struct Memory {
    explicit Memory(asio::io_context& context) : bus_(context.get_executor(), clock_, {}) {}
    EventBus& bus() { return bus_; }
    SystemClock clock_;
    MemoryBus bus_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, EventBusContract, Memory);

} // namespace
} // namespace netbuild::test
