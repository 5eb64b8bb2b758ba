// SPDX-License-Identifier: Apache-2.0
#include "sync/pipeline.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include "large_transaction.hpp"
#include "model/collections.hpp"
#include "telemetry/log.hpp"

namespace netbuild::sync {
namespace {

std::size_t approximate_bytes(const ProjectedEvents& events) {
    std::size_t sum = 0;
    for (const auto& event : events.stream)
        sum += sizeof(StreamEvent) + 3 * event->payload.size();
    for (const auto& document : events.documents)
        if (document.collection == collections::task_completions)
            sum += netbuild::approximate_bytes(*document.body);
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

Pipeline::~Pipeline() = default;

awaitable<result<void>> Pipeline::retry(Error error, Backoff& backoff, std::string& trouble) {
    // Servers come back, and so does the stream when its worker ends; what else fails stays so.
    if (!error.transient() && error.code() != ErrorCode::slot_in_use) co_return error;
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
            progress_.state = progress_.model_complete ? State::streaming : State::loading;
            progress_.notify();
            // Each of them ends only by a failure, or when all is done: then the others are
            // stopped.
            auto first = co_await (produce() || apply() || deliver() || load() || answer_letters());
            outcome = std::visit([](auto&& ended) { return std::move(ended); }, std::move(first));
        }
        large_.reset();
        co_await ports_.source.close();
        if (!outcome && outcome.error().code() == ErrorCode::conflict) {
            log::warning("{}; starting anew", outcome.error().message());
            CO_TRY_VOID(co_await ports_.clock.sleep(options_.retry_first));
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
            if (!batch.error().transient() && batch.error().code() != ErrorCode::slot_in_use)
                co_return std::move(batch).error();
            CO_TRY_VOID(co_await reopen(batch.error()));
            continue;
        }
        CO_TRY_VOID(co_await project(*batch));
        count();
        source_ended_ = batch->end;
        changed_.notify_all();
    }
    // Until everything is durable, published and confirmed.
    while (busy() || worth_applying())
        CO_TRY_VOID(co_await changed_.wait());
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::reopen(const Error& lost) {
    Backoff backoff({options_.retry_first, options_.retry_max}, ports_.random);
    Error error = lost;
    large_.reset(); // it comes again from its begin
    while (true) {
        co_await ports_.source.close();
        if (error.code() == ErrorCode::slot_in_use) {
            co_return fail(ErrorCode::conflict,
                           error.detail() + ": another worker, or our own lost connection");
        }
        progress_.state = State::retrying;
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
        auto opened = co_await ports_.source.open({epoch_, projected_, identity_});
        if (opened) break;
        error = opened.error();
        if (error.code() == ErrorCode::not_found) {
            progress_.slot_lost(error.detail());
            co_return fail(ErrorCode::conflict, "the replication slot is gone");
        }
    }
    ports_.source.confirm(progress_.confirmed); // the last word may have been lost with the stream
    progress_.source_trouble.clear();
    progress_.state = progress_.model_complete ? State::streaming : State::loading;
    progress_.notify();
    log::info("capture continues after {}", netbuild::to_string(projected_));
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::project(ChangeBatch& batch) {
    CO_TRY_VOID(co_await prefetch(batch.transactions));
    if (snapshot_ && definitions_loaded_) CO_TRY_VOID(co_await load_unloaded(batch.transactions));
    for (Transaction& transaction : batch.transactions) {
        if (transaction.extent != Extent::whole) {
            CO_TRY_VOID(co_await gather(transaction));
            continue;
        }
        if (transaction.position.number <= projected_.number && !projected_.is_zero()) continue;
        std::uint32_t ordinal = 0;
        CO_TRY_VOID(co_await fold(transaction, {}, ordinal));
    }
    projected_ = std::max(projected_, batch.upto);
    open_.upto = std::max(open_.upto, batch.upto);
    progress_.captured = std::max(progress_.captured, batch.upto);
    co_return result<void>{};
}

void Pipeline::count() {
    const auto& counters = projector_.counters();
    progress_.transactions = counters.transactions;
    progress_.row_changes = counters.row_changes;
    progress_.events = counters.events;
    progress_.orphan_rows = counters.orphan_rows;
}

awaitable<result<void>> Pipeline::fold(const Transaction& transaction, Share share,
                                       std::uint32_t& ordinal) {
    while (full() || definitions_first_)
        CO_TRY_VOID(co_await changed_.wait());
    if (poisoned_ && poisoned_->position == transaction.position) CO_TRY_VOID(co_await drain());
    CO_TRY_VOID(co_await make_ready(transaction));
    ProjectedEvents events;
    events.next_ordinal = ordinal;
    events.replay_seen = transaction.position.number <= stored_until_;
    const bool alone = drained();
    if (auto done = attempt(projector_, transaction, share.erased_elsewhere, events); !done) {
        if (!poisoned_ || poisoned_->position != transaction.position)
            poisoned_ = Poisoned{transaction.position, 0};
        ++poisoned_->attempts;
        // Documents that it left half changed lie among those of earlier transactions. After a new
        // start from the checkpoint it is tried alone.
        if (!alone) {
            co_return fail(ErrorCode::conflict,
                           fmt::format("transaction {}: {}",
                                       netbuild::to_string(transaction.position),
                                       done.error().message()));
        }
        CO_TRY(const bool mended,
               co_await try_again(transaction, share, events, std::move(done).error()));
        if (!mended) { // it is left out
            events = {};
            events.next_ordinal = ordinal;
        }
    }
    folded_ = std::max(folded_, transaction.position);
    take_requests(transaction);
    note_removed(transaction);
    // No await between the change of the documents and the batch's upto: what is taken from the
    // cache is always a whole number of transactions, or of pieces of one, whose end moves upto.
    if (transaction.extent != Extent::part) {
        projected_ = transaction.position;
        open_.upto = transaction.position;
        open_.committed_at_us = transaction.committed_at_us;
        progress_.captured_commit_us = transaction.committed_at_us;
        progress_.captured = std::max(progress_.captured, transaction.position);
    }
    ++open_.transactions;
    if (events.replay_seen) {
        held_ = true;
        CO_TRY_VOID(co_await number_replayed(transaction, events));
        held_ = false;
    }
    ordinal = events.next_ordinal;
    open_.bytes += transaction.bytes() + approximate_bytes(events);
    std::move(events.documents.begin(), events.documents.end(), std::back_inserter(open_.events));
    std::move(events.stream.begin(), events.stream.end(), std::back_inserter(open_.stream));
    if (!applying_) changed_.notify_all();
    rows_since_turn_ += transaction.size();
    if (busy() && rows_since_turn_ >= options_.turn_rows) {
        // The batch on its way may have arrived: the store is not to wait for the projection.
        rows_since_turn_ = 0;
        co_await asio::post(ports_.executor, asio::use_awaitable);
    }
    co_return result<void>{};
}

/// A transaction that was applied before, in part at least: an event that was stored then is what
/// it was. A load that goes on from a later snapshot knows less of the state before it, if
/// anything.
awaitable<result<void>> Pipeline::number_replayed(const Transaction& transaction,
                                                  ProjectedEvents& events) {
    constexpr std::size_t page = 50;
    const bool whole = transaction.extent == Extent::whole;
    std::map<std::string, std::vector<StreamEventPtr>, std::less<>> stored;
    for (const InstanceEvents& instance : events.unnumbered)
        stored[instance.key];
    Query query;
    query.collection = collections::events;
    query.filter.all.push_back({"lsn", Condition::Operator::equal,
                                static_cast<std::int64_t>(transaction.position.number)});
    query.filter.all.push_back({"ordinal", Condition::Operator::greater_or_equal,
                                static_cast<std::int32_t>(events.next_ordinal)});
    query.sort.push_back({"ordinal", false});
    query.limit = page;
    for (bool more = true; more;) {
        CO_TRY(const auto found, co_await until_done([&] { return ports_.store.find(query); },
                                                     progress_.store_trouble));
        more = found.size() == page;
        for (const ValuePtr& document : found) {
            auto owner = stored.find(instance_key(*document));
            // Of a whole transaction: one that the documents cannot tell any more.
            if (owner == stored.end() && whole)
                owner = stored.try_emplace(std::string(instance_key(*document))).first;
            more &= owner != stored.end(); // another piece's: all of this one's stand before
            if (owner == stored.end()) continue;
            auto entries = netbuild::stream_events(*document);
            std::move(entries.begin(), entries.end(), std::back_inserter(owner->second));
        }
        if (more) query.after = {*found.back()->at_path("ordinal"), *found.back()->at_path("_id")};
    }
    const auto first = static_cast<std::ptrdiff_t>(events.stream.size());
    const Date at{transaction.committed_at_us / 1000};
    for (InstanceEvents& instance : events.unnumbered) {
        const auto known = std::exchange(stored.find(instance.key)->second, {});
        const auto begin = static_cast<std::ptrdiff_t>(events.stream.size());
        if (known.empty() || (!instance.replayed && instance.events.size() > known.size())) {
            events.number(std::move(instance), transaction.position, at);
            for (auto one = events.stream.begin() + begin; one != events.stream.end(); ++one) {
                const auto same = std::find_if(known.begin(), known.end(), [&](const auto& before) {
                    return before->position == (*one)->position;
                });
                if (same != known.end()) *one = *same; // the store keeps it, too
            }
        } else {
            events.take_stored(known);
        }
    }
    for (const auto& [key, unclaimed] : stored)
        events.take_stored(unclaimed);
    std::sort(events.stream.begin() + first, events.stream.end(),
              [](const auto& left, const auto& right) { return left->position < right->position; });
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
    prefetched_.reset();
    while (true) {
        std::set<DocumentKey> missing;
        bool all = true;
        for (const Transaction& transaction : transactions) {
            if (transaction.extent != Extent::whole) continue;
            projector_.collect_missing(transaction, transaction.position > history_end_, missing);
            all = missing.size() < options_.cache_documents_max / 2;
            if (!all) break;
        }
        if (missing.empty()) {
            if (all) prefetched_ = cache_.removals();
            co_return result<void>{};
        }
        CO_TRY_VOID(co_await put_documents(std::move(missing)));
        if (cache_.size() >= options_.cache_documents_max) co_return result<void>{};
    }
}

/// When it returns, the transaction can be folded without another wait.
awaitable<result<void>> Pipeline::make_ready(const Transaction& transaction) {
    // Mostly nothing of what was fetched has left the cache.
    bool fetched = transaction.extent == Extent::whole && prefetched_ == cache_.removals();
    for (bool looked = false; true;) {
        if (!std::exchange(fetched, false)) CO_TRY_VOID(co_await load_documents(transaction));
        if (needs_load(transaction)) {
            CO_TRY_VOID(co_await load_unloaded(std::span(&transaction, 1)));
            continue;
        }
        if (std::exchange(looked, true)) co_return result<void>{};
        CO_TRY(const bool erased, co_await erase_leftovers(transaction));
        if (!erased) co_return result<void>{};
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
           open_.bytes + cache_.dirty_bytes() >= options_.batch_bytes_max;
}

bool Pipeline::worth_applying() const {
    if (held_) return false;
    return open_.transactions > 0 || cache_.dirty_count() > 0 || !open_.letters.empty() ||
           load_changes_ != load_changes_durable_ || (source_ended_ && open_.upto > checkpointed_);
}

awaitable<result<void>> Pipeline::apply() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (true) {
        if (held_) {
            CO_TRY_VOID(co_await changed_.wait());
            continue;
        }
        if (worth_applying()) {
            CO_TRY_VOID(co_await apply_one(std::exchange(open_, Batch{.upto = open_.upto})));
            continue;
        }
        if (!delivery_ &&
            open_.upto > progress_.applied) { // an idle stream moved on: the model is that fresh
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
    auto writes = new_batch();
    writes->events = std::move(batch.events);
    cache_.take_dirty(*writes);
    std::move(batch.letters.begin(), batch.letters.end(), std::back_inserter(writes->documents));
    if (std::any_of(writes->parts.begin(), writes->parts.end(), [](const DocumentWrite& part) {
            return part.collection == collections::process_definitions;
        }))
        definitions_changed();
    writes->checkpoint = checkpoint_at(batch.upto);
    const std::uint64_t load_changes = load_changes_;
    changed_.notify_all(); // room for the next batch
    CO_TRY_VOID(
        co_await until_done([&] { return ports_.store.apply(writes); }, progress_.store_trouble));
    checkpointed_ = batch.upto;
    checkpointed_at_ = ports_.clock.monotonic();
    load_changes_durable_ = load_changes;
    progress_.model_complete = writes->checkpoint->model_complete();
    if (progress_.model_complete && progress_.state == State::loading)
        progress_.state = State::streaming;
    progress_.applied = std::max(progress_.applied, batch.upto);
    progress_.definitions_version = writes->checkpoint->definitions_version;
    if (batch.committed_at_us != 0) progress_.applied_commit_us = batch.committed_at_us;
    progress_.documents += writes->parts.size() + writes->documents.size();
    ++progress_.batches;
    progress_.notify();
    while (delivery_) // the bus is a batch behind
        CO_TRY_VOID(co_await changed_.wait());
    delivery_ = Delivery{std::move(writes), std::move(batch.stream), batch.upto};
    applying_ = false;
    changed_.notify_all();
    // Events leave before the next batch is made up.
    co_await asio::post(ports_.executor, asio::use_awaitable);
    co_return result<void>{};
}

/// Publishes and confirms what is durable, while the store has the next batch.
awaitable<result<void>> Pipeline::deliver() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (true) {
        if (!delivery_) {
            CO_TRY_VOID(co_await changed_.wait_for(ports_.clock, options_.bus_check_interval));
            if (!delivery_) CO_TRY_VOID(co_await publish({}));
            continue;
        }
        CO_TRY_VOID(co_await publish(std::move(delivery_->stream)));
        progress_.published = std::max(progress_.published, delivery_->upto);
        ports_.source.confirm(delivery_->upto);
        progress_.confirmed = delivery_->upto;
        cache_.written(*delivery_->writes);
        delivery_.reset();
        changed_.notify_all();
        progress_.notify();
    }
}

/// False: the stream had lost entries and took nothing; `stream_last_` is where it ends now.
awaitable<result<bool>> Pipeline::append(const std::vector<StreamEventPtr>& events) {
    const auto answer = co_await ports_.bus.append(events, {stream_last_, announced_});
    if (!answer) {
        if (!events.empty()) tried_ = std::max(tried_, events.back()->position);
        co_return answer.error();
    }
    const Position last = *answer;
    bus_heard_at_ = ports_.clock.monotonic();
    const bool whole = last >= stream_last_;
    stream_last_ = last;
    // What a lost answer was about may have been announced; a stream that has lost entries cannot
    // say.
    if (!whole) announced_ = std::max(announced_, tried_);
    tried_ = {};
    if (!whole) co_return false;
    announced_ = std::max(announced_, last);
    // It stopped in the middle: what it has is refused the next time, the rest is taken.
    if (!events.empty() && last < events.back()->position)
        co_return fail(ErrorCode::out_of_memory, "event stream");
    co_return true;
}

/// A server that was emptied or came back with an older file says nothing by itself.
awaitable<result<void>> Pipeline::check_bus() {
    const std::vector<StreamEventPtr> nothing;
    CO_TRY(const bool whole,
           co_await until_done([&] { return append(nothing); }, progress_.bus_trouble));
    if (!whole) CO_TRY_VOID(co_await refill_bus(checkpointed_));
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::publish(std::vector<StreamEventPtr> events) {
    if (events.empty() && ports_.clock.monotonic() >= bus_heard_at_ + options_.bus_check_interval) {
        co_return co_await check_bus();
    }
    std::size_t done = 0;
    while (done < events.size()) {
        const std::size_t count = std::min(options_.publish_events_max, events.size() - done);
        const std::vector<StreamEventPtr> part(events.begin() + static_cast<std::ptrdiff_t>(done),
                                               events.begin() +
                                                   static_cast<std::ptrdiff_t>(done + count));
        CO_TRY(const bool whole,
               co_await until_done([&] { return append(part); }, progress_.bus_trouble));
        if (whole) {
            done += count;
        } else { // all of `events` is durable: the refill may take in of it what it likes
            CO_TRY_VOID(co_await refill_bus(checkpointed_));
        }
    }
    co_return result<void>{};
}

} // namespace netbuild::sync
