// SPDX-License-Identifier: Apache-2.0
#include "data/embedding_cache.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "data/embedding_input.hpp"
#include "data/embedding_records.hpp"
#include "telemetry/log.hpp"

namespace netbuild::data {
namespace {

using Op = RecordCondition::Operator;

constexpr std::size_t page = RecordQuery::limit_max;
/// Somebody else wrote the registry's record meanwhile: again, so often.
constexpr int attempts_max = 8;
/// Removals are kept for a day: what did not look for half of one is made anew.
constexpr std::chrono::hours news_kept{12};
constexpr std::chrono::seconds tend_interval{1};
constexpr std::size_t differences_shown = 20;

bool is(const Value& record, std::string_view status) {
    return std::string(record.text_at("status")) == status;
}

/// The row of a record; false: the record is none that we wrote.
bool row_of(const Value& record, VectorSpec spec, VectorRow& row) {
    const auto* vector = record.at_path("vector");
    const auto* bytes = vector ? vector->get_if<Binary>() : nullptr;
    if (!bytes || !vector_of_bytes(bytes->bytes, spec.dimension, row.values)) return false;
    auto tags = tags_of(*record.get_if<Object>(), "");
    if (!tags) return false;
    row.tags = std::move(*tags);
    row.key = record_id(record);
    row.label = record.integer_at("label");
    return row.label > 0;
}

} // namespace

struct EmbeddingCache::Handle {
    explicit Handle(std::string name, const asio::any_io_executor& executor)
        : id(std::move(name)), left(executor) {}
    const std::string id;
    std::shared_ptr<VectorIndex> index;
    /// Changes up to it are in the index, and in the file.
    std::int64_t sequence = 0, saved = 0;
    /// The file is damaged or missing.
    bool save_anyway = false;
    bool without_graph = false;
    std::size_t bytes_reserved = 0;
    Clock::duration used{}, looked{}, changed{};
    bool busy = false;
    Signal left;
};

/// One coroutine at a time loads an index or brings it up.
class EmbeddingCache::Turn {
public:
    static awaitable<result<Turn>> take(std::shared_ptr<Handle> handle) {
        while (handle->busy)
            CO_TRY_VOID(co_await handle->left.wait());
        handle->busy = true;
        co_return Turn(std::move(handle));
    }
    Turn(Turn&& other) noexcept = default;
    ~Turn() {
        if (!handle_) return;
        handle_->busy = false;
        handle_->left.notify_all();
    }

private:
    explicit Turn(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}
    std::shared_ptr<Handle> handle_;
};

EmbeddingCache::EmbeddingCache(RecordStore& records, VectorIndexes& indexes, Clock& clock,
                               const asio::any_io_executor& executor, EmbeddingOptions options)
    : records_(records),
      indexes_(indexes),
      clock_(clock),
      executor_(executor),
      options_(std::move(options)),
      work_(executor) {}
EmbeddingCache::~EmbeddingCache() = default;

std::shared_ptr<EmbeddingCache::Handle> EmbeddingCache::handle_of(const std::string& id) {
    auto& handle = handles_[id];
    if (!handle) handle = std::make_shared<Handle>(id, executor_);
    return handle;
}

result<void> EmbeddingCache::admits(const Value& record, std::int64_t count) const {
    const std::size_t bytes =
        static_cast<std::size_t>(count) * indexes_.bytes_of_one(spec_of(record));
    if (bytes <= options_.memory_bytes_max) return {};
    return fail(ErrorCode::out_of_memory,
                fmt::format("{} vectors of index {} take {} bytes; embeddings.memory_max is {}",
                            count, record_id(record), bytes, options_.memory_bytes_max));
}

/// Others leave, the one that was not used for longest first.
result<void> EmbeddingCache::make_room(const Value& record) {
    const std::int64_t count = record.integer_at("count");
    TRY_VOID(admits(record, count));
    const std::string id = record_id(record);
    const std::size_t wanted =
        static_cast<std::size_t>(count) * indexes_.bytes_of_one(spec_of(record));
    while (true) {
        std::size_t taken = 0;
        Handle* oldest = nullptr;
        for (const auto& [name, handle] : handles_) {
            if (name == id || !handle->index) continue;
            taken += handle->bytes_reserved;
            if (!handle->busy && (!oldest || handle->used < oldest->used)) oldest = handle.get();
        }
        if (taken + wanted <= options_.memory_bytes_max || !oldest) break;
        log::info("index {} leaves the memory", oldest->id);
        oldest->index = nullptr; // whoever searches it just now keeps it so long
        oldest->sequence = 0;
    }
    handle_of(id)->bytes_reserved = wanted;
    return {};
}

/// Records whose label is greater than `after`, in order. A vector that is added twice is passed
/// over by the index, so a page may hold what is known already.
awaitable<result<void>> EmbeddingCache::add_records(VectorIndex& index, const Value& record,
                                                    std::int64_t after, Check* check) {
    const VectorSpec spec = spec_of(record);
    RecordQuery query{.collection = &embeddings,
                      .where = {{.field = "indexId", .value = record_id(record)},
                                {.field = "label", .op = Op::greater, .value = after}},
                      .sort = {"label"},
                      .limit = page};
    do {
        CO_TRY(const RecordPage found, co_await records_.find(query));
        std::vector<VectorRow> rows;
        for (const ValuePtr& one : found.items) {
            VectorRow row;
            if (row_of(*one, spec, row)) {
                rows.push_back(std::move(row));
            } else if (check) {
                check->differences.push_back(
                    fmt::format("record {} holds no vector of {} finite numbers", record_id(*one),
                                spec.dimension));
            }
        }
        if (check) check->vectors += static_cast<std::int64_t>(found.items.size());
        CO_TRY_VOID(co_await index.add(std::move(rows)));
        query.after = found.next;
    } while (!query.after.empty());
    co_return result<void>{};
}

awaitable<result<std::vector<std::int64_t>>> EmbeddingCache::removed_after(std::string index,
                                                                           std::int64_t sequence) {
    std::vector<std::int64_t> labels;
    RecordQuery query{.collection = &embedding_removals,
                      .where = {{.field = "indexId", .value = std::move(index)},
                                {.field = "sequence", .op = Op::greater, .value = sequence}},
                      .sort = {"sequence"},
                      .limit = page};
    do {
        CO_TRY(const RecordPage found, co_await records_.find(query));
        for (const ValuePtr& one : found.items)
            labels.push_back(one->integer_at("label"));
        query.after = found.next;
    } while (!query.after.empty());
    co_return labels;
}

/// All records of an index, compared with its file and with what the registry says.
awaitable<result<EmbeddingCache::Loaded>> EmbeddingCache::load(ValuePtr record) {
    const std::string id = record_id(*record);
    Loaded loaded;
    loaded.index = indexes_.make(spec_of(*record));
    CO_TRY_VOID(co_await add_records(*loaded.index, *record, 0, &loaded.check));
    // What was added or removed while it was read makes no difference of ours.
    CO_TRY(const ValuePtr now, co_await records_.one(embedding_indexes, id));
    const std::int64_t count = record->integer_at("count");
    if (now->integer_at("sequence") == record->integer_at("sequence") &&
        loaded.check.vectors != count)
        loaded.check.differences.push_back(fmt::format(
            "the registry counts {} vectors, there are {} records", count, loaded.check.vectors));
    const std::string file = std::string(record->text_at("file")),
                      graph = std::string(record->text_at("graphFile"));
    if (file.empty()) co_return loaded;
    const std::int64_t upto = record->integer_at("fileSequence");
    CO_TRY(auto removed, co_await removed_after(id, upto));
    CO_TRY(auto differences,
           co_await loaded.index->compare({file, std::string(record->text_at("checksum"))},
                                          {upto, removed}));
    std::move(differences.begin(), differences.end(), std::back_inserter(loaded.check.differences));
    if (!graph.empty()) {
        auto taken = co_await loaded.index->take_graph(
            {graph, std::string(record->text_at("graphChecksum"))});
        if (!taken && taken.error().code() != ErrorCode::corrupt)
            co_return std::move(taken).error();
        if (!taken) loaded.check.differences.push_back(taken.error().detail());
    }
    co_return loaded;
}

awaitable<result<EmbeddingCache::Check>> EmbeddingCache::check(ValuePtr record) {
    const std::string id = record_id(*record);
    for (int attempt = 1;; ++attempt) {
        CO_TRY(Loaded loaded, co_await load(record));
        if (loaded.check.differences.empty() || attempt == attempts_max) co_return loaded.check;
        // A server may have saved it, and removed the file, while it was compared.
        CO_TRY(const ValuePtr now, co_await records_.one(embedding_indexes, id));
        if (record_version(*now) == record_version(*record)) co_return loaded.check;
        record = now;
    }
}

awaitable<result<void>> EmbeddingCache::open(std::shared_ptr<Handle> handle, ValuePtr record) {
    CO_TRY_VOID(make_room(*record));
    if (std::exchange(handle->without_graph, false)) {
        std::shared_ptr<VectorIndex> made = indexes_.make(spec_of(*record));
        CO_TRY_VOID(co_await add_records(*made, *record, 0, nullptr));
        handle->index = std::move(made);
        handle->save_anyway = true;
    } else {
        CO_TRY(Loaded loaded, co_await load(record));
        const auto& differences = loaded.check.differences;
        for (std::size_t i = 0; i < std::min(differences.size(), differences_shown); ++i)
            log::warning("index {}: {}; the records are right", handle->id, differences[i]);
        handle->index = std::move(loaded.index);
        handle->save_anyway = !differences.empty();
    }
    handle->sequence = record->integer_at("sequence");
    handle->saved =
        std::string(record->text_at("file")).empty() ? 0 : record->integer_at("fileSequence");
    handle->looked = handle->changed = clock_.monotonic();
    if (handle->save_anyway || handle->saved < handle->sequence) touched(handle->id);
    co_return result<void>{};
}

awaitable<result<void>> EmbeddingCache::catch_up(std::shared_ptr<Handle> handle, ValuePtr record) {
    const std::int64_t wanted = record->integer_at("sequence");
    if (clock_.monotonic() - handle->looked > news_kept) handle->index = nullptr;
    if (!handle->index) co_return co_await open(handle, record);
    handle->looked = clock_.monotonic();
    if (handle->sequence >= wanted) co_return result<void>{};
    // Kept by value: the handle may lose it to make_room() meanwhile.
    const std::shared_ptr<VectorIndex> index = handle->index;
    const std::int64_t seen = handle->sequence;
    CO_TRY_VOID(make_room(*record));
    CO_TRY_VOID(co_await add_records(*index, *record, seen, nullptr));
    CO_TRY(auto removed, co_await removed_after(handle->id, seen));
    // In this order: what was added and removed since then ends as removed.
    CO_TRY_VOID(co_await index->remove(std::move(removed)));
    handle->sequence = wanted;
    co_return result<void>{};
}

awaitable<result<std::shared_ptr<VectorIndex>>> EmbeddingCache::current(ValuePtr record) {
    const auto handle = handle_of(record_id(*record));
    handle->used = clock_.monotonic();
    const bool fresh = handle->index && handle->sequence >= record->integer_at("sequence") &&
                       clock_.monotonic() - handle->looked <= news_kept;
    if (fresh) co_return handle->index;
    CO_TRY(const Turn turn, co_await Turn::take(handle));
    CO_TRY_VOID(co_await catch_up(handle, record));
    co_return handle->index;
}

void EmbeddingCache::forget(const std::string& index) {
    const auto handle = handle_of(index);
    handle->index = nullptr;
    handle->sequence = 0;
    handle->without_graph = true;
    touched(index);
}

void EmbeddingCache::touched(const std::string& index) {
    const auto handle = handle_of(index);
    if (handle->changed == Clock::duration{}) handle->changed = clock_.monotonic();
    work_.notify_all();
}

VectorState EmbeddingCache::state(const std::string& index) const {
    const auto found = handles_.find(index);
    return found == handles_.end() || !found->second->index ? VectorState{}
                                                            : found->second->index->state();
}

/// Pending until the registry's record names the files: a crash before that leaves files that
/// nobody knows, one after it leaves old ones; remove_orphans() takes either.
awaitable<result<void>> EmbeddingCache::save(std::string id) {
    if (!owned_) co_return result<void>{};
    const auto handle = handle_of(id);
    CO_TRY(ValuePtr record, co_await records_.one(embedding_indexes, id));
    CO_TRY(const auto index, co_await current(record));
    const std::int64_t upto = handle->sequence;
    const std::string old_file = std::string(record->text_at("file")),
                      old_graph = std::string(record->text_at("graphFile"));
    CO_TRY(const VectorFiles files,
           co_await index->save(fmt::format("{}-{}-{}", id, upto, record_version(*record))));
    for (int attempt = 1;; ++attempt) {
        Object body = record_body(*record);
        body.set("file", files.flat.name);
        body.set("checksum", files.flat.checksum);
        body.set("fileSequence", upto);
        body.erase("graphFile");
        body.erase("graphChecksum");
        if (!files.graph.name.empty()) {
            body.set("graphFile", files.graph.name);
            body.set("graphChecksum", files.graph.checksum);
        }
        auto done = co_await commit(
            RecordWrite::replace(embedding_indexes, id, record_version(*record), std::move(body)));
        if (done) break;
        if (done.error().code() != ErrorCode::conflict || attempt == attempts_max)
            co_return std::move(done).error();
        CO_TRY(record, co_await records_.one(embedding_indexes, id));
    }
    handle->saved = upto;
    handle->save_anyway = false;
    handle->changed = handle->sequence > upto ? clock_.monotonic() : Clock::duration{};
    for (const std::string& old : {old_file, old_graph}) {
        if (!old.empty() && old != files.flat.name && old != files.graph.name)
            CO_TRY_VOID(co_await indexes_.remove_file(old));
    }
    co_return result<void>{};
}

awaitable<result<void>> EmbeddingCache::tend_one(std::shared_ptr<Handle> handle, bool all) {
    CO_TRY(const auto found, co_await records_.get(embedding_indexes, {handle->id}));
    if (!found.front()) {
        handles_.erase(handle->id);
        co_return result<void>{};
    }
    const ValuePtr record = found.front();
    if (is(*record, "removing")) co_return co_await finish_removal(record);
    CO_TRY(const auto index, co_await current(record));
    bool more = true;
    while (more) {
        CO_TRY(more, co_await index->tend());
    }
    if (handle->index != index) co_return result<void>{};
    const std::int64_t news = handle->sequence - handle->saved;
    const bool due = all || handle->save_anyway || news >= options_.save_after_changes ||
                     clock_.monotonic() - handle->changed >= options_.save_interval;
    if ((news > 0 || handle->save_anyway) && due) co_return co_await save(handle->id);
    if (news == 0 && !handle->save_anyway) handle->changed = {};
    co_return result<void>{};
}

awaitable<result<void>> EmbeddingCache::tend(bool all) {
    std::vector<std::shared_ptr<Handle>> handles;
    for (const auto& [id, handle] : handles_) {
        if (handle->changed != Clock::duration{}) handles.push_back(handle);
    }
    for (const auto& handle : handles) {
        auto done = co_await tend_one(handle, all);
        if (done) continue;
        if (done.error().code() == ErrorCode::cancelled || all) co_return done;
        log::warning("index {} is looked after later: {}", handle->id, done.error().message());
    }
    co_return result<void>{};
}

/// What was erased goes in steps; a crash between them goes on here.
awaitable<result<void>> EmbeddingCache::finish_removal(ValuePtr record) {
    const std::string id = record_id(*record);
    handles_.erase(id);
    const std::array<std::pair<const Collection*, std::string_view>, 2> lists = {
        {{&embeddings, "label"}, {&embedding_removals, "sequence"}}};
    for (const auto& [collection, sorted] : lists) {
        while (true) {
            RecordQuery query{.collection = collection,
                              .where = {{.field = "indexId", .value = id}},
                              .sort = {sorted},
                              .limit = RecordStore::writes_max};
            CO_TRY(const RecordPage found, co_await records_.find(std::move(query)));
            if (found.items.empty()) break;
            std::vector<RecordWrite> writes;
            for (const ValuePtr& one : found.items)
                writes.push_back(
                    RecordWrite::erase(*collection, record_id(*one), record_version(*one)));
            CO_TRY_VOID(co_await commit(std::move(writes)));
        }
    }
    for (const std::string_view field : {"file", "graphFile"}) {
        const std::string name = std::string(record->text_at(field));
        if (owned_ && !name.empty()) CO_TRY_VOID(co_await indexes_.remove_file(name));
    }
    co_return co_await commit(RecordWrite::erase(embedding_indexes, id, record_version(*record)));
}

awaitable<result<void>> EmbeddingCache::commit(std::vector<RecordWrite> writes) {
    if (options_.on_step) options_.on_step("commit");
    auto done = co_await records_.commit(std::move(writes));
    if (options_.on_step) options_.on_step("committed");
    co_return done;
}

awaitable<result<void>> EmbeddingCache::commit(RecordWrite write) {
    std::vector<RecordWrite> writes;
    writes.push_back(std::move(write));
    co_return co_await commit(std::move(writes));
}

awaitable<result<void>> EmbeddingCache::own_folder() {
    CO_TRY_VOID(co_await indexes_.own_folder());
    owned_ = true;
    co_return result<void>{};
}

awaitable<result<void>> EmbeddingCache::remove_orphans() {
    if (!owned_) co_return result<void>{};
    // First the files, then the registry: what is registered in between is no orphan.
    CO_TRY(const auto files, co_await indexes_.files());
    std::set<std::string> known;
    RecordQuery query{.collection = &embedding_indexes, .limit = page};
    do {
        CO_TRY(const RecordPage found, co_await records_.find(query));
        for (const ValuePtr& one : found.items) {
            known.insert(std::string(one->text_at("file")));
            known.insert(std::string(one->text_at("graphFile")));
        }
        query.after = found.next;
    } while (!query.after.empty());
    for (const std::string& name : files) {
        if (known.contains(name)) continue;
        log::info("{} is no index's file (any more): removed", name);
        CO_TRY_VOID(co_await indexes_.remove_file(name));
    }
    co_return result<void>{};
}

awaitable<result<void>> EmbeddingCache::open_all() {
    CO_TRY_VOID(co_await remove_orphans());
    RecordQuery query{.collection = &embedding_indexes, .limit = page};
    do {
        CO_TRY(const RecordPage found, co_await records_.find(query));
        for (const ValuePtr& record : found.items) {
            auto opened =
                is(*record, "removing") ? co_await finish_removal(record) : result<void>{};
            if (!is(*record, "removing")) {
                auto index = co_await current(record);
                if (!index) opened = std::move(index).error();
            }
            if (opened) continue;
            if (opened.error().code() == ErrorCode::cancelled) co_return opened;
            log::warning("index {}: {}", record_id(*record), opened.error().message());
        }
        query.after = found.next;
    } while (!query.after.empty());
    co_return result<void>{};
}

awaitable<result<void>> EmbeddingCache::run() {
    auto owned = co_await own_folder();
    if (!owned)
        log::warning("indexes of embeddings are not saved by this process: {}",
                     owned.error().message());
    auto opened = co_await open_all();
    if (!opened && opened.error().code() == ErrorCode::cancelled) co_return opened;
    if (!opened) log::warning("embeddings: {}", opened.error().message());
    while (true) {
        CO_TRY_VOID(co_await tend(false));
        CO_TRY_VOID(co_await work_.wait_for(clock_, tend_interval));
    }
}

} // namespace netbuild::data
