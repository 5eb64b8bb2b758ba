// SPDX-License-Identifier: Apache-2.0
// How a pipeline finds its place: checkpoint, epoch, first load, the event stream's last id.
#include <algorithm>
#include <utility>

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
        named(task_completions, {{{"lsn", "ordinal"}}}),
        named(sync_checkpoints, {}),
        named(dead_letters, {}),
        named(dead_letter_rows, {}),
    };
}

Checkpoint Pipeline::checkpoint_at(Position position) const {
    Checkpoint checkpoint;
    checkpoint.engine = options_.engine;
    checkpoint.slot = options_.slot;
    checkpoint.generation = generation_;
    checkpoint.position = position;
    checkpoint.source = identity_;
    checkpoint.loads.assign(loads_.begin(), loads_.end());
    checkpoint.loads_done = loads_done_;
    checkpoint.definitions_version = definitions_version_;
    checkpoint.at_us = ports_.clock.utc_us();
    return checkpoint;
}

void Pipeline::definitions_changed() {
    // A store that was emptied begins at 0 again: the time is past what it had.
    definitions_version_ =
        std::max(definitions_version_ + 1, static_cast<std::uint64_t>(ports_.clock.utc_us()));
}

std::shared_ptr<ApplyBatch> Pipeline::new_batch() const {
    auto batch = std::make_shared<ApplyBatch>();
    batch->fence = Fence{options_.engine, generation_};
    return batch;
}

