// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "memory/memory_bus.hpp"
#include "memory/memory_store.hpp"
#include "model/collections.hpp"
#include "ports/stored_events.hpp"
#include "support/run.hpp"
#include "sync/event_retention.hpp"

namespace netbuild::test {
namespace {

TEST(EventRetention, removes_what_is_older_from_store_and_stream_and_nothing_else) {
    asio::io_context context;
    SystemClock clock;
    MemoryStore store;
    MemoryBus bus(context.get_executor(), clock, {});
    auto batch = std::make_shared<ApplyBatch>();
    std::vector<StreamEventPtr> events;
    for (std::int64_t number = 1; number <= 2500; ++number) {
        DocumentWrite write;
        write.kind = DocumentWrite::Kind::insert_only;
        write.collection = collections::events;
        write.id = std::to_string(number) + "-0";
        write.lsn = static_cast<std::uint64_t>(number);
        write.body = std::make_shared<const Value>(
            Object{{"_id", write.id}, {"lsn", number}, {"ordinal", 0}, {"at", Date{number * 10}}});
        batch->events.push_back(std::move(write));
        auto event = std::make_shared<StreamEvent>();
        event->position = {static_cast<std::uint64_t>(number), 0};
        events.push_back(std::move(event));
    }
    must(context, store.apply(batch));
    must(context, bus.append(std::move(events), {}));
    EXPECT_EQ(must(context, sync::remove_events_before(store, bus, Date{15'000})), 1499u);
    EXPECT_EQ(must(context, store.count(collections::events, {})), 1001u);
    EXPECT_EQ(must(context, bus.first()), (Position{1500, 0}));
    EXPECT_EQ(must(context, sync::remove_events_before(store, bus, Date{15'000})), 0u);
    const auto known =
        must(context, store.get(collections::sync_checkpoints, {std::string(event_horizon_id)}));
    EXPECT_EQ(event_horizon(known.front().get()), (Position{1499, Position::last_ordinal}))
        << "what a reader from before it is told";
}

} // namespace
} // namespace netbuild::test
