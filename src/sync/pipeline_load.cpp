// SPDX-License-Identifier: Apache-2.0
// Loading documents from the engine's tables while the stream runs.
//
// A snapshot holds exactly the transactions up to its Position C, and the load begins when the
// stream has passed C. Its rows are written at C + 1: a commit record is longer than a byte, so no
// transaction ends there. What the stream changes after C is loaded from the snapshot first, and
// then folded; so a document is as of C + 1 or later when it is loaded, older when it is not, and
// nothing else has to be remembered. After a crash or a lost connection a later snapshot serves the
// process instances that are left; what the stream has folded in between is older than that one's
// C + 1, and is loaded again.
#include <algorithm>
#include <ranges>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "model/collections.hpp"
#include "sync/load_request.hpp"
#include "sync/pipeline.hpp"
#include "telemetry/log.hpp"

namespace netbuild::sync {
namespace {

/// Asked for and not there: remembered up to this many.
constexpr std::size_t absent_max = 100'000;
/// Removed by the engine's clean-up during a load: up to this many.
constexpr std::size_t removed_max = 100'000;
/// The stream passes a snapshot when a transaction commits within the round trip that takes it.
constexpr int snapshot_attempts_max = 10;
constexpr std::size_t scope_chunk_instances = 100;

} // namespace

void Pipeline::show_load() {
    const bool some = !loads_.empty();
    progress_.load_id = some ? loads_.front().id : std::string();
    if (some) {
        progress_.load_instances = loads_.front().instances;
        progress_.load_instances_estimate = loads_.front().instances_estimate;
    }
    progress_.notify();
}

/// What the front load means for the documents that are there.
void Pipeline::look_at_load() {
    const bool anew = !loads_.empty() && loads_.front().kind != LoadState::Kind::request;
    projector_.know_from(anew ? loads_.front().base : 0);
    show_load();
}

void Pipeline::loads_changed() {
    ++load_changes_;
    look_at_load();
    changed_.notify_all();
}

/// With `Retention::follow`: a chunk that was read before brings the process instance back.
void Pipeline::note_removed(const Transaction& transaction) {
    if (load_number_ == 0 || options_.projection.retention != Retention::follow) return;
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        if (row.table != camunda::Table::hi_procinst || row.operation != RowOperation::erase)
            continue;
        removed_.emplace(row.text(camunda::hi_procinst::id));
    }
    if (removed_.size() <= removed_max) return;
    log::warning("load: {} process instances were removed meanwhile: it takes a later snapshot",
                 removed_.size());
    load_number_ = 0;
}

void Pipeline::take_requests(const Transaction& transaction) {
    for (const std::string& text : transaction.requests) {
        auto request = parse_load_request(text);
        if (!request) {
            log::warning("a request in the WAL at {} is not understood: {}",
                         netbuild::to_string(transaction.position), request.error().message());
            continue;
        }
        if (request->slot != options_.slot) continue; // another capture's
        const auto same = [&](const LoadState& load) { return load.id == request->load.id; };
        if (std::any_of(loads_.begin(), loads_.end(), same) ||
            std::find(loads_done_.begin(), loads_done_.end(), request->load.id) !=
                loads_done_.end()) {
            continue; // a replay
        }
        if (loads_.size() >= Checkpoint::loads_max) {
            log::warning("load {} is refused: {} are waiting", request->load.id, loads_.size());
            continue;
        }
        log::info("load {} is asked for", request->load.id);
        loads_.push_back(std::move(request->load));
        loads_changed();
    }
}

awaitable<result<void>> Pipeline::load() {
    co_await asio::this_coro::throw_if_cancelled(false);
    Backoff backoff({options_.retry_first, options_.retry_max}, ports_.random);
    while (true) {
        while (loads_.empty())
            CO_TRY_VOID(co_await changed_.wait());
        auto done = co_await load_one();
        load_number_ = 0;
        snapshot_.reset();
        definitions_loaded_ = false;
        changed_.notify_all();
        if (done) {
            backoff.reset();
            progress_.load_trouble.clear();
            continue;
        }
        CO_TRY_VOID(co_await retry(done.error(), backoff, progress_.load_trouble));
    }
}

