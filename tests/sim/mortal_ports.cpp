// SPDX-License-Identifier: Apache-2.0
#include "mortal_ports.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

namespace netbuild::sim {
namespace {

/// An operation that is done whole or not at all.
template <class T, class Operation>
awaitable<result<T>> whole(Life& life, std::string_view name, Operation operation) {
    const Fate fate = co_await life.begin(name);
    if (life.dead()) co_return killed();
    if (fate == Fate::refused) co_return refused();
    if (fate == Fate::dies && life.moment() != Moment::after) {
        life.die();
        co_return killed();
    }
    auto outcome = co_await operation();
    if (fate == Fate::dies) life.die();
    if (life.dead()) co_return killed();
    if (fate == Fate::answer_lost) co_return answer_lost();
    co_return outcome;
}

class MortalSnapshot final : public EngineSnapshot {
public:
    MortalSnapshot(std::unique_ptr<EngineSnapshot> snapshot, Life& life)
        : snapshot_(std::move(snapshot)), life_(life) {}
    [[nodiscard]] Position position() const override { return snapshot_->position(); }
    [[nodiscard]] std::uint64_t instances_estimate() const override {
        return snapshot_->instances_estimate();
    }
    void start_after(std::string id) override { snapshot_->start_after(std::move(id)); }
    awaitable<result<std::optional<EngineChunk>>> next() override {
        co_return co_await whole<std::optional<EngineChunk>>(life_, "snapshot.next",
                                                             [&] { return snapshot_->next(); });
    }
    awaitable<result<Transaction>> read(InstanceSelection selection) override {
        co_return co_await whole<Transaction>(life_, "snapshot.read",
                                              [&] { return snapshot_->read(selection); });
    }

private:
    std::unique_ptr<EngineSnapshot> snapshot_;
    Life& life_;
};

/// Every other one, so that of some instances a part is there and of others not.
void halve(std::vector<DocumentWrite>& writes) {
    std::vector<DocumentWrite> kept;
    for (std::size_t i = 0; i < writes.size(); i += 2)
        kept.push_back(std::move(writes[i]));
    writes = std::move(kept);
}

/// What a store without transactions has of a batch when it is cut: one member half, what stands
/// before it whole.
std::shared_ptr<const ApplyBatch> part_of(const ApplyBatch& batch, std::uint64_t stage) {
    auto part = std::make_shared<ApplyBatch>(batch);
    part->checkpoint.reset();
    if (stage == 0) {
        part->events.resize(part->events.size() / 2);
        part->parts.clear();
    }
    if (stage == 1) halve(part->parts);
    if (stage < 2) part->documents.clear();
    if (stage == 2) halve(part->documents);
    return part;
}

// The longest that a dead process's request is on its way.
constexpr auto late_max = std::chrono::seconds(4);

template <class Task>
awaitable<void> spawn_late(Life& life, Task task) {
    SimulatedClock& clock = life.clock();
    const auto executor = co_await asio::this_coro::executor;
    const auto time = late_max / (1 + life.awaits() % 8);
    clock.after(time, [executor, task = std::move(task)]() mutable {
        asio::co_spawn(executor, task(), [](std::exception_ptr escaped, auto&&) {
            if (escaped) std::rethrow_exception(escaped);
        });
    });
}

} // namespace

awaitable<result<SourceIdentity>> MortalSource::identify() {
    co_return co_await whole<SourceIdentity>(life_, "source.identify",
                                             [&] { return source_.identify(); });
}
awaitable<result<Lsn>> MortalSource::end_of_history() {
    co_return co_await whole<Lsn>(life_, "source.end_of_history",
                                  [&] { return source_.end_of_history(); });
}
awaitable<result<std::unique_ptr<EngineSnapshot>>> MortalSource::open(SourceStart start) {
    const Fate fate = co_await life_.begin("source.open");
    if (life_.dead()) co_return killed();
    if (fate == Fate::refused) co_return refused();
    if (fate == Fate::dies && life_.moment() != Moment::after) {
        life_.die();
        co_return killed();
    }
    CO_TRY(auto snapshot, co_await source_.open(start));
    if (fate == Fate::dies) life_.die();
    if (life_.dead()) co_return killed();
    if (fate == Fate::answer_lost) {
        co_await source_.close();
        co_return answer_lost();
    }
    if (!snapshot) co_return std::unique_ptr<EngineSnapshot>();
    co_return std::make_unique<MortalSnapshot>(std::move(snapshot), life_);
}
awaitable<result<ChangeBatch>> MortalSource::next() {
    const Fate fate = co_await life_.begin("source.next");
    if (life_.dead()) co_return killed();
    // A stream has no answers to lose: it breaks.
    if (fate == Fate::refused || fate == Fate::answer_lost) {
        co_await source_.close();
        co_return refused();
    }
    if (fate == Fate::dies && life_.moment() != Moment::after) {
        life_.die();
        co_return killed();
    }
    auto batch = co_await source_.next();
    if (fate == Fate::dies) life_.die();
    if (life_.dead()) co_return killed();
    co_return batch;
}
void MortalSource::confirm(Position durable) {
    if (!life_.dead()) source_.confirm(durable);
}
awaitable<void> MortalSource::close() {
    if (!life_.dead()) co_await source_.close();
}
awaitable<result<std::unique_ptr<EngineSnapshot>>> MortalSource::snapshot(SnapshotTaken taken) {
    CO_TRY(auto snapshot, co_await whole<std::unique_ptr<EngineSnapshot>>(
                              life_, "source.snapshot", [&] { return source_.snapshot(taken); }));
    if (!snapshot) co_return std::unique_ptr<EngineSnapshot>();
    co_return std::make_unique<MortalSnapshot>(std::move(snapshot), life_);
}

awaitable<result<void>> MortalStore::prepare(std::span<const CollectionSpec> specs) {
    co_return co_await whole<void>(life_, "store.prepare", [&] { return store_.prepare(specs); });
}
awaitable<result<void>> MortalStore::ping() {
    co_return co_await whole<void>(life_, "store.ping", [&] { return store_.ping(); });
}
awaitable<void> MortalStore::deliver_late(std::shared_ptr<const ApplyBatch> batch) {
    DocumentStore& store = store_;
    co_await spawn_late(life_, [&store, batch] { return store.apply(batch); });
}
awaitable<result<void>> MortalStore::apply(std::shared_ptr<const ApplyBatch> batch) {
    const Fate fate = co_await life_.begin("store.apply");
    if (life_.dead()) co_return killed();
    if (fate == Fate::refused) co_return refused();
    if (fate == Fate::dies) {
        const Moment moment = life_.moment();
        if (moment == Moment::late) co_await deliver_late(batch);
        if (moment == Moment::half) {
            // The stage follows from the batch: the same in every run.
            const auto stage = batch->checkpoint ? batch->checkpoint->position.number / 8 % 3 : 2;
            (void)co_await store_.apply(part_of(*batch, stage));
        }
        if (moment == Moment::after) (void)co_await store_.apply(batch);
        life_.die();
        co_return killed();
    }
    auto outcome = co_await store_.apply(batch);
    if (life_.dead()) co_return killed();
    if (fate == Fate::answer_lost) co_return answer_lost();
    co_return outcome;
}
awaitable<result<std::optional<Checkpoint>>> MortalStore::checkpoint(std::string engine) {
    co_return co_await whole<std::optional<Checkpoint>>(life_, "store.checkpoint",
                                                        [&] { return store_.checkpoint(engine); });
}
awaitable<result<std::uint64_t>> MortalStore::claim(std::string engine) {
    co_return co_await whole<std::uint64_t>(life_, "store.claim",
                                            [&] { return store_.claim(engine); });
}
awaitable<result<void>> MortalStore::erase_checkpoint(std::string engine) {
    co_return co_await whole<void>(life_, "store.erase_checkpoint",
                                   [&] { return store_.erase_checkpoint(engine); });
}
awaitable<result<std::vector<ValuePtr>>> MortalStore::get(std::string_view collection,
                                                          std::vector<std::string> ids) {
    co_return co_await whole<std::vector<ValuePtr>>(life_, "store.get",
                                                    [&] { return store_.get(collection, ids); });
}
awaitable<result<std::vector<ValuePtr>>> MortalStore::find(Query query) {
    co_return co_await whole<std::vector<ValuePtr>>(life_, "store.find",
                                                    [&] { return store_.find(query); });
}
awaitable<result<std::vector<std::vector<ValuePtr>>>>
MortalStore::find_together(std::vector<Query> queries) {
    co_return co_await whole<std::vector<std::vector<ValuePtr>>>(
        life_, "store.find_together", [&] { return store_.find_together(queries); });
}
awaitable<result<std::uint64_t>> MortalStore::count(std::string_view collection, Filter filter) {
    co_return co_await whole<std::uint64_t>(life_, "store.count",
                                            [&] { return store_.count(collection, filter); });
}
awaitable<result<std::uint64_t>> MortalStore::erase(std::string_view collection, Filter filter) {
    co_return co_await whole<std::uint64_t>(life_, "store.erase",
                                            [&] { return store_.erase(collection, filter); });
}

awaitable<result<void>> MortalBus::ping() {
    co_return co_await whole<void>(life_, "bus.ping", [&] { return bus_.ping(); });
}
awaitable<result<Position>> MortalBus::append(std::vector<StreamEventPtr> events,
                                              AppendTerms terms) {
    const Fate fate = co_await life_.begin("bus.append");
    if (life_.dead()) co_return killed();
    if (fate == Fate::refused) co_return refused();
    if (fate == Fate::dies) {
        const Moment moment = life_.moment();
        EventBus& bus = bus_;
        if (moment == Moment::late)
            co_await spawn_late(life_, [&bus, events, terms] { return bus.append(events, terms); });
        if (moment == Moment::half) events.resize((events.size() + 1) / 2);
        if (moment == Moment::half || moment == Moment::after)
            (void)co_await bus_.append(events, terms);
        life_.die();
        co_return killed();
    }
    auto outcome = co_await bus_.append(std::move(events), terms);
    if (life_.dead()) co_return killed();
    if (fate == Fate::answer_lost) co_return answer_lost();
    co_return outcome;
}
awaitable<result<Position>> MortalBus::last() {
    co_return co_await whole<Position>(life_, "bus.last", [&] { return bus_.last(); });
}
awaitable<result<Position>> MortalBus::first() {
    co_return co_await whole<Position>(life_, "bus.first", [&] { return bus_.first(); });
}
awaitable<result<std::vector<StreamEventPtr>>> MortalBus::read(Position after, std::size_t count,
                                                               Clock::duration wait) {
    co_return co_await whole<std::vector<StreamEventPtr>>(
        life_, "bus.read", [&] { return bus_.read(after, count, wait); });
}
awaitable<result<void>> MortalBus::trim_before(Position position) {
    co_return co_await whole<void>(life_, "bus.trim_before",
                                   [&] { return bus_.trim_before(position); });
}

} // namespace netbuild::sim
