// SPDX-License-Identifier: Apache-2.0
// What happens to a transaction that cannot be projected (`[sync] poison`), and to dead letters
// that are to be tried again: `netbuild deadletter retry` asks for it in the letter's document,
// the capture answers there, for only it may write what it holds in its cache.
#include <algorithm>
#include <exception>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include "model/collections.hpp"
#include "row_roles.hpp"
#include "sync/pipeline.hpp"
#include "telemetry/log.hpp"
#include "wire/rows.hpp"

namespace netbuild::sync {
namespace {

/// Of a letter's rows in one document: MongoDB's end at 16 MB.
constexpr std::size_t rows_document_bytes = 4 * 1024 * 1024;
/// Process instances that a letter lists by id.
constexpr std::size_t listed_instances_max = 1000;
/// Events of a piece that was skipped have their ordinals far behind those of the transaction's
/// other pieces, which have gone on without them.
constexpr std::uint32_t late_ordinal = 1'000'000'000;
constexpr std::uint32_t late_ordinals_per_piece = 100'000;

std::set<std::string_view> instances_of(const Transaction& transaction) {
    std::set<std::string_view> ids;
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        if (const auto id = instance_of(transaction.row(i)); !id.empty()) ids.insert(id);
    }
    return ids;
}

} // namespace

result<void> Pipeline::attempt(Projector& projector, const Transaction& transaction,
                               const ErasedJobs* erased_elsewhere, ProjectedEvents& events) {
    // A bug that throws is to stop one transaction, not to be retried for ever by a supervisor.
    try {
        return projector.project(transaction, events, erased_elsewhere);
    } catch (const std::exception& exception) {
        return fail(ErrorCode::internal, exception.what());
    }
}

bool Pipeline::drained() const { return !busy() && !held_ && !worth_applying(); }

awaitable<result<void>> Pipeline::drain() {
    while (!drained())
        CO_TRY_VOID(co_await changed_.wait());
    co_return result<void>{};
}

/// Everything before the transaction is durable, so that the cache may be forgotten. True if a
/// later try worked; false if the transaction is kept as a dead letter and to be left out.
awaitable<result<bool>> Pipeline::try_again(const Transaction& transaction, Share share,
                                            ProjectedEvents& events, Error error) {
    Backoff backoff({options_.retry_first, options_.retry_max}, ports_.random);
    const std::uint32_t ordinal = events.next_ordinal;
    const bool replay_seen = events.replay_seen;
    // A load puts nothing into a cache that is cleared.
    struct Alone {
        bool& flag;
        explicit Alone(bool& set) : flag(set) { flag = true; }
        ~Alone() { flag = false; }
    };
    const Alone alone(trying_alone_);
    while (true) {
        cache_.clear();
        if (poisoned_->attempts >= options_.poison_attempts_max) break;
        CO_TRY_VOID(co_await ports_.clock.sleep(backoff.next()));
        CO_TRY_VOID(co_await load_documents(transaction));
        events = {};
        events.next_ordinal = ordinal;
        events.replay_seen = replay_seen;
        auto done = attempt(projector_, transaction, share.erased_elsewhere, events);
        if (done) co_return true;
        error = std::move(done).error();
        ++poisoned_->attempts;
    }
    CO_TRY_VOID(co_await bury(transaction, share, error));
    poisoned_->attempts = 0; // a further piece of it has tries of its own
    co_return false;
}

DocumentWrite Pipeline::letter_write(Object letter) {
    DocumentWrite write;
    write.collection = collections::dead_letters;
    write.id = letter.find("_id")->string_or();
    // The letter's own revision, for a replace is guarded by it.
    const Value* sync = letter.find("sync");
    write.lsn = static_cast<std::uint64_t>((sync ? sync->integer_at("lsn") : 0) + 1);
    letter.set("sync", Object{{"lsn", static_cast<std::int64_t>(write.lsn)}});
    write.body = std::make_shared<const Value>(std::move(letter));
    return write;
}

