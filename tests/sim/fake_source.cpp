// SPDX-License-Identifier: Apache-2.0
#include "fake_source.hpp"

#include <algorithm>

namespace netbuild::sim {

awaitable<result<SourceIdentity>> FakeSource::identify() { co_return engine_.identity(); }

awaitable<result<Lsn>> FakeSource::end_of_history() { co_return engine_.wal_end(); }

awaitable<result<std::unique_ptr<EngineSnapshot>>> FakeSource::open(SourceStart start) {
    if (start.identity && *start.identity != engine_.identity())
        co_return fail(ErrorCode::unavailable, "the simulated engine is another one by now");
    auto& slot = engine_.slot();
    if (slot && slot->owner != 0) co_return fail(ErrorCode::slot_in_use, "the simulated slot");
    std::unique_ptr<EngineSnapshot> snapshot;
    if (start.after) {
        if (!slot) co_return fail(ErrorCode::not_found, "the simulated slot");
        if (slot->confirmed > start.after->lsn())
            co_return fail(ErrorCode::not_found, "the slot is confirmed past the checkpoint");
        received_ = start.after->lsn();
        if (on_resumed) on_resumed(*start.after);
    } else {
        received_ = engine_.wal_end();
        slot = FakeEngine::Slot{received_, 0};
        const auto position = Position::at(start.epoch, received_);
        snapshot = snapshot_at(position);
        if (on_snapshot) on_snapshot(position);
    }
    owner_ = slot->owner = engine_.next_owner();
    generation_ = engine_.generation();
    epoch_ = start.epoch;
    // To resume after a transaction is not to say that it is durable.
    confirmed_ = slot->confirmed;
    if (!start.after) given_ = {};
    encoder_ = {};
    decoder_.emplace(PgoutputDecoder::Options{.epoch = epoch_});
    const auto& log = engine_.log();
    next_ = static_cast<std::size_t>(
        std::find_if(log.begin(), log.end(),
                     [&](const Committed& one) { return one.end > received_; }) -
        log.begin());
    co_return snapshot;
}

awaitable<result<ChangeBatch>> FakeSource::next() {
    while (!dead_) {
        if (!connected()) co_return fail(ErrorCode::unavailable, "the simulated connection");
        send_status();
        if (next_ < engine_.log().size()) co_return send();
        if (engine_.wal_end() > received_) { // a keepalive
            received_ = engine_.wal_end();
            ChangeBatch batch;
            batch.upto = Position::at(epoch_, received_);
            co_return batch;
        }
        CO_TRY_VOID(co_await engine_.changed().wait_for(clock_, options_.status_interval));
    }
    co_return fail(ErrorCode::cancelled, "the process is dead");
}

result<ChangeBatch> FakeSource::send() {
    ChangeBatch batch;
    const std::size_t count = 1 + random_.below(options_.batch_transactions_max);
    while (next_ < engine_.log().size() && batch.transactions.size() < count) {
        const Committed& one = engine_.log()[next_];
        if (random_.unit() < options_.break_probability) {
            // Begin and some rows arrive, the Commit does not; what was whole before may be lost
            // with it in a buffer, or be given out.
            TRY_VOID(decode(one, 1 + random_.below(one.transaction->size())));
            release();
            if (batch.transactions.empty() || random_.below(2) == 0)
                return fail(ErrorCode::unavailable, "the connection broke in a transaction");
            break;
        }
        TRY(auto transaction, decode(one, SIZE_MAX));
        ++next_;
        received_ = given_ = one.end;
        batch.transactions.push_back(std::move(transaction).value());
    }
    batch.upto = Position::at(epoch_, received_);
    return batch;
}

result<std::optional<Transaction>> FakeSource::decode(const Committed& committed,
                                                      std::size_t count) {
    const auto messages = encoder_.encode(*committed.transaction, committed.end);
    std::optional<Transaction> last;
    for (std::size_t i = 0; i < std::min(count, messages.size()); ++i) {
        TRY(last, decoder_->decode(messages[i]));
    }
    return last;
}

void FakeSource::confirm(Position durable) {
    if (dead_) return;
    confirmed_ = std::max(confirmed_, durable.lsn());
    if (random_.below(2) == 0) send_status(); // else with the next one that is due
}

void FakeSource::send_status() {
    auto& slot = engine_.slot();
    if (!connected() || dead_ || !slot || confirmed_ <= slot->confirmed) return;
    slot->confirmed = confirmed_;
    if (on_confirmed) on_confirmed(confirmed_);
}

awaitable<void> FakeSource::close() {
    if (dead_) co_return;
    release();
}

std::unique_ptr<EngineSnapshot> FakeSource::snapshot_at(Position position) {
    return std::make_unique<FakeSnapshot>(
        engine_.tables(), position, options_.chunk_instances,
        [this, generation = engine_.generation()] { return generation == engine_.generation(); });
}

awaitable<result<std::unique_ptr<EngineSnapshot>>> FakeSource::snapshot(SnapshotTaken taken) {
    const auto position = Position::at(epoch_, engine_.wal_end());
    auto snapshot = snapshot_at(position);
    if (on_later_snapshot) on_later_snapshot(position);
    const std::uint64_t generation = engine_.generation();
    CO_TRY_VOID(co_await clock_.sleep(answer_time()));
    if (generation != engine_.generation())
        co_return fail(ErrorCode::unavailable, "the snapshot's connection");
    if (!taken(position)) co_return fail(ErrorCode::overloaded, "the stream was quicker");
    CO_TRY_VOID(co_await clock_.sleep(answer_time())); // its tables are opened
    constexpr std::uint64_t message_bytes = 64;
    engine_.write_elsewhere(message_bytes); // an idle stream, too, passes its Position
    co_return snapshot;
}

Clock::duration FakeSource::answer_time() {
    constexpr auto most = std::chrono::milliseconds(3);
    return Clock::duration(
        random_.below(static_cast<std::uint64_t>(Clock::duration(most).count()) + 1));
}

void FakeSource::die() {
    dead_ = true;
    engine_.changed().notify_all();
}

void FakeSource::release() {
    if (connected() && engine_.slot() && engine_.slot()->owner == owner_) engine_.slot()->owner = 0;
    owner_ = 0;
}

} // namespace netbuild::sim
