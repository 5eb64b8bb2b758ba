// SPDX-License-Identifier: Apache-2.0
// How a transaction that comes in parts goes through the pipeline: into a spill file, then in
// pieces that fit into memory. Its Position counts as projected with the last piece, so neither the
// checkpoint nor a reader's wait passes it before; a crash in between plays all pieces again.
#include "large_transaction.hpp"
#include "model/collections.hpp"
#include "sync/pipeline.hpp"
#include "telemetry/log.hpp"

namespace netbuild::sync {

awaitable<result<void>> Pipeline::gather(const Transaction& part) {
    if (!ports_.spill) {
        co_return fail(ErrorCode::payload_too_large, "a transaction in parts and no spill area");
    }
    if (!large_) {
        CO_TRY(auto file, co_await until_done([&] { return ports_.spill->create(); },
                                              progress_.spill_trouble));
        LargeTransaction::Limits limits;
        limits.piece_bytes_max = options_.piece_bytes_max;
        limits.piece_documents_max = options_.piece_documents_max;
        large_ = std::make_unique<LargeTransaction>(std::move(file), options_.projection.retention,
                                                    limits);
        ++progress_.large_transactions;
    }
    CO_TRY_VOID(large_->take(part));
    CO_TRY_VOID(co_await until_done([&] { return large_->flush(); }, progress_.spill_trouble));
    progress_.large_rows = large_->rows();
    progress_.large_bytes = large_->bytes();
    progress_.notify();
    if (part.extent == Extent::part) co_return result<void>{};
    const auto large = std::move(large_);
    auto folded = co_await fold_pieces(*large);
    if (folded) take_requests(part);
    progress_.large_rows = progress_.large_bytes = 0;
    progress_.large_pieces = progress_.large_pieces_done = 0;
    co_return folded;
}

/// Rows that name a task only belong to the process instance that the task's document names.
awaitable<result<void>> Pipeline::find_owners(LargeTransaction& large) {
    while (true) {
        CO_TRY(const auto tasks, co_await until_done([&] { return large.orphaned_tasks(); },
                                                     progress_.spill_trouble));
        if (tasks.empty()) co_return result<void>{};
        std::vector<std::string> unknown;
        const auto tell = [&](const std::string& task, const Value* instance) {
            large.set_owner(task, instance ? instance->string_or() : std::string_view{});
        };
        for (const std::string& task : tasks) {
            const CachedDocument* cached = cache_.find(collections::tasks, task);
            if (cached) {
                tell(task, cached->find("processInstanceId"));
            } else {
                unknown.push_back(task);
            }
        }
        CO_TRY(const auto stored,
               co_await until_done([&] { return ports_.store.get(collections::tasks, unknown); },
                                   progress_.store_trouble));
        for (std::size_t i = 0; i < unknown.size(); ++i)
            tell(unknown[i], stored[i] ? stored[i]->at_path("processInstanceId") : nullptr);
    }
}

awaitable<result<void>> Pipeline::fold_pieces(LargeTransaction& large) {
    const Position position = large.position();
    if (position.number <= projected_.number && !projected_.is_zero()) co_return result<void>{};
    progress_.captured = std::max(progress_.captured, position);
    progress_.captured_commit_us = large.committed_at_us();
    CO_TRY_VOID(co_await find_owners(large));
    CO_TRY_VOID(large.arrange());
    for (bool done = false; !done;) {
        CO_TRY(done,
               co_await until_done([&] { return large.share_out(); }, progress_.spill_trouble));
    }
    log::info("a transaction of {} row changes is projected in {} pieces", large.rows(),
              large.pieces());
    progress_.large_pieces = large.pieces();
    projector_.count_large(large.rows());
    std::uint32_t ordinal = 0;
    for (std::size_t index = 0; index < large.pieces(); ++index) {
        cache_.evict();
        CO_TRY(const Transaction piece,
               co_await until_done([&] { return large.piece(index); }, progress_.spill_trouble));
        CO_TRY_VOID(co_await fold(piece, {&large.erased_jobs(), index}, ordinal));
        progress_.large_pieces_done = index + 1;
        progress_.large_bytes = large.bytes();
        count();
        progress_.notify();
    }
    if (large.pieces() == 0) { // nothing that a projection reads
        projected_ = open_.upto = position;
        open_.committed_at_us = large.committed_at_us();
    }
    co_return result<void>{};
}

} // namespace netbuild::sync
