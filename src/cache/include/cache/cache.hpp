// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/local_tier.hpp"
#include "ports/cache_store.hpp"
#include "runtime/random.hpp"
#include "runtime/task_group.hpp"

namespace netbuild::cache {

struct Options {
    /// 1 to 512 bytes; all nodes that share the cache use one name and one codec.
    std::string name;
    /// Of the values in this process, keys and tables included.
    std::size_t memory_max = std::size_t{64} << 20;
    /// A value is fresh for ttl · (1 ± jitter), then for `stale` it is served while one loads anew.
    Clock::duration ttl = std::chrono::minutes(5), stale = std::chrono::minutes(1);
    double jitter = 0.1;
    /// That there is none is believed for so long.
    Clock::duration negative_ttl = std::chrono::seconds(10);
    /// A loader that says nothing for so long is taken for dead: longer than any load.
    Clock::duration lease = std::chrono::seconds(5);
    /// For another node's load; then this one loads too.
    Clock::duration wait_max = std::chrono::seconds(10);
    /// While another node loads, the store is looked at so often, or sooner when it tells.
    Clock::duration poll = std::chrono::milliseconds(20);
    /// After a load that failed while a stale value is here.
    Clock::duration retry = std::chrono::seconds(1);
    /// XFetch's beta: above 1 loads earlier. 0: never before the end.
    double beta = 1;
};

struct Counters {
    std::uint64_t hits = 0, shared_hits = 0, misses = 0;
    /// Of the misses, those that waited for a load of this process, and looks at one of another.
    std::uint64_t joined = 0, waits = 0;
    std::uint64_t loads = 0, load_failures = 0, refreshes = 0, stale_hits = 0;
    /// Loads that came after a later one, and stayed unwritten.
    std::uint64_t refused = 0;
    std::uint64_t store_errors = 0;
    Clock::duration load_time{};
};

/// What a loader gives.
template <class T>
struct Loaded {
    /// Null: there is none.
    std::shared_ptr<const T> value;
    /// Everything up to here was in what it read: taken before the read.
    Position position;
};

/// One named cache of bytes-coded objects; see Cache<T>. One executor, no locks.
class Core {
public:
    struct Codec {
        std::function<std::string(const void* object)> encode;
        std::function<result<Object>(std::string_view bytes)> decode;
        /// In memory, near enough for the limit.
        std::function<std::size_t(const void* object)> bytes;
    };
    using Loader = std::function<awaitable<result<Loaded<void>>>()>;

    Core(asio::any_io_executor executor, Clock& clock, CacheStore& store, Options options,
         Codec codec, Random random);
    ~Core();
    awaitable<void> stop();

    [[nodiscard]] const LocalEntry* try_get(std::string_view key, Position at_least = {});
    awaitable<result<Loaded<void>>> get(std::string key, std::vector<std::string> tags,
                                        Loader loader, Position at_least = {});
    void outdate(const std::string& tag, Position position);
    void heard(Position position) { heard_ = std::max(heard_, position); }
    awaitable<result<void>> forget(std::string tag);
    awaitable<result<void>> erase(std::string key);

    [[nodiscard]] const Options& options() const noexcept { return options_; }
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    [[nodiscard]] const LocalTier& local() const noexcept { return local_; }

private:
    struct Flight;
    using FlightPtr = std::shared_ptr<Flight>;
    [[nodiscard]] bool recent(Position position, Position at_least) const noexcept {
        return position >= at_least || heard_ >= at_least;
    }
    LocalEntry* servable(std::string_view key, Position at_least);
    bool draws_early(const LocalEntry& entry);
    LocalTagPtr tag(const std::string& name);
    void changed(const CacheStore::Change& change);
    FlightPtr start(CacheKey key, Loader loader, Position at_least, bool refresh);
    awaitable<result<void>> landed(FlightPtr flight);
    awaitable<result<void>> fly(FlightPtr flight);
    awaitable<result<void>> fly_shared(Flight& flight);
    awaitable<void> load(Flight& flight, const CacheStore::Seen* seen, std::string token);
    [[nodiscard]] bool valid(Flight& flight, const CacheStore::Seen& seen) const;
    bool take(Flight& flight, const CacheStore::Seen& seen);
    void keep(Flight& flight, const CacheStore::Seen& seen, Object object);
    void end(Flight& flight, result<Loaded<void>> outcome);
    awaitable<result<void>> tell_store();

