// SPDX-License-Identifier: Apache-2.0
#include "planted_faults.hpp"

#include <algorithm>

#include "model/collections.hpp"

namespace netbuild::sim {
namespace {

#define NETBUILD_PLANT(name)                                                                       \
    PlantInfo { Plant::name, #name }
constexpr PlantInfo all_plants[] = {
    NETBUILD_PLANT(confirms_on_receipt),
    NETBUILD_PLANT(confirms_what_it_resumes_from),
    NETBUILD_PLANT(skips_a_transaction_after_reconnect),
    NETBUILD_PLANT(gives_half_a_transaction_after_reconnect),
    NETBUILD_PLANT(starts_at_the_slots_place_silently),
    NETBUILD_PLANT(notices_no_other_history),
    NETBUILD_PLANT(swaps_transactions),
    NETBUILD_PLANT(keepalive_passes_transactions),
    NETBUILD_PLANT(unchanged_column_as_null),
    NETBUILD_PLANT(snapshot_is_older_than_it_says),
    NETBUILD_PLANT(forgets_deletes_after_the_load),
    NETBUILD_PLANT(writes_documents_before_events),
    NETBUILD_PLANT(writes_documents_before_parts),
    NETBUILD_PLANT(moves_checkpoint_first),
    NETBUILD_PLANT(moves_checkpoint_back),
    NETBUILD_PLANT(acknowledges_before_writing),
    NETBUILD_PLANT(acknowledges_before_majority),
    NETBUILD_PLANT(reads_before_majority),
    NETBUILD_PLANT(writes_without_guard),
    NETBUILD_PLANT(ignores_a_failed_write),
    NETBUILD_PLANT(gets_a_stale_document),
    NETBUILD_PLANT(recomputes_events_on_replay),
    NETBUILD_PLANT(goes_on_after_a_failure),
    NETBUILD_PLANT(says_all_after_a_failure),
    NETBUILD_PLANT(accepts_ids_twice),
    NETBUILD_PLANT(forgets_to_publish),
    NETBUILD_PLANT(acknowledges_unsent_events),
    NETBUILD_PLANT(appends_past_a_hole),
    NETBUILD_PLANT(deletes_unpublished_events),
};
#undef NETBUILD_PLANT

/// The first `rows` rows.
Transaction part_of(const Transaction& transaction, std::size_t rows) {
    Transaction part;
    part.position = transaction.position;
    part.committed_at_us = transaction.committed_at_us;
    part.xid = transaction.xid;
    for (std::size_t i = 0; i < rows; ++i) {
        const Row row = transaction.row(i);
        part.add(row.table, row.operation, row.cells);
    }
    return part;
}

Transaction without_unchanged(const Transaction& transaction) {
    Transaction copy = part_of(transaction, 0);
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        std::vector<Cell> cells(row.cells.begin(), row.cells.end());
        for (Cell& cell : cells) {
            if (cell.kind == Cell::Kind::unchanged) cell.kind = Cell::Kind::null;
        }
        copy.add(row.table, row.operation, cells);
    }
    return copy;
}

bool deletes_an_instance(const Transaction& transaction) {
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        if (row.table == camunda::Table::hi_procinst && row.operation == RowOperation::erase)
            return true;
    }
    return false;
}

/// Says that it holds what committed a little after it was taken.
class LateSnapshot final : public EngineSnapshot {
public:
    explicit LateSnapshot(std::unique_ptr<EngineSnapshot> snapshot)
        : snapshot_(std::move(snapshot)) {}
    [[nodiscard]] Position position() const override {
        constexpr std::uint64_t bytes = 20'000;
        return {snapshot_->position().number + bytes, 0};
    }
    [[nodiscard]] std::uint64_t instances_estimate() const override {
        return snapshot_->instances_estimate();
    }
    void start_after(std::string id) override { snapshot_->start_after(std::move(id)); }
    awaitable<result<std::optional<EngineChunk>>> next() override { return snapshot_->next(); }
    awaitable<result<Transaction>> read(InstanceSelection selection) override {
        return snapshot_->read(std::move(selection));
    }

private:
    std::unique_ptr<EngineSnapshot> snapshot_;
};

} // namespace

std::span<const PlantInfo> plants() noexcept { return all_plants; }

std::optional<Plant> find_plant(std::string_view name) noexcept {
    for (const PlantInfo& one : all_plants) {
        if (one.name == name) return one.plant;
    }
    return std::nullopt;
}

awaitable<result<SourceIdentity>> PlantedSource::identify() {
    auto identity = co_await source_.identify();
    if (identity && plant_ == Plant::notices_no_other_history)
        co_return SourceIdentity{"wal", "unknown", 1};
    co_return identity;
}

awaitable<result<Lsn>> PlantedSource::end_of_history() {
    auto end = co_await source_.end_of_history();
    if (end && plant_ == Plant::notices_no_other_history) co_return Lsn{Position::lsn_mask};
    co_return end;
}

awaitable<result<std::unique_ptr<EngineSnapshot>>> PlantedSource::open(SourceStart start) {
    epoch_ = start.epoch;
    loaded_ = !start.after;
    auto opened = co_await source_.open(start);
    if (!opened && start.after && opened.error().code() == ErrorCode::not_found &&
        plant_ == Plant::starts_at_the_slots_place_silently) {
        CO_TRY(const Lsn end, co_await source_.end_of_history());
        start.after = Position::at(epoch_, end);
        opened = co_await source_.open(start);
    }
    if (!opened) co_return opened;
    resumed_ = start.after.has_value();
    if (start.after && plant_ == Plant::confirms_what_it_resumes_from)
        source_.confirm(*start.after);
    if (*opened && plant_ == Plant::snapshot_is_older_than_it_says)
        co_return std::make_unique<LateSnapshot>(std::move(*opened));
    co_return opened;
}

