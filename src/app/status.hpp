// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "health.hpp"
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"
#include "postgres/slot_watch.hpp"
#include "sync/progress.hpp"
#include "sync/record_capture.hpp"
#include "telemetry/rate_window.hpp"
#include "verification.hpp"

namespace netbuild::app {

class Realtime;

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
/// How fast events and documents were made in the last minute.
struct ProgressRates {
    RateWindow events, documents, transactions;
    /// Reads the counters every second, until cancelled.
    awaitable<result<void>> follow(const sync::Progress& progress, Clock& clock);
};
/// What a process knows of its capture.
struct StatusSources {
    const sync::Progress& progress;
    const Configuration& configuration;
    const std::string& engine;
    const Clock& clock;
    const std::optional<VerifyOutcome>& verified;
    const ProgressRates& rates;
    /// Null without a slot.
    const postgres::SlotWatch* slot;
    const sync::RecordProgress& records;
    /// Null without role realtime.
    Realtime* realtime = nullptr;
};
/// `netbuild status`: asks the servers; one that is away is said so.
awaitable<Value> query_status(StatusPorts ports);
/// GET /v1/sync: what the capturing process knows without asking anyone.
[[nodiscard]] Value cached_status(const StatusSources& sources, bool capturing);
/// Why this process is not ready; empty if it is.
[[nodiscard]] std::vector<std::string> unready_reasons(const Health& store, const Health& bus,
                                                       const sync::Progress& progress,
                                                       bool capturing);

/// Prometheus' text exposition of the progress.
class Metrics {
public:
    explicit Metrics(const StatusSources& sources) : sources_(sources) {}
    [[nodiscard]] std::string text() const;

private:
    const StatusSources& sources_;
};

} // namespace netbuild::app
