// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_sessions.hpp"

#include <algorithm>
#include <charconv>

#include "session_strings.hpp"
#include "wire/json.hpp"

namespace netbuild {
namespace {

using Type = resp::Reply::Type;

/// How far from the absolute end a read may leave the clock to us: the clocks of a cluster's
/// masters differ by less, and so does what we know of one of them from what it is.
constexpr std::int64_t clock_margin_ms = 60'000;
constexpr std::chrono::minutes clock_learned_for{1};
/// A session in its user's list that is not there may be about to come.
constexpr std::int64_t arrival_us = 60'000'000;

// KEYS: session, tombstone. ARGV: body; ms idle, in all; of a copy when it was made and ends.
const RedisScript create_script(R"lua(
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local made = tonumber(ARGV[4]) or now
local ends = tonumber(ARGV[5]) or now + ARGV[3]
if now >= ends then return false end
local text = string.format('%.0f %.0f ', made, ends) .. ARGV[1]
redis.call('SET', KEYS[1], text, 'PXAT', string.format('%.0f', math.min(now + ARGV[2], ends)))
return {text, now}
)lua");

// KEYS: session, tombstone. ARGV: ms idle.
const RedisScript touch_script(R"lua(
local text = redis.call('GET', KEYS[1])
if not text then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = tonumber(string.match(text, '^%d+ (%d+) '))
if not ends then return {text, now} end
if now >= ends or redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('DEL', KEYS[1])
    return false
end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(now + ARGV[1], ends)))
return {text, now}
)lua");

// A user's sessions: handles by the microsecond in which they began.
// KEYS: the list. ARGV: handle, ms to keep the list, how many (0: any number), instead of which.
const RedisScript enlist_script(R"lua(
local time = redis.call('TIME')
local began = string.format('%.0f', time[1] * 1000000 + time[2])
if ARGV[4] ~= '' then
    began = redis.call('ZSCORE', KEYS[1], ARGV[4])
    if not began then return false end
end
redis.call('ZADD', KEYS[1], began, ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
local most = tonumber(ARGV[3])
local extra = redis.call('ZCARD', KEYS[1]) - most
if most == 0 or extra <= 0 then return {} end
return redis.call('ZRANGE', KEYS[1], 0, extra - 1)
)lua");

// KEYS: the list. ARGV: the last microsecond, or nothing for now; which is the first of the answer.
const RedisScript listed_script(R"lua(
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local last = ARGV[1] ~= '' and ARGV[1] or now
return {last, now, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', last, 'WITHSCORES')}
)lua");

struct Stored {
    std::int64_t made = 0, ends = 0;
    std::string user;
    Object data;
    /// The first two as they are written.
    std::string_view times;
};

Error foreign() {
    return fail(ErrorCode::unsupported, "something else lies where the session should");
}

result<Stored> read_stored(const std::string& text) {
    Stored stored;
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, stored.made);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ' ') return foreign();
    const auto second = std::from_chars(first.ptr + 1, end, stored.ends);
    if (second.ec != std::errc{} || second.ptr == end || *second.ptr != ' ') return foreign();
    stored.times = {text.data(), static_cast<std::size_t>(second.ptr + 1 - text.data())};
    auto body = parse_json({second.ptr + 1, static_cast<std::size_t>(end - second.ptr - 1)});
    Object* object = body ? body->get_if<Object>() : nullptr;
    Value* data = object ? object->find("data") : nullptr;
    if (!data || !data->is<Object>()) return foreign();
    if (const Value* user = object->find("user")) stored.user = user->string_or();
    stored.data = std::move(*data->get_if<Object>());
    return stored;
}

std::string body_of(std::string_view user, const Object& data) {
    std::string body = "{\"user\":";
    append_json_string(body, user);
    body += ",\"data\":";
    append_json(body, data);
    body += '}';
    return body;
}

std::int64_t number(const std::string& text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

} // namespace

