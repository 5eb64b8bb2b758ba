// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_rate_limiter.hpp"

#include <algorithm>
#include <map>

#include <boost/asio/post.hpp>

#include <fmt/format.h>

namespace netbuild {
namespace {

using resp::Reply;

constexpr std::string_view prefix = "netbuild:rate:";
/// Redis serves nobody else during a script: some 300 µs.
constexpr std::size_t batch_max = 64;

/// Checks that have nothing to do with each other, each of one GCRA key in milliseconds, whose
/// state is its expiry: no clock is asked and no number parsed. KEYS; ARGV: what it costs and the
/// capacity, of each. Gives of each what is used after it, or -1 - what is used where it is denied,
/// or null: something else lies there.
const RedisScript each_alone(R"lua(
local call, keys, numbers, text = redis.call, KEYS, ARGV, string.format
local out = {}
for i = 1, #keys do
  local key = keys[i]
  local used = call('PTTL', key)
  if used == -1 then
    out[i] = false
  else
    local known = used > 0
    if not known then used = 0 end
    local after = used + numbers[2 * i - 1]
    if after > numbers[2 * i] + 0 then
      out[i] = -1 - used
    else
      out[i] = after
      -- As text: numbers of Lua Redis prints with 17 digits, which takes longer than the arithmetic.
      if known then
        call('PEXPIRE', key, text('%d', after))
      else
        call('PSETEX', key, text('%d', after), '')
      end
    end
  end
end
return out
)lua");

/// One check of several keys, or a peek or a penalty. KEYS; ARGV: the action, then form, cost,
/// capacity, period and ceiling of each (ports/rate_arithmetic.hpp has the same in C++). Gives
/// whether all are let in, then used, previous and elapsed of each.
const RedisScript all_or_none(R"lua(
local call, keys = redis.call, KEYS
local action = ARGV[1]
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local ms = math.floor(now / 1000)
local admits, form, cost, used, previous, elapsed, window = 1, {}, {}, {}, {}, {}, {}

local function foreign(key)
  return redis.error_reply('WRONGTYPE no state of a rate limit lies at ' .. key)
end

for i = 1, #keys do
  local at = 5 * i - 3
  local capacity, period = ARGV[at + 2] + 0, ARGV[at + 3] + 0
  form[i], cost[i] = ARGV[at], ARGV[at + 1] + 0
  used[i], previous[i], elapsed[i] = 0, 0, 0
  if form[i] == 'm' then
    local left = call('PTTL', keys[i])
    if left == -1 then return foreign(keys[i]) end
    if left > 0 then used[i] = left end
  else
    local text = call('GET', keys[i])
    if form[i] == 'u' then
      local arrival = text and tonumber(text) or now
      if text and not tonumber(text) then return foreign(keys[i]) end
      if arrival > now then used[i] = arrival - now end
    else
      window[i], elapsed[i] = math.floor(ms / period), ms % period
      if text then
        local blocked = string.match(text, '^b(%d+)$')
        if blocked then
          if blocked + 0 > ms then used[i] = ms - blocked end
        else
          local w, c, p = string.match(text, '^(%d+) (%d+) (%d+)$')
          if not w then return foreign(keys[i]) end
          w = w + 0
          if w == window[i] then
            used[i], previous[i] = c + 0, p + 0
          elseif w == window[i] - 1 then
            previous[i] = c + 0
          elseif w > window[i] then -- after a failover to a clock that is behind
            used[i], previous[i], window[i], elapsed[i] = c + 0, p + 0, w, 0
          end
        end
      end
    end
  end
  if form[i] ~= 'w' then
    if used[i] + cost[i] > capacity then admits = 0 end
  elseif used[i] < 0 or
      previous[i] * (period - elapsed[i]) + (used[i] + cost[i]) * period > capacity * period then
    admits = 0
  end
end

if action == 'penalize' or (action == 'check' and admits == 1) then
  for i = 1, #keys do
    local at = 5 * i - 3
    if used[i] >= 0 then
      local after = math.max(0, math.min(used[i] + cost[i], ARGV[at + 4] + 0))
      used[i] = after
      if form[i] == 'w' then
        call('SET', keys[i], string.format('%.0f %.0f %.0f', window[i], after, previous[i]),
             'PX', 2 * ARGV[at + 3] - elapsed[i])
      elseif after == 0 then
        call('DEL', keys[i])
      elseif form[i] == 'm' then
        call('SET', keys[i], '', 'PX', after)
      else
        call('SET', keys[i], now + after, 'PX', math.ceil(after / 1000))
      end
    end
  end
end

local out = {admits}
for i = 1, #keys do
  out[3 * i - 1], out[3 * i], out[3 * i + 1] = used[i], previous[i], elapsed[i]
end
return out
)lua");

/// KEYS: one. ARGV: its form, and what the state is: ms or µs from now.
const RedisScript blocks(R"lua(
local form, ahead = ARGV[1], ARGV[2] + 0
if form == 'm' then
  redis.call('SET', KEYS[1], '', 'PX', ahead)
else
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  if form == 'u' then
    redis.call('SET', KEYS[1], now + ahead, 'PX', math.ceil(ahead / 1000))
  else
    redis.call('SET', KEYS[1], string.format('b%.0f', math.floor(now / 1000) + ahead), 'PX', ahead)
  end
end
return 1
)lua");

Error foreign(std::string_view name) {
    return fail(ErrorCode::unsupported,
                fmt::format("Redis: no state of a rate limit lies at {}", name));
}

std::string_view word_of(RateAction action) {
    switch (action) {
    case RateAction::check:
        return "check";
    case RateAction::penalize:
        return "penalize";
    case RateAction::peek:
        break;
    }
    return "peek";
}

std::string name_of(const RateCharge& charge) {
    return rate_state_name(prefix, *charge.policy, charge.key);
}

std::vector<std::string_view> views_of(const std::vector<std::string>& texts) {
    return {texts.begin(), texts.end()};
}

/// Charges whose keys lie in one slot.
struct Part {
    std::vector<std::size_t> indexes;
    std::vector<std::string> names;
    bool charged = false;
};

/// A request over several keys, until all its parts are answered.
struct Request {
    RateAction action{};
    std::vector<RateCharge> charges;
    std::vector<RateState> states;
    std::vector<Part> parts;
    std::size_t missing = 0;
    bool admits = true;
    std::optional<Error> failure;
    RateLimiter::OnDecision on_decision;