awaitable<result<void>> Pipeline::take_snapshot() {
    store_was_empty_ = false;
    // What the stream folds past the snapshot needs the snapshot first: so the stream waits from
    // here on until there is one, and if it was quicker, another one is taken.
    for (int attempt = 1;; ++attempt) {
        auto taken = co_await ports_.source.snapshot([this](Position position) {
            if (std::max(projected_, folded_) > position) return false;
            load_number_ = position.number + 1;
            return true;
        });
        if (taken && *taken) {
            snapshot_ = std::move(*taken);
            changed_.notify_all();
            co_return result<void>{};
        }
        load_number_ = 0;
        changed_.notify_all();
        if (taken) co_return fail(ErrorCode::invalid_argument, "this source has no tables to load");
        if (taken.error().code() != ErrorCode::overloaded || attempt == snapshot_attempts_max)
            co_return std::move(taken).error();
    }
}

awaitable<result<void>> Pipeline::load_one() {
    if (!snapshot_) CO_TRY_VOID(co_await take_snapshot());
    const Position position = snapshot_->position();
    absent_.clear();
    removed_.clear();
    LoadState& load = loads_.front(); // a deque: what is added at its end moves nothing
    if (load.base == 0) load.base = load_number_;
    if (load.all) snapshot_->start_after(load.after);
    load.instances_estimate = std::max<std::uint64_t>(
        load.instances, load.all ? snapshot_->instances_estimate() : load.scope.size());
    loads_changed();
    if (definitions_first_) {
        CO_TRY(auto chunk, co_await snapshot_->next());
        if (chunk) CO_TRY_VOID(co_await load_rows(std::move(chunk->rows)));
        definitions_loaded_ = true;
        definitions_first_ = false;
        changed_.notify_all();
    }
    // Up to the snapshot the stream folds into what is there.
    while (projected_ < position)
        CO_TRY_VOID(co_await changed_.wait());
    log::info("load {}: {} process instances at {}, {} done", load.id, load.instances_estimate,
              netbuild::to_string(position), load.instances);
    CO_TRY_VOID(load.all ? co_await load_all() : co_await load_scope());
    co_return co_await finish_load();
}

awaitable<result<void>> Pipeline::load_all() {
    LoadState& load = loads_.front();
    while (true) {
        const auto started = ports_.clock.monotonic();
        CO_TRY(auto chunk, co_await snapshot_->next());
        if (!chunk) co_return result<void>{};
        const std::size_t rows = chunk->rows.size();
        CO_TRY_VOID(co_await load_rows(std::move(chunk->rows)));
        definitions_loaded_ = true; // with the first chunk
        if (!chunk->upto.empty()) load.after = std::move(chunk->upto);
        load.instances += chunk->instances;
        loads_changed();
        // A chunk that was read ahead comes at once: the stream has its turn between two.
        co_await asio::post(ports_.executor, asio::use_awaitable);
        CO_TRY_VOID(co_await throttle(rows, started));
    }
}

awaitable<result<void>> Pipeline::load_scope() {
    LoadState& load = loads_.front();
    if (load.definitions) {
        CO_TRY(auto chunk, co_await snapshot_->next());
        if (chunk) CO_TRY_VOID(co_await load_rows(std::move(chunk->rows)));
    }
    definitions_loaded_ = true;
    changed_.notify_all();
    if (load.standalone_tasks) {
        CO_TRY(auto rows, co_await snapshot_->read({.standalone_tasks = true}));
        CO_TRY_VOID(co_await load_rows(std::move(rows)));
    }
    for (std::size_t first = 0; first < load.scope.size(); first += scope_chunk_instances) {
        const auto started = ports_.clock.monotonic();
        const std::size_t last = std::min(load.scope.size(), first + scope_chunk_instances);
        InstanceSelection selection;
        selection.instances.assign(load.scope.begin() + static_cast<std::ptrdiff_t>(first),
                                   load.scope.begin() + static_cast<std::ptrdiff_t>(last));
        CO_TRY(auto rows, co_await snapshot_->read(std::move(selection)));
        const std::size_t count = rows.size();
        CO_TRY_VOID(co_await load_rows(std::move(rows)));
        load.instances = last;
        loads_changed();
        CO_TRY_VOID(co_await throttle(count, started));
    }
    co_return result<void>{};
}

