// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "fake_engine.hpp"
#include "pgoutput_encoder.hpp"
#include "runtime/random.hpp"
#include "wire/pgoutput.hpp"

namespace netbuild::sim {

/// One process's replication connection to a FakeEngine: what ReplicationSource is to PostgreSQL.
/// Transactions go through pgoutput and its real decoder.
class FakeSource final : public ChangeSource {
public:
    struct Options {
        std::size_t batch_transactions_max = 7;
        std::size_t chunk_instances = 2;
        /// That the connection breaks in the middle of a transaction, at each read.
        double break_probability = 0;
        Clock::duration status_interval = std::chrono::milliseconds(500);
    };
    FakeSource(FakeEngine& engine, Clock& clock, Random random, Options options)
        : engine_(engine), clock_(clock), random_(random), options_(options) {}

    awaitable<result<SourceIdentity>> identify() override;
    awaitable<result<Lsn>> end_of_history() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override;
    awaitable<result<ChangeBatch>> next() override;
    void confirm(Position durable) override;
    awaitable<void> close() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) override;

    /// The process is dead: next() ends with `cancelled`. The server does not know yet.
    void die();
    /// The server notices that the connection is gone.
    void release();
    /// Transactions were given out that the slot does not know to be durable.
    [[nodiscard]] bool in_flight() const {
        return engine_.slot() && given_ > engine_.slot()->confirmed;
    }
    /// Called with what the server gets to know.
    std::function<void(Lsn)> on_confirmed;
    /// Called with the Position of each snapshot that a new slot begins with.
    std::function<void(Position)> on_snapshot;
    /// Called with the Position of each later one.
    std::function<void(Position)> on_later_snapshot;
    /// Called with the Position that the stream goes on after.
    std::function<void(Position)> on_resumed;

private:
    [[nodiscard]] bool connected() const {
        return owner_ != 0 && generation_ == engine_.generation();
    }
    [[nodiscard]] result<ChangeBatch> send();
    /// The transaction's messages up to `count`, through the decoder.
    [[nodiscard]] result<std::optional<Transaction>> decode(const Committed& committed,
                                                            std::size_t count);
    void send_status();
    [[nodiscard]] std::unique_ptr<EngineSnapshot> snapshot_at(Position position);
    [[nodiscard]] Clock::duration answer_time();

    FakeEngine& engine_;
    Clock& clock_;
    Random random_;
    Options options_;
    PgoutputEncoder encoder_;
    std::optional<PgoutputDecoder> decoder_;
    std::uint64_t owner_ = 0;
    std::uint64_t generation_ = 0;
    std::uint32_t epoch_ = 0;
    std::size_t next_ = 0; // in the engine's log
    Lsn received_{}, given_{}, confirmed_{};
    bool dead_ = false;
};

} // namespace netbuild::sim
