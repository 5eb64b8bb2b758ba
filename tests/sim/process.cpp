// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <boost/asio/co_spawn.hpp>

#include <fmt/format.h>

#include "model/collections.hpp"
#include "query/query_service.hpp"

namespace netbuild::sim {
namespace {

class ProgressClock final : public ReadModelClock {
public:
    explicit ProgressClock(sync::Progress& progress) : progress_(progress) {}
    [[nodiscard]] Position applied() const override { return progress_.applied; }
    [[nodiscard]] std::int64_t lag_ms() const override { return 0; }
    awaitable<result<void>> wait_applied(Position position, Clock::duration wait) override {
        return progress_.wait_applied(position, wait);
    }

private:
    sync::Progress& progress_;
};

/// The process instance that the transaction starts or ends; empty if none.
std::string instance_in(const Transaction& transaction) {
    for (std::size_t i = 0; i < transaction.size(); ++i) {
        const Row row = transaction.row(i);
        if (row.table == camunda::Table::hi_procinst && row.operation == RowOperation::insert)
            return std::string(row.text(camunda::hi_procinst::proc_inst_id));
    }
    return {};
}

} // namespace

Process::Process(Servers servers, Trace& trace, Random random, Options options)
    : servers_(servers),
      options_(std::move(options)),
      random_(random),
      life_(servers.clock, trace, Random(random_.next()), options_.life),
      source_(servers.engine, servers.clock, Random(random_.next()), options_.source),
      mortal_source_(source_, life_),
      mortal_store_(servers.store, life_),
      mortal_bus_(servers.bus, life_),
      planted_source_(mortal_source_, options_.plant),
      planted_store_(mortal_store_, options_.plant),
      planted_bus_(mortal_bus_, options_.plant),
      progress_(servers.context.get_executor(), servers.clock),
      pipeline_(options_.pipeline,
                {planted_source_, planted_store_, planted_bus_, servers_.clock, random_,
                 servers_.context.get_executor()},
                progress_) {
    life_.on_death = [this] { source_.die(); };
    life_.has_transaction_in_flight = [this] { return source_.in_flight(); };
}

void Process::start() {
    asio::co_spawn(servers_.context, pipeline_.run(),
                   [this](std::exception_ptr escaped, result<void> outcome) {
                       if (escaped) std::rethrow_exception(escaped);
                       outcome_.emplace(std::move(outcome));
                       life_.die();
                   });
    if (!options_.reader) return;
    reading_ = true;
    asio::co_spawn(servers_.context, read_own_writes(),
                   [this](std::exception_ptr escaped, result<void>) {
                       if (escaped) std::rethrow_exception(escaped);
                       reading_ = false;
                   });
}

std::optional<std::string> Process::stopped() const {
    if (!outcome_ || (!*outcome_ && outcome_->error().code() == ErrorCode::cancelled))
        return std::nullopt;
    return *outcome_ ? "the source ended" : outcome_->error().message();
}

awaitable<result<void>> Process::read_own_writes() {
    constexpr std::uint64_t pause_ms_max = 400;
    while (!life_.dead()) {
        CO_TRY_VOID(co_await servers_.clock.sleep(
            std::chrono::milliseconds(1 + random_.below(pause_ms_max))));
        if (progress_.state == sync::State::streaming) (void)co_await read_once();
    }
    co_return result<void>{};
}

/// What a caller does who has just started a process instance: waits for it and reads it.
awaitable<result<void>> Process::read_once() {
    const auto& log = servers_.engine.log();
    if (log.empty()) co_return result<void>{};
    const Committed wanted = log.back();
    const std::string instance = instance_in(*wanted.transaction);
    const auto position = Position::at(progress_.captured.epoch(), wanted.end);
    const std::uint64_t generation = servers_.engine.generation();
    ProgressClock model(progress_);
    query::QueryService query({servers_.store, model, servers_.clock, nullptr, nullptr, nullptr});
    CO_TRY_VOID(
        co_await query.wait({query::Freshness::Kind::position, position, std::chrono::seconds(2)}));
    // Another history may have begun meanwhile: its Positions are others.
    const bool same = generation == servers_.engine.generation() && !life_.dead() &&
                      progress_.captured.epoch() == position.epoch();
    if (instance.empty() || !same) co_return result<void>{};
    const auto answer = co_await query.execution(instance, {{"by", "processInstanceId"}});
    const bool kept = servers_.engine.tables().contains({camunda::Table::hi_procinst, instance});
    if (!answer && kept) {
        lie_ = fmt::format("{} was said to be applied, and instance {} is not there",
                           to_string(position), instance);
    } else if (answer && answer->position < position) {
        lie_ = fmt::format("an answer at {} after a wait for {}", to_string(answer->position),
                           to_string(position));
    }
    co_return result<void>{};
}

} // namespace netbuild::sim