awaitable<result<void>> Pipeline::bury(const Transaction& transaction, Share share,
                                       const Error& error) {
    const std::string position = netbuild::to_string(transaction.position);
    const std::string id = share.piece ? fmt::format("{}.{}", position, *share.piece) : position;
    CO_TRY(const auto known, co_await until_done(
                                 [&] {
                                     return ports_.store.get(collections::dead_letters,
                                                             std::vector<std::string>{id});
                                 },
                                 progress_.store_trouble));
    const std::int64_t tried = known.front() ? known.front()->integer_at("attempts") : 0;
    const std::int64_t revision = known.front() ? known.front()->integer_at("sync.lsn") : 0;
    std::string rows;
    for (std::size_t i = 0; i < transaction.size(); ++i)
        append_row(rows, transaction.row(i));
    auto batch = new_batch();
    std::int64_t documents = 0;
    for (std::size_t at = 0; at < rows.size(); at += rows_document_bytes) {
        DocumentWrite write;
        write.collection = collections::dead_letter_rows;
        write.id = fmt::format("{}/{}", id, documents++);
        write.lsn = static_cast<std::uint64_t>(revision + 1);
        write.body = std::make_shared<const Value>(
            Object{{"_id", write.id},
                   {"bytes", Binary{rows.substr(at, rows_document_bytes)}},
                   {"sync", Object{{"lsn", revision + 1}}}});
        batch->parts.push_back(std::move(write));
    }
    const bool skip = options_.poison == Poison::skip;
    const auto touched = instances_of(transaction);
    Array listed;
    for (const std::string_view instance : touched)
        if (listed.size() < listed_instances_max) listed.emplace_back(instance);
    const bool jobs_elsewhere = share.erased_elsewhere && !share.erased_elsewhere->empty();
    batch->documents.push_back(letter_write(
        Object{{"_id", id},
               {"position", position},
               {"number", static_cast<std::int64_t>(transaction.position.number)},
               {"piece", share.piece ? Value(static_cast<std::int64_t>(*share.piece)) : Value()},
               {"status", skip ? "skipped" : "stopped"},
               {"reason", error.message()},
               {"attempts", tried + static_cast<std::int64_t>(poisoned_->attempts)},
               {"committedAt", Date{transaction.committed_at_us / 1000}},
               {"at", Date{ports_.clock.utc_us() / 1000}},
               {"rows", static_cast<std::int64_t>(transaction.size())},
               {"bytes", static_cast<std::int64_t>(rows.size())},
               {"rowDocuments", documents},
               {"instances", std::move(listed)},
               {"instanceCount", static_cast<std::int64_t>(touched.size())},
               {"incomplete", jobs_elsewhere},
               {"answer", Value()},
               {"sync", Object{{"lsn", revision}}}}));
    CO_TRY_VOID(
        co_await until_done([&] { return ports_.store.apply(batch); }, progress_.store_trouble));
    if (!skip) {
        co_return fail(ErrorCode::corrupt,
                       fmt::format("transaction {} cannot be projected: {}; it is kept as dead "
                                   "letter {}, and nothing after it was confirmed",
                                   position, error.message(), id));
    }
    log::error("transaction {} cannot be projected and is skipped as dead letter {}: {}", position,
               id, error.message());
    co_return co_await count_letters();
}

// --- letters that are to be tried again

awaitable<result<void>> Pipeline::count_letters() {
    Filter waiting;
    waiting.all.push_back({"status", Condition::Operator::in, Array{"skipped", "retry"}});
    CO_TRY(
        progress_.dead_letters,
        co_await until_done([&] { return ports_.store.count(collections::dead_letters, waiting); },
                            progress_.store_trouble));
    changed_.notify_all();
    co_return result<void>{};
}

awaitable<result<void>> Pipeline::answer_letters() {
    co_await asio::this_coro::throw_if_cancelled(false);
    Query asked;
    asked.collection = collections::dead_letters;
    asked.filter.all.push_back({"status", Condition::Operator::equal, "retry"});
    while (true) {
        while (progress_.dead_letters == 0)
            CO_TRY_VOID(co_await changed_.wait());
        CO_TRY(const auto letters, co_await until_done([&] { return ports_.store.find(asked); },
                                                       progress_.store_trouble));
        for (const ValuePtr& letter : letters)
            CO_TRY_VOID(co_await answer_letter(*letter));
        if (!letters.empty()) CO_TRY_VOID(co_await count_letters());
        CO_TRY_VOID(co_await ports_.clock.sleep(options_.letters_interval));
    }
}