class RedisSessions::Impl final : public SessionStrings {
public:
    Impl(RedisClient& redis, Clock& clock, Options options)
        : SessionStrings(redis, options.timeouts),
          clock_(clock),
          prefix_(std::move(options.prefix)),
          idle_(number(idle_ms_)) {}

    void read_now(std::string_view id, OnRead on_read) {
        auto keys = keys_of(id);
        if (!keys) return std::move(on_read)(keys.error());
        if (!knows_time()) return read_exactly(std::move(*keys), std::move(on_read));
        RedisCommand command = read_command(*keys);
        redis_.send(std::move(command),
                    [this, keys = std::move(*keys),
                     on_read = std::move(on_read)](result<resp::Reply> reply) mutable {
                        auto session = read_in(keys, std::move(reply));
                        if (session && near_its_end(*session))
                            return read_exactly(std::move(keys), std::move(on_read));
                        std::move(on_read)(std::move(session));
                    });
    }

private:
    [[nodiscard]] RedisCommand read_command(const Keys& keys) const {
        return RedisCommand::on(keys.session, {"GETEX", keys.session, "PX", idle_ms_});
    }
    [[nodiscard]] result<Session> read_in(const Keys& keys, result<resp::Reply> reply) const {
        TRY(const auto found, std::move(reply));
        if (found.type != Type::text) return no_session();
        return session_in(keys, found.text);
    }
    /// Of touch_script.
    [[nodiscard]] result<Session> exact_in(const Keys& keys, result<resp::Reply> reply) {
        TRY(const auto found, std::move(reply));
        if (found.elements.size() != 2) return no_session();
        learn(found.elements[1].integer);
        return session_in(keys, found.elements[0].text);
    }
    void read_exactly(Keys keys, OnRead on_read) {
        const std::string_view names[] = {keys.session, keys.tombstone};
        const std::string_view arguments[] = {idle_ms_};
        redis_.evaluate(touch_script, names, arguments,
                        [this, keys = std::move(keys),
                         on_read = std::move(on_read)](result<resp::Reply> reply) mutable {
                            std::move(on_read)(exact_in(keys, std::move(reply)));
                        });
    }
    awaitable<result<Session>> read_exactly(Keys keys) {
        co_return exact_in(keys, co_await redis_.evaluate(
                                     touch_script, {keys.session, keys.tombstone}, {idle_ms_}));
    }
    /// So near that GETEX may have moved its end behind the absolute one.
    [[nodiscard]] static bool near_its_end(const Session& session) {
        return session.expires_at.milliseconds + clock_margin_ms >= session.ends_at.milliseconds;
    }

