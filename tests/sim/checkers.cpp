// SPDX-License-Identifier: Apache-2.0
#include "checkers.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/collections.hpp"
#include "ports/stored_events.hpp"
#include "process.hpp"
#include "run.hpp"
#include "sync/content_hash.hpp"
#include "sync/verify.hpp"
#include "wire/json.hpp"

namespace netbuild::sim {
namespace {

constexpr std::size_t all_documents = 1'000'000;

std::vector<ValuePtr> all_of(DocumentStore& store, std::string_view collection) {
    asio::io_context context;
    Query query;
    query.collection = collection;
    query.limit = all_documents;
    if (collection == collections::events) query.sort = {{"lsn", false}, {"ordinal", false}};
    return must(context, store.find(query));
}

EventText text_of(const StreamEvent& event) { return {event.position, event.type, event.payload}; }

std::string shortened(std::string_view text) {
    constexpr std::size_t most = 300;
    return std::string(text.substr(0, most));
}

/// Both from a little before where they differ.
std::string difference(std::string_view expected, std::string_view found) {
    constexpr std::size_t before = 60;
    const auto end =
        expected.begin() + static_cast<std::ptrdiff_t>(std::min(expected.size(), found.size()));
    const auto same = static_cast<std::size_t>(
        std::mismatch(expected.begin(), end, found.begin()).first - expected.begin());
    const std::size_t from = same - std::min(same, before);
    return fmt::format("expected …{} found …{}", shortened(expected.substr(from)),
                       shortened(found.substr(from)));
}

/// The instance that a document belongs to, by its key in `documents`.
std::string instance_of(const std::string& key, const std::string& json) {
    const auto document = parse_json(json);
    const Value* instance = document ? document->at_path("processInstanceId") : nullptr;
    if (instance && !instance->string_or().empty()) return std::string(instance->string_or());
    return key.substr(key.find('/') + 1);
}

bool retained(const std::map<std::string, std::string>& documents, const std::string& key,
              const std::string& json) {
    const auto owner = documents.find(
        fmt::format("{}/{}", collections::workflow_executions, instance_of(key, json)));
    return owner != documents.end() && owner->second.find("\"retainedAt\"") != std::string::npos;
}

/// The same event at an epoch's Position, which its payload repeats.
EventText at_epoch(const EventText& event, std::uint32_t epoch) {
    EventText moved = event;
    moved.position = Position::at(epoch, event.position.lsn(), event.position.ordinal);
    const std::string before = to_string(event.position);
    const auto place = moved.payload.find(before);
    if (place != std::string::npos)
        moved.payload.replace(place, before.size(), to_string(moved.position));
    return moved;
}

/// The same event at another place among those of its transaction.
bool same_but_for_ordinal(const EventText& left, const EventText& right) {
    const auto without_position = [](const EventText& event) {
        std::string payload = event.payload;
        const std::string position = to_string(event.position);
        if (const auto place = payload.find(position); place != std::string::npos)
            payload.erase(place, position.size());
        return payload;
    };
    return left.position.number == right.position.number && left.type == right.type &&
           without_position(left) == without_position(right);
}

} // namespace

Expected run_undisturbed(std::vector<Committed> history, SourceIdentity identity,
                         const sync::ProjectionOptions& projection) {
    asio::io_context context;
    SimulatedClock clock(context);
    Trace trace;
    FakeEngine engine(context.get_executor(), identity.system_identifier);
    engine.adopt(std::move(history), identity);
    ReplicaSet store(clock, Random(1), {.replication_max = {}});
    FakeRedis bus(context.get_executor(), clock);
    Process::Options options;
    options.life.latency_max = {};
    options.pipeline.projection = projection;
    options.reader = false;
    // It resumes after nothing: everything is streamed.
    auto beginning = std::make_shared<ApplyBatch>();
    beginning->checkpoint.emplace();
    beginning->checkpoint->source = identity;
    must(context, store.apply(beginning));
    Process process({context, clock, engine, store, bus}, trace, Random(1), options);
    process.start();
    const Lsn end = engine.last_commit();
    const bool arrived = clock.run_until(
        [&] { return process.ended() || process.progress().published.lsn() >= end; },
        std::chrono::minutes(10));
    process.life().die();
    (void)clock.run_until([&] { return process.ended(); }, std::chrono::minutes(10));
    if (!arrived) throw std::runtime_error("the undisturbed run did not arrive");
    Expected expected;
    expected.content_hash = content_hash_of(store.durable());
    expected.documents = documents_of(store.durable());
    for (const StreamEventPtr& event : bus.entries())
        expected.events.push_back(text_of(*event));
    return expected;
}

std::map<std::string, std::string> documents_of(DocumentStore& store) {
    std::map<std::string, std::string> documents;
    for (const std::string_view collection : collections::projected) {
        for (const ValuePtr& document : all_of(store, collection)) {
            documents.emplace(
                fmt::format("{}/{}", collection, document->at_path("_id")->string_or()),
                to_json(sync::without_sync(*document), JsonStyle::canonical));
        }
    }
    return documents;
}

std::string content_hash_of(DocumentStore& store) {
    asio::io_context context;
    return must(context, sync::content_hash(store)).sha256;
}

std::vector<EventText> events_of(DocumentStore& store) {
    std::vector<EventText> events;
    for (const ValuePtr& document : all_of(store, collections::events)) {
        for (const StreamEventPtr& event : stream_events(*document))
            events.push_back(text_of(*event));
    }
    return events;
}

std::string check_documents(const Expected& expected, DocumentStore& store, bool reloaded) {
    if (content_hash_of(store) == expected.content_hash) return {};
    const auto found = documents_of(store);
    for (const auto& [key, json] : expected.documents) {
        const auto other = found.find(key);
        if (other == found.end()) {
            if (reloaded && retained(expected.documents, key, json)) continue;
            return fmt::format("document {} is missing", key);
        }
        if (other->second != json)
            return fmt::format("document {} differs: {}", key, difference(json, other->second));
    }
    for (const auto& [key, json] : found) {
        if (expected.documents.contains(key) || (reloaded && retained(found, key, json))) continue;
        return fmt::format("document {} should not be there", key);
    }
    return reloaded ? std::string() : "the content hash differs";
}

std::string check_verify(const FakeEngine& engine, std::uint32_t epoch, DocumentStore& store,
                         const sync::ProjectionOptions& projection) {
    asio::io_context context;
    constexpr std::size_t chunk_instances = 3;
    const Position position = Position::at(epoch, engine.wal_end());
    sync::VerifyPorts ports{
        .snapshot = [&]() -> awaitable<result<std::unique_ptr<EngineSnapshot>>> {
            co_return std::make_unique<FakeSnapshot>(engine.tables(), position, chunk_instances,
                                                     [] { return true; });
        },
        .wait_applied = [](Position) -> awaitable<result<void>> { co_return result<void>{}; },
        .store = store,
        .on_progress = [](const sync::VerifyReport&) {}};
    const auto report = must(context, sync::verify(std::move(ports), projection));
    if (report.difference_count == 0) return {};
    const auto& one = report.differences.front();
    return fmt::format("verify: {}/{} {}: the engine has {} the model {}", one.collection, one.id,
                       one.field, shortened(one.expected), shortened(one.found));
}

std::string check_events(const std::vector<EventText>& stored,
                         const std::vector<EpochEvents>& epochs) {
    std::size_t next = 0;
    for (const EpochEvents& epoch : epochs) {
        // An epoch after the first begins by saying which events nobody will ever see.
        const Position begin = Position::at(epoch.epoch, Lsn{0});
        if (epoch.epoch > 0 && next < stored.size() && stored[next].position == begin) {
            if (stored[next].type != "gap")
                return fmt::format("epoch {} begins with {}", epoch.epoch, stored[next].type);
            ++next;
        }
        for (const EventText& wanted : *epoch.expected) {
            if (wanted.position.lsn() <= epoch.after) continue;
            const bool there = next < stored.size() && stored[next].position.epoch() == epoch.epoch;
            if (!there && epoch.ended_early) break;
            const EventText moved = at_epoch(wanted, epoch.epoch);
            // While a load that was cut goes on, an instance that it has not come to says nothing,
            // and the others of the transaction count their events without it.
            if (wanted.position.lsn() <= epoch.loaded_again) {
                next += there && same_but_for_ordinal(stored[next], moved);
                continue;
            }
            if (!there)
                return fmt::format("event {} {} is lost", to_string(moved.position), moved.type);
            if (stored[next] != moved)
                return fmt::format("event {} {} stands where {} {} should be: {} for {}",
                                   to_string(stored[next].position), stored[next].type,
                                   to_string(moved.position), moved.type,
                                   shortened(stored[next].payload), shortened(moved.payload));
            ++next;
        }
    }
    if (next < stored.size())
        return fmt::format("event {} {} is one too many", to_string(stored[next].position),
                           stored[next].type);
    return {};
}

std::string check_stream(const std::vector<EventText>& stored, const FakeRedis& bus) {
    const auto differs = [&](const auto& entries, std::string_view where) -> std::string {
        for (std::size_t i = 0; i < std::max(entries.size(), stored.size()); ++i) {
            if (i >= entries.size())
                return fmt::format("event {} is not {}", to_string(stored[i].position), where);
            if (i >= stored.size() || text_of(*entries[i]) != stored[i])
                return fmt::format("event {} is {}, {} is stored there",
                                   to_string(entries[i]->position), where,
                                   i < stored.size() ? to_string(stored[i].position) : "nothing");
        }
        return {};
    };
    if (auto wrong = differs(bus.entries(), "in the stream"); !wrong.empty()) return wrong;
    // A channel has an event at most once, in order, and nothing that is not stored.
    std::size_t at = 0;
    for (const StreamEventPtr& said : bus.published()) {
        while (at < stored.size() && stored[at] != text_of(*said))
            ++at;
        if (at++ == stored.size())
            return fmt::format("event {} is published twice, out of its order, or not stored",
                               to_string(said->position));
    }
    return {};
}

} // namespace netbuild::sim
