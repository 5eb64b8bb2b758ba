// SPDX-License-Identifier: Apache-2.0
#include "simulator/simulator_source.hpp"

#include <algorithm>
#include <map>
#include <queue>
#include <utility>

#include <fmt/format.h>

#include "order_process.hpp"

namespace netbuild {

using simulator::Deployed;
using simulator::Draft;
using simulator::IdMaker;
using simulator::OrderProcess;
using simulator::SimRow;

namespace {

// What simulated time runs at when nothing waits for it.
constexpr double unpaced_instances_per_second = 100;
// More instances a second than this must live shorter, or too many would be open at once.
constexpr double full_life_instances_per_second = 100;
constexpr std::int64_t deployment_spacing_ms = 40;

} // namespace

/// The transactions in commit order; knows nothing of who reads them.
class SimulatorSource::Simulation {
public:
    Simulation(const Options& options, std::int64_t start_ms)
        : options_(options),
          start_ms_(start_ms),
          random_(options.seed),
          rate_(options.instances_per_second > 0 ? options.instances_per_second
                                                 : unpaced_instances_per_second),
          delay_scale_(std::min(1.0, full_life_instances_per_second / rate_)) {}

    /// When the next transaction commits, ms since 1970 UTC; nullopt: there is none.
    [[nodiscard]] std::optional<std::int64_t> due_ms() const {
        if (deployed_.size() < options_.tenants) return deployment_due_ms();
        const bool starts_left = options_.instances == 0 || started_ < options_.instances;
        if (!starts_left && waiting_.empty()) return std::nullopt;
        if (!starts_left) return waiting_.top().due_ms;
        return waiting_.empty() ? start_due_ms() : std::min(start_due_ms(), waiting_.top().due_ms);
    }

    /// The next transaction; due_ms() must have one.
    [[nodiscard]] Transaction make(std::uint32_t epoch) {
        const std::int64_t at_ms = *due_ms();
        Draft draft;
        std::deque<SimRow> deployment_rows;
        std::uint64_t ended = 0; // an order may be forgotten only after its rows were written out
        if (deployed_.size() < options_.tenants) {
            const auto index = static_cast<unsigned>(deployed_.size());
            deployed_.push_back(simulator::deploy(draft, deployment_rows,
                                                  IdMaker(options_.seed, 0xFFFF'0000u + index),
                                                  simulator::tenant_name(index), at_ms));
        } else {
            ended = step(draft, at_ms);
        }
        Transaction transaction = draft.build();
        orders_.erase(ended);
        stamp(transaction, epoch, at_ms);
        return transaction;
    }
    [[nodiscard]] Lsn last_lsn() const noexcept { return lsn_; }

private:
    struct Waiting {
        std::int64_t due_ms;
        std::uint64_t number;
        friend bool operator>(const Waiting& left, const Waiting& right) {
            return std::pair(left.due_ms, left.number) > std::pair(right.due_ms, right.number);
        }
    };

    [[nodiscard]] std::int64_t deployment_due_ms() const {
        return start_ms_ + deployment_spacing_ms * static_cast<std::int64_t>(deployed_.size());
    }
    [[nodiscard]] std::int64_t start_due_ms() const {
        return deployment_due_ms() +
               static_cast<std::int64_t>(1'000.0 * static_cast<double>(started_) / rate_);
    }

    /// The number of the order that has ended with this, or 0.
    std::uint64_t step(Draft& draft, std::int64_t at_ms) {
        std::uint64_t number = 0;
        if (waiting_.empty() || waiting_.top().due_ms > at_ms) {
            number = ++started_;
            const Deployed& deployed = deployed_[number % deployed_.size()];
            orders_.emplace(std::piecewise_construct, std::forward_as_tuple(number),
                            std::forward_as_tuple(options_.seed, number, deployed));
        } else {
            number = waiting_.top().number;
            waiting_.pop();
        }
        const auto delay_ms = orders_.at(number).step(draft, at_ms);
        if (!delay_ms) return number;
        const auto scaled =
            static_cast<std::int64_t>(static_cast<double>(*delay_ms) * delay_scale_);
        waiting_.push({at_ms + 1 + scaled, number});
        return 0;
    }

    void stamp(Transaction& transaction, std::uint32_t epoch, std::int64_t at_ms) {
        // About what such rows and their index entries take in the log, in its 8-byte steps.
        const std::uint64_t bytes = 96 + transaction.size() * 600 + random_.below(400);
        lsn_ = Lsn{to_number(lsn_) + bytes / 8 * 8};
        transaction.position = Position::at(epoch, lsn_);
        committed_at_us_ = std::max(
            committed_at_us_ + 1, at_ms * 1'000 + static_cast<std::int64_t>(random_.below(1'000)));
        transaction.committed_at_us = committed_at_us_;
        transaction.xid = xid_++;
    }