awaitable<result<void>> Pipeline::answer_letter(const Value& letter) {
    Object answered = *letter.get_if<Object>();
    auto rows = co_await read_letter(letter);
    result<void> outcome;
    if (rows) {
        outcome = co_await fold_letter(*rows, answered);
    } else {
        outcome = std::move(rows).error();
    }
    if (!outcome) {
        if (outcome.error().error_class() == ErrorClass::cancelled) co_return outcome;
        answered.set("status", "skipped");
        answered.set("answer", outcome.error().message());
        answered.set("attempts", letter.integer_at("attempts") + 1);
    }
    // With the documents in one batch, and after them.
    open_.letters.push_back(letter_write(std::move(answered)));
    changed_.notify_all();
    while (!open_.letters.empty() || busy())
        CO_TRY_VOID(co_await changed_.wait());
    co_return result<void>{};
}

awaitable<result<Transaction>> Pipeline::read_letter(const Value& letter) {
    Transaction transaction;
    transaction.position.number = static_cast<std::uint64_t>(letter.integer_at("number"));
    const Value* at = letter.at_path("committedAt");
    const Date* committed = at ? at->get_if<Date>() : nullptr;
    transaction.committed_at_us = committed ? committed->milliseconds * 1000 : 0;
    const std::string id(letter.at_path("_id")->string_or());
    std::string bytes;
    for (std::int64_t i = 0; i < letter.integer_at("rowDocuments"); ++i) {
        const std::vector<std::string> ids{fmt::format("{}/{}", id, i)};
        CO_TRY(const auto found,
               co_await until_done(
                   [&] { return ports_.store.get(collections::dead_letter_rows, ids); },
                   progress_.store_trouble));
        const Value* part = found.front() ? found.front()->at_path("bytes") : nullptr;
        const Binary* binary = part ? part->get_if<Binary>() : nullptr;
        if (!binary) co_return fail(ErrorCode::not_found, "rows of dead letter " + id);
        bytes += binary->bytes;
    }
    RowReader reader(bytes);
    while (true) {
        CO_TRY(const auto row, reader.next());
        if (!row) co_return transaction;
        transaction.add(row->table, row->operation, row->cells);
    }
}

/// Folds the letter's transaction at its own Position into documents that no later one has touched.
awaitable<result<void>> Pipeline::fold_letter(const Transaction& transaction, Object& letter) {
    const Value* incomplete = letter.find("incomplete");
    if (incomplete && *incomplete == Value(true)) {
        co_return fail(ErrorCode::conflict,
                       "it was part of a transaction that deleted jobs without "
                       "a log: `netbuild resync --instance ID` mends it");
    }
    CO_TRY_VOID(co_await load_documents(transaction));
    // From here on without any wait: the documents are the newest that there are. They are changed
    // in a cache of their own, for a try that fails must leave nothing behind.
    DocumentCache scratch({options_.cache_documents_max, options_.cache_bytes_max});
    Projector projector(options_.projection, scratch);
    while (true) {
        std::set<DocumentKey> missing;
        projector.collect_missing(transaction, false, missing);
        if (missing.empty()) break;
        for (const auto& [collection, id] : missing) {
            const CachedDocument* newest = cache_.find(collection, id);
            if (newest && newest->lsn() > transaction.position.number &&
                collection != collections::process_definitions) {
                co_return fail(ErrorCode::conflict,
                               fmt::format("{} {} was changed by a later transaction: `netbuild "
                                           "resync --instance ID` mends its process instance",
                                           collection, id));
            }
            scratch.put(collection, id, newest ? newest->shared() : nullptr);
        }
    }
    ProjectedEvents events;
    if (const Value* piece = letter.find("piece"); piece && !piece->is_null()) {
        events.next_ordinal = late_ordinal + static_cast<std::uint32_t>(piece->integer_or()) *
                                                 late_ordinals_per_piece;
    }
    CO_TRY_VOID(attempt(projector, transaction, nullptr, events));
    // In the store only: the stream has passed their Positions. Of a replay they are there.
    std::move(events.documents.begin(), events.documents.end(), std::back_inserter(open_.events));
    ApplyBatch changed;
    scratch.take_dirty(changed);
    for (const auto* writes : {&changed.parts, &changed.documents}) {
        for (const DocumentWrite& write : *writes)
            cache_.adopt(write);
    }
    letter.set("status", "projected");
    letter.set("answer", fmt::format("{} documents changed",
                                     changed.parts.size() + changed.documents.size()));
    co_return result<void>{};
}

} // namespace netbuild::sync
