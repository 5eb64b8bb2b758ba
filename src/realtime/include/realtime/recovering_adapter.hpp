// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstddef>
#include <memory>

#include "realtime/adapter.hpp"
#include "runtime/clock.hpp"

namespace netbuild::realtime {

/// A cluster of one node with connection state recovery: it keeps the newest events and the
/// sessions of those who left, within all of these limits.
struct RecoveryOptions {
    std::chrono::milliseconds disconnection_max{120'000};
    std::size_t events_max = 100'000;
    std::size_t event_bytes_max = 64 * 1024 * 1024;
    std::size_t sessions_max = 100'000;
};
[[nodiscard]] std::unique_ptr<Adapter> recovering_adapter(LocalNamespace& local, Clock& clock,
                                                          RecoveryOptions options);

} // namespace netbuild::realtime
