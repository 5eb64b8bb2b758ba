// SPDX-License-Identifier: Apache-2.0
#include "session_strings.hpp"

#include <algorithm>

namespace netbuild {
namespace {

/// A session that others change all the time: each of them has had its turn, ours comes.
constexpr int swaps_max = 1000;

// NetBuild's own text begins with when it was made and when it ends, "1764557000000 1764600200000
// ", by Redis' clock; that of a Node service with a brace.

// KEYS: session, tombstone. ARGV: what is there, what is to be, ms until it ends idle.
const RedisScript swap_script(R"lua(
local text = redis.call('GET', KEYS[1])
if not text or redis.call('EXISTS', KEYS[2]) == 1 then return false end
if text ~= ARGV[1] then return text end
local ends = tonumber(string.match(text, '^%d+ (%d+) '))
if not ends then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now >= ends then
    redis.call('DEL', KEYS[1])
    return false
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', string.format('%.0f', math.min(now + ARGV[3], ends)))
return 1
)lua");

// KEYS: session, tombstone. ARGV: what has to be there, or nothing; ms of the tombstone, where the
// text does not say; 1: a tombstone for one that is missing. One that is there beside its tombstone
// was ended before, and goes, as one past its end does. The session goes first: that works when the
// server's memory is full, and the tombstone may follow within one script.
const RedisScript bury_script(R"lua(
local text = redis.call('GET', KEYS[1])
if not text then
    if ARGV[3] == '1' then redis.call('SET', KEYS[2], '', 'PX', ARGV[2], 'NX') end
    return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = string.match(text, '^%d+ (%d+) ')
if redis.call('EXISTS', KEYS[2]) == 1 or ends and now >= tonumber(ends) then
    redis.call('DEL', KEYS[1])
    return false
end
if ARGV[1] ~= '' and text ~= ARGV[1] then return {0, text} end
redis.call('DEL', KEYS[1])
if ends then
    redis.call('SET', KEYS[2], '', 'PXAT', ends)
else
    redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
end
return {1, text}
)lua");

using Type = resp::Reply::Type;

} // namespace

std::string milliseconds_text(Clock::duration time) {
    return std::to_string(std::max<std::int64_t>(
        1, std::chrono::duration_cast<std::chrono::milliseconds>(time).count()));
}

SessionStrings::SessionStrings(RedisClient& redis, SessionTimeouts timeouts)
    : redis_(redis),
      timeouts_(timeouts),
      idle_ms_(milliseconds_text(timeouts.idle)),
      absolute_ms_(milliseconds_text(timeouts.absolute)) {}

awaitable<result<std::string>> SessionStrings::text_at(const Keys& keys) {
    CO_TRY(auto reply,
           co_await redis_.execute(RedisCommand::on(keys.session, {"GET", keys.session})));
    if (reply.type != Type::text) co_return no_session();
    co_return std::move(reply.text);
}

awaitable<result<std::optional<std::string>>>
SessionStrings::swap(const Keys& keys, std::string old, std::string next) {
    const std::string idle = idle_ms(next);
    CO_TRY(auto reply, co_await redis_.evaluate(swap_script, {keys.session, keys.tombstone},
                                                {old, next, idle}));
    if (reply.type == Type::integer) co_return std::optional<std::string>();
    if (reply.type != Type::text) co_return no_session();
    co_return std::optional(std::move(reply.text));
}

awaitable<result<SessionStrings::Ended>>
SessionStrings::bury(const Keys& keys, std::string expected, Missing missing) {
    CO_TRY(auto reply, co_await redis_.evaluate(
                           bury_script, {keys.session, keys.tombstone},
                           {expected, absolute_ms_, missing == Missing::bury ? "1" : "0"}));
    if (reply.elements.size() != 2) co_return Ended{};
    co_return Ended{reply.elements[0].integer == 1, std::move(reply.elements[1].text)};
}

awaitable<result<Session>> SessionStrings::apply(std::string id, SessionChange change) {
    CO_TRY(const Keys keys, keys_of(id));
    CO_TRY(std::string text, co_await text_at(keys));
    for (int i = 0; i < swaps_max; ++i) {
        CO_TRY(std::string next, changed(text, change));
        CO_TRY(auto instead, co_await swap(keys, std::move(text), next));
        if (!instead) co_return session_in(keys, next);
        ++counters_.repeated_writes;
        text = std::move(*instead);
    }
    co_return fail(ErrorCode::overloaded, "the session is changed all the time");
}

awaitable<result<NewSession>> SessionStrings::move(std::string id, std::string user) {
    CO_TRY(const Keys old, keys_of(id));
    CO_TRY(std::string text, co_await text_at(old));
    CO_TRY(const Session before, session_in(old, text));
    CO_TRY(std::string copy, owned_by(text, std::move(user)));
    NewSession made{new_session_id(), {}};
    CO_TRY(const Keys keys, keys_of(made.id));
    CO_TRY(made.session, session_in(keys, copy));
    const std::string owner = made.session.user;
    if (!owner.empty()) {
        // Whoever ends all of the user's sessions finds the new one in the list, or has struck the
        // old one from it.
        const std::string instead = before.user.empty() ? std::string() : old.handle;
        CO_TRY(const bool listed, co_await enlist(owner, keys.handle, instead));
        if (!listed) co_return no_session();
    }
    // The copy is there before the original dies: a server that fails in between ends nobody's
    // session. Nobody knows the new id until then.
    CO_TRY(const bool put, co_await put_copy(keys, copy));
    if (!put) co_return no_session();
    while (true) {
        CO_TRY(Ended ended, co_await bury(old, text, Missing::ignore));
        if (ended.ended) break;
        if (!ended.text) {
            CO_TRY_VOID(co_await bury(keys, {}, Missing::bury));
            if (!owner.empty()) CO_TRY_VOID(co_await strike(owner, keys.handle));
            co_return no_session();
        }
        // It was written meanwhile: the copy has that, too.
        ++counters_.repeated_writes;
        text = std::move(*ended.text);
        CO_TRY(std::string newer, owned_by(text, owner));
        CO_TRY(const auto instead, co_await swap(keys, std::move(copy), newer));
        if (instead) co_return fail(ErrorCode::internal, "two sessions have one id");
        copy = std::move(newer);
    }
    if (!before.user.empty()) CO_TRY_VOID(co_await strike(before.user, old.handle));
    CO_TRY(made.session, session_in(keys, copy));
    co_return made;
}

} // namespace netbuild
