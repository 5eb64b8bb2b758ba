// SPDX-License-Identifier: Apache-2.0
#include "cache/cache.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>

#include <fmt/format.h>

#include "runtime/backoff.hpp"
#include "runtime/signal.hpp"
#include "telemetry/log.hpp"

namespace netbuild::cache {
namespace {

/// XFetch's draw is below e^-so many before this many load times from the end: not worth a draw.
constexpr double early_window = 20;
constexpr std::size_t tags_kept_min = 1024;
/// With more tags that the store has to be told of, the whole cache is outdated instead.
constexpr std::size_t untold_max = 10'000;

Clock::duration times(Clock::duration time, double factor) {
    return Clock::duration(
        static_cast<Clock::duration::rep>(static_cast<double>(time.count()) * factor));
}

} // namespace

/// The look-up of one key in the store, and its load: one at a time in this process.
struct Core::Flight {
    Flight(const asio::any_io_executor& executor) : changed(executor) {}
    CacheKey key;
    Loader loader;
    Position at_least;
    bool refresh = false;
    std::uint64_t number = 0;
    std::vector<LocalTagPtr> tags;
    /// Their changes when the store was last read.
    std::vector<std::uint64_t> changes;
    /// The changes that `outcome` has.
    std::vector<std::uint64_t> outcome_changes;
    /// The store said that the key changed since it was last read.
    bool touched = false;
    std::optional<result<Loaded<void>>> outcome;
    /// `outcome` is here, or the store may have something new.
    Signal changed;

