// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"

namespace netbuild::bench {

/// Takes everything and keeps nothing: what comes before a store is measured with it.
class NullStore final : public DocumentStore {
public:
    std::optional<Checkpoint> start;
    std::uint64_t documents = 0;
    std::uint64_t events = 0;

    awaitable<result<void>> prepare(std::span<const CollectionSpec>) override {
        co_return result<void>{};
    }
    awaitable<result<void>> ping() override { co_return result<void>{}; }
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override {
        documents += batch->parts.size() + batch->documents.size();
        events += batch->events.size();
        co_return result<void>{};
    }
    awaitable<result<std::optional<Checkpoint>>> checkpoint(std::string) override {
        co_return start;
    }
    awaitable<result<std::uint64_t>> claim(std::string) override { co_return std::uint64_t{1}; }
    awaitable<result<void>> erase_checkpoint(std::string) override { co_return result<void>{}; }
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view,
                                                 std::vector<std::string> ids) override {
        co_return std::vector<ValuePtr>(ids.size());
    }
    awaitable<result<std::vector<ValuePtr>>> find(Query) override {
        co_return std::vector<ValuePtr>();
    }
    awaitable<result<std::vector<std::vector<ValuePtr>>>>
    find_together(std::vector<Query> queries) override {
        co_return std::vector<std::vector<ValuePtr>>(queries.size());
    }
    awaitable<result<std::uint64_t>> count(std::string_view, Filter) override {
        co_return std::uint64_t{0};
    }
    awaitable<result<std::uint64_t>> erase(std::string_view, Filter) override {
        co_return std::uint64_t{0};
    }
};

class NullBus final : public EventBus {
public:
    awaitable<result<void>> ping() override { co_return result<void>{}; }
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events, AppendTerms) override {
        if (!events.empty()) last_ = events.back()->position;
        co_return last_;
    }
    awaitable<result<Position>> last() override { co_return last_; }
    awaitable<result<Position>> first() override { co_return last_; }
    awaitable<result<std::vector<StreamEventPtr>>> read(Position, std::size_t,
                                                        Clock::duration) override {
        co_return std::vector<StreamEventPtr>();
    }
    awaitable<result<void>> trim_before(Position) override { co_return result<void>{}; }

private:
    Position last_;
};

} // namespace netbuild::bench
