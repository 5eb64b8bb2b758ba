// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

#include "run.hpp"
#include "sync/event_retention.hpp"
#include "sync/pipeline.hpp"
#include "telemetry/log.hpp"

namespace netbuild::sim {
namespace {

// In peace everything has to come right within this simulated time.
constexpr auto convergence_max = std::chrono::minutes(5);
// A dead process's coroutines end at once, but for timers.
constexpr auto death_max = std::chrono::minutes(1);
// How long the server takes a dead connection for alive.
constexpr auto connection_kept_max = std::chrono::seconds(3);
constexpr auto restart_max = std::chrono::milliseconds(1500);
// Deaths come at one of so many awaits.
constexpr std::uint64_t awaits_a_life_max = 150;
constexpr std::uint64_t lives_max = 60;

Clock::duration drawn(std::uint64_t draw, Clock::duration most) {
    return Clock::duration(
        static_cast<Clock::duration::rep>(draw % (static_cast<std::uint64_t>(most.count()) + 1)));
}

} // namespace

World::World(const Plan& plan, const std::vector<ScriptEntry>& script, Plant plant)
    : plan_(plan),
      script_(script),
      plant_(plant),
      clock_(context_),
      random_(plan.seed),
      commit_random_(plan.seed + 2),
      store_(clock_, Random(plan.seed + 1), {}),
      bus_(context_.get_executor(), clock_) {
    engines_.push_back(
        std::make_unique<FakeEngine>(context_.get_executor(), "7300000000000000001"));
    for (std::size_t i = 0; i < script.size(); ++i)
        to_commit_.push_back(i);
    store_.acknowledges_unreplicated = plant == Plant::acknowledges_before_majority;
    store_.reads_unreplicated = plant == Plant::reads_before_majority;
    bus_.goes_on_after_failure = plant == Plant::goes_on_after_a_failure;
    bus_.says_all_after_failure = plant == Plant::says_all_after_a_failure;
    bus_.accepts_equal_ids = plant == Plant::accepts_ids_twice;
    bus_.forgets_what_it_had = plant == Plant::appends_past_a_hole;
    bus_.forgets_to_publish = plant == Plant::forgets_to_publish;
    store_.on_durable = [this](const ApplyBatch& batch) { note_durable(batch); };
}

World::~World() = default;

void World::fail(std::string reason) {
    if (outcome_.failure.empty()) outcome_.failure = std::move(reason);
}

// --- what Camunda does

/// Rises, and now and then two transactions share it.
std::int64_t World::commit_time() {
    const bool shared = last_commit_us_ != 0 && commit_random_.unit() < plan_.shared_time;
    if (!shared) last_commit_us_ = std::max(last_commit_us_ + 1, clock_.utc_us());
    return last_commit_us_;
}

void World::commit_next() {
    while (!to_commit_.empty()) {
        const std::size_t entry = to_commit_.front();
        to_commit_.pop_front();
        if (dropped_orders_.contains(script_[entry].order)) continue;
        engines_[0]->commit(script_[entry].transaction, entry, commit_time());
        ++outcome_.transactions;
        return;
    }
}

void World::schedule_commits() {
    if (to_commit_.empty()) return;
    clock_.after(drawn(commit_random_.next(), plan_.commit_gap_max), [this] {
        constexpr std::uint64_t elsewhere_of = 10;
        if (commit_random_.below(elsewhere_of) == 0)
            engines_[0]->write_elsewhere(commit_random_.below(4000));
        commit_next();
        schedule_commits();
    });
}

// --- what goes wrong

void World::schedule_faults() {
    for (const Fault& fault : plan_.faults)
        clock_.after(fault.at, [this, fault] {
            trace_.add(static_cast<std::uint64_t>(fault.kind));
            log::debug("fault {}", static_cast<int>(fault.kind));
            inflict(fault);
        });
}

void World::inflict(const Fault& fault) {
    switch (fault.kind) {
    case Fault::Kind::connection_lost:
        return engines_[0]->disconnect();
    case Fault::Kind::slot_dropped:
        return engines_[0]->drop_slot();
    case Fault::Kind::slot_recreated:
        if (engines_[0]->slot()) engines_[0]->recreate_slot();
        return;
    case Fault::Kind::failover_loses_tail:
        return lose_tail(fault);
    case Fault::Kind::restored_elsewhere:
        begin_branch(0);
        return engines_[0]->dump_and_restore(fmt::format("730000000000000{:04}", ++systems_));
    case Fault::Kind::wrong_engine_followed:
        wrong_engine_next_ = !peace_;
        [[fallthrough]];
    case Fault::Kind::process_killed:
        if (process_) process_->life().die();
        return;
    case Fault::Kind::store_failover:
        return store_.fail_over();
    case Fault::Kind::store_slow:
        store_.set_replication_max(drawn(fault.draw, std::chrono::seconds(2)));
        return clock_.after(std::chrono::seconds(2),
                            [this] { store_.set_replication_max(std::chrono::milliseconds(3)); });
    case Fault::Kind::bus_loses_all:
        return bus_.lose_all();
    case Fault::Kind::bus_loses_newest:
        return bus_.lose_newest(1 + fault.draw % 20);
    case Fault::Kind::bus_out_of_memory:
        return bus_.run_out_of_memory_after(fault.draw % 4);
    case Fault::Kind::history_cleaned_up:
        (void)engines_[0]->clean_up_history(fault.draw, commit_time());
        return;
    case Fault::Kind::wall_clock_jumps: {
        constexpr std::int64_t most_us = 3'600'000'000;
        return clock_.jump_wall_clock(static_cast<std::int64_t>(fault.draw % (2 * most_us)) -
                                      most_us);
    }
    case Fault::Kind::count_:
        return;
    }
}

/// What was lost is done again by those who did it, but for some new orders that nobody misses.
void World::lose_tail(const Fault& fault) {
    begin_branch(0);
    auto lost = engines_[0]->fail_over(fault.draw % 12, fault.draw / 16 % 2 == 0);
    const bool idle = to_commit_.empty(); // then nobody waits to commit
    std::set<std::size_t> known;
    for (const Committed& one : engines_[0]->history()) {
        if (one.entry) known.insert(script_[*one.entry].order);
    }
    for (auto one = lost.rbegin(); one != lost.rend(); ++one) {
        if (!one->entry) continue;
        const std::size_t order = script_[*one->entry].order;
        if (order > 0 && !known.contains(order) && order % 2 == 0) dropped_orders_.insert(order);
        to_commit_.push_front(*one->entry);
    }
    if (idle) schedule_commits();
}

/// The history that `engine` had until now ends here, if it is the one that is followed.
void World::begin_branch(std::size_t of_engine) {
    if (followed_ != of_engine) return;
    branches_.back() = engine().history();
    branch_identities_.back() = engine().identity();
    branches_.emplace_back();
    branch_identities_.emplace_back();
}

// --- processes

/// A process that was configured for another database, on the same stream.
void World::follow(std::size_t engine) {
    if (followed_ == engine) return;
    begin_branch(followed_);
    followed_ = engine;
    if (engine < engines_.size()) return;
    engines_.push_back(
        std::make_unique<FakeEngine>(context_.get_executor(), "8100000000000000001"));
    constexpr std::size_t transactions = 12;
    for (std::size_t i = 0; i < std::min(script_.size(), transactions); ++i)
        engines_[1]->commit(script_[i].transaction, std::nullopt, commit_time());
}

void World::begin_life(bool immortal) {
    ++outcome_.lives;
    follow(wrong_engine_next_ && !immortal ? 1 : 0);
    if (std::exchange(wrong_engine_next_, false) && followed_ == 1) {
        clock_.after(std::chrono::milliseconds(700), [this] {
            if (process_ && followed_ == 1) process_->life().die();
        });
    }
    Process::Options options;
    options.pipeline = plan_.pipeline;
    options.plant = plant_;
    options.life.trouble = immortal ? 0 : plan_.trouble;
    options.source.break_probability = immortal ? 0 : plan_.break_probability;
    options.source.batch_transactions_max = plan_.batch_transactions_max;
    if (!immortal && plan_.dies_again && outcome_.lives < lives_max) {
        options.life.fatal = random_.below(awaits_a_life_max);
        options.life.moment = static_cast<Moment>(random_.below(4));
    } else if (!immortal && outcome_.lives == 1) {
        options.life.fatal = plan_.fatal;
        options.life.moment = plan_.moment;
    }
    process_ = std::make_unique<Process>(Servers{context_, clock_, engine(), store_, bus_}, trace_,
                                         Random(random_.next()), options);
    process_->source().on_confirmed = [this](Lsn confirmed) { note_confirmed(confirmed); };
    process_->source().on_snapshot = [this](Position position) {
        if (!epochs_.empty() && epochs_.back().number == position.epoch()) epochs_.pop_back();
        epochs_.push_back({position.epoch(), position.lsn(), branches_.size() - 1, {}});
    };
    process_->source().on_later_snapshot = [this](Position position) {
        if (!epochs_.empty() && epochs_.back().number == position.epoch())
            epochs_.back().loaded_again = position.lsn();
    };
    process_->source().on_resumed = [this](Position position) { note_resumed(position); };
    process_->start();
}

/// Another engine was followed meanwhile, by a process that died before its epoch was durable:
/// nobody knows of that epoch, and the one before it goes on in the history that it was of.
void World::note_resumed(Position position) {
    while (!epochs_.empty() && epochs_.back().number > position.epoch())
        epochs_.pop_back();
    if (epochs_.empty() || epochs_.back().number != position.epoch()) return;
    const std::size_t present = branches_.size() - 1;
    std::size_t& branch = epochs_.back().branch;
    if (branch != present && branch_identities_[branch] == engine().identity()) branch = present;
}

void World::end_life() {
    if (!process_) return;
    process_->life().die();
    if (!clock_.run_until([this] { return process_->ended(); }, death_max))
        fail("a killed process did not end");
    Life& life = process_->life();
    if (life.in_flight) {
        ++outcome_.kill_points;
        outcome_.killed_at.emplace(life.last_operation);
    }
    if (outcome_.lives == 1) outcome_.awaits = life.awaits();
    if (const auto why = process_->stopped()) fail("the pipeline stopped by itself: " + *why);
    if (!process_->lie().empty()) fail(process_->lie());
    // The server takes the connection for alive for a while.
    auto dead = std::shared_ptr<Process>(std::move(process_));
    clock_.after(drawn(random_.next(), connection_kept_max), [dead] { dead->source().release(); });
}

void World::live_until_peace() {
    auto peace_at = Clock::duration{};
    for (const Fault& fault : plan_.faults)
        peace_at = std::max(peace_at, fault.at);
    const auto peaceful = [&] { return to_commit_.empty() && clock_.monotonic() >= peace_at; };
    if (plan_.faults.empty()) clock_.after(peace_at, [] {});
    while (outcome_.failure.empty()) {
        begin_life(false);
        const bool came = clock_.run_until(
            [&] {
                return process_->life().dead() || !outcome_.failure.empty() ||
                       (peaceful() && followed_ == 0 && (plan_.dies_again || converged()));
            },
            convergence_max);
        if (!came) fail("nothing happens any more");
        const bool died = process_->life().dead();
        end_life();
        if (!died && peaceful()) return;
        if (plant_ == Plant::deletes_unpublished_events) delete_unpublished_events();
        if (outcome_.lives > 4 * lives_max) fail("processes die all the time");
        (void)clock_.run_until([] { return false; }, drawn(random_.next(), restart_max));
    }
}

void World::delete_unpublished_events() {
    bool done = false;
    const auto now = Date{clock_.utc_us() / 1000};
    asio::co_spawn(context_, sync::remove_events_before(store_, bus_, now),
                   [&](std::exception_ptr escaped, auto) {
                       if (escaped) std::rethrow_exception(escaped);
                       done = true;
                   });
    if (!clock_.run_until([&] { return done; }, death_max)) fail("events are deleted for ever");
}

std::optional<Checkpoint> World::durable_checkpoint() {
    return must(checker_context_, store_.durable().checkpoint(plan_.pipeline.engine));
}

/// Everything that was committed is durable, published and confirmed.
bool World::converged() {
    if (!to_commit_.empty() || !process_ || process_->life().dead()) return false;
    // Also that it has looked whether the stream is whole.
    if (process_->progress().state != sync::State::streaming) return false;
    const auto& slot = engine().slot();
    const Lsn end = engine().last_commit();
    if (!slot || slot->confirmed < end) return false;
    const auto checkpoint = durable_checkpoint();
    return checkpoint && checkpoint->loads.empty() && checkpoint->source == engine().identity() &&
           checkpoint->position.lsn() >= end && process_->progress().published.lsn() >= end;
}

void World::converge() {
    peace_ = true;
    if (!outcome_.failure.empty()) return;
    begin_life(true);
    const bool arrived = clock_.run_until(
        [&] { return !outcome_.failure.empty() || process_->life().dead() || converged(); },
        convergence_max);
    if (!arrived)
        fail(fmt::format("it does not converge: {} at {}, the engine at {}",
                         sync::to_string(process_->progress().state),
                         to_string(process_->progress().applied),
                         to_string(engine().last_commit())));
    end_life();
}

// --- what is watched all the time

void World::note_durable(const ApplyBatch& batch) {
    for (const DocumentWrite& event : batch.events) {
        const Value* entries = event.body->at_path("events");
        const auto* array = entries ? entries->get_if<Array>() : nullptr;
        if (!array || array->empty()) continue;
        const Value* ordinal = array->back().at_path("ordinal");
        durable_events_.push_back(
            {event.lsn, static_cast<std::uint32_t>(ordinal ? ordinal->integer_or() : 0)});
    }
    log::debug("durable: {} events, {} parts, {} documents, checkpoint {}", batch.events.size(),
               batch.parts.size(), batch.documents.size(),
               batch.checkpoint ? to_string(batch.checkpoint->position) : "-");
    const std::size_t documents = batch.parts.size() + batch.documents.size();
    constexpr std::size_t one_transaction_max = 60;
    if (documents > plan_.pipeline.batch_documents_max + one_transaction_max)
        fail(fmt::format("a batch of {} documents", documents));
    if (!batch.checkpoint) return;
    const auto checkpoint = durable_checkpoint();
    if (!checkpoint) return fail("the checkpoint is gone");
    if (checkpoint->position < newest_checkpoint_)
        fail(fmt::format("the checkpoint went from {} back to {}", to_string(newest_checkpoint_),
                         to_string(checkpoint->position)));
    newest_checkpoint_ = checkpoint->position;
    trace_.add(newest_checkpoint_.number);
}

void World::note_confirmed(Lsn confirmed) {
    trace_.add(to_number(confirmed));
    log::debug("confirmed: {}, the stream is at {}", to_number(confirmed),
               to_string(bus_.newest()));
    const auto checkpoint = durable_checkpoint();
    if (!checkpoint || checkpoint->source != engine().identity() ||
        checkpoint->position.lsn() < confirmed)
        return fail(fmt::format("{} was confirmed and {} is durable", to_string(confirmed),
                                checkpoint ? to_string(checkpoint->position) : "nothing"));
    if (bus_.lost()) return;
    const auto upto = Position::at(checkpoint->position.epoch(), confirmed, Position::last_ordinal);
    for (const Position event : durable_events_) {
        if (event <= upto && event > bus_.newest())
            return fail(fmt::format("{} was confirmed and event {} is not in the stream",
                                    to_string(confirmed), to_string(event)));
    }
}

// --- and at the end

Outcome World::run(const Expected* calm) {
    for (std::size_t i = 0; i < plan_.committed_before; ++i)
        commit_next();
    schedule_commits();
    schedule_faults();
    live_until_peace();
    converge();
    if (outcome_.failure.empty()) check(calm);
    trace_.add(content_hash_of(store_.durable()));
    outcome_.trace_hash = trace_.hash();
    return outcome_;
}

/// An instance's history was deleted before the read model was loaded: it cannot know of it.
bool World::reloaded() const {
    if (epochs_.size() != 1) return true;
    for (const Committed& one : branches_.back()) {
        for (std::size_t i = 0; i < one.transaction->size(); ++i) {
            const Row row = one.transaction->row(i);
            if (one.end <= std::max(epochs_.back().after, epochs_.back().loaded_again) &&
                row.operation == RowOperation::erase && row.table == camunda::Table::hi_procinst)
                return true;
        }
    }
    return false;
}

Expected World::undisturbed() const {
    return run_undisturbed(engines_[0]->history(), engines_[0]->identity(),
                           plan_.pipeline.projection);
}

void World::check(const Expected* calm) {
    branches_.back() = engine().history();
    branch_identities_.back() = engine().identity();
    const auto& projection = plan_.pipeline.projection;
    std::vector<Expected> computed(branches_.size());
    std::vector<const Expected*> expected;
    for (std::size_t i = 0; i < branches_.size(); ++i) {
        const bool needed = i + 1 == branches_.size() ||
                            std::any_of(epochs_.begin(), epochs_.end(),
                                        [&](const Epoch& epoch) { return epoch.branch == i; });
        if (needed && !(calm && branches_.size() == 1))
            computed[i] = run_undisturbed(branches_[i], branch_identities_[i], projection);
        expected.push_back(calm && branches_.size() == 1 ? calm : &computed[i]);
    }
    std::vector<EpochEvents> stretches;
    for (std::size_t i = 0; i < epochs_.size(); ++i)
        stretches.push_back({epochs_[i].number, epochs_[i].after, epochs_[i].loaded_again,
                             &expected[epochs_[i].branch]->events, i + 1 < epochs_.size()});
    DocumentStore& store = store_.durable();
    const auto stored = events_of(store);
    const std::uint32_t epoch = epochs_.empty() ? 0 : epochs_.back().number;
    const bool calm_world = !plan_.fatal && !plan_.dies_again && plan_.faults.empty() &&
                            plan_.trouble == 0 && plan_.break_probability == 0;
    if (calm_world && bus_.published().size() != stored.size())
        return fail(fmt::format("nothing went wrong, {} events are stored and {} were published",
                                stored.size(), bus_.published().size()));
    for (const std::string& wrong :
         {check_documents(*expected.back(), store, reloaded()), check_events(stored, stretches),
          check_stream(stored, bus_), check_verify(engine(), epoch, store, projection),
          check_naively(engine().tables(), store)}) {
        if (!wrong.empty()) return fail(wrong);
    }
}

} // namespace netbuild::sim