    [[nodiscard]] std::vector<std::string> arguments(const Part& part, std::string_view word,
                                                     std::int64_t sign) const {
        std::vector<std::string> words{std::string(word)};
        for (const std::size_t i : part.indexes) {
            const RateTerms& terms = charges[i].policy->terms();
            words.emplace_back(1, static_cast<char>(terms.form));
            // What would go past the ceiling is cut here: doubles hold it.
            for (const std::int64_t number :
                 {sign * std::min(charges[i].cost * terms.interval, terms.ceiling), terms.capacity,
                  terms.period_ms, terms.ceiling})
                words.push_back(std::to_string(number));
        }
        return words;
    }

    void take(Part& part, const result<Reply>& reply) {
        const std::size_t numbers = 1 + 3 * part.indexes.size();
        if (!reply || reply->elements.size() != numbers) {
            if (!failure)
                failure = reply ? fail(ErrorCode::internal, "Redis: an answer of another script")
                                : reply.error();
            return;
        }
        const auto number = [&](std::size_t at) { return reply->elements[at].integer; };
        const bool admitted = number(0) == 1;
        admits = admits && admitted;
        part.charged = admitted && action == RateAction::check;
        for (std::size_t i = 0; i < part.indexes.size(); ++i)
            states[part.indexes[i]] = {number(3 * i + 1), number(3 * i + 2), number(3 * i + 3)};
    }

    void finish() {
        if (failure) return on_decision(std::move(*failure));
        on_decision(rate_decision(action, charges, states, admits && action == RateAction::check));
    }
};

} // namespace

class RedisRateLimiter::Impl : public std::enable_shared_from_this<Impl> {
public:
    Impl(asio::any_io_executor executor, RedisClient& client)
        : executor_(std::move(executor)), client_(client) {}

    void alone(RateCharge charge, OnDecision on_decision) {
        waiting_.push_back({std::move(charge), std::move(on_decision)});
        if (!one_server() || waiting_.size() == batch_max) return send();
        if (waiting_.size() > 1) return; // on its way
        asio::post(executor_, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->send();
        });
    }

    void several(RateAction action, std::vector<RateCharge> charges, OnDecision on_decision) {
        const auto request = std::make_shared<Request>();
        request->action = action;
        request->charges = std::move(charges);
        request->states.resize(request->charges.size());
        request->on_decision = std::move(on_decision);
        std::map<std::uint16_t, Part> parts;
        for (std::size_t i = 0; i < request->charges.size(); ++i) {
            std::string name = name_of(request->charges[i]);
            Part& part = parts[one_server() ? std::uint16_t{0} : resp::slot_of(name)];
            part.indexes.push_back(i);
            part.names.push_back(std::move(name));
        }
        for (auto& [slot, part] : parts)
            request->parts.push_back(std::move(part));
        request->missing = request->parts.size();
        for (Part& part : request->parts)
            evaluate(*request, part, word_of(action), 1,
                     [self = shared_from_this(), request, &part](result<Reply> reply) {
                         request->take(part, reply);
                         if (--request->missing == 0) self->settle(request);
                     });
    }

