// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ports/change_source.hpp"
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"
#include "support/forwarding_ports.hpp"

namespace netbuild::sim {

/// Mistakes that an adapter, a server's settings or an operator could make. The simulation has to
/// find each of them, or its checkers are worth nothing.
enum class Plant : unsigned char {
    none,
    // The source.
    confirms_on_receipt,
    confirms_what_it_resumes_from,
    skips_a_transaction_after_reconnect,
    gives_half_a_transaction_after_reconnect,
    starts_at_the_slots_place_silently,
    notices_no_other_history,
    swaps_transactions,
    keepalive_passes_transactions,
    unchanged_column_as_null,
    snapshot_is_older_than_it_says,
    forgets_deletes_after_the_load,
    // The store.
    writes_documents_before_events,
    writes_documents_before_parts,
    moves_checkpoint_first,
    moves_checkpoint_back,
    acknowledges_before_writing,
    acknowledges_before_majority,
    reads_before_majority,
    writes_without_guard,
    ignores_a_failed_write,
    gets_a_stale_document,
    recomputes_events_on_replay,
    // The bus.
    goes_on_after_a_failure,
    says_all_after_a_failure,
    accepts_ids_twice,
    forgets_to_publish,
    acknowledges_unsent_events,
    appends_past_a_hole,
    // The operator.
    deletes_unpublished_events,
};

struct PlantInfo {
    Plant plant;
    std::string_view name;
};
/// All but `none`.
[[nodiscard]] std::span<const PlantInfo> plants() noexcept;
[[nodiscard]] std::optional<Plant> find_plant(std::string_view name) noexcept;

/// A port with the mistake in it, or as it is.
class PlantedSource final : public ChangeSource {
public:
    PlantedSource(ChangeSource& source, Plant plant) : source_(source), plant_(plant) {}
    awaitable<result<SourceIdentity>> identify() override;
    awaitable<result<Lsn>> end_of_history() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override;
    awaitable<result<ChangeBatch>> next() override;
    void confirm(Position durable) override { source_.confirm(durable); }
    awaitable<void> close() override { return source_.close(); }
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) override;

private:
    void spoil(ChangeBatch& batch);
    ChangeSource& source_;
    Plant plant_;
    std::uint32_t epoch_ = 0;
    bool resumed_ = false;
    bool loaded_ = false;
};

class PlantedStore final : public test::ForwardingStore {
public:
    PlantedStore(DocumentStore& store, Plant plant) : ForwardingStore(store), plant_(plant) {}
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override;
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                 std::vector<std::string> ids) override;
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override;

private:
    awaitable<result<void>> apply_in_order(std::vector<ApplyBatch> parts);
    awaitable<result<void>> apply_unguarded(std::shared_ptr<const ApplyBatch> batch);
    Plant plant_;
    std::shared_ptr<const ApplyBatch> held_;
    std::map<std::pair<std::string, std::string>, ValuePtr> seen_;
};

class PlantedBus final : public test::ForwardingBus {
public:
    PlantedBus(EventBus& bus, Plant plant) : ForwardingBus(bus), plant_(plant) {}
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override;

private:
    Plant plant_;
    std::vector<StreamEventPtr> held_;
};

} // namespace netbuild::sim
