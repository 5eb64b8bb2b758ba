// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "ports/change_source.hpp"
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"
#include "ports/spill.hpp"
#include "ports/stored_events.hpp"
#include "runtime/backoff.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "sync/gap.hpp"
#include "sync/options.hpp"
#include "sync/progress.hpp"
#include "sync/projector.hpp"

namespace netbuild::sync {

class LargeTransaction;

/// The collections of the read model with the indexes that queries need; prepared at start.
[[nodiscard]] std::vector<CollectionSpec> read_model_collections();

/// capture → project → apply → publish, for one engine. Three coroutines on one executor: one
/// projects transactions into documents in memory, one makes what has gathered durable, publishes
/// it and confirms it to the source, and one loads documents from the engine's tables when there is
/// need. While a batch is on its way the next one gathers, so the batch size follows the store's
/// speed.
///
/// Idempotence: a document is replaced whole and only by a later Position, an event document is
/// kept as first written, the event stream refuses ids that it has passed. So whatever was applied
/// in part when a process died is applied again with the same outcome.
class Pipeline {
public:
    struct Ports {
        ChangeSource& source;
        DocumentStore& store;
        EventBus& bus;
        Clock& clock;
        Random& random;
        asio::any_io_executor executor;
        /// For transactions that a source gives out in parts; without it they are refused.
        SpillArea* spill = nullptr;
    };
    Pipeline(const PipelineOptions& options, Ports ports, Progress& progress);
    ~Pipeline();

    /// Until the source ends. Servers that are away are waited for. Fails with `cancelled`, with
    /// `corrupt` (nothing of it is confirmed), and with what no retry mends.
    awaitable<result<void>> run();

private:
    /// What was projected and is not yet on its way.
    struct Batch {
        std::vector<DocumentWrite> events;
        std::vector<StreamEventPtr> stream;
        std::size_t bytes = 0;
        std::uint64_t transactions = 0;
        Position upto;
        std::int64_t committed_at_us = 0;
        /// Dead letters whose state has changed.
        std::vector<DocumentWrite> letters;
    };
    /// What is durable and not yet in the event stream.
    struct Delivery {
        std::shared_ptr<const ApplyBatch> writes;
        std::vector<StreamEventPtr> stream;
        Position upto;
    };
    /// What a piece of a large transaction has to know of the rest.
    struct Share {
        const ErasedJobs* erased_elsewhere = nullptr;
        std::optional<std::size_t> piece;
    };
    /// The transaction that could not be projected.
    struct Poisoned {
        Position position;
        unsigned attempts = 0;
    };

    // pipeline_start.cpp
    awaitable<result<void>> start();
    awaitable<result<void>> take_place();
    awaitable<result<void>> take_stream(std::optional<Position> after, bool was_there,
                                        std::string why_anew);
    awaitable<result<void>> find_stored();
    awaitable<result<void>> refill_bus(Position upto);
    awaitable<result<void>> save_checkpoint(Position position);
    [[nodiscard]] std::shared_ptr<ApplyBatch> new_batch() const;
    [[nodiscard]] Checkpoint checkpoint_at(Position position) const;
    /// The next checkpoint has a number for them that was never there before.
    void definitions_changed();

    // pipeline_load.cpp
    awaitable<result<void>> load();
    awaitable<result<void>> load_one();
    awaitable<result<void>> load_all();
    awaitable<result<void>> load_scope();
    awaitable<result<void>> load_rows(Transaction rows);
    awaitable<result<void>> take_snapshot();
    awaitable<result<void>> load_unloaded(std::span<const Transaction> transactions);
    [[nodiscard]] bool needs_load(const Transaction& transaction);
    [[nodiscard]] InstanceSelection unloaded(std::span<const Transaction> transactions);
    awaitable<result<void>> throttle(std::size_t rows, Clock::duration started);
    awaitable<result<void>> finish_load();
    awaitable<result<bool>> erase_leftovers(const Transaction& transaction);
    void take_requests(const Transaction& transaction);
    void loads_changed();
    void show_load();
    void look_at_load();
    void note_removed(const Transaction& transaction);

    // stale_documents.cpp
    awaitable<result<void>> settle_stale(std::string_view collection);
    awaitable<result<std::set<std::string>>> retained_owners(std::span<const ValuePtr> documents);

    // pipeline.cpp
    awaitable<result<void>> produce();
    awaitable<result<void>> reopen(const Error& lost);
    awaitable<result<void>> project(ChangeBatch& batch);
    awaitable<result<void>> make_ready(const Transaction& transaction);
    awaitable<result<void>> load_documents(const Transaction& transaction);
    awaitable<result<void>> prefetch(const std::vector<Transaction>& transactions);
    awaitable<result<void>> put_documents(std::set<DocumentKey> missing);
    /// Folds a transaction, or a piece of one, whose events go on at `ordinal`.
    awaitable<result<void>> fold(const Transaction& transaction, Share share,
                                 std::uint32_t& ordinal);
    awaitable<result<void>> number_replayed(const Transaction& transaction,
                                            ProjectedEvents& events);
    void count();

    // large_pieces.cpp
    awaitable<result<void>> gather(const Transaction& part);
    awaitable<result<void>> find_owners(LargeTransaction& large);
    awaitable<result<void>> fold_pieces(LargeTransaction& large);

