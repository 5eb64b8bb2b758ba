// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_cache_store.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "position_lua.hpp"
#include "wire/percent.hpp"
#include "words.hpp"

namespace netbuild {
namespace {

using Reply = RedisClient::Reply;
using std::chrono::milliseconds;

constexpr std::string_view prefix = "netbuild:cache:";

std::string record_key(const CacheKey& key) {
    return fmt::format("{}{}:k:{{{}}}", prefix, percent_encode(key.cache), percent_encode(key.key));
}
std::string lease_key(const CacheKey& key) { return record_key(key) + ":lease"; }
std::string tag_key(std::string_view cache, std::string_view tag) {
    return fmt::format("{}{}:t:{{{}}}", prefix, percent_encode(cache), percent_encode(tag));
}

std::int64_t ms(Clock::duration time) {
    return std::chrono::duration_cast<milliseconds>(time).count();
}

// KEYS: record, lease. ARGV: position, the record, its milliseconds, token.
const RedisScript& write_script() {
    static const RedisScript script(NETBUILD_LUA_LATER R"(
if redis.call('GET', KEYS[2]) == ARGV[4] then redis.call('DEL', KEYS[2]) end
local old = redis.call('GETRANGE', KEYS[1], 0, 63)
local position = old:match('^nb1 (%d+%-%d+) ')
if position and later(position, ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1)");
    return script;
}

// KEYS: lease. ARGV: token, milliseconds. Said again by the same token it is the same lease.
const RedisScript& lease_script() {
    static const RedisScript script(R"(
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1)");
    return script;
}

// KEYS: lease. ARGV: token.
const RedisScript& release_script() {
    static const RedisScript script(R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0)");
    return script;
}

// KEYS: tag. ARGV: a new generation, milliseconds. The tag, made if it is missing.
const RedisScript& make_script() {
    static const RedisScript script(R"(
local tag = redis.call('GET', KEYS[1])
if tag then return tag end
tag = ARGV[1] .. ' 0-0'
redis.call('SET', KEYS[1], tag, 'PX', ARGV[2])
return tag)");
    return script;
}

// KEYS: tag. ARGV: a new generation, milliseconds, position.
const RedisScript& outdate_script() {
    static const RedisScript script(NETBUILD_LUA_LATER R"(
local tag = redis.call('GET', KEYS[1]) or ''
local generation, position = tag:match('^(%w+) (%d+%-%d+)$')
if position and not later(ARGV[3], position) then return 0 end
redis.call('SET', KEYS[1], (generation or ARGV[1]) .. ' ' .. ARGV[3], 'PX', ARGV[2])
return 1)");
    return script;
}

// KEYS: tag. ARGV: a new generation, milliseconds.
const RedisScript& forget_script() {
    static const RedisScript script(R"(
local tag = redis.call('GET', KEYS[1]) or ''
local position = tag:match('^%w+ (%d+%-%d+)$') or '0-0'
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. position, 'PX', ARGV[2])
return 1)");
    return script;
}

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<CacheTag> parse_tag(std::string_view text) {
    CacheTag tag;
    tag.generation = next_word(text);
    const auto position = parse_position(text);
    if (tag.generation.empty() || !position) return std::nullopt;
    tag.outdated = *position;
    return tag;
}

std::string encode(const CacheKey& key, const CacheRecord& record) {
    std::string out =
        fmt::format("nb1 {} {} {} {} ", to_string(record.position), ms(record.load_time),
                    ms(record.stale), record.negative ? "none" : "value");
    for (std::size_t i = 0; i < key.tags.size(); ++i) {
        if (i > 0) out += ',';
        out += percent_encode(key.tags[i]) + "=" + record.generations.at(i);
    }
    out += '\n';
    out += record.value;
    return out;
}

/// Nothing: not one of ours, or of a version to come; it is loaded anew.
std::optional<CacheRecord> decode(const CacheKey& key, std::string text, std::int64_t left_ms) {
    const auto end = text.find('\n');
    if (left_ms <= 0 || end == std::string::npos) return std::nullopt;
    std::string_view line = std::string_view(text).substr(0, end);
    if (next_word(line) != "nb1") return std::nullopt;
    const auto position = parse_position(next_word(line));
    const auto load_ms = number(next_word(line)), stale_ms = number(next_word(line));
    const std::string_view kind = next_word(line);
    if (!position || !load_ms || !stale_ms || (kind != "value" && kind != "none"))
        return std::nullopt;
    CacheRecord record;
    record.position = *position;
    record.load_time = milliseconds(*load_ms);
    record.stale = milliseconds(*stale_ms);
    record.fresh = milliseconds(left_ms - *stale_ms);
    record.negative = kind == "none";
    record.generations.resize(key.tags.size());
    while (!line.empty()) {
        const std::string_view pair = line.substr(0, line.find(','));
        line.remove_prefix(std::min(pair.size() + 1, line.size()));
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        for (std::size_t i = 0; i < key.tags.size(); ++i) {
            if (percent_encode(key.tags[i]) == pair.substr(0, equals))
                record.generations[i] = pair.substr(equals + 1);
        }
    }
    text.erase(0, end + 1);
    record.value = std::move(text);
    return record;
}

RedisClient::Options client_options(RedisClient::Options options,
                                    std::function<void(std::optional<std::string_view>)> changed) {
    options.tracking = true;
    options.on_invalidated = std::move(changed);
    return options;
}

} // namespace

RedisCacheStore::RedisCacheStore(asio::any_io_executor executor, Clock& clock, Options options)
    : options_(std::move(options)),
      client_(std::move(executor), clock,
              client_options(options_.client, [this](auto key) { changed(key); })) {}

CacheStore::Listening RedisCacheStore::listen(const std::string& cache, Listener listener) {
    const auto place = listeners_.emplace(cache, std::move(listener));
    return {&*place, [this, place](const void*) { listeners_.erase(place); }};
}

void RedisCacheStore::changed(std::optional<std::string_view> key) {
    if (!key) {
        for (const auto& [cache, listener] : listeners_)
            listener({cache, {}, {}});
        return;
    }
    if (!key->starts_with(prefix) || !key->ends_with('}')) return; // a lease
    std::string_view rest = key->substr(prefix.size());
    const auto cache = percent_decode(rest.substr(0, rest.find(':')), false);
    rest.remove_prefix(std::min(rest.find(':'), rest.size()));
    const bool is_key = rest.starts_with(":k:{");
    if (!cache || (!is_key && !rest.starts_with(":t:{"))) return;
    const auto name = percent_decode(rest.substr(4, rest.size() - 5), false);
    if (!name) return;
    const auto [begin, end] = listeners_.equal_range(*cache);
    for (auto at = begin; at != end; ++at)
        at->second(is_key ? Change{*cache, *name, {}} : Change{*cache, {}, *name});
}

std::string RedisCacheStore::new_generation() {
    return fmt::format("{:016x}{:016x}", random_.next(), random_.next());
}

std::string RedisCacheStore::tag_time_ms() const { return std::to_string(ms(options_.tag_time)); }

awaitable<result<CacheTag>> RedisCacheStore::made_tag(std::string key) {
    const std::string generation = new_generation(), time = tag_time_ms();
    CO_TRY(const Reply reply, co_await client_.evaluate(make_script(), {key}, {generation, time}));
    auto tag = parse_tag(reply.text);
    if (!tag) co_return fail(ErrorCode::unsupported, "cache: no tag lies at " + key);
    co_return std::move(*tag);
}

awaitable<result<CacheStore::Seen>> RedisCacheStore::read(CacheKey key) {
    CO_TRY_VOID(check_cache_key(key));
    const std::string record = record_key(key);
    std::vector<RedisCommand> commands{RedisCommand::on(record, {"GET", record}),
                                       RedisCommand::on(record, {"PTTL", record})};
    std::vector<std::string> tags;
    for (const std::string& tag : key.tags) {
        tags.push_back(tag_key(key.cache, tag));
        commands.push_back(RedisCommand::on(tags.back(), {"GET", tags.back()}));
    }
    auto replies = co_await client_.execute_all(std::move(commands));
    Seen seen;
    CO_TRY(Reply text, std::move(replies[0]));
    CO_TRY(const Reply left, std::move(replies[1]));
    for (std::size_t i = 0; i < tags.size(); ++i) {
        CO_TRY(const Reply reply, std::move(replies[2 + i]));
        auto tag = parse_tag(reply.text);
        if (!tag) {
            CO_TRY(tag, co_await made_tag(tags[i]));
        }
        seen.tags.push_back(std::move(*tag));
    }
    if (text.type == Reply::Type::text)
        seen.record = decode(key, std::move(text.text), left.integer);
    co_return seen;
}

awaitable<result<CacheStore::Lease>> RedisCacheStore::lease(CacheKey key, std::string token,
                                                            Clock::duration time) {
    CO_TRY_VOID(check_cache_key(key));
    const std::string lease = lease_key(key);
    const std::string time_ms = std::to_string(std::max<std::int64_t>(1, ms(time)));
    CO_TRY(const Reply reply, co_await client_.evaluate(lease_script(), {lease}, {token, time_ms}));
    CO_TRY(Seen seen, co_await read(std::move(key)));
    co_return Lease{reply.integer == 1, std::move(seen)};
}

awaitable<result<void>> RedisCacheStore::release(CacheKey key, std::string token) {
    const std::string lease = lease_key(key);
    CO_TRY_VOID(co_await client_.evaluate(release_script(), {lease}, {token}));
    co_return result<void>{};
}

awaitable<result<bool>> RedisCacheStore::write(CacheKey key, CacheRecord record,
                                               std::string token) {
    CO_TRY_VOID(check_cache_key(key));
    const std::string name = record_key(key), lease = lease_key(key),
                      position = to_string(record.position), text = encode(key, record),
                      time = std::to_string(
                          std::max<std::int64_t>(1, ms(record.fresh) + ms(record.stale)));
    CO_TRY(const Reply reply,
           co_await client_.evaluate(write_script(), {name, lease}, {position, text, time, token}));
    co_return reply.integer == 1;
}

awaitable<result<void>> RedisCacheStore::erase(CacheKey key) {
    CO_TRY_VOID(check_cache_key(key));
    const std::string name = record_key(key);
    CO_TRY_VOID(co_await client_.execute(RedisCommand::on(name, {"DEL", name})));
    co_return result<void>{};
}

awaitable<result<void>> RedisCacheStore::outdate(std::string cache, std::string tag,
                                                 Position position) {
    CO_TRY_VOID(check_cache_key({cache, tag, {}}));
    const std::string name = tag_key(cache, tag), generation = new_generation(),
                      time = tag_time_ms(), text = to_string(position);
    CO_TRY_VOID(co_await client_.evaluate(outdate_script(), {name}, {generation, time, text}));
    co_return result<void>{};
}

awaitable<result<void>> RedisCacheStore::forget(std::string cache, std::string tag) {
    CO_TRY_VOID(check_cache_key({cache, tag, {}}));
    const std::string name = tag_key(cache, tag), generation = new_generation(),
                      time = tag_time_ms();
    CO_TRY_VOID(co_await client_.evaluate(forget_script(), {name}, {generation, time}));
    co_return result<void>{};
}

} // namespace netbuild
