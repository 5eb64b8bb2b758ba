// SPDX-License-Identifier: Apache-2.0
#include "data/schema.hpp"

#include "data/conversation_records.hpp"
#include "data/domain_records.hpp"
#include "data/embedding_records.hpp"
#include "data/idempotency_records.hpp"
#include "data/identity_records.hpp"
#include "data/payment_records.hpp"
#include "data/snapshot_records.hpp"

namespace netbuild::data {
namespace {

/// What a second look still finds was made by another process meanwhile, or cannot be made.
constexpr int passes_max = 3;
constexpr std::size_t expired_step = 500;

} // namespace

std::span<const Collection> own_collections() noexcept {
    static constexpr Collection all[] = {
        // identity_records.hpp
        users,
        memberships,
        sessions,
        refresh_tokens,
        reset_tokens,
        api_keys,
        sign_in_attempts,
        signing_keys,
        audit,
        // domain_records.hpp
        domains,
        domain_versions,
        // payment_records.hpp, idempotency_records.hpp
        payments,
        payment_events,
        idempotency_keys,
        // snapshot_records.hpp
        task_snapshots,
        snapshot_heads,
        // conversation_records.hpp
        conversations,
        messages,
        ai_contexts,
        // embedding_records.hpp
        embedding_indexes,
        embeddings,
        embedding_removals,
    };
    return all;
}

awaitable<result<std::vector<SchemaChange>>> apply_schema(RecordStore& records,
                                                          SchemaReport report) {
    std::vector<SchemaChange> done;
    for (int pass = 1;; ++pass) {
        CO_TRY(const auto changes, co_await records.schema_changes(own_collections()));
        if (changes.empty()) co_return done;
        for (const SchemaChange& change : changes) {
            if (report) report(change, 0, 0);
            SchemaProgress progress;
            if (report)
                progress = [report, change](std::uint64_t count, std::uint64_t of) {
                    report(change, count, of);
                };
            auto applied = co_await records.apply(change, std::move(progress));
            if (!applied) {
                if (pass >= passes_max) co_return std::move(applied).error().within(change.text());
                break; // another process may have been there first: look again
            }
            done.push_back(change);
        }
        if (pass > passes_max) co_return fail(ErrorCode::difference_found, changes.front().text());
    }
}

awaitable<result<std::uint64_t>> remove_expired(RecordStore& records, Date now) {
    std::uint64_t removed = 0;
    for (const Collection& collection : own_collections()) {
        if (collection.expires.empty()) continue;
        while (true) {
            CO_TRY(const auto step, co_await records.remove_expired(collection, now, expired_step));
            removed += step;
            if (step < expired_step) break;
        }
    }
    co_return removed;
}

} // namespace netbuild::data
