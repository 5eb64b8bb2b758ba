// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"
#include "sync/progress.hpp"
#include "verification.hpp"

namespace netbuild::app {

struct StatusPorts {
    const Configuration& configuration;
    std::string engine;
    DocumentStore& store;
    EventBus& bus;
    asio::any_io_executor executor;
    Clock& clock;
    /// Null in a process that does not capture.
    const sync::Progress* progress;
};
/// `netbuild status`: asks the servers; one that is away is said so.
awaitable<Value> query_status(StatusPorts ports);
/// GET /v1/sync: what the capturing process knows without asking anyone.
[[nodiscard]] Value cached_status(const sync::Progress& progress,
                                  const Configuration& configuration, const Clock& clock,
                                  bool capturing, const std::optional<VerifyOutcome>& verified);
/// Why this process is not ready; empty if it is.
awaitable<std::vector<std::string>> unready_reasons(DocumentStore& store, EventBus& bus,
                                                    const sync::Progress& progress, bool capturing);

/// Prometheus' text exposition of the progress.
class Metrics {
public:
    Metrics(const sync::Progress& progress, const Clock& clock,
            const std::optional<VerifyOutcome>& verified)
        : progress_(progress), clock_(clock), verified_(verified) {}
    [[nodiscard]] std::string text() const;

private:
    const sync::Progress& progress_;
    const Clock& clock_;
    const std::optional<VerifyOutcome>& verified_;
};

} // namespace netbuild::app