    // dead_letters.cpp
    [[nodiscard]] result<void> attempt(Projector& projector, const Transaction& transaction,
                                       const ErasedJobs* erased_elsewhere, ProjectedEvents& events);
    awaitable<result<bool>> try_again(const Transaction& transaction, Share share,
                                      ProjectedEvents& events, Error error);
    [[nodiscard]] bool drained() const;
    awaitable<result<void>> drain();
    awaitable<result<void>> bury(const Transaction& transaction, Share share, const Error& error);
    awaitable<result<void>> count_letters();
    awaitable<result<void>> answer_letters();
    awaitable<result<void>> answer_letter(const Value& letter);
    awaitable<result<Transaction>> read_letter(const Value& letter);
    awaitable<result<void>> fold_letter(const Transaction& transaction, Object& letter);
    [[nodiscard]] static DocumentWrite letter_write(Object letter);
    awaitable<result<void>> apply();
    awaitable<result<void>> apply_one(Batch batch);
    awaitable<result<void>> deliver();
    /// A batch is on its way to the store, or from there to the event stream.
    [[nodiscard]] bool busy() const noexcept { return applying_ || delivery_; }
    awaitable<result<void>> publish(std::vector<StreamEventPtr> events);
    awaitable<result<bool>> append(const std::vector<StreamEventPtr>& events);
    awaitable<result<void>> check_bus();
    [[nodiscard]] bool full() const;
    [[nodiscard]] bool worth_applying() const;
    /// After a failed try: waits, or gives the error back if no retry mends it.
    awaitable<result<void>> retry(Error error, Backoff& backoff, std::string& trouble);
    template <class Try>
    auto until_done(Try attempt, std::string& trouble) -> decltype(attempt());

    const PipelineOptions options_;
    Ports ports_;
    Progress& progress_;
    DocumentCache cache_;
    Projector projector_;
    Signal changed_;
    SourceIdentity identity_;
    std::uint32_t epoch_ = 0;
    /// Of our claim: once another worker has made its own, the store refuses our batches.
    std::uint64_t generation_ = 0;
    Position projected_;
    Position checkpointed_;
    std::uint64_t definitions_version_ = 0;
    /// The Position::number of the newest event that was stored before our time: of transactions
    /// beyond the checkpoint and up to it, some may be.
    std::uint64_t stored_until_ = 0;
    /// The event stream's last entry as we left it, the newest event that was given to its channels
    /// (or may have been, before our time), and when we last heard of the stream.
    Position stream_last_;
    Position announced_;
    /// The newest event of appends whose answers were lost.
    Position tried_;
    Clock::duration bus_heard_at_{};
    /// What the next checkpoint makes known: a history that ended.
    std::optional<Gap> gap_;
    /// Where, if one has ended at this start.
    std::optional<Position> history_ended_;
    /// Beyond it an INSERT makes a document that no store has: the WAL's end when the stream was
    /// taken.
    Position history_end_;
    Batch open_;
    bool applying_ = false; // a batch is on its way to the store
    std::optional<Delivery> delivery_;
    std::size_t rows_since_turn_ = 0;
    /// The cache's removals when all that the source's last transactions need was in it.
    std::optional<std::uint64_t> prefetched_;
    /// Documents wait for their events: no batch may be taken.
    bool held_ = false;
    std::unique_ptr<LargeTransaction> large_; // that is coming in
    std::optional<Poisoned> poisoned_;
    bool source_ended_ = false;
    bool standing_by_ = false;
    Clock::duration checkpointed_at_{};

    // What is to be loaded, and how far it is: durable with every checkpoint. The snapshot of the
    // first one is null until it is taken; its rows are written at `load_number_`.
    std::deque<LoadState> loads_;
    std::vector<std::string> loads_done_;
    std::shared_ptr<EngineSnapshot> snapshot_;
    std::uint64_t load_number_ = 0;
    /// The newest transaction of which a piece was folded.
    Position folded_;
    bool trying_alone_ = false;
    /// From this snapshot, or the load does not need them.
    bool definitions_loaded_ = false;
    /// Nothing is folded before they are: new process instances copy from them, and no later row
    /// repeats it.
    bool definitions_first_ = false;
    /// Instances and tasks that the stream asked for and the snapshot does not have.
    std::unordered_set<std::string> absent_;
    /// Instances that the engine has removed since the snapshot.
    std::unordered_set<std::string> removed_;
    /// A first load, no crash since, and the stream has asked for nothing: no store has the rows.
    bool store_was_empty_ = false;
    /// Changes of the loads, made and made durable.
    std::uint64_t load_changes_ = 0, load_changes_durable_ = 0;
};

/// Tries until it works; `trouble` says meanwhile what is wrong.
template <class Try>
auto Pipeline::until_done(Try attempt, std::string& trouble) -> decltype(attempt()) {
    Backoff backoff({options_.retry_first, options_.retry_max}, ports_.random);
    while (true) {
        auto outcome = co_await attempt();
        if (outcome) {
            if (!trouble.empty()) {
                trouble.clear();
            }
            co_return outcome;
        }
        if (auto given_up = co_await retry(outcome.error(), backoff, trouble); !given_up) {
            co_return std::move(given_up).error();
        }
    }
}

} // namespace netbuild::sync