    Options options_;
    std::int64_t start_ms_;
    Random random_;
    double rate_;
    double delay_scale_;
    std::vector<Deployed> deployed_;
    std::uint64_t started_ = 0;
    std::map<std::uint64_t, OrderProcess> orders_;
    std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
    Lsn lsn_{0x1000028};
    std::int64_t committed_at_us_ = 0;
    std::uint32_t xid_ = 735;
};

SimulatorSource::SimulatorSource(Options options, Clock& clock) : options_(options), clock_(clock) {
    options_.tenants = std::max(1u, options_.tenants);
}

SimulatorSource::~SimulatorSource() = default;

awaitable<result<SourceIdentity>> SimulatorSource::identify() {
    SourceIdentity identity;
    identity.kind = "simulator";
    identity.system_identifier = fmt::format("simulator-{}-{}-{:g}", options_.seed,
                                             options_.tenants, options_.instances_per_second);
    identity.timeline = 1;
    co_return identity;
}

awaitable<result<Lsn>> SimulatorSource::end_of_history() {
    // Every Position of a simulation can be reached again from its seed.
    co_return Lsn{Position::lsn_mask};
}

awaitable<result<std::unique_ptr<EngineSnapshot>>> SimulatorSource::open(SourceStart start) {
    if (!options_.start_at_us) {
        std::int64_t start_at_us = clock_.utc_us();
        if (options_.instances_per_second <= 0) {
            // Unpaced transactions come faster than their time: they belong to the past.
            const double seconds =
                60 + static_cast<double>(options_.instances) / unpaced_instances_per_second;
            start_at_us -= static_cast<std::int64_t>(1e6 * seconds);
        }
        options_.start_at_us = start_at_us;
    }
    simulation_ = std::make_unique<Simulation>(options_, *options_.start_at_us / 1'000);
    start_ = start;
    co_return std::unique_ptr<EngineSnapshot>();
}

awaitable<result<ChangeBatch>> SimulatorSource::next() {
    if (!simulation_) co_return fail(ErrorCode::invalid_argument, "the simulator is not open");
    const bool paced = options_.instances_per_second > 0;
    ChangeBatch batch;
    std::size_t bytes = 0;
    while (batch.transactions.size() < options_.batch_transactions_max &&
           bytes < options_.batch_bytes_max) {
        const auto due_ms = simulation_->due_ms();
        if (!due_ms) {
            batch.end = true;
            break;
        }
        if (const std::int64_t early_us = *due_ms * 1'000 - clock_.utc_us();
            paced && early_us > 0) {
            if (!batch.transactions.empty()) break;
            CO_TRY_VOID(co_await clock_.sleep(std::chrono::microseconds(early_us)));
            continue;
        }
        Transaction transaction = simulation_->make(start_.epoch);
        if (start_.after && transaction.position.lsn() <= start_.after->lsn()) continue;
        bytes += transaction.bytes();
        batch.transactions.push_back(std::move(transaction));
    }
    batch.upto = Position::at(start_.epoch, simulation_->last_lsn());
    co_return batch;
}

void SimulatorSource::confirm(Position durable) { confirmed_ = std::max(confirmed_, durable); }

awaitable<void> SimulatorSource::close() {
    simulation_.reset();
    co_return;
}

awaitable<result<std::unique_ptr<EngineSnapshot>>> SimulatorSource::snapshot(SnapshotTaken) {
    co_return std::unique_ptr<EngineSnapshot>();
}

} // namespace netbuild
