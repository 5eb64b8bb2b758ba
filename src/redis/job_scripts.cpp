// SPDX-License-Identifier: Apache-2.0
#include "job_scripts.hpp"

#include <string>

namespace netbuild::job_scripts {
namespace {

/// Entries of `ready` whose jobs have ended, behind one that runs.
constexpr std::size_t garbage_max = 10'000;
/// A claim and a page of a list have no more jobs when they have so many bytes of them.
constexpr std::size_t claim_bytes_max = std::size_t{1} << 20;

/// A script that may run in a full Redis: it frees memory, or lets workers go on that will.
constexpr std::string_view frees = "#!lua flags=allow-oom\n";
/// One that a full Redis refuses before it begins.
constexpr std::string_view takes = "#!lua\n";

/// Before anything is written, each key is looked at: where something else lies, the script fails
/// with WRONGTYPE and has done nothing.
constexpr std::string_view common = R"lua(
local meta, jobs, ready, leases, delayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local dead, results, done, channel = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local call = redis.call
local function running() return call('ZCOUNT', leases, '-inf', '(inf') end
local held = call('HLEN', jobs) - running()
call('HLEN', meta); call('XLEN', ready)
call('ZCARD', delayed); call('ZCARD', dead); call('HLEN', results); call('ZCARD', done)
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
local function count(name, by)
  if by > 0 then call('HINCRBY', meta, name, by) end
end
local function wake() call('SPUBLISH', channel, '') end
local function make_ready(id) call('XADD', ready, '*', 'j', id) end
)lua";

/// The end of a run, and what time brings.
constexpr std::string_view runs = R"lua(
local function end_run(id, token)
  call('XACK', ready, 'workers', token)
  call('XDEL', ready, token)
  call('HDEL', jobs, 'r' .. id)
  call('ZREM', leases, id)
end
-- Delay -1: the job's backoff.
local function give_back(id, why, after, delay, drawn)
  local record = call('HGET', jobs, id)
  if not record then return end
  local attempts, rest, max, first, cap, size, body = string.match(record,
    '^(%d+) (%d+ %d+ (%d+) (%d+) (%d+)) (%d+)\n()')
  if after ~= 'release' then attempts = attempts + 1 end
  call('HSET', jobs, id, whole(attempts) .. ' ' .. rest .. ' ' .. #why .. '\n' .. why ..
    string.sub(record, body + size))
  if after == 'release' then
    make_ready(id)
    return
  end
  count('failed', 1)
  if after == 'dead' or attempts >= tonumber(max) then
    count('died', 1)
    call('ZADD', dead, now, id)
    return
  end
  if delay < 0 then
    local full = math.min(tonumber(cap), first * 2 ^ (attempts - 1))
    delay = math.floor(full * (0.5 + drawn / 2) + 0.5)
  end
  if delay > 0 then
    call('ZADD', delayed, whole(now + delay), id)
  else
    make_ready(id)
  end
end
local function forget(ids)
  if #ids == 0 then return end
  call('HDEL', results, unpack(ids))
  call('ZREM', done, unpack(ids))
end
local function tend()
  local due = call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 500)
  for i = 1, #due do make_ready(due[i]) end
  if #due > 0 then call('ZREM', delayed, unpack(due)) end
  local late = call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 500)
  for i = 1, #late do
    local run = call('HGET', jobs, 'r' .. late[i])
    if run then
      local token, till = string.match(run, '^(%S+) %d+ (%d+) ')
      till = tonumber(till)
      end_run(late[i], token)
      if till ~= 0 and till <= now then
        give_back(late[i], 'the run timed out', 'retry', -1, 1)
      else
        give_back(late[i], 'the lease ended without a sign of its worker', 'retry', 0, 1)
      end
    else
      call('ZREM', leases, late[i])
    end
  end
  count('reclaimed', #late)
  if #due + #late > 0 then wake() end
  forget(call('ZRANGEBYSCORE', done, '-inf', now, 'LIMIT', 0, 1000))
  local over = call('ZCARD', done) - KEPT_MAX
  if over > 0 then forget(call('ZRANGE', done, 0, math.min(over, 1000) - 1)) end
end
)lua";

