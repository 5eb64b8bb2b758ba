// SPDX-License-Identifier: Apache-2.0
#include "event_bus_contract.hpp"

#include "memory/memory_bus.hpp"

namespace netbuild::test {
namespace {

struct Memory {
    explicit Memory(asio::io_context& context)
        : bus_(context.get_executor(), clock_, {.announce = [this](const StreamEvent& event) {
                   announced_.push_back(event.payload);
               }}) {}
    EventBus& bus() { return bus_; }
    void lose_after(Position position) { bus_.lose_after(position); }
    /// What the channels had since the last call.
    std::vector<std::string> announced() { return std::exchange(announced_, {}); }
    static std::string channel() { return "process:started"; }
    SystemClock clock_;
    std::vector<std::string> announced_;
    MemoryBus bus_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, EventBusContract, Memory);

} // namespace
} // namespace netbuild::test
