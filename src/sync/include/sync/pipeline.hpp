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
#include "ports/stored_events.hpp"
#include "runtime/backoff.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "sync/options.hpp"
#include "sync/progress.hpp"
#include "sync/projector.hpp"

namespace netbuild::sync {

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
    };
    Pipeline(const PipelineOptions& options, Ports ports, Progress& progress);

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
    };

    // pipeline_start.cpp
    awaitable<result<void>> start();
    awaitable<result<void>> take_stream(std::optional<Position> after, bool was_there);
    awaitable<result<void>> refill_bus(Position upto);
    awaitable<result<void>> save_checkpoint(Position position);
    [[nodiscard]] Checkpoint checkpoint_at(Position position) const;

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
    awaitable<result<void>> erase_stale(std::string_view collection, std::string_view id_path);
    void take_requests(const Transaction& transaction);
    void loads_changed();

    // pipeline.cpp
    awaitable<result<void>> produce();
    awaitable<result<void>> reopen(const Error& lost);
    awaitable<result<void>> project(ChangeBatch& batch);
    awaitable<result<void>> load_documents(const Transaction& transaction);
    awaitable<result<void>> prefetch(const std::vector<Transaction>& transactions);
    awaitable<result<void>> put_documents(std::set<DocumentKey> missing);
    awaitable<result<void>> stored_events(std::uint64_t number, ProjectedEvents& events);
    awaitable<result<void>> apply();
    awaitable<result<void>> apply_one(Batch batch);
    awaitable<result<void>> publish(std::vector<StreamEventPtr> events);
    awaitable<result<void>> append(std::vector<StreamEventPtr> events);
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
    Position projected_;
    Position checkpointed_;
    /// The event stream has had all up to it.
    Position in_stream_;
    /// Beyond it an INSERT makes a document that no store has: the WAL's end when the stream was
    /// taken.
    Position history_end_;
    Batch open_;
    bool applying_ = false;
    bool source_ended_ = false;
    bool standing_by_ = false;
    Clock::duration checkpointed_at_{};

    // What is to be loaded, and how far it is: durable with every checkpoint. The snapshot of the
    // first one is null until it is taken; its rows are written at `load_number_`.
    std::deque<LoadState> loads_;
    std::vector<std::string> loads_done_;
    std::unique_ptr<EngineSnapshot> snapshot_;
    std::uint64_t load_number_ = 0;
    /// Instances and tasks that the stream asked for and the snapshot does not have.
    std::unordered_set<std::string> absent_;
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