/// Where what is ready begins: behind what was given out.
constexpr std::string_view undelivered = R"lua(
local function undelivered()
  if call('EXISTS', ready) == 0 then return '-' end
  local group = call('XINFO', 'GROUPS', ready)[1] or {}
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then return '(' .. group[i + 1] end
  end
  return '-'
end
)lua";

constexpr std::string_view add_body = R"lua(
local jobs_given = (#ARGV - 1) / 4
if held + jobs_given > tonumber(ARGV[1]) then return redis.error_reply('FULL ' .. held) end
local known = {}
for i = 10, #KEYS do known[i] = call('GET', KEYS[i]) or nil end
local number = call('HINCRBY', meta, 'sequence', jobs_given) - jobs_given
local answer, at, fields, filled, added = {}, 0, {}, 0, 0
local stamp, large = whole(now) .. '-', false
for i = 2, #ARGV, 4 do
  local once = ARGV[i] ~= '0' and tonumber(ARGV[i])
  local id = once and known[once]
  number = number + 1
  if id then
    answer[at + 2] = 1
  else
    id = stamp .. number -- fewer than 10^14 of them are written whole
    if once then
      known[once] = id
      call('SET', KEYS[once], id, 'PX', ARGV[i + 1])
    end
    fields[filled + 1], fields[filled + 2] = id, ARGV[i + 3]
    filled = filled + 2
    large = large or #ARGV[i + 3] > 16384
    if filled == 1000 then
      call('HSET', jobs, unpack(fields))
      fields, filled = {}, 0
    end
    local due = ARGV[i + 2]
    if due == '0' then
      make_ready(id)
    else
      due = tonumber(due)
      due = due < 0 and -due or now + due
      if due > now then
        call('ZADD', delayed, whole(due), id)
      else
        make_ready(id)
      end
    end
    added = added + 1
    answer[at + 2] = 0
  end
  answer[at + 1] = id
  at = at + 2
end
if filled > 0 then call('HSET', jobs, unpack(fields)) end
if large then call('HSET', meta, 'large', 1) end
count('added', added)
count('duplicates', jobs_given - added)
if added > 0 then wake() end
return answer
)lua";

constexpr std::string_view claim_body = R"lua(
tend()
local function read(wanted)
  local got = redis.pcall('XREADGROUP', 'GROUP', 'workers', 'netbuild', 'COUNT', wanted, 'STREAMS',
    ready, '>')
  if got and got.err then
    call('XGROUP', 'CREATE', ready, 'workers', '0', 'MKSTREAM')
    got = call('XREADGROUP', 'GROUP', 'workers', 'netbuild', 'COUNT', wanted, 'STREAMS', ready, '>')
  end
  return got and got[1][2] or {}
end
local answer, given, at = {-1}, 0, 1
local wanted, lease = tonumber(ARGV[1]), now + ARGV[2]
local since, lease_end, worker = ' ' .. whole(now) .. ' ', whole(lease), ' ' .. ARGV[3]
local flags, chunk = call('HMGET', meta, 'paused', 'large'), 100
if flags[1] then wanted = 0 end
if flags[2] then chunk = 8 end
local bytes = 0
while given < wanted and bytes < BYTES_MAX do
  local entries = read(math.min(wanted - given, chunk))
  if #entries == 0 then break end
  local ids, runs, ends, gone, taken = {}, {}, {}, {}, 0
  for i = 1, #entries do ids[i] = entries[i][2][2] end
  local records = call('HMGET', jobs, unpack(ids))
  for i = 1, #entries do
    local record, token, id = records[i], entries[i][1], ids[i]
    if record then
      local attempts, timeout, keep, max = string.match(record, '^(%d+) (%d+) (%d+) (%d+) ')
      local till = lease_end
      if timeout ~= '0' then
        timeout = now + timeout
        till = whole(math.min(lease, timeout))
        timeout = whole(timeout)
      end
      local attempt = attempts == '0' and '1' or whole(attempts + 1)
      runs[taken + 1] = 'r' .. id
      runs[taken + 2] = token .. since .. timeout .. ' ' .. attempt .. ' ' .. max .. ' ' .. keep .. worker
      ends[taken + 1], ends[taken + 2] = till, id
      taken = taken + 2
      answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = id, token, attempt, record
      at = at + 4
      bytes = bytes + #record
    else
      gone[#gone + 1] = token
    end
  end
  given = given + taken / 2
  if taken > 0 then
    call('HSET', jobs, unpack(runs))
    -- A member too long for a list: a sorted set of a few members would be one, and be walked.
    ends[taken + 1], ends[taken + 2] = 'inf', string.rep('z', 65)
    call('ZADD', leases, unpack(ends))
  end
  if #gone > 0 then
    call('XACK', ready, 'workers', unpack(gone))
    call('XDEL', ready, unpack(gone))
  end
end
if given == 0 then
  local next = math.huge
  for _, key in ipairs({delayed, leases}) do
    local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then next = math.min(next, tonumber(first[2])) end
  end
  if next < math.huge then answer[1] = math.max(1, next - now) end
end
return answer
)lua";

