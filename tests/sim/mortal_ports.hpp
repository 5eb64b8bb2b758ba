// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "life.hpp"
#include "ports/change_source.hpp"
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"

namespace netbuild::sim {

// The ports as one process has them: every operation takes time, may fail, may be its last one.

class MortalSource final : public ChangeSource {
public:
    MortalSource(ChangeSource& source, Life& life) : source_(source), life_(life) {}
    awaitable<result<SourceIdentity>> identify() override;
    awaitable<result<Lsn>> end_of_history() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override;
    awaitable<result<ChangeBatch>> next() override;
    void confirm(Position durable) override;
    awaitable<void> close() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) override;

private:
    ChangeSource& source_;
    Life& life_;
};

class MortalStore final : public DocumentStore {
public:
    MortalStore(DocumentStore& store, Life& life) : store_(store), life_(life) {}
    awaitable<result<void>> prepare(std::span<const CollectionSpec> specs) override;
    awaitable<result<void>> ping() override;
    awaitable<result<void>> apply(std::shared_ptr<const ApplyBatch> batch) override;
    awaitable<result<std::optional<Checkpoint>>> checkpoint(std::string engine) override;
    awaitable<result<std::uint64_t>> claim(std::string engine) override;
    awaitable<result<void>> erase_checkpoint(std::string engine) override;
    awaitable<result<std::vector<ValuePtr>>> get(std::string_view collection,
                                                 std::vector<std::string> ids) override;
    awaitable<result<std::vector<ValuePtr>>> find(Query query) override;
    awaitable<result<std::vector<std::vector<ValuePtr>>>>
    find_together(std::vector<Query> queries) override;
    awaitable<result<std::uint64_t>> count(std::string_view collection, Filter filter) override;
    awaitable<result<std::uint64_t>> erase(std::string_view collection, Filter filter) override;

private:
    awaitable<void> deliver_late(std::shared_ptr<const ApplyBatch> batch);
    DocumentStore& store_;
    Life& life_;
};

class MortalBus final : public EventBus {
public:
    MortalBus(EventBus& bus, Life& life) : bus_(bus), life_(life) {}
    awaitable<result<void>> ping() override;
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override;
    awaitable<result<Position>> last() override;
    awaitable<result<Position>> first() override;
    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) override;
    awaitable<result<void>> trim_before(Position position) override;

private:
    EventBus& bus_;
    Life& life_;
};

} // namespace netbuild::sim
