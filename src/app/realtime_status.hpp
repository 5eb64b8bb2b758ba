// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "model/value.hpp"
#include "realtime.hpp"

namespace netbuild::app {

/// Member `realtime` of GET /v1/sync.
[[nodiscard]] Object realtime_object(Realtime& realtime);
/// Its metrics, in Prometheus' text exposition.
[[nodiscard]] std::string realtime_metrics(Realtime& realtime);

} // namespace netbuild::app
