// SPDX-License-Identifier: Apache-2.0
// How a pipeline finds its place: checkpoint, epoch, first load, the event stream's last id.
#include <algorithm>

#include "large_transaction.hpp"
#include "model/collections.hpp"
#include "sync/pipeline.hpp"
#include "telemetry/log.hpp"

namespace netbuild::sync {

std::vector<CollectionSpec> read_model_collections() {
    using namespace netbuild::collections;
    const auto named = [](std::string_view name, std::vector<IndexSpec> indexes) {
        return CollectionSpec{std::string(name), std::move(indexes)};
    };
    return {
        named(workflow_executions, {{{"executionId", "-startedAt"}},
                                    {{"domainId", "-startedAt"}},
                                    {{"status", "-startedAt"}},
                                    {{"definition.key", "-startedAt"}},
                                    {{"-startedAt"}}}),
        named(tasks, {{{"processInstanceId"}},
                      {{"status", "-createdAt"}},
                      {{"assignee", "-createdAt"}},
                      {{"domainId", "-createdAt"}},
                      {{"-createdAt"}}}),
        named(task_executions, {{{"executionId"}}}),
        named(process_definitions, {{{"key"}}}),
        named(events, {{{"lsn", "ordinal"}}, {{"processInstanceId", "lsn"}}}),
        named(sync_checkpoints, {}),
        named(dead_letters, {}),
        named(dead_letter_rows, {}),
    };
}

Checkpoint Pipeline::checkpoint_at(Position position, bool loading) const {
    Checkpoint checkpoint;
    checkpoint.engine = options_.engine;
    checkpoint.slot = options_.slot;
    checkpoint.position = position;
    checkpoint.source = identity_;
    checkpoint.loading = loading;
    checkpoint.at_us = ports_.clock.utc_us();
    return checkpoint;
}

awaitable<result<void>> Pipeline::save_checkpoint(Position position, bool loading) {
    auto batch = std::make_shared<ApplyBatch>();
    batch->checkpoint = checkpoint_at(position, loading);
    CO_TRY_VOID(
        co_await until_done([&] { return ports_.store.apply(batch); }, progress_.store_trouble));
    checkpointed_ = position;
    checkpointed_at_ = ports_.clock.monotonic();
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::start() {
    progress_.state = State::starting;
    cache_.clear();
    open_ = {};
    applying_ = source_ended_ = held_ = false;
    large_.reset();
    const auto specs = read_model_collections();
    CO_TRY_VOID(
        co_await until_done([&] { return ports_.store.prepare(specs); }, progress_.store_trouble));
    CO_TRY(auto checkpoint,
           co_await until_done([&] { return ports_.store.checkpoint(options_.engine); },
                               progress_.store_trouble));
    CO_TRY(identity_,
           co_await until_done([&] { return ports_.source.identify(); }, progress_.source_trouble));
    CO_TRY(const Lsn end, co_await until_done([&] { return ports_.source.end_of_history(); },
                                              progress_.source_trouble));
    std::optional<Position> after;
    epoch_ = 0;
    if (checkpoint) {
        epoch_ = checkpoint->position.epoch();
        if (checkpoint->source != identity_ || end < checkpoint->position.lsn()) {
            log::warning("the source is another one than at {} or was set back: epoch {} begins",
                         netbuild::to_string(checkpoint->position), epoch_ + 1);
            ++epoch_;
        } else if (checkpoint->loading) {
            log::warning("the first load was interrupted: it starts anew");
            CO_TRY_VOID(co_await until_done([&] { return ports_.source.abandon(); },
                                            progress_.source_trouble));
            CO_TRY_VOID(co_await erase_stale(UINT64_MAX));
        } else {
            after = checkpoint->position;
        }
    }
    auto taken = co_await take_stream(after);
    if (!taken && after && taken.error().code() == ErrorCode::not_found) {
        // What committed between the checkpoint and now is in no stream any more, only in the
        // tables.
        log::warning("the replication slot is gone: the read model is loaded anew");
        ++epoch_;
        taken = co_await take_stream(std::nullopt);
    }
    if (!taken) co_return taken;
    progress_.captured = progress_.applied = progress_.published = checkpointed_;
    progress_.confirmed = checkpointed_;
    open_.upto = projected_;
    CO_TRY_VOID(co_await count_letters());
    CO_TRY_VOID(co_await refill_bus(checkpointed_));
    ports_.source.confirm(checkpointed_); // a crash may have come between the two
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::take_stream(std::optional<Position> after) {
    Backoff backoff({options_.retry_first, options_.retry_max}, ports_.random);
    std::unique_ptr<EngineSnapshot> snapshot;
    while (true) {
        auto opened = co_await ports_.source.open({epoch_, after});
        if (opened) {
            snapshot = std::move(*opened);
            break;
        }
        co_await ports_.source.close();
        if (opened.error().code() == ErrorCode::slot_in_use) progress_.state = State::standby;
        CO_TRY_VOID(co_await retry(opened.error(), backoff, progress_.source_trouble));
        if (!after) continue;
        // Standing by, another worker may have moved on.
        CO_TRY(auto checkpoint,
               co_await until_done([&] { return ports_.store.checkpoint(options_.engine); },
                                   progress_.store_trouble));
        if (checkpoint && checkpoint->position.epoch() == epoch_) after = checkpoint->position;
    }
    progress_.source_trouble.clear();
    CO_TRY(const Lsn end, co_await until_done([&] { return ports_.source.end_of_history(); },
                                              progress_.source_trouble));
    history_end_ = Position::at(epoch_, end, Position::last_ordinal);
    projected_ = checkpointed_ = after.value_or(Position::at(epoch_, Lsn{0}));
    checkpointed_at_ = ports_.clock.monotonic();
    if (snapshot) CO_TRY_VOID(co_await load(*snapshot));
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::load(EngineSnapshot& snapshot) {
    const Position position = snapshot.position();
    progress_.state = State::loading;
    progress_.load_instances = 0;
    progress_.load_instances_estimate = snapshot.instances_estimate();
    progress_.notify();
    CO_TRY_VOID(co_await save_checkpoint(position, true));
    while (true) {
        CO_TRY(std::optional<Transaction> chunk, co_await snapshot.next());
        if (!chunk) break;
        // Of a chunk's documents all are new; what it names otherwise, its definitions, may have
        // left the cache since their own chunk.
        std::set<DocumentKey> missing;
        projector_.collect_missing(*chunk, true, missing);
        CO_TRY_VOID(co_await put_documents(std::move(missing)));
        CO_TRY_VOID(projector_.project_snapshot(*chunk));
        auto batch = std::make_shared<ApplyBatch>();
        cache_.take_dirty(*batch);
        progress_.documents += batch->parts.size() + batch->documents.size();
        progress_.load_instances += batch->documents.size();
        CO_TRY_VOID(co_await until_done([&] { return ports_.store.apply(batch); },
                                        progress_.store_trouble));
        cache_.written(*batch);
        progress_.notify();
    }
    // Of an earlier epoch: what the engine does not have any more.
    CO_TRY_VOID(co_await erase_stale(position.number));
    CO_TRY_VOID(co_await save_checkpoint(position, false));
    projected_ = position;
    ports_.source.confirm(position);
    log::info("loaded {} process instances at {}", progress_.load_instances,
              netbuild::to_string(position));
    co_return result<void>{};
}

/// Projected documents older than `before_number`; those that outlived their history stay.
awaitable<result<void>> Pipeline::erase_stale(std::uint64_t before_number) {
    for (const std::string_view collection : collections::projected) {
        Filter filter;
        filter.all.push_back(
            {"sync.lsn", Condition::Operator::less,
             static_cast<std::int64_t>(std::min<std::uint64_t>(before_number, INT64_MAX))});
        filter.all.push_back({"retainedAt", Condition::Operator::exists, false});
        CO_TRY_VOID(co_await until_done([&] { return ports_.store.erase(collection, filter); },
                                        progress_.store_trouble));
    }
    co_return result<void>{};
}

/// Events that are durable but, because of a crash in between or an emptied bus, not in the stream.
awaitable<result<void>> Pipeline::refill_bus(Position upto) {
    constexpr std::size_t page = 500;
    CO_TRY(Position last,
           co_await until_done([&] { return ports_.bus.last(); }, progress_.bus_trouble));
    std::vector<Value> cursor;
    std::size_t count = 0;
    while (last.number <= upto.number) {
        Query query;
        query.collection = collections::events;
        query.filter.all.push_back(
            {"lsn", Condition::Operator::greater_or_equal, static_cast<std::int64_t>(last.number)});
        query.filter.all.push_back(
            {"lsn", Condition::Operator::less_or_equal, static_cast<std::int64_t>(upto.number)});
        query.sort = {{"lsn", false}, {"ordinal", false}};
        query.limit = page;
        query.after = cursor;
        CO_TRY(const auto documents, co_await until_done([&] { return ports_.store.find(query); },
                                                         progress_.store_trouble));
        std::vector<StreamEventPtr> events;
        for (const ValuePtr& document : documents) {
            for (auto& event : stream_events(*document)) {
                if (event->position > last) events.push_back(std::move(event));
            }
        }
        count += events.size();
        CO_TRY_VOID(co_await publish(std::move(events)));
        if (documents.size() < page) break;
        const Value& newest = *documents.back();
        cursor = {*newest.at_path("lsn"), *newest.at_path("ordinal"), *newest.at_path("_id")};
    }
    if (count > 0) log::info("{} stored events were put into the stream", count);
    co_return result<void>{};
}

} // namespace netbuild::sync
