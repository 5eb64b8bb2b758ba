// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"

namespace netbuild::test {

/// A store that another one is behind: a test overrides what it wants to see or spoil.
class ForwardingStore : public DocumentStore {
public:
    explicit ForwardingStore(DocumentStore& store) : store_(store) {}
    awaitable<result<void>> prepare(std::span<const CollectionSpec> specs) override {
        return store_.prepare(specs);
    }
    awaitable<result<void>> ping() override { return store_.ping(); }
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override {
        return store_.apply(std::move(batch));
    }
    awaitable<result<std::optional<Checkpoint>>> checkpoint(std::string engine) override {
        return store_.checkpoint(std::move(engine));
    }
    awaitable<result<std::uint64_t>> claim(std::string engine) override {
        return store_.claim(std::move(engine));
    }
    awaitable<result<void>> erase_checkpoint(std::string engine) override {
        return store_.erase_checkpoint(std::move(engine));
    }
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                 std::vector<std::string> ids) override {
        return store_.get(collection, std::move(ids));
    }
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override {
        return store_.find(std::move(query));
    }
    awaitable<result<std::vector<std::vector<ValuePtr>>>>
    find_together(std::vector<Query> queries) override {
        return store_.find_together(std::move(queries));
    }
    awaitable<result<std::uint64_t>> count(std::string_view collection, Filter filter) override {
        return store_.count(collection, std::move(filter));
    }
    awaitable<result<std::uint64_t>> erase(std::string_view collection, Filter filter) override {
        return store_.erase(collection, std::move(filter));
    }

protected:
    DocumentStore& store_;
};

class ForwardingBus : public EventBus {
public:
    explicit ForwardingBus(EventBus& bus) : bus_(bus) {}
    awaitable<result<void>> ping() override { return bus_.ping(); }
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override {
        return bus_.append(std::move(events), terms);
    }
    awaitable<result<Position>> last() override { return bus_.last(); }
    awaitable<result<Position>> first() override { return bus_.first(); }
    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) override {
        return bus_.read(after, count, wait);
    }
    awaitable<result<void>> trim_before(Position position) override {
        return bus_.trim_before(position);
    }

protected:
    EventBus& bus_;
};

} // namespace netbuild::test