awaitable<result<std::unique_ptr<EngineSnapshot>>> PlantedSource::snapshot(SnapshotTaken taken) {
    return source_.snapshot(std::move(taken));
}

awaitable<result<ChangeBatch>> PlantedSource::next() {
    CO_TRY(ChangeBatch batch, co_await source_.next());
    if (plant_ == Plant::keepalive_passes_transactions) {
        CO_TRY(const Lsn end, co_await source_.end_of_history());
        batch.upto = std::max(batch.upto, Position::at(epoch_, end));
    }
    spoil(batch);
    co_return batch;
}

void PlantedSource::spoil(ChangeBatch& batch) {
    auto& transactions = batch.transactions;
    if (transactions.empty()) return;
    const bool first = std::exchange(resumed_, false);
    switch (plant_) {
    case Plant::confirms_on_receipt:
        return source_.confirm(batch.upto);
    case Plant::skips_a_transaction_after_reconnect:
        if (first) transactions.erase(transactions.begin());
        return;
    case Plant::gives_half_a_transaction_after_reconnect:
        if (first) transactions[0] = part_of(transactions[0], transactions[0].size() / 2);
        return;
    case Plant::swaps_transactions:
        if (transactions.size() > 1) std::swap(transactions[0], transactions[1]);
        return;
    case Plant::unchanged_column_as_null:
        for (Transaction& one : transactions)
            one = without_unchanged(one);
        return;
    case Plant::forgets_deletes_after_the_load:
        if (loaded_) std::erase_if(transactions, deletes_an_instance);
        return;
    default:
        return;
    }
}

awaitable<result<void>> PlantedStore::apply_in_order(std::vector<ApplyBatch> parts) {
    for (ApplyBatch& part : parts)
        CO_TRY_VOID(co_await store_.apply(std::make_shared<const ApplyBatch>(std::move(part))));
    co_return result<void>{};
}

/// Whatever stands there is replaced.
awaitable<result<void>> PlantedStore::apply_unguarded(std::shared_ptr<const ApplyBatch> batch) {
    for (const auto* writes : {&batch->parts, &batch->documents}) {
        for (const DocumentWrite& write : *writes) {
            Filter filter;
            filter.all.push_back({"_id", Condition::Operator::equal, write.id});
            CO_TRY_VOID(co_await store_.erase(write.collection, std::move(filter)));
        }
    }
    co_return co_await store_.apply(std::move(batch));
}

awaitable<result<void>> PlantedStore::apply(std::shared_ptr<const ApplyBatch> batch) {
    const ApplyBatch& all = *batch;
    switch (plant_) {
    case Plant::writes_documents_before_events:
        co_return co_await apply_in_order(
            {{{}, all.parts, all.documents, {}}, {all.events, {}, {}, all.checkpoint}});
    case Plant::writes_documents_before_parts:
        co_return co_await apply_in_order(
            {{all.events, {}, all.documents, {}}, {{}, all.parts, {}, all.checkpoint}});
    case Plant::moves_checkpoint_first:
        co_return co_await apply_in_order(
            {{{}, {}, {}, all.checkpoint}, {all.events, all.parts, all.documents, {}}});
    case Plant::moves_checkpoint_back:
        if (all.checkpoint) CO_TRY_VOID(co_await store_.erase_checkpoint(all.checkpoint->engine));
        co_return co_await store_.apply(batch);
    case Plant::acknowledges_before_writing:
        if (const auto before = std::exchange(held_, batch); before) {
            auto written = co_await store_.apply(before);
            if (!written) held_ = before;
            co_return written;
        }
        co_return result<void>{};
    case Plant::writes_without_guard:
        co_return co_await apply_unguarded(batch);
    case Plant::ignores_a_failed_write: {
        auto most = std::make_shared<ApplyBatch>(all);
        if (most->documents.size() > 4) most->documents.pop_back();
        co_return co_await store_.apply(most);
    }
    default:
        co_return co_await store_.apply(batch);
    }
}

awaitable<result<std::vector<ValuePtr>>> PlantedStore::get(std::string_view collection,
                                                           std::vector<std::string> ids) {
    CO_TRY(auto found, co_await store_.get(collection, ids));
    if (plant_ == Plant::gets_a_stale_document) {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const std::pair key(std::string(collection), ids[i]);
            ValuePtr& before = seen_[key];
            if (before && found[i])
                std::swap(before, found[i]); // the one of the time before
            else
                before = found[i];
        }
    }
    co_return found;
}

awaitable<result<std::vector<ValuePtr>>> PlantedStore::find(Query query) {
    const bool of_a_replay = query.collection == collections::events && !query.filter.all.empty() &&
                             query.filter.all[0].op == Condition::Operator::equal;
    if (of_a_replay && plant_ == Plant::recomputes_events_on_replay)
        co_return std::vector<ValuePtr>();
    co_return co_await store_.find(std::move(query));
}

awaitable<result<Position>> PlantedBus::append(std::vector<StreamEventPtr> events,
                                               AppendTerms terms) {
    if (plant_ != Plant::acknowledges_unsent_events)
        co_return co_await bus_.append(std::move(events), terms);
    const Position newest = events.back()->position;
    if (!held_.empty()) CO_TRY_VOID(co_await bus_.append(std::exchange(held_, {}), terms));
    held_ = std::move(events);
    co_return newest;
}

} // namespace netbuild::sim