constexpr std::string_view complete_body = R"lua(
local ids, runs = {}, {}
for i = 1, #ARGV, 3 do
  ids[#ids + 1] = ARGV[i]
  runs[#ids] = 'r' .. ARGV[i]
end
local held_by, answer = call('HMGET', jobs, unpack(runs)), {}
local tokens, ended, fields, outcomes, told, kept = {}, {}, {}, {}, {}, {}
local at = ' ' .. whole(now) .. ' '
for i = 1, #ids do
  local id, token, run = ids[i], ARGV[3 * i - 1], held_by[i]
  if run and not outcomes[id] and string.sub(run, 1, #token + 1) == token .. ' ' then
    local attempt, max, keep = string.match(run, '^%S+ %d+ %d+ (%d+) (%d+) (%d+) ')
    answer[i] = 1
    outcomes[id] = token
    tokens[#tokens + 1] = token
    ended[#ended + 1] = id
    fields[#fields + 1], fields[#fields + 2] = id, runs[i]
    if keep ~= '0' then
      told[#told + 1] = id
      told[#told + 1] = 'c ' .. token .. at .. attempt .. ' ' .. max .. '\n' .. ARGV[3 * i]
      kept[#kept + 1] = whole(now + keep)
      kept[#kept + 1] = id
    end
  else
    local outcome = outcomes[id] and 'c ' .. outcomes[id] .. ' ' or call('HGET', results, id)
    local mine = 'c ' .. token .. ' '
    answer[i] = outcome and string.sub(outcome, 1, #mine) == mine and 2 or 0
  end
end
if #ended > 0 then
  call('XACK', ready, 'workers', unpack(tokens))
  -- An entry that is deleted is looked for in its node; a trim drops nodes. But a run that takes
  -- long holds the trim up.
  if call('XLEN', ready) > held + GARBAGE_MAX then
    call('XDEL', ready, unpack(tokens))
  else
    local oldest = call('XPENDING', ready, 'workers')[2]
    if not oldest then
      local ms, number = string.match(undelivered(), '^%((%d+)%-(%d+)$')
      oldest = ms .. '-' .. whole(number + 1)
    end
    call('XTRIM', ready, 'MINID', oldest)
  end
  call('HDEL', jobs, unpack(fields))
  call('ZREM', leases, unpack(ended))
  if #kept > 0 then
    call('HSET', results, unpack(told))
    call('ZADD', done, unpack(kept))
  end
  count('completed', #ended)
end
return answer
)lua";

constexpr std::string_view give_back_body = R"lua(
local answer, any = {}, false
for i = 2, #ARGV, 5 do
  local id, token = ARGV[i], ARGV[i + 1]
  local run = call('HGET', jobs, 'r' .. id)
  if run and string.sub(run, 1, #token + 1) == token .. ' ' then
    end_run(id, token)
    give_back(id, ARGV[i + 4], ARGV[i + 2], tonumber(ARGV[i + 3]), tonumber(ARGV[1]))
    answer[#answer + 1], any = 1, true
  else
    answer[#answer + 1] = 0
  end
end
if any then wake() end
return answer
)lua";

constexpr std::string_view heartbeat_body = R"lua(
tend()
local answer = {}
for i = 2, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  local run = call('HGET', jobs, 'r' .. id)
  if run and string.sub(run, 1, #token + 1) == token .. ' ' then
    local till = tonumber(string.match(run, '^%S+ %d+ (%d+) '))
    local lease = now + ARGV[1]
    call('ZADD', leases, whole(till == 0 and lease or math.min(lease, till)), id)
    answer[#answer + 1] = 1
  else
    answer[#answer + 1] = 0
  end
end
return answer
)lua";

constexpr std::string_view cancel_body = R"lua(
tend()
local id = ARGV[1]
local record = call('HGET', jobs, id)
if not record then return call('HEXISTS', results, id) == 1 and 2 or 0 end
local attempts, keep, max = string.match(record, '^(%d+) %d+ (%d+) (%d+) ')
local run = call('HGET', jobs, 'r' .. id)
if run then end_run(id, string.match(run, '^%S+')) end
call('ZREM', delayed, id)
call('ZREM', dead, id)
call('HDEL', jobs, id)
if keep ~= '0' then
  call('HSET', results, id, 'x - ' .. whole(now) .. ' ' .. attempts .. ' ' .. max .. '\n')
  call('ZADD', done, whole(now + keep), id)
end
count('cancelled', 1)
return 1
)lua";

constexpr std::string_view pause_body = R"lua(
if ARGV[1] == '1' then
  call('HSET', meta, 'paused', 1)
else
  call('HDEL', meta, 'paused')
  wake()
end
return 1
)lua";

constexpr std::string_view retry_dead_body = R"lua(
local ids = ARGV
if #ids == 0 then ids = call('ZRANGE', dead, 0, 999) end
local woken = 0
for i = 1, #ids do
  if call('ZREM', dead, ids[i]) == 1 then
    local record = call('HGET', jobs, ids[i])
    if record then
      call('HSET', jobs, ids[i], (string.gsub(record, '^%d+', '0', 1)))
      make_ready(ids[i])
      woken = woken + 1
    end
  end
end
if woken > 0 then wake() end
return woken
)lua";

constexpr std::string_view drain_body = R"lua(
local entries, drained = call('XRANGE', ready, undelivered(), '+', 'COUNT', 1000), 0
for i = 1, #entries do
  call('XDEL', ready, entries[i][1])
  drained = drained + call('HDEL', jobs, entries[i][2][2])
end
local due = call('ZRANGE', delayed, 0, 999)
if #due > 0 then
  call('ZREM', delayed, unpack(due))
  drained = drained + call('HDEL', jobs, unpack(due))
end
count('cancelled', drained)
return {#entries + #due, drained}
)lua";

constexpr std::string_view describe = R"lua(
local function describe(id)
  local record = call('HGET', jobs, id)
  if not record then
    local outcome = call('HGET', results, id)
    return outcome and {'ended', '', outcome, '0'} or false
  end
  local run = call('HGET', jobs, 'r' .. id)
  if run then return {'running', record, run, call('ZSCORE', leases, id) or '0'} end
  local due = call('ZSCORE', delayed, id)
  if due then return {'delayed', record, '', due} end
  local died = call('ZSCORE', dead, id)
  if died then return {'dead', record, '', died} end
  return {'ready', record, '', '0'}
end
)lua";

constexpr std::string_view show_body = R"lua(
return describe(ARGV[1])
)lua";

/// The cursor of ready ones is an entry's id; the others' is "SCORE ID" of the last one.
constexpr std::string_view list_body = R"lua(
tend()
local which, cursor, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local answer, ids, places, bytes = {''}, {}, {}, 0
if which == 'ready' then
  local from = cursor == '' and undelivered() or '(' .. cursor
  local entries = call('XRANGE', ready, from, '+', 'COUNT', limit)
  for i = 1, #entries do ids[i], places[i] = entries[i][2][2], entries[i][1] end
else
  local key = ({delayed = delayed, running = leases, dead = dead, ended = done})[which]
  local from = 0
  local score, last = string.match(cursor, '^(%d+) (%S+)$')
  if score then
    local rank = call('ZRANK', key, last)
    from = rank and rank + 1 or call('ZCOUNT', key, '-inf', '(' .. score)
  end
  local found = call('ZRANGE', key, from, from + limit - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    ids[#ids + 1] = found[i]
    places[#ids] = found[i + 1] .. ' ' .. found[i]
  end
end
for i = 1, #ids do
  local one = describe(ids[i])
  if one and one[1] == which then
    answer[#answer + 1] = ids[i]
    answer[#answer + 1] = one
    bytes = bytes + #one[2] + #one[3]
  end
  if i == limit or bytes > BYTES_MAX then
    answer[1] = string.match(places[i], '^%d') and places[i] or '' -- else the end of leases
    break
  end
end
return answer
)lua";

constexpr std::string_view stats_body = R"lua(
tend()
local runs, later, died = running(), call('ZCARD', delayed), call('ZCARD', dead)
local waiting, oldest = call('HLEN', jobs) - 2 * runs - later - died, 0
if waiting > 0 then
  local first = call('XRANGE', ready, undelivered(), '+', 'COUNT', 1)
  if first[1] then oldest = math.max(0, now - tonumber(string.match(first[1][1], '^%d+'))) end
end
local answer = {call('HEXISTS', meta, 'paused'), waiting, later, runs, died, call('ZCARD', done),
  oldest}
local members = call('HGETALL', meta)
for i = 1, #members do answer[#answer + 1] = members[i] end
return answer
)lua";

/// Scripts live as long as the program: RedisScript only views the text.
class Script {
public:
    Script(std::initializer_list<std::string_view> parts) : text_(joined(parts)), script_(text_) {}
    [[nodiscard]] const RedisScript& get() const { return script_; }

private:
    static std::string joined(std::initializer_list<std::string_view> parts) {
        std::string text;
        for (const std::string_view part : parts)
            text += part;
        for (const auto& [name, value] :
             {std::pair<std::string_view, std::size_t>{"KEPT_MAX", JobQueue::kept_max},
              {"GARBAGE_MAX", garbage_max},
              {"BYTES_MAX", claim_bytes_max}}) {
            if (const auto at = text.find(name); at != std::string::npos)
                text.replace(at, name.size(), std::to_string(value));
        }
        return text;
    }
    std::string text_;
    RedisScript script_;
};

} // namespace

const RedisScript& add() {
    static const Script script{takes, common, add_body};
    return script.get();
}
const RedisScript& claim() {
    static const Script script{frees, common, runs, claim_body};
    return script.get();
}
const RedisScript& complete() {
    static const Script script{frees, common, undelivered, complete_body};
    return script.get();
}
const RedisScript& give_back() {
    static const Script script{frees, common, runs, give_back_body};
    return script.get();
}
const RedisScript& heartbeat() {
    static const Script script{frees, common, runs, heartbeat_body};
    return script.get();
}
const RedisScript& cancel() {
    static const Script script{frees, common, runs, cancel_body};
    return script.get();
}
const RedisScript& pause() {
    static const Script script{frees, common, pause_body};
    return script.get();
}
const RedisScript& retry_dead() {
    static const Script script{frees, common, retry_dead_body};
    return script.get();
}
const RedisScript& drain() {
    static const Script script{frees, common, undelivered, drain_body};
    return script.get();
}
const RedisScript& show() {
    static const Script script{frees, common, describe, show_body};
    return script.get();
}
const RedisScript& list() {
    static const Script script{frees, common, runs, describe, undelivered, list_body};
    return script.get();
}
const RedisScript& stats() {
    static const Script script{frees, common, runs, undelivered, stats_body};
    return script.get();
}

} // namespace netbuild::job_scripts
