// SPDX-License-Identifier: Apache-2.0
// How a pipeline finds its place: checkpoint, epoch, first load, the event stream's last id.
#include <algorithm>

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
    };
}

Checkpoint Pipeline::checkpoint_at(Position position) const {
    Checkpoint checkpoint;
    checkpoint.engine = options_.engine;
    checkpoint.slot = options_.slot;
    checkpoint.position = position;
    checkpoint.source = identity_;
    checkpoint.loads.assign(loads_.begin(), loads_.end());
    checkpoint.loads_done = loads_done_;
    checkpoint.at_us = ports_.clock.utc_us();
    return checkpoint;
}

awaitable<result<void>> Pipeline::save_checkpoint(Position position) {
    auto batch = std::make_shared<ApplyBatch>();
    batch->checkpoint = checkpoint_at(position);
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
    applying_ = source_ended_ = false;
    loads_.clear();
    snapshot_.reset();
    absent_.clear();
    load_number_ = 0;
    load_changes_ = load_changes_durable_ = 0;
    store_was_empty_ = false;
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
        loads_.assign(checkpoint->loads.begin(), checkpoint->loads.end());
        loads_done_ = checkpoint->loads_done;
        if (checkpoint->source != identity_ || end < checkpoint->position.lsn()) {
            log::warning("the source is another one than at {} or was set back: epoch {} begins",
                         netbuild::to_string(checkpoint->position), epoch_ + 1);
            ++epoch_;
        } else {
            after = checkpoint->position;
        }
    }
    auto taken = co_await take_stream(after, checkpoint.has_value());
    if (!taken && after && taken.error().code() == ErrorCode::not_found) {
        // What committed between the checkpoint and now is in no stream any more, only in the
        // tables.
        log::warning("the replication slot is gone: the read model is loaded anew");
        ++epoch_;
        taken = co_await take_stream(std::nullopt, true);
    }
    if (!taken) co_return taken;
    progress_.model_complete = loads_.empty() || !loads_.front().leaves_model_incomplete();
    progress_.captured = progress_.applied = progress_.published = checkpointed_;
    progress_.confirmed = checkpointed_;
    open_.upto = projected_;
    CO_TRY_VOID(co_await refill_bus(checkpointed_));
    ports_.source.confirm(checkpointed_); // a crash may have come between the two
    co_return result<void>{};
}

/// With `after` empty all that is in the engine's tables has to be loaded; `was_there` tells a
/// first load from one over the documents of another history.
awaitable<result<void>> Pipeline::take_stream(std::optional<Position> after, bool was_there) {
    Backoff backoff({options_.retry_first, options_.retry_max}, ports_.random);
    while (true) {
        auto opened = co_await ports_.source.open({epoch_, after});
        if (opened) {
            snapshot_ = std::move(*opened);
            break;
        }
        co_await ports_.source.close();
        if (opened.error().code() == ErrorCode::slot_in_use) progress_.state = State::standby;
        CO_TRY_VOID(co_await retry(opened.error(), backoff, progress_.source_trouble));
        // Standing by, another worker may have moved on.
        CO_TRY(auto checkpoint,
               co_await until_done([&] { return ports_.store.checkpoint(options_.engine); },
                                   progress_.store_trouble));
        if (!checkpoint) continue;
        if (!after || checkpoint->position.epoch() != epoch_) {
            co_return fail(ErrorCode::conflict, "another worker has begun an epoch");
        }
        after = checkpoint->position;
        loads_.assign(checkpoint->loads.begin(), checkpoint->loads.end());
        loads_done_ = checkpoint->loads_done;
    }
    progress_.source_trouble.clear();
    CO_TRY(const Lsn end, co_await until_done([&] { return ports_.source.end_of_history(); },
                                              progress_.source_trouble));
    history_end_ = Position::at(epoch_, end, Position::last_ordinal);
    projected_ = checkpointed_ = after.value_or(Position::at(epoch_, Lsn{0}));
    checkpointed_at_ = ports_.clock.monotonic();
    if (!snapshot_) {
        if (!after) loads_.clear(); // this source has no tables
        co_return result<void>{};
    }
    // Requests of the old history are served by this load.
    for (const LoadState& load : loads_)
        if (load.kind == LoadState::Kind::request) loads_done_.push_back(load.id);
    store_was_empty_ = !was_there;
    loads_.assign(1, LoadState{});
    loads_.front().kind = was_there ? LoadState::Kind::reconcile : LoadState::Kind::first;
    loads_.front().id = was_there ? "reconcile" : "first";
    projected_ = snapshot_->position();
    load_number_ = projected_.number + 1;
    co_return co_await save_checkpoint(projected_);
}

/// Events that are durable but, because of a crash in between or a bus that lost entries, not in
/// the stream.
awaitable<result<void>> Pipeline::refill_bus(Position upto) {
    constexpr std::size_t page = 500;
    CO_TRY(Position last,
           co_await until_done([&] { return ports_.bus.last(); }, progress_.bus_trouble));
    in_stream_ = last;
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
