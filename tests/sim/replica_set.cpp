// SPDX-License-Identifier: Apache-2.0
#include "replica_set.hpp"

namespace netbuild::sim {

awaitable<void> ReplicaSet::settle() {
    while (!pending_.empty() && pending_.front().due <= clock_.monotonic()) {
        const auto batch = std::move(pending_.front().batch);
        pending_.pop_front();
        (void)co_await majority_.apply(batch);
        if (on_durable) on_durable(*batch);
    }
}

/// A write that the majority has acknowledged stands behind all that came before it.
awaitable<void> ReplicaSet::settle_all() {
    for (Pending& one : pending_)
        one.due = {};
    co_await settle();
}

void ReplicaSet::fail_over() {
    pending_.clear();
    primary_ = majority_;
    ++term_;
}

awaitable<MemoryStore*> ReplicaSet::read() {
    co_await settle();
    co_return reads_unreplicated ? &primary_ : &majority_;
}

awaitable<result<void>> ReplicaSet::prepare(std::span<const CollectionSpec> specs) {
    CO_TRY_VOID(co_await primary_.prepare(specs));
    co_return co_await majority_.prepare(specs);
}

awaitable<result<void>> ReplicaSet::ping() { return primary_.ping(); }

awaitable<result<void>> ReplicaSet::apply(std::shared_ptr<const ApplyBatch> batch) {
    co_await settle();
    const std::uint64_t term = term_;
    auto due = clock_.monotonic() + Clock::duration(random_.below(static_cast<std::uint64_t>(
                                        options_.replication_max.count() + 1)));
    if (!pending_.empty()) due = std::max(due, pending_.back().due); // an oplog has one order
    CO_TRY_VOID(co_await primary_.apply(batch));
    pending_.push_back({due, batch});
    if (acknowledges_unreplicated) co_return result<void>{};
    // The write is on its way whoever waits for it.
    if (due > clock_.monotonic()) CO_TRY_VOID(co_await clock_.sleep(due - clock_.monotonic()));
    if (term != term_) co_return fail(ErrorCode::outcome_unknown, "the primary stepped down");
    co_await settle();
    co_return result<void>{};
}

awaitable<result<std::optional<Checkpoint>>> ReplicaSet::checkpoint(std::string engine) {
    co_return co_await (co_await read())->checkpoint(std::move(engine));
}

awaitable<result<std::uint64_t>> ReplicaSet::claim(std::string engine) {
    co_await settle_all();
    CO_TRY_VOID(co_await majority_.claim(engine));
    co_return co_await primary_.claim(engine);
}

awaitable<result<void>> ReplicaSet::erase_checkpoint(std::string engine) {
    CO_TRY_VOID(co_await primary_.erase_checkpoint(engine));
    co_return co_await majority_.erase_checkpoint(engine);
}

awaitable<result<std::vector<ValuePtr>>> ReplicaSet::get(std::string_view collection,
                                                         std::vector<std::string> ids) {
    co_return co_await (co_await read())->get(collection, std::move(ids));
}

awaitable<result<std::vector<ValuePtr>>> ReplicaSet::find(Query query) {
    co_return co_await (co_await read())->find(std::move(query));
}

awaitable<result<std::vector<std::vector<ValuePtr>>>>
ReplicaSet::find_together(std::vector<Query> queries) {
    co_return co_await (co_await read())->find_together(std::move(queries));
}

awaitable<result<std::uint64_t>> ReplicaSet::count(std::string_view collection, Filter filter) {
    co_return co_await (co_await read())->count(collection, std::move(filter));
}

awaitable<result<std::uint64_t>> ReplicaSet::erase(std::string_view collection, Filter filter) {
    co_await settle_all();
    CO_TRY_VOID(co_await primary_.erase(collection, filter));
    co_return co_await majority_.erase(collection, filter);
}

} // namespace netbuild::sim