/// Whole process instances into the documents; what the stream has made newer is left alone.
awaitable<result<void>> Pipeline::load_rows(Transaction rows) {
    const std::uint64_t number = load_number_;
    rows.position = {number, 0};
    progress_.load_rows += rows.size();
    while (true) {
        while (full() || trying_alone_)
            CO_TRY_VOID(co_await changed_.wait());
        std::set<DocumentKey> missing;
        projector_.collect_missing(rows, store_was_empty_, missing);
        if (missing.empty()) break;
        CO_TRY_VOID(co_await put_documents(std::move(missing)));
    }
    for (std::size_t i = 0; !removed_.empty() && i < rows.size(); ++i) {
        const Row row = rows.row(i);
        if (row.table != camunda::Table::hi_procinst) continue;
        const std::string id(row.text(camunda::hi_procinst::id));
        if (!removed_.contains(id)) continue;
        cache_.keep_removed(collections::workflow_executions, id, number);
        cache_.keep_removed(collections::task_executions, id, number);
    }
    // The stream may have gone on without the snapshot.
    if (load_number_ != number) co_return fail(ErrorCode::unavailable, "the snapshot is lost");
    CO_TRY_VOID(projector_.project_snapshot(rows));
    changed_.notify_all();
    co_return result<void>{};
}

/// What of the load's scope the stream changes past the snapshot and the load has not come to.
InstanceSelection Pipeline::unloaded(std::span<const Transaction> transactions) {
    InstanceSelection wanted;
    const LoadState& load = loads_.front();
    const auto add = [&](std::vector<std::string>& to, std::vector<std::string>& from, bool all) {
        for (std::string& id : from) {
            const bool in_scope =
                all || std::find(load.scope.begin(), load.scope.end(), id) != load.scope.end();
            if (to.size() < InstanceSelection::ids_max && in_scope && !absent_.contains(id))
                to.push_back(std::move(id));
        }
    };
    for (const Transaction& transaction : transactions) {
        if (transaction.position.number < load_number_) continue;
        InstanceSelection one = projector_.unloaded(transaction, load_number_);
        add(wanted.instances, one.instances, load.all);
        add(wanted.tasks, one.tasks, true); // whose they are is not known here
    }
    return wanted;
}

bool Pipeline::needs_load(const Transaction& transaction) {
    if (load_number_ == 0) return false;
    if (!snapshot_) return true; // it is being opened
    if (transaction.position.number < load_number_) return false;
    if (!definitions_loaded_) { // which a new process instance copies from
        projected_ = std::max(projected_, snapshot_->position()); // the load need not wait
        return true;
    }
    const InstanceSelection wanted = unloaded(std::span(&transaction, 1));
    return !wanted.instances.empty() || !wanted.tasks.empty();
}