    static std::int64_t in_ms(Clock::duration time) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    }
    void learn(std::int64_t server_ms) {
        learned_at_ = clock_.monotonic();
        ahead_ms_ = server_ms - in_ms(learned_at_);
    }
    /// Whether what is known of the server's time may be relied on.
    [[nodiscard]] bool knows_time() const {
        return ahead_ms_ && clock_.monotonic() - learned_at_ <= clock_learned_for;
    }
    /// By the server's clock, if anything is known of it.
    [[nodiscard]] std::int64_t now_ms() const {
        return ahead_ms_ ? in_ms(clock_.monotonic()) + *ahead_ms_ : clock_.utc_us() / 1000;
    }

    [[nodiscard]] Keys keys_of_handle(std::string handle) const {
        // Both keys are in one slot by what stands in braces.
        std::string session = prefix_ + "{" + handle.substr(handle.find('_') + 1) + "}";
        std::string tombstone = session + ":ended";
        return {std::move(handle), std::move(session), std::move(tombstone)};
    }
    [[nodiscard]] std::string list_of(std::string_view user) const {
        return prefix_ + "user:" + session_handle(user).substr(3);
    }

    result<Keys> keys_of(std::string_view id) const override {
        if (!is_session_id(id)) return no_session();
        return keys_of_handle(session_handle(id));
    }
    result<Session> session_in(const Keys& keys, const std::string& text) const override {
        TRY(Stored stored, read_stored(text));
        return Session{keys.handle,
                       std::move(stored.user),
                       std::move(stored.data),
                       Date{stored.made},
                       Date{std::min(now_ms() + idle_, stored.ends)},
                       Date{stored.ends}};
    }
    result<std::string> changed(const std::string& text,
                                const SessionChange& change) const override {
        TRY(Stored stored, read_stored(text));
        TRY(const Object data, apply_change(std::move(stored.data), change));
        return std::string(stored.times) + body_of(stored.user, data);
    }
    result<std::string> owned_by(const std::string& text, std::string user) const override {
        TRY(Stored stored, read_stored(text));
        TRY(const std::string owner, signed_in(std::move(stored.user), std::move(user)));
        return std::string(stored.times) + body_of(owner, stored.data);
    }
    std::string idle_ms(const std::string&) const override { return idle_ms_; }

    awaitable<result<bool>> put_copy(const Keys& keys, const std::string& text) override {
        CO_TRY(const Stored stored, read_stored(text));
        const auto made = std::to_string(stored.made), ends = std::to_string(stored.ends);
        CO_TRY(const auto reply, co_await put(keys, body_of(stored.user, stored.data), made, ends));
        co_return reply.elements.size() == 2;
    }
    awaitable<result<resp::Reply>> put(const Keys& keys, std::string body, std::string made,
                                       std::string ends) {
        CO_TRY(auto reply, co_await redis_.evaluate(create_script, {keys.session, keys.tombstone},
                                                    {body, idle_ms_, absolute_ms_, made, ends}));
        if (reply.elements.size() == 2) learn(reply.elements[1].integer);
        co_return reply;
    }

    awaitable<result<bool>> enlist(std::string user, std::string handle,
                                   std::string instead_of) override {
        CO_TRY(const auto reply, co_await add(user, handle, "0", instead_of));
        co_return reply.type == Type::array;
    }
    awaitable<result<resp::Reply>> add(const std::string& user, const std::string& handle,
                                       std::string most, std::string instead_of) {
        const std::string list = list_of(user);
        co_return co_await redis_.evaluate(enlist_script, {list},
                                           {handle, absolute_ms_, most, instead_of});
    }
    awaitable<result<void>> strike(std::string user, std::string handle) override {
        const std::string list = list_of(user);
        CO_TRY_VOID(co_await redis_.execute(RedisCommand::on(list, {"ZREM", list, handle})));
        co_return result<void>{};
    }

    awaitable<result<NewSession>> insert(std::string user, Object data) override {
        NewSession made{new_session_id(), {}};
        CO_TRY(const Keys keys, keys_of(made.id));
        resp::Reply extra;
        if (!user.empty()) {
            // First the list: a session that is in no list would outlive the end of all.
            CO_TRY(extra,
                   co_await add(user, keys.handle, std::to_string(sessions_of_a_user_max), {}));
        }
        CO_TRY(auto reply, co_await put(keys, body_of(user, data), {}, {}));
        if (reply.elements.size() != 2)
            co_return fail(ErrorCode::conflict, "all sessions of the user are being revoked");
        for (const auto& oldest : extra.elements)
            CO_TRY_VOID(co_await end_one(oldest.text, user, Missing::ignore, counters_.revoked));
        CO_TRY(made.session, session_in(keys, reply.elements[0].text));
        co_return made;
    }

    awaitable<result<Session>> get(std::string id) override {
        CO_TRY(Keys keys, keys_of(id));
        if (!knows_time()) co_return co_await read_exactly(std::move(keys));
        auto session = read_in(keys, co_await redis_.execute(read_command(keys)));
        if (session && near_its_end(*session)) co_return co_await read_exactly(std::move(keys));
        co_return session;
    }

    awaitable<result<void>> extend(std::string id) override {
        CO_TRY(Keys keys, keys_of(id));
        CO_TRY_VOID(co_await read_exactly(std::move(keys)));
        co_return result<void>{};
    }

    awaitable<result<bool>> end(std::string id_or_handle) override {
        if (!is_session_handle(id_or_handle) && !is_session_id(id_or_handle)) co_return false;
        const Keys keys = keys_of_handle(
            is_session_handle(id_or_handle) ? id_or_handle : session_handle(id_or_handle));
        CO_TRY(const Ended ended, co_await bury(keys, {}, Missing::ignore));
        if (!ended.ended) co_return false;
        const auto stored = read_stored(*ended.text);
        if (stored && !stored->user.empty())
            CO_TRY_VOID(co_await strike(stored->user, keys.handle));
        co_return true;
    }

    awaitable<result<void>> end_one(std::string handle, std::string user, Missing missing,
                                    std::uint64_t& count) {
        CO_TRY(const Ended ended, co_await bury(keys_of_handle(handle), {}, missing));
        count += ended.ended;
        co_return co_await strike(std::move(user), std::move(handle));
    }

    awaitable<result<std::uint64_t>> end_all(std::string user) override {
        const std::string list = list_of(user);
        std::uint64_t count = 0;
        // Rotations under way put in others for what is struck, with the time of the old one: it is
        // done when the list has none from before.
        for (std::string last;;) {
            CO_TRY(const auto reply, co_await redis_.evaluate(listed_script, {list}, {last}));
            if (reply.elements.size() != 3) co_return foreign();
            last = reply.elements[0].text;
            const auto& found = reply.elements[2].elements;
            if (found.empty()) co_return count;
            for (std::size_t i = 0; i + 1 < found.size(); i += 2)
                CO_TRY_VOID(co_await end_one(found[i].text, user, Missing::bury, count));
        }
    }

    awaitable<result<std::vector<Session>>> of_user(std::string user) override {
        const std::string list = list_of(user);
        CO_TRY(const auto reply, co_await redis_.evaluate(listed_script, {list}, {""}));
        if (reply.elements.size() != 3) co_return foreign();
        const std::int64_t now = number(reply.elements[1].text);
        const auto& found = reply.elements[2].elements;
        std::vector<Keys> all;
        std::vector<RedisCommand> commands;
        for (std::size_t i = 0; i + 1 < found.size(); i += 2) {
            const Keys& keys = all.emplace_back(keys_of_handle(found[i].text));
            commands.push_back(RedisCommand::on(keys.session, {"GET", keys.session}));
            commands.push_back(RedisCommand::on(keys.session, {"PTTL", keys.session}));
        }
        auto replies = co_await redis_.execute_all(std::move(commands));
        std::vector<Session> sessions;
        for (std::size_t i = 0; i < all.size(); ++i) {
            CO_TRY(const auto text, std::move(replies[2 * i]));
            CO_TRY(const auto left, std::move(replies[2 * i + 1]));
            if (text.type == Type::text && left.integer > 0) {
                CO_TRY(Session session, session_in(all[i], text.text));
                session.expires_at =
                    Date{std::min(now / 1000 + left.integer, session.ends_at.milliseconds)};
                if (session.ends_at.milliseconds > now / 1000)
                    sessions.push_back(std::move(session));
            } else if (number(found[2 * i + 1].text) + arrival_us < now) {
                CO_TRY_VOID(co_await strike(user, all[i].handle));
            }
        }
        co_return sessions;
    }

    Clock& clock_;
    const std::string prefix_;
    const std::int64_t idle_;
    std::optional<std::int64_t> ahead_ms_;
    Clock::duration learned_at_{};
};

RedisSessions::RedisSessions(RedisClient& redis, Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(redis, clock, std::move(options))) {}
RedisSessions::~RedisSessions() = default;

SessionStore& RedisSessions::store() { return *impl_; }
void RedisSessions::read(std::string_view id, OnRead on_read) {
    impl_->read_now(id, std::move(on_read));
}

} // namespace netbuild
