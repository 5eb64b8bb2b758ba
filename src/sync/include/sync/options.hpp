// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>

#include "runtime/clock.hpp"
#include "runtime/time_zone.hpp"

namespace netbuild::sync {

/// What happens to a document when Camunda's history clean-up removes its instance.
enum class Retention { keep, follow };

struct ProjectionOptions {
    /// Of the engine's JVM: Camunda's timestamps have no zone.
    TimeZone time_zone = TimeZone::utc();
    /// domainId where the engine has no tenant; empty: null.
    std::string default_domain;
    /// Open tasks that lie inside an execution's document; the rest is in `tasks` only.
    std::size_t active_tasks_max = 1000;
    /// Object, Bytes and File values up to this size are stored with their bytes.
    std::size_t bytes_inline_max = 64 * 1024;
    /// Json and String values of a document together; larger ones are left out and marked, biggest
    /// first, so that a document never passes MongoDB's 16 MB.
    std::size_t document_bytes_max = 15 * 1024 * 1024;
    Retention retention = Retention::keep;
};

/// What happens to a transaction that cannot be projected, after `poison_attempts_max` tries. It is
/// kept as a dead letter in both cases.
enum class Poison {
    /// Capture ends with an error; nothing past it is confirmed.
    stop,
    /// Capture goes on without it.
    skip,
};

struct PipelineOptions {
    std::string engine = "engine";
    std::string slot = "netbuild";
    ProjectionOptions projection;
    /// A batch is handed to the store when it is idle, and at these sizes at the latest.
    std::size_t batch_documents_max = 4000;
    std::size_t batch_bytes_max = 16 * 1024 * 1024;
    /// Row changes that are projected before the event loop gets a turn.
    std::size_t turn_rows = 100;
    /// Events in one call to the bus.
    std::size_t publish_events_max = 1000;
    /// Documents kept in memory between transactions.
    std::size_t cache_documents_max = 20'000;
    std::size_t cache_bytes_max = 24 * 1024 * 1024;
    /// A transaction that comes in parts is projected in pieces of this size, by rows and by the
    /// documents that they touch; more only where one process instance has more.
    std::size_t piece_bytes_max = 4 * 1024 * 1024;
    std::size_t piece_documents_max = 512;
    Poison poison = Poison::stop;
    unsigned poison_attempts_max = 3;
    /// Between looks for dead letters that are to be tried again, while there are any.
    Clock::duration letters_interval = std::chrono::seconds(2);
    /// An idle stream's position is written at most this often.
    Clock::duration idle_checkpoint_interval = std::chrono::seconds(1);
    /// An idle stream is looked at this often, whether it still has what we put in.
    Clock::duration bus_check_interval = std::chrono::seconds(1);
    /// Between tries of the store, the bus or the source.
    Clock::duration retry_first = std::chrono::milliseconds(100);
    Clock::duration retry_max = std::chrono::seconds(5);
    /// Rows that a load reads from the engine's database in a second, at most; 0: no limit.
    std::uint64_t load_rows_per_second = 0;
    /// Between looks whether the stream has become free.
    Clock::duration standby_interval = std::chrono::seconds(1);
};

} // namespace netbuild::sync