    asio::any_io_executor executor_;
    Clock& clock_;
    CacheStore& store_;
    Options options_;
    Codec codec_;
    Random random_;
    LocalTier local_;
    Position heard_;
    std::map<std::string, LocalTagPtr, std::less<>> tags_;
    std::size_t tags_swept_ = 0;
    std::map<std::string, FlightPtr, std::less<>> flights_;
    std::uint64_t flight_count_ = 0;
    /// Of tags that the store has not been told of yet.
    std::map<std::string, Position> untold_;
    bool telling_ = false, stopping_ = false;
    Counters counters_;
    CacheStore::Listening listening_;
    TaskGroup tasks_;
};

/// How a type becomes bytes that all nodes read, and how many it is in memory.
template <class T>
struct Codec {
    std::function<std::string(const T&)> encode;
    std::function<result<std::shared_ptr<const T>>(std::string_view)> decode;
    std::function<std::size_t(const T&)> bytes;
};

/// Get or load: a value is loaded once in this process and once in the fleet, served from this
/// process while it is valid, and never past an event that outdates it.
///
/// A value is valid while no event for one of its tags has a later Position. All Positions of one
/// cache are of one clock.
template <class T>
class Cache {
public:
    using Loader = std::function<awaitable<result<Loaded<T>>>()>;

    Cache(asio::any_io_executor executor, Clock& clock, CacheStore& store, Options options,
          Codec<T> codec, Random random = Random::from_system())
        : core_(std::move(executor), clock, store, std::move(options),
                {[encode = std::move(codec.encode)](const void* object) {
                     return encode(*static_cast<const T*>(object));
                 },
                 [decode = std::move(codec.decode)](std::string_view text) -> result<Object> {
                     TRY(auto value, decode(text));
                     return Object(std::move(value));
                 },
                 [bytes = std::move(codec.bytes)](const void* object) {
                     return bytes(*static_cast<const T*>(object));
                 }},
                random) {}
    /// Before the end: joins loads and what the store is still to be told.
    awaitable<void> stop() { co_await core_.stop(); }

    /// Without a coroutine or an allocation: the value if it is in this process, valid and in no
    /// need of a load. Null also for "there is none": get() tells.
    [[nodiscard]] std::shared_ptr<const T> try_get(std::string_view key, Position at_least = {}) {
        const LocalEntry* entry = core_.try_get(key, at_least);
        return entry ? std::static_pointer_cast<const T>(entry->object) : nullptr;
    }
    /// The value, loaded if need be; null: there is none. `loader` outlives the call where the
    /// value is loaded anew for later, and owns what it uses. A loader's error is given to all who
    /// wait, and is not kept. not_yet_consistent: even a load gave no value as recent as at_least.
    awaitable<result<Loaded<T>>> get(std::string key, std::vector<std::string> tags, Loader loader,
                                     Position at_least = {}) {
        CO_TRY(auto found,
               co_await core_.get(
                   std::move(key), std::move(tags),
                   [loader = std::move(loader)]() { return erased(loader); }, at_least));
        co_return Loaded<T>{std::static_pointer_cast<const T>(std::move(found.value)),
                            found.position};
    }
    /// An event at `position` outdates what has the tag: here at once, for other nodes as soon as
    /// the store takes it.
    void outdate(const std::string& tag, Position position) { core_.outdate(tag, position); }
    /// All events up to here were given to outdate(): what is valid is as recent as this.
    void heard(Position position) { core_.heard(position); }
    /// Whatever has the tag now is loaded anew. Error: other nodes may not know.
    awaitable<result<void>> forget(std::string tag) {
        co_return co_await core_.forget(std::move(tag));
    }
    awaitable<result<void>> erase(std::string key) {
        co_return co_await core_.erase(std::move(key));
    }

    [[nodiscard]] const Core& core() const noexcept { return core_; }

private:
    static awaitable<result<Loaded<void>>> erased(const Loader& loader) {
        CO_TRY(auto loaded, co_await loader());
        co_return Loaded<void>{std::move(loaded.value), loaded.position};
    }
    Core core_;
};

/// The tag that every key of a cache has: forget(everything) empties it.
inline const std::string everything = "*";

} // namespace netbuild::cache