/// What the stream is about to change and the load has not come to is loaded now, for an event
/// often needs the state before it. One round trip for many transactions. When it returns, the
/// transactions can be folded without another wait.
awaitable<result<void>> Pipeline::load_unloaded(std::span<const Transaction> transactions) {
    while (load_number_ != 0) {
        if (!snapshot_ || !definitions_loaded_) { // on their way; the caller looks again
            changed_.notify_all();
            co_return co_await changed_.wait();
        }
        InstanceSelection wanted = unloaded(transactions);
        if (wanted.instances.empty() && wanted.tasks.empty()) break;
        for (const auto* ids : {&wanted.instances, &wanted.tasks}) {
            if (absent_.size() + ids->size() > absent_max) absent_.clear();
            absent_.insert(ids->begin(), ids->end()); // asked once; what is there is loaded now
        }
        const std::uint64_t number = load_number_;
        const auto snapshot = snapshot_; // the load may give it up meanwhile
        auto rows = co_await snapshot->read(std::move(wanted));
        if (load_number_ != number) continue; // another snapshot, or none
        if (rows && rows->empty()) continue;
        if (rows) {
            store_was_empty_ = false;
            auto loaded = co_await load_rows(std::move(*rows));
            if (loaded || !loaded.error().transient()) CO_TRY_VOID(std::move(loaded));
            continue;
        }
        if (!rows.error().transient()) co_return std::move(rows).error();
        // The next snapshot is later than what the stream folds now, and loads it again.
        log::warning("load: {}", rows.error().message());
        load_number_ = 0;
    }
    co_return result<void>{};
}

/// Keeps to `load_rows_per_second` by pauses between chunks.
awaitable<result<void>> Pipeline::throttle(std::size_t rows, Clock::duration started) {
    if (options_.load_rows_per_second == 0) co_return result<void>{};
    const auto due =
        started +
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
            static_cast<double>(rows) / static_cast<double>(options_.load_rows_per_second)));
    const auto now = ports_.clock.monotonic();
    if (due > now) CO_TRY_VOID(co_await ports_.clock.sleep(due - now));
    co_return result<void>{};
}

/// What is older than the load now is what the engine does not have any more.
awaitable<result<void>> Pipeline::finish_load() {
    // A batch on its way may still hold such a document: first all is durable.
    loads_changed();
    const std::uint64_t change = load_changes_;
    while (load_changes_durable_ < change)
        CO_TRY_VOID(co_await changed_.wait());
    const LoadState& load = loads_.front();
    // Process instances first: what outlived its history is known by them.
    for (const std::string_view collection : std::views::reverse(collections::projected))
        CO_TRY_VOID(co_await settle_stale(collection));
    cache_.forget_before(load.base);
    log::info("load {}: {} process instances are loaded", load.id, load.instances);
    if (load.kind == LoadState::Kind::request) loads_done_.push_back(load.id);
    if (loads_done_.size() > Checkpoint::loads_done_max) loads_done_.erase(loads_done_.begin());
    store_was_empty_ = false;
    load_number_ = 0;
    loads_.pop_front();
    loads_changed();
    co_return result<void>{};
}

/// Tasks that a batch of this load has left when it was cut, of an instance that it did not come to
/// and that the engine removes now: no snapshot has it any more. True: there may have been some.
awaitable<result<bool>> Pipeline::erase_leftovers(const Transaction& transaction) {
    using Operator = Condition::Operator;
    if (loads_.empty() || loads_.front().kind == LoadState::Kind::request ||
        options_.projection.retention != Retention::keep)
        co_return false;
    const std::uint64_t base = loads_.front().base;
    Array gone;
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        if (row.table != camunda::Table::hi_procinst || row.operation != RowOperation::erase)
            continue;
        const std::string_view id = row.text(camunda::hi_procinst::id);
        const CachedDocument* execution = cache_.find(collections::workflow_executions, id);
        if (!execution || !execution->exists()) gone.emplace_back(id);
    }
    if (gone.empty()) co_return false;
    Filter filter;
    filter.all.push_back({"processInstanceId", Operator::in, std::move(gone)});
    filter.all.push_back({"sync.lsn", Operator::greater_or_equal, static_cast<std::int64_t>(base)});
    CO_TRY_VOID(co_await until_done([&] { return ports_.store.erase(collections::tasks, filter); },
                                    progress_.store_trouble));
    co_return true;
}

} // namespace netbuild::sync
