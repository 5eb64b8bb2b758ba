// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_bus.hpp"

#include "position_lua.hpp"
#include "redis/redis_client.hpp"
#include "runtime/signal.hpp"

namespace netbuild {

using resp::Reply;

namespace {

/// KEYS[1] the stream; ARGV: the last entry that the stream must have at least, the newest event
/// that was published before, then id, type, domainId, executionId, processInstanceId, payload for
/// each event. It stops at the first failure (out of memory), so that a retry finds no hole; it
/// returns the last entry's id. Where entries were deleted the stream still refuses ids up to its
/// last generated one: it is set back, or begun anew where the server does not let it.
constexpr std::string_view append_text = NETBUILD_LUA_LATER R"lua(
local last, generated = '0-0', '0-0'
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then generated = info[i + 1] end
    if info[i] == 'last-entry' and info[i + 1] then last = info[i + 1][1] end
  end
end
if later(ARGV[1], last) then return last end
for i = 3, #ARGV, 6 do
  if later(ARGV[i], last) then
    if not later(ARGV[i], generated) then
      local set = redis.pcall('XSETID', KEYS[1], last)
      if type(set) == 'table' and set.err then
        redis.call('DEL', KEYS[1])
        return '0-0'
      end
      generated = last
    end
    local added = redis.pcall('XADD', KEYS[1], ARGV[i], 'type', ARGV[i + 1], 'domainId', ARGV[i + 2],
      'executionId', ARGV[i + 3], 'processInstanceId', ARGV[i + 4], 'payload', ARGV[i + 5])
    if type(added) == 'table' and added.err then return last end
    last = ARGV[i]
    if later(ARGV[i], ARGV[2]) then redis.pcall('PUBLISH', ARGV[i + 1], ARGV[i + 5]) end
  end
end
return last
)lua";

const RedisScript& append_script() {
    static const RedisScript script(append_text);
    return script;
}

/// [id, [field, value, …]]; nothing for an entry that is no event.
StreamEventPtr to_event(Reply& entry) {
    if (entry.elements.size() != 2) return nullptr;
    const auto position = parse_position(entry.elements[0].text);
    if (!position) return nullptr;
    auto event = std::make_shared<StreamEvent>();
    event->position = *position;
    auto& words = entry.elements[1].elements;
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
        const std::string& name = words[i].text;
        std::string& value = words[i + 1].text;
        if (name == "type") event->type = std::move(value);
        if (name == "domainId") event->domain_id = std::move(value);
        if (name == "executionId") event->execution_id = std::move(value);
        if (name == "processInstanceId") event->process_instance_id = std::move(value);
        if (name == "payload") event->payload = std::move(value);
    }
    return event;
}

/// XRANGE: [ [id, [field, value, …]], … ].
std::vector<StreamEventPtr> to_events(Reply& reply) {
    std::vector<StreamEventPtr> events;
    events.reserve(reply.elements.size());
    for (Reply& entry : reply.elements)
        if (auto event = to_event(entry)) events.push_back(std::move(event));
    return events;
}

} // namespace

class RedisBus::Impl {
public:
    Impl(asio::any_io_executor executor, Clock& clock, Options options)
        : clock_(clock),
          options_(std::move(options)),
          appended_(executor),
          client_(executor, clock,
                  {.url = options_.url,
                   .ca_file = options_.ca_file,
                   .name = "netbuild-events",
                   .timeout = options_.timeout}),
          started_(client_.start()) {}

    awaitable<result<Reply>> execute(std::vector<std::string_view> words) {
        CO_TRY_VOID(result<void>(started_));
        co_return co_await client_.execute(RedisCommand::on(options_.stream, words));
    }

    awaitable<result<Position>> append(std::vector<StreamEventPtr> events, AppendTerms terms) {
        CO_TRY_VOID(result<void>(started_));
        std::vector<std::string> positions;
        positions.reserve(events.size());
        const std::string last = to_string(terms.last), announced = to_string(terms.announced);
        std::vector<std::string_view> arguments{last, announced};
        arguments.reserve(2 + 6 * events.size());
        for (const StreamEventPtr& event : events) {
            positions.push_back(to_string(event->position));
            arguments.insert(arguments.end(),
                             {positions.back(), event->type, event->domain_id, event->execution_id,
                              event->process_instance_id, event->payload});
        }
        CO_TRY(const Reply reply,
               co_await client_.evaluate(append_script(), {options_.stream}, std::move(arguments)));
        appended_.notify_all();
        co_return parse_position(reply.text);
    }

    /// The id that XREVRANGE or XRANGE gives first; zero if there is none.
    awaitable<result<Position>> edge(std::string_view command, std::string_view from,
                                     std::string_view to) {
        CO_TRY(Reply reply, co_await execute({command, options_.stream, from, to, "COUNT", "1"}));
        const auto events = to_events(reply);
        co_return events.empty() ? Position{} : events.front()->position;
    }

    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) {
        const Deadline deadline(clock_, wait);
        const std::string from = "(" + to_string(after), most = std::to_string(count);
        while (true) {
            CO_TRY(Reply reply,
                   co_await execute({"XRANGE", options_.stream, from, "+", "COUNT", most}));
            auto events = to_events(reply);
            if (!events.empty() || deadline.passed(clock_)) co_return events;
            CO_TRY_VOID(co_await appended_.wait_for(
                clock_, std::min(options_.poll_interval, deadline.left(clock_))));
        }
    }

    Clock& clock_;
    Options options_;
    Signal appended_;
    RedisClient client_;
    result<void> started_;
};

RedisBus::RedisBus(asio::any_io_executor executor, Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, std::move(options))) {}
RedisBus::~RedisBus() = default;

awaitable<result<void>> RedisBus::ping() {
    // Of the stream's own server; a read, which a replica or a full server answers too.
    CO_TRY_VOID(co_await impl_->execute({"EXISTS", impl_->options_.stream}));
    co_return result<void>{};
}

awaitable<result<Position>> RedisBus::append(std::vector<StreamEventPtr> events,
                                             AppendTerms terms) {
    return impl_->append(std::move(events), terms);
}

awaitable<result<Position>> RedisBus::last() { return impl_->append({}, {}); }

awaitable<result<Position>> RedisBus::first() { return impl_->edge("XRANGE", "-", "+"); }

awaitable<result<std::vector<StreamEventPtr>>> RedisBus::read(Position after, std::size_t count,
                                                              Clock::duration wait) {
    return impl_->read(after, count, wait);
}

awaitable<result<void>> RedisBus::trim_before(Position position) {
    CO_TRY_VOID(
        co_await impl_->execute({"XTRIM", impl_->options_.stream, "MINID", to_string(position)}));
    co_return result<void>{};
}

awaitable<result<std::string>> RedisBus::eviction_policy() {
    CO_TRY_VOID(result<void>(impl_->started_));
    CO_TRY(const Reply info,
           co_await impl_->client_.execute(RedisCommand::anywhere({"INFO", "memory"})));
    constexpr std::string_view key = "maxmemory_policy:";
    const auto at = info.text.find(key);
    if (at == std::string::npos)
        co_return fail(ErrorCode::unsupported, "Redis does not say its maxmemory-policy");
    co_return info.text.substr(at + key.size(),
                               info.text.find_first_of("\r\n", at) - at - key.size());
}

} // namespace netbuild