    awaitable<result<void>> block(RatePolicyPtr policy, std::string key,
                                  std::chrono::milliseconds time) {
        const std::string name = rate_state_name(prefix, *policy, key);
        const RateTerms& terms = policy->terms();
        const std::string form(1, static_cast<char>(terms.form));
        const std::string ahead = std::to_string(std::abs(rate_blocked(terms, time).used));
        CO_TRY_VOID(co_await client_.evaluate(blocks, {name}, {form, ahead}));
        co_return result<void>{};
    }

    awaitable<result<void>> unblock(RatePolicyPtr policy, std::string key) {
        const std::string name = rate_state_name(prefix, *policy, key);
        CO_TRY_VOID(co_await client_.execute(RedisCommand::on(name, {"DEL", name})));
        co_return result<void>{};
    }

private:
    /// Until there is a connection it may be a cluster.
    [[nodiscard]] bool one_server() const { return client_.connected() && !client_.is_cluster(); }

    struct Waiting {
        RateCharge charge;
        OnDecision on_decision;
    };

    void send() {
        if (waiting_.empty()) return;
        auto batch = std::exchange(waiting_, {});
        waiting_.reserve(batch.size());
        std::vector<std::string> names, numbers;
        names.reserve(batch.size());
        numbers.reserve(2 * batch.size());
        for (const Waiting& each : batch) {
            const RateTerms& terms = each.charge.policy->terms();
            names.push_back(name_of(each.charge));
            numbers.push_back(std::to_string(each.charge.cost * terms.interval));
            numbers.push_back(std::to_string(terms.capacity));
        }
        const auto keys = views_of(names), arguments = views_of(numbers);
        client_.evaluate(each_alone, keys, arguments,
                         [batch = std::move(batch)](result<Reply> reply) mutable {
                             for (std::size_t i = 0; i < batch.size(); ++i)
                                 answer(batch[i], reply, i);
                         });
    }

    static void answer(Waiting& waiting, const result<Reply>& reply, std::size_t index) {
        if (!reply) return waiting.on_decision(reply.error());
        if (index >= reply->elements.size())
            return waiting.on_decision(
                fail(ErrorCode::internal, "Redis: an answer of another script"));
        const Reply& number = reply->elements[index];
        if (number.type == Reply::Type::null)
            return waiting.on_decision(foreign(name_of(waiting.charge)));
        const bool charged = number.integer >= 0;
        const RateState state{.used = charged ? number.integer : -1 - number.integer};
        waiting.on_decision(rate_decision(RateAction::check, std::span(&waiting.charge, 1),
                                          std::span(&state, 1), charged));
    }

    template <class OnReply>
    void evaluate(const Request& request, const Part& part, std::string_view word,
                  std::int64_t sign, OnReply on_reply) {
        const auto arguments = request.arguments(part, word, sign);
        const auto keys = views_of(part.names), words = views_of(arguments);
        client_.evaluate(all_or_none, keys, words, std::move(on_reply));
    }

    /// What was charged in one slot while another denied is given back.
    void settle(const std::shared_ptr<Request>& request) {
        const bool whole = request->admits && !request->failure;
        for (Part& part : request->parts) {
            if (whole || !part.charged) continue;
            ++request->missing;
            evaluate(*request, part, word_of(RateAction::penalize), -1,
                     [request, &part](result<Reply> reply) {
                         if (reply && reply->elements.size() == 1 + 3 * part.indexes.size())
                             for (std::size_t i = 0; i < part.indexes.size(); ++i)
                                 request->states[part.indexes[i]].used =
                                     reply->elements[3 * i + 1].integer;
                         if (--request->missing == 0) request->finish();
                     });
        }
        if (request->missing == 0) request->finish();
    }

    asio::any_io_executor executor_;
    RedisClient& client_;
    std::vector<Waiting> waiting_;
};

RedisRateLimiter::RedisRateLimiter(asio::any_io_executor executor, RedisClient& client)
    : impl_(std::make_shared<Impl>(std::move(executor), client)) {}
RedisRateLimiter::~RedisRateLimiter() = default;

void RedisRateLimiter::act(RateAction action, std::vector<RateCharge> charges,
                           OnDecision on_decision) {
    if (auto valid = validate(action, charges); !valid)
        return on_decision(std::move(valid).error());
    if (action == RateAction::check && charges.size() == 1 &&
        charges.front().policy->terms().form == RateForm::milliseconds)
        return impl_->alone(std::move(charges.front()), std::move(on_decision));
    impl_->several(action, std::move(charges), std::move(on_decision));
}

awaitable<result<void>> RedisRateLimiter::block(RatePolicyPtr policy, std::string key,
                                                std::chrono::milliseconds time) {
    return impl_->block(std::move(policy), std::move(key), time);
}
awaitable<result<void>> RedisRateLimiter::unblock(RatePolicyPtr policy, std::string key) {
    return impl_->unblock(std::move(policy), std::move(key));
}

} // namespace netbuild