    void mark() {
        touched = false;
        changes.clear();
        for (const LocalTagPtr& tag : tags)
            changes.push_back(tag->changes);
    }
    /// Of the newest event that this process knows to outdate the key.
    [[nodiscard]] Position outdated() const {
        Position newest;
        for (const LocalTagPtr& tag : tags)
            newest = std::max(newest, tag->outdated);
        return newest;
    }
};

Core::Core(asio::any_io_executor executor, Clock& clock, CacheStore& store, Options options,
           Codec codec, Random random)
    : executor_(std::move(executor)),
      clock_(clock),
      store_(store),
      options_(std::move(options)),
      codec_(std::move(codec)),
      random_(random),
      local_(options_.memory_max),
      tasks_(executor_, [name = options_.name](const std::string&, const Error& error) {
          log::warning("cache {}: {}", name, error.message());
      }) {
    listening_ =
        store_.listen(options_.name, [this](const CacheStore::Change& change) { changed(change); });
}

Core::~Core() { tasks_.abandon(); }

awaitable<void> Core::stop() {
    stopping_ = true;
    listening_.reset();
    co_await tasks_.stop();
}

LocalTagPtr Core::tag(const std::string& name) {
    LocalTagPtr& tag = tags_[name];
    if (tag) return tag;
    tag = std::make_shared<LocalTag>();
    LocalTagPtr made = tag;
    if (tags_.size() > 2 * tags_swept_ + tags_kept_min) {
        // What nobody holds, the store knows: a load reads it there.
        std::erase_if(tags_, [&](const auto& each) {
            return each.second.use_count() == 1 && !untold_.contains(each.first);
        });
        tags_swept_ = tags_.size();
    }
    return made;
}

void Core::changed(const CacheStore::Change& change) {
    if (!change.key.empty()) {
        local_.erase(change.key);
        if (const auto flight = flights_.find(change.key); flight != flights_.end()) {
            flight->second->touched = true;
            flight->second->changed.notify_all();
        }
    } else if (!change.tag.empty()) {
        if (const auto found = tags_.find(change.tag); found != tags_.end())
            ++found->second->changes;
    } else {
        local_.clear();
        for (auto& [key, flight] : flights_) {
            flight->touched = true;
            flight->changed.notify_all();
        }
    }
}

/// XFetch (Vattani, Chierichetti, Lowenstein 2015): the nearer the end, and the longer a load, the
/// likelier this look is the one that loads.
bool Core::draws_early(const LocalEntry& entry) {
    const double draw = -std::log(std::max(random_.unit(), 1e-300));
    return clock_.monotonic() + times(entry.load_time, options_.beta * draw) >= entry.fresh_until;
}

/// The entry if it may be served, fresh or stale.
LocalEntry* Core::servable(std::string_view key, Position at_least) {
    LocalEntry* entry = local_.find(key);
    if (!entry || !recent(entry->position, at_least)) return nullptr;
    if (!entry->valid() || clock_.monotonic() >= entry->stale_until) {
        local_.erase(key);
        return nullptr;
    }
    return entry;
}

const LocalEntry* Core::try_get(std::string_view key, Position at_least) {
    LocalEntry* entry = local_.find(key);
    if (!entry || !entry->object || !recent(entry->position, at_least) || !entry->valid())
        return nullptr;
    if (clock_.monotonic() >= entry->early_from) {
        // Drawn once a get(): what is due stays due.
        if (clock_.monotonic() >= entry->fresh_until) return nullptr;
        if (draws_early(*entry)) {
            entry->fresh_until = entry->early_from;
            return nullptr;
        }
    }
    entry->used = true;
    ++counters_.hits;
    return entry;
}

awaitable<result<Loaded<void>>> Core::get(std::string key, std::vector<std::string> tags,
                                          Loader loader, Position at_least) {
    tags.push_back(everything);
    CacheKey full{options_.name, std::move(key), std::move(tags)};
    CO_TRY_VOID(check_cache_key(full));
    if (stopping_) co_return fail(ErrorCode::cancelled, "cache " + options_.name);
    if (LocalEntry* entry = servable(full.key, at_least)) {
        const auto now = clock_.monotonic();
        ++counters_.hits;
        entry->used = true;
        Loaded<void> found{entry->object, entry->position};
        const bool stale = now >= entry->fresh_until;
        if (stale) ++counters_.stale_hits;
        if (stale || (now >= entry->early_from && draws_early(*entry))) {
            if (!flights_.contains(full.key)) {
                ++counters_.refreshes;
                start(std::move(full), std::move(loader), at_least, true);
            }
        }
        co_return found;
    }
    ++counters_.misses;
    // What this caller must not miss: all that this process knew when it asked.
    const std::uint64_t arrived = flight_count_;
    std::vector<LocalTagPtr> held;
    std::vector<std::uint64_t> changes;
    Position outdated;
    for (const std::string& name : full.tags) {
        held.push_back(tag(name));
        changes.push_back(held.back()->changes);
        outdated = std::max(outdated, held.back()->outdated);
    }
    const auto has_all = [&](const Flight& flight) {
        return (*flight.outcome)->position >= outdated &&
               std::equal(changes.begin(), changes.end(), flight.outcome_changes.begin(),
                          flight.outcome_changes.end(), std::less_equal<>());
    };
    bool joined = false;
    while (true) {
        if (stopping_) co_return fail(ErrorCode::cancelled, "cache " + options_.name);
        FlightPtr flight;
        const auto running = flights_.find(full.key);
        const bool own = running == flights_.end();
        if (own) {
            flight = start(full, loader, at_least, false);
        } else {
            flight = running->second;
            if (flight->outcome && !*flight->outcome) { // it failed before this caller asked
                CO_TRY_VOID(co_await landed(flight));
                continue;
            }
            if (!std::exchange(joined, true)) ++counters_.joined;
        }
        while (!flight->outcome)
            CO_TRY_VOID(co_await flight->changed.wait());
        const auto& outcome = *flight->outcome;
        if (!outcome) {
            // Why a refresh failed, or that another node has it, is nothing to who wants the value.
            if (!own && flight->refresh) {
                CO_TRY_VOID(co_await landed(flight));
                continue;
            }
            co_return outcome.error();
        }
        if (recent(outcome->position, at_least) && (flight->number > arrived || has_all(*flight)))
            co_return *outcome;
        if (own)
            co_return fail(ErrorCode::not_yet_consistent,
                           fmt::format("cache {}: wanted {}, loaded at {}", options_.name,
                                       to_string(at_least), to_string(outcome->position)));
        // That one read before an event that this caller must not miss: after it.
        CO_TRY_VOID(co_await landed(flight));
    }
}

/// Until the key may fly again.
awaitable<result<void>> Core::landed(FlightPtr flight) {
    while (true) {
        const auto still = flights_.find(flight->key.key);
        if (still == flights_.end() || still->second != flight) co_return result<void>{};
        CO_TRY_VOID(co_await flight->changed.wait());
    }
}

Core::FlightPtr Core::start(CacheKey key, Loader loader, Position at_least, bool refresh) {
    auto flight = std::make_shared<Flight>(executor_);
    for (const std::string& name : key.tags)
        flight->tags.push_back(tag(name));
    flight->key = std::move(key);
    flight->loader = std::move(loader);
    flight->at_least = at_least;
    flight->refresh = refresh;
    flight->number = ++flight_count_;
    flights_[flight->key.key] = flight;
    tasks_.spawn("load", fly(flight));
    return flight;
}

void Core::end(Flight& flight, result<Loaded<void>> outcome) {
    if (flight.outcome) return;
    flight.outcome.emplace(std::move(outcome));
    flight.outcome_changes = flight.changes;
    flight.changed.notify_all();
}

awaitable<result<void>> Core::fly(FlightPtr flight) {
    result<void> flown;
    try {
        flown = co_await fly_shared(*flight);
    } catch (const std::exception& escaped) {
        flown = fail(ErrorCode::internal, escaped.what());
    }
    end(*flight, flown ? fail(ErrorCode::cancelled, "cache: loaded elsewhere") : flown.error());
    flights_.erase(flight->key.key);
    flight->changed.notify_all();
    co_return result<void>{};
}

bool Core::valid(Flight& flight, const CacheStore::Seen& seen) const {
    if (!seen.record) return false;
    const CacheRecord& record = *seen.record;
    if (!recent(record.position, flight.at_least) || record.position < flight.outdated())
        return false;
    for (std::size_t i = 0; i < seen.tags.size(); ++i) {
        if (record.generations[i] != seen.tags[i].generation ||
            record.position < seen.tags[i].outdated)
            return false;
    }
    return true;
}

/// Serves the store's record and keeps it here; false: it is not valid, or cannot be read.
bool Core::take(Flight& flight, const CacheStore::Seen& seen) {
    if (!valid(flight, seen)) return false;
    Object object;
    if (!seen.record->negative) {
        auto decoded = codec_.decode(seen.record->value);
        if (!decoded) {
            ++counters_.store_errors;
            log::warning("cache {}: a value cannot be read: {}", options_.name,
                         decoded.error().message());
            return false;
        }
        object = std::move(*decoded);
    }
    keep(flight, seen, object);
    end(flight, Loaded<void>{std::move(object), seen.record->position});
    return true;
}

void Core::keep(Flight& flight, const CacheStore::Seen& seen, Object object) {
    for (std::size_t i = 0; i < flight.tags.size(); ++i)
        flight.tags[i]->outdated = std::max(flight.tags[i]->outdated, seen.tags[i].outdated);
    // The store may have told of a change between its answer and now.
    if (flight.touched || !store_.watching()) return;
    LocalEntry entry;
    for (std::size_t i = 0; i < flight.tags.size(); ++i) {
        if (flight.tags[i]->changes != flight.changes[i]) return;
        entry.tags.push_back({flight.tags[i], flight.changes[i]});
    }
    const CacheRecord& record = *seen.record;
    const auto now = clock_.monotonic();
    entry.key = flight.key.key;
    entry.bytes = object ? codec_.bytes(object.get()) : 0;
    entry.object = std::move(object);
    entry.position = record.position;
    entry.load_time = record.load_time;
    entry.fresh_until = now + record.fresh;
    entry.stale_until = entry.fresh_until + record.stale;
    entry.early_from =
        std::max(now, entry.fresh_until - times(record.load_time, options_.beta * early_window));
    local_.put(std::move(entry));
}

awaitable<result<void>> Core::fly_shared(Flight& flight) {
    const std::string token = fmt::format("{:016x}{:016x}", random_.next(), random_.next());
    std::optional<CacheStore::Seen> seen;
    if (!store_.watching()) {
        // Nobody waits for a store that is away: the loads of this process are still one a key.
        ++counters_.store_errors;
        flight.mark();
        co_await load(flight, nullptr, {});
        co_return result<void>{};
    }
    if (!flight.refresh) {
        flight.mark();
        auto read = co_await store_.read(flight.key);
        if (read) {
            seen = std::move(*read);
            if (take(flight, *seen)) {
                ++counters_.shared_hits;
                co_return result<void>{};
            }
        } else if (read.error().code() == ErrorCode::cancelled) {
            co_return std::move(read).error();
        } else {
            // Without the store the loads of this process are still one a key.
            ++counters_.store_errors;
            co_await load(flight, nullptr, {});
            co_return result<void>{};
        }
    }
    const Deadline patience(clock_, options_.wait_max);
    while (true) {
        flight.mark();
        auto lease = co_await store_.lease(flight.key, token, options_.lease);
        if (!lease) {
            if (lease.error().code() == ErrorCode::cancelled) co_return std::move(lease).error();
            ++counters_.store_errors;
            co_await load(flight, nullptr, {});
            co_return result<void>{};
        }
        // Somebody may have loaded it between our look and the lease.
        const bool good = !flight.refresh && take(flight, lease->seen);
        if (good) ++counters_.shared_hits;
        if (good || (flight.refresh && !lease->granted)) {
            if (lease->granted) (void)co_await store_.release(flight.key, token);
            co_return result<void>{};
        }
        if (lease->granted || patience.passed(clock_)) {
            co_await load(flight, &lease->seen, token);
            if (flight.outcome && !*flight.outcome)
                (void)co_await store_.release(flight.key, token);
            co_return result<void>{};
        }
        ++counters_.waits;
        if (!flight.touched) CO_TRY_VOID(co_await flight.changed.wait_for(clock_, options_.poll));
    }
}

/// Loads, gives the outcome to who waits, and then the store.
awaitable<void> Core::load(Flight& flight, const CacheStore::Seen* seen, std::string token) {
    ++counters_.loads;
    const auto begun = clock_.monotonic();
    result<Loaded<void>> loaded = fail(ErrorCode::internal, "cache: the loader threw");
    try {
        loaded = co_await flight.loader();
    } catch (const std::exception& escaped) {
        loaded = fail(ErrorCode::internal, escaped.what());
    }
    const auto took = clock_.monotonic() - begun;
    counters_.load_time += took;
    if (!loaded) {
        ++counters_.load_failures;
        if (LocalEntry* entry = servable(flight.key.key, {})) {
            // What is stale is served on; not each look asks a source that is in trouble.
            entry->fresh_until = entry->early_from = clock_.monotonic() + options_.retry;
        }
        end(flight, std::move(loaded).error());
        co_return;
    }
    end(flight, *loaded);
    if (!seen) co_return;
    CacheRecord record;
    record.position = loaded->position;
    record.load_time = took;
    record.negative = !loaded->value;
    const double jitter = 1 + options_.jitter * (2 * random_.unit() - 1);
    record.fresh = times(record.negative ? options_.negative_ttl : options_.ttl, jitter);
    record.stale = record.negative ? Clock::duration::zero() : options_.stale;
    // As they were before the load: what was forgotten meanwhile is not valid.
    for (const CacheTag& tag : seen->tags)
        record.generations.push_back(tag.generation);
    if (loaded->value) record.value = codec_.encode(loaded->value.get());
    auto written = co_await store_.write(flight.key, std::move(record), token);
    if (!written) {
        ++counters_.store_errors;
        co_return;
    }
    if (!*written) {
        ++counters_.refused;
        co_return;
    }
    // Read back: the store tells of changes to what was read only.
    // Twice, for that our own write changed it may be told only now.
    for (int tries = 0; tries < 2; ++tries) {
        flight.mark();
        const auto back = co_await store_.read(flight.key);
        if (!back || !valid(flight, *back) || back->record->position != loaded->position) break;
        if (flight.touched) continue;
        keep(flight, *back, std::move(loaded->value));
        break;
    }
}

void Core::outdate(const std::string& name, Position position) {
    const LocalTagPtr known = tag(name);
    if (position <= known->outdated) return;
    known->outdated = position;
    if (untold_.size() >= untold_max && !untold_.contains(name)) {
        Position newest = position;
        for (const auto& [each, at] : untold_)
            newest = std::max(newest, at);
        untold_.clear();
        tag(everything)->outdated = std::max(tag(everything)->outdated, newest);
        untold_[everything] = newest;
    } else {
        untold_[name] = position;
    }
    if (!std::exchange(telling_, true)) tasks_.spawn("outdated", tell_store());
}

awaitable<result<void>> Core::tell_store() {
    Backoff backoff({}, random_);
    while (!untold_.empty()) {
        const auto [name, position] = *untold_.begin();
        auto told = co_await store_.outdate(options_.name, name, position);
        if (!told && told.error().code() == ErrorCode::cancelled) break;
        if (told) {
            backoff.reset();
            const auto still = untold_.find(name);
            if (still != untold_.end() && still->second <= position) untold_.erase(still);
            continue;
        }
        ++counters_.store_errors;
        const auto slept = co_await clock_.sleep(backoff.next());
        if (!slept) break;
    }
    telling_ = false;
    co_return result<void>{};
}

awaitable<result<void>> Core::forget(std::string name) {
    ++tag(name)->changes;
    co_return co_await store_.forget(options_.name, std::move(name));
}

awaitable<result<void>> Core::erase(std::string key) {
    local_.erase(key);
    co_return co_await store_.erase({options_.name, std::move(key), {}});
}

} // namespace netbuild::cache
