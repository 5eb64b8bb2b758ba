// SPDX-License-Identifier: Apache-2.0
#include "sync/pipeline.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include "model/collections.hpp"
#include "telemetry/log.hpp"

namespace netbuild::sync {
namespace {

/// Failures of a server that has to come back, as opposed to those that stay.
bool mended_by_waiting(const Error& error) {
    return error.transient() || error.code() == ErrorCode::slot_in_use;
}

std::size_t approximate_bytes(const ProjectedEvents& events) {
    std::size_t sum = 0;
    for (const auto& event : events.stream)
        sum += sizeof(StreamEvent) + 3 * event->payload.size();
    return sum;
}

} // namespace

Pipeline::Pipeline(const PipelineOptions& options, Ports ports, Progress& progress)
    : options_(options),
      ports_(std::move(ports)),
      progress_(progress),
      cache_({options_.cache_documents_max, options_.cache_bytes_max}),
      projector_(options_.projection, cache_),
      changed_(ports_.executor) {}

awaitable<result<void>> Pipeline::retry(Error error, Backoff& backoff, std::string& trouble) {
    if (!mended_by_waiting(error)) co_return error;
    if (error.code() == ErrorCode::slot_in_use) {
        // No trouble: this worker is ready to take over, and says so once.
        if (!std::exchange(standing_by_, true)) log::info("{}", error.message());
        trouble.clear();
    } else {
        standing_by_ = false;
        if (trouble.empty()) log::warning("{}; trying again", error.message());
        trouble = error.message();
    }
    ++progress_.retries;
    progress_.notify();
    // Another worker is not away: its end is to be noticed soon.
    co_return co_await ports_.clock.sleep(
        error.code() == ErrorCode::slot_in_use ? options_.standby_interval : backoff.next());
}

awaitable<result<void>> Pipeline::run() {
    using namespace asio::experimental::awaitable_operators;
    while (true) {
        auto outcome = co_await start();
        if (outcome) {
            progress_.state = State::streaming;
            progress_.notify();
            // Either of them ends only by a failure, or when all is done: then the other one is
            // stopped.
            auto first = co_await (produce() || apply());
            outcome =
                first.index() == 0 ? std::get<0>(std::move(first)) : std::get<1>(std::move(first));
        }
        co_await ports_.source.close();
        if (!outcome && outcome.error().code() == ErrorCode::conflict) {
            log::warning("{}; starting anew", outcome.error().message());
            continue;
        }
        progress_.state = State::stopped;
        progress_.notify();
        co_return outcome;
    }
}

// --- capture and project
// --------------------------------------------------------------------------

awaitable<result<void>> Pipeline::produce() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!source_ended_) {
        while (full())
            CO_TRY_VOID(co_await changed_.wait());
        auto batch = co_await ports_.source.next();
        if (!batch) {
            if (!mended_by_waiting(batch.error())) co_return std::move(batch).error();
            CO_TRY_VOID(co_await reopen(batch.error()));
            continue;
        }
        CO_TRY_VOID(co_await project(*batch));
        source_ended_ = batch->end;
        changed_.notify_all();
    }
    // The applier says when everything is durable, published and confirmed.
    while (applying_ || worth_applying())
        CO_TRY_VOID(co_await changed_.wait());
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::reopen(const Error& lost) {
    Backoff backoff({options_.retry_first, options_.retry_max}, ports_.random);
    Error error = lost;
    while (true) {
        co_await ports_.source.close();
        progress_.state = error.code() == ErrorCode::slot_in_use ? State::standby : State::retrying;
        CO_TRY_VOID(co_await retry(error, backoff, progress_.source_trouble));
        auto identity = co_await ports_.source.identify();
        if (!identity) {
            error = identity.error();
            continue;
        }
        auto end = co_await ports_.source.end_of_history();
        if (!end) {
            error = end.error();
            continue;
        }
        if (*identity != identity_ || *end < checkpointed_.lsn()) {
            co_return fail(ErrorCode::conflict, "the source's history has changed");
        }
        auto opened = co_await ports_.source.open({epoch_, projected_});
        if (opened) break;
        error = opened.error();
        if (error.code() == ErrorCode::not_found) {
            co_return fail(ErrorCode::conflict, "the replication slot is gone");
        }
    }
    progress_.source_trouble.clear();
    progress_.state = State::streaming;
    progress_.notify();
    log::info("capture continues after {}", netbuild::to_string(projected_));
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::project(ChangeBatch& batch) {
    CO_TRY_VOID(co_await prefetch(batch.transactions));
    for (Transaction& transaction : batch.transactions) {
        if (transaction.position.number <= projected_.number && !projected_.is_zero()) continue;
        while (full())
            CO_TRY_VOID(co_await changed_.wait());
        CO_TRY_VOID(co_await load_documents(transaction));
        ProjectedEvents events;
        projector_.project(transaction, events);
        // No await between the change of the documents and the batch's upto: what is taken from the
        // cache is always a whole number of transactions.
        projected_ = transaction.position;
        open_.upto = transaction.position;
        open_.committed_at_us = transaction.committed_at_us;
        ++open_.transactions;
        progress_.captured = transaction.position;
        progress_.captured_commit_us = transaction.committed_at_us;
        if (events.replay_seen)
            CO_TRY_VOID(co_await stored_events(transaction.position.number, events));
        open_.bytes += transaction.bytes() + approximate_bytes(events);
        std::move(events.documents.begin(), events.documents.end(),
                  std::back_inserter(open_.events));
        std::move(events.stream.begin(), events.stream.end(), std::back_inserter(open_.stream));
        if (!applying_) {
            changed_.notify_all();
        } else { // the batch on its way may have arrived: the applier goes on at once
            co_await asio::post(ports_.executor, asio::use_awaitable);
        }
    }
    projected_ = std::max(projected_, batch.upto);
    open_.upto = std::max(open_.upto, batch.upto);
    progress_.captured = std::max(progress_.captured, batch.upto);
    const auto& counters = projector_.counters();
    progress_.transactions = counters.transactions;
    progress_.row_changes = counters.row_changes;
    progress_.events = counters.events;
    progress_.orphan_rows = counters.orphan_rows;
    co_return result<void>{};
}

/// A transaction that was applied before, in part at least: its events are those that were stored.
awaitable<result<void>> Pipeline::stored_events(std::uint64_t number, ProjectedEvents& events) {
    events.documents.clear();
    events.stream.clear();
    Query query;
    query.collection = collections::events;
    query.filter.all.push_back(
        {"lsn", Condition::Operator::equal, static_cast<std::int64_t>(number)});
    query.sort.push_back({"ordinal", false});
    query.limit = 100'000;
    CO_TRY(const auto found,
           co_await until_done([&] { return ports_.store.find(query); }, progress_.store_trouble));
    for (const ValuePtr& document : found) {
        for (auto& event : stream_events(*document))
            events.stream.push_back(std::move(event));
    }
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::put_documents(std::set<DocumentKey> missing) {
    std::map<std::string_view, std::vector<std::string>> by_collection;
    for (const auto& [collection, id] : missing)
        by_collection[collection].push_back(id);
    for (const auto& [collection, ids] : by_collection) {
        const auto name = collection;
        const auto& wanted = ids;
        CO_TRY(auto found, co_await until_done([&] { return ports_.store.get(name, wanted); },
                                               progress_.store_trouble));
        for (std::size_t i = 0; i < wanted.size(); ++i)
            cache_.put(name, wanted[i], found[i]);
    }
    co_return result<void>{};
}

/// One round trip for many transactions; what leaves the cache before its turn is loaded again.
awaitable<result<void>> Pipeline::prefetch(const std::vector<Transaction>& transactions) {
    while (true) {
        std::set<DocumentKey> missing;
        for (const Transaction& transaction : transactions) {
            projector_.collect_missing(transaction, transaction.position > history_end_, missing);
            if (missing.size() >= options_.cache_documents_max / 2) break;
        }
        if (missing.empty()) co_return result<void>{};
        CO_TRY_VOID(co_await put_documents(std::move(missing)));
        if (cache_.size() >= options_.cache_documents_max) co_return result<void>{};
    }
}

awaitable<result<void>> Pipeline::load_documents(const Transaction& transaction) {
    while (true) {
        std::set<DocumentKey> missing;
        projector_.collect_missing(transaction, transaction.position > history_end_, missing);
        if (missing.empty()) co_return result<void>{};
        CO_TRY_VOID(co_await put_documents(std::move(missing)));
    }
}

// --- apply, publish, confirm
// ----------------------------------------------------------------------

bool Pipeline::full() const {
    return cache_.dirty_count() >= options_.batch_documents_max ||
           open_.bytes >= options_.batch_bytes_max;
}

bool Pipeline::worth_applying() const {
    return open_.transactions > 0 || cache_.dirty_count() > 0 ||
           (source_ended_ && open_.upto > checkpointed_);
}

awaitable<result<void>> Pipeline::apply() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (true) {
        if (worth_applying()) {
            CO_TRY_VOID(co_await apply_one(std::exchange(open_, Batch{.upto = open_.upto})));
            continue;
        }
        if (open_.upto > progress_.applied) { // an idle stream moved on: the model is that fresh
            progress_.applied = progress_.published = open_.upto;
            progress_.notify();
        }
        if (open_.upto <= checkpointed_) {
            CO_TRY_VOID(co_await changed_.wait());
            continue;
        }
        const auto due = checkpointed_at_ + options_.idle_checkpoint_interval;
        const auto now = ports_.clock.monotonic();
        if (now >= due) {
            CO_TRY_VOID(co_await apply_one(std::exchange(open_, Batch{.upto = open_.upto})));
        } else {
            CO_TRY_VOID(co_await changed_.wait_for(ports_.clock, due - now));
        }
    }
}

awaitable<result<void>> Pipeline::apply_one(Batch batch) {
    applying_ = true;
    auto writes = std::make_shared<ApplyBatch>();
    writes->events = std::move(batch.events);
    cache_.take_dirty(*writes);
    writes->checkpoint = checkpoint_at(batch.upto, false);
    changed_.notify_all(); // room for the next batch
    CO_TRY_VOID(
        co_await until_done([&] { return ports_.store.apply(writes); }, progress_.store_trouble));
    checkpointed_ = batch.upto;
    checkpointed_at_ = ports_.clock.monotonic();
    progress_.applied = std::max(progress_.applied, batch.upto);
    if (batch.committed_at_us != 0) progress_.applied_commit_us = batch.committed_at_us;
    progress_.documents += writes->parts.size() + writes->documents.size();
    ++progress_.batches;
    progress_.notify();
    CO_TRY_VOID(co_await publish(std::move(batch.stream)));
    progress_.published = std::max(progress_.published, batch.upto);
    ports_.source.confirm(checkpointed_);
    progress_.confirmed = checkpointed_;
    cache_.written(*writes);
    applying_ = false;
    changed_.notify_all();
    progress_.notify();
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::append(std::vector<StreamEventPtr> events) {
    const Position newest = events.back()->position;
    CO_TRY(const Position last, co_await ports_.bus.append(std::move(events)));
    // It stopped in the middle: what it has is refused the next time, the rest is taken.
    if (last < newest) co_return fail(ErrorCode::out_of_memory, "event stream");
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::publish(std::vector<StreamEventPtr> events) {
    std::size_t done = 0;
    while (done < events.size()) {
        const std::size_t count = std::min(options_.publish_events_max, events.size() - done);
        const std::vector<StreamEventPtr> part(events.begin() + static_cast<std::ptrdiff_t>(done),
                                               events.begin() +
                                                   static_cast<std::ptrdiff_t>(done + count));
        CO_TRY_VOID(co_await until_done([&] { return append(part); }, progress_.bus_trouble));
        done += count;
    }
    co_return result<void>{};
}

} // namespace netbuild::sync