awaitable<result<void>> Pipeline::save_checkpoint(Position position) {
    auto batch = new_batch();
    batch->checkpoint = checkpoint_at(position);
    if (gap_) batch->events.push_back(gap_document(*gap_, position.epoch(), ports_.clock.utc_us()));
    CO_TRY_VOID(
        co_await until_done([&] { return ports_.store.apply(batch); }, progress_.store_trouble));
    if (gap_) history_ended_ = std::exchange(gap_, std::nullopt)->from;
    checkpointed_ = position;
    checkpointed_at_ = ports_.clock.monotonic();
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::start() {
    if (progress_.state != State::standby) progress_.state = State::starting;
    cache_.clear();
    open_ = {};
    delivery_.reset();
    applying_ = source_ended_ = held_ = trying_alone_ = false;
    snapshot_.reset();
    definitions_loaded_ = false;
    absent_.clear();
    removed_.clear();
    load_number_ = 0;
    folded_ = {};
    load_changes_ = load_changes_durable_ = 0;
    store_was_empty_ = false;
    large_.reset();
    const auto specs = read_model_collections();
    CO_TRY_VOID(
        co_await until_done([&] { return ports_.store.prepare(specs); }, progress_.store_trouble));
    Backoff backoff({options_.retry_first, options_.retry_max}, ports_.random);
    while (true) {
        auto taken = co_await take_place();
        if (taken) break;
        co_await ports_.source.close();
        const bool in_use = taken.error().code() == ErrorCode::slot_in_use;
        progress_.state = in_use ? State::standby : State::retrying;
        CO_TRY_VOID(co_await retry(std::move(taken).error(), backoff, progress_.source_trouble));
    }
    progress_.source_trouble.clear();
    standing_by_ = false;
    look_at_load();
    // A load that was cut before its first chunk was durable.
    definitions_first_ = !snapshot_ && !loads_.empty() && loads_.front().all &&
                         loads_.front().after.empty() &&
                         loads_.front().kind != LoadState::Kind::request;
    progress_.model_complete = loads_.empty() || !loads_.front().leaves_model_incomplete();
    progress_.captured = progress_.applied = progress_.published = checkpointed_;
    progress_.definitions_version = definitions_version_;
    progress_.confirmed = checkpointed_;
    open_.upto = projected_;
    CO_TRY_VOID(co_await find_stored());
    CO_TRY_VOID(co_await count_letters());
    CO_TRY(stream_last_,
           co_await until_done([&] { return ports_.bus.last(); }, progress_.bus_trouble));
    // What others published is not known: channels give an event at most once. A checkpoint holds
    // its last transaction with all its events.
    announced_ = std::max(announced_,
                          {history_ended_.value_or(checkpointed_).number, Position::last_ordinal});
    CO_TRY_VOID(co_await refill_bus(checkpointed_));
    progress_.slot_found();
    log::info("capture goes on after {} (claim {})", netbuild::to_string(projected_), generation_);
    ports_.source.confirm(checkpointed_); // a crash may have come between the two
    co_return result<void>{};
}

/// One try, from the checkpoint on: while this worker stood by, another one has moved it, ended its
/// first load or begun an epoch. slot_in_use if it still works.
awaitable<result<void>> Pipeline::take_place() {
    CO_TRY(const auto checkpoint,
           co_await until_done([&] { return ports_.store.checkpoint(options_.engine); },
                               progress_.store_trouble));
    CO_TRY(identity_, co_await ports_.source.identify());
    CO_TRY(const Lsn end, co_await ports_.source.end_of_history());
    std::optional<Position> after;
    std::string why_anew;
    gap_.reset();
    history_ended_.reset();
    epoch_ = 0;
    loads_.clear();
    snapshot_.reset();
    if (checkpoint) {
        epoch_ = checkpoint->position.epoch();
        loads_.assign(checkpoint->loads.begin(), checkpoint->loads.end());
        loads_done_ = checkpoint->loads_done;
        definitions_version_ = checkpoint->definitions_version;
        if (checkpoint->source != identity_ || end < checkpoint->position.lsn()) {
            const bool another = checkpoint->source != identity_;
            why_anew = "the source is another one than at " +
                       netbuild::to_string(checkpoint->position) + " or was set back";
            gap_ = Gap{checkpoint->position, another ? "source_changed" : "source_set_back"};
            ++epoch_;
        } else {
            after = checkpoint->position;
        }
    }
    // A worker before us may have written some and no checkpoint after it.
    definitions_changed();
    auto taken = co_await take_stream(after, checkpoint.has_value(), std::move(why_anew));
    if (!taken && after && taken.error().code() == ErrorCode::not_found) {
        CO_TRY(const auto now,
               co_await until_done([&] { return ports_.store.checkpoint(options_.engine); },
                                   progress_.store_trouble));
        if (!now || now->position != *after)
            co_return fail(ErrorCode::slot_in_use, "another worker has moved on");
        // What committed between the checkpoint and now is in no stream any more, only in the
        // tables.
        progress_.slot_lost(taken.error().detail());
        gap_ = Gap{*after, "slot_lost"};
        ++epoch_;
        taken = co_await take_stream(std::nullopt, true, taken.error().message());
    }
    co_return taken;
}

/// What a worker before us has stored beyond the checkpoint. Events of an epoch that was never
/// begun (its checkpoint was not written) are of a history that nobody follows.
awaitable<result<void>> Pipeline::find_stored() {
    const Position never = Position::at(epoch_ + 1, Lsn{0});
    Query query;
    query.collection = collections::events;
    query.sort = {{"lsn", true}, {"ordinal", true}};
    query.limit = 1;
    while (true) {
        CO_TRY(const auto newest, co_await until_done([&] { return ports_.store.find(query); },
                                                      progress_.store_trouble));
        const Value* lsn = newest.empty() ? nullptr : newest.front()->at_path("lsn");
        stored_until_ = lsn ? static_cast<std::uint64_t>(lsn->integer_or()) : 0;
        if (stored_until_ < never.number) co_return result<void>{};
        Filter filter;
        filter.all.push_back({"lsn", Condition::Operator::greater_or_equal,
                              static_cast<std::int64_t>(never.number)});
        CO_TRY_VOID(
            co_await until_done([&] { return ports_.store.erase(collections::events, filter); },
                                progress_.store_trouble));
    }
}

/// With `after` empty all that is in the engine's tables has to be loaded; `was_there` tells a
/// first load from one over the documents of another history.
awaitable<result<void>> Pipeline::take_stream(std::optional<Position> after, bool was_there,
                                              std::string why_anew) {
    CO_TRY(snapshot_, co_await ports_.source.open({epoch_, after, identity_}));
    if (!why_anew.empty())
        log::warning("{}: epoch {}, the read model is loaded anew", why_anew, epoch_);
    // A worker that had the stream before, and does not know that it has lost it, writes no more.
    CO_TRY(generation_, co_await until_done([&] { return ports_.store.claim(options_.engine); },
                                            progress_.store_trouble));
    CO_TRY(const Lsn end, co_await ports_.source.end_of_history());
    history_end_ = Position::at(epoch_, end, Position::last_ordinal);
    projected_ = checkpointed_ = after.value_or(Position::at(epoch_, Lsn{0}));
    checkpointed_at_ = ports_.clock.monotonic();
    if (!snapshot_) {
        if (!after) loads_.clear(); // this source has no tables
        if (gap_) co_return co_await save_checkpoint(projected_);
        co_return result<void>{};
    }
    // Requests of the old history are served by this load.
    for (const LoadState& load : loads_)
        if (load.kind == LoadState::Kind::request) loads_done_.push_back(load.id);
    store_was_empty_ = !was_there;
    loads_.assign(1, LoadState{});
    loads_.front().kind = was_there ? LoadState::Kind::reconcile : LoadState::Kind::first;
    loads_.front().id = was_there ? "reconcile" : "first";
    loads_.front().same_history = gap_ && gap_->reason == "slot_lost";
    projected_ = snapshot_->position();
    loads_.front().base = load_number_ = projected_.number + 1;
    co_return co_await save_checkpoint(projected_);
}

/// Events that are durable but not in the stream: a crash came in between, or its server has lost
/// them. A server may lose more meanwhile: then it goes on from where the stream ends.
awaitable<result<void>> Pipeline::refill_bus(Position upto) {
    constexpr std::size_t page = 500;
    const Position from = stream_last_;
    std::vector<Value> cursor;
    std::size_t count = 0;
    while (stream_last_.number <= upto.number) {
        Query query;
        query.collection = collections::events;
        query.filter.all.push_back({"lsn", Condition::Operator::greater_or_equal,
                                    static_cast<std::int64_t>(stream_last_.number)});
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
                if (event->position > stream_last_) events.push_back(std::move(event));
            }
        }
        bool whole = true;
        for (std::size_t done = 0; whole && done < events.size();) {
            const std::size_t size = std::min(options_.publish_events_max, events.size() - done);
            const auto first = events.begin() + static_cast<std::ptrdiff_t>(done);
            const std::vector<StreamEventPtr> part(first,
                                                   first + static_cast<std::ptrdiff_t>(size));
            CO_TRY(whole, co_await until_done([&] { return append(part); }, progress_.bus_trouble));
            done += size;
        }
        cursor.clear();
        if (!whole) continue;
        count += events.size();
        if (documents.size() < page) break;
        const Value& newest = *documents.back();
        cursor = {*newest.at_path("lsn"), *newest.at_path("ordinal"), *newest.at_path("_id")};
    }
    if (count > 0) {
        progress_.refilled_events += count;
        log::warning("the event stream ended at {}: {} stored events were put into it",
                     netbuild::to_string(from), count);
    }
    co_return result<void>{};
}

} // namespace netbuild::sync
