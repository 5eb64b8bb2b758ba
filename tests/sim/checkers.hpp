// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fake_engine.hpp"
#include "fake_redis.hpp"
#include "memory/memory_store.hpp"
#include "sync/options.hpp"

namespace netbuild::sim {

// The checkers know nothing of the workload or the faults: each gets what is there and what should
// be, and says the first thing that is wrong; empty: nothing is.

struct EventText {
    Position position;
    std::string type;
    std::string payload;
    friend bool operator==(const EventText&, const EventText&) = default;
};

/// What an undisturbed run makes of a history.
struct Expected {
    std::string content_hash;
    /// "collection/id" → canonical JSON without `sync`.
    std::map<std::string, std::string> documents;
    /// In order, of epoch 0.
    std::vector<EventText> events;
};
/// Runs the pipeline over `history` from its first transaction, with nothing in its way.
[[nodiscard]] Expected run_undisturbed(std::vector<Committed> history, SourceIdentity identity,
                                       const sync::ProjectionOptions& projection);

[[nodiscard]] std::map<std::string, std::string> documents_of(DocumentStore& store);
[[nodiscard]] std::string content_hash_of(DocumentStore& store);
/// The durable ones, oldest first.
[[nodiscard]] std::vector<EventText> events_of(DocumentStore& store);

/// The read model is what the history makes of it. With `reloaded`, documents of process instances
/// whose history the engine had deleted may be missing, or be left of a history that was lost.
[[nodiscard]] std::string check_documents(const Expected& expected, DocumentStore& store,
                                          bool reloaded);
/// The read model against the engine's tables, by rules that were written down apart from the
/// projection: instances and their states, open tasks, plain variables.
[[nodiscard]] std::string check_naively(const Tables& tables, DocumentStore& store);
/// `netbuild verify` agrees.
[[nodiscard]] std::string check_verify(const FakeEngine& engine, std::uint32_t epoch,
                                       DocumentStore& store,
                                       const sync::ProjectionOptions& projection);

/// A stretch of the event history: what an epoch, loaded at `after`, has seen of a history.
struct EpochEvents {
    std::uint32_t epoch = 0;
    Lsn after{};
    /// Its load was cut and went on from a snapshot taken here: of transactions up to it, events
    /// of instances that were not loaded yet are missing, as those before `after` are.
    Lsn loaded_again{};
    /// Of the history that it followed.
    const std::vector<EventText>* expected = nullptr;
    /// It ended before it had seen all: a beginning is enough, but one without holes.
    bool ended_early = false;
};
/// No event lost, none twice, none that never was.
[[nodiscard]] std::string check_events(const std::vector<EventText>& stored,
                                       const std::vector<EpochEvents>& epochs);
/// The stream holds the durable events, in order, and its channels said each of them.
[[nodiscard]] std::string check_stream(const std::vector<EventText>& stored, const FakeRedis& bus);

} // namespace netbuild::sim
