// SPDX-License-Identifier: Apache-2.0
#include "sync/event_retention.hpp"

#include "model/collections.hpp"
#include "ports/stored_events.hpp"

namespace netbuild::sync {

awaitable<result<std::uint64_t>> remove_events_before(DocumentStore& store, EventBus& bus,
                                                      Date cutoff) {
    constexpr std::size_t page_documents = 1000;
    std::uint64_t removed = 0;
    while (true) {
        Query oldest;
        oldest.collection = collections::events;
        oldest.sort = {{"lsn", false}, {"ordinal", false}};
        oldest.limit = page_documents;
        oldest.without = {"events"};
        CO_TRY(const auto documents, co_await store.find(oldest));
        std::int64_t upto = -1; // Positions and commit times rise together
        for (const ValuePtr& document : documents) {
            const Value* at = document->at_path("at");
            const Date* date = at ? at->get_if<Date>() : nullptr;
            if (!date || *date >= cutoff) break;
            upto = document->at_path("lsn")->integer_or();
        }
        if (upto < 0) co_return removed;
        // First: a reader that resumes from before it has to be told, also if we die in between.
        auto horizon = std::make_shared<ApplyBatch>();
        horizon->parts.push_back(
            event_horizon_write({static_cast<std::uint64_t>(upto), Position::last_ordinal}));
        CO_TRY_VOID(co_await store.apply(std::move(horizon)));
        Filter filter;
        filter.all.push_back({"lsn", Condition::Operator::less_or_equal, upto});
        CO_TRY(const std::uint64_t count,
               co_await store.erase(collections::events, std::move(filter)));
        removed += count;
        CO_TRY_VOID(co_await bus.trim_before({static_cast<std::uint64_t>(upto) + 1, 0}));
        if (documents.size() < page_documents) co_return removed;
    }
}

} // namespace netbuild::sync
