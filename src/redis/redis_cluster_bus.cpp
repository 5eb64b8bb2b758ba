// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_cluster_bus.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "redis_nodes.hpp"
#include "runtime/signal.hpp"

namespace netbuild {
namespace {

using Kind = ClusterBus::Kind;
using resp::Reply;

/// Connections that listen to shard channels, one a master.
constexpr std::size_t links_max = 1000;
constexpr auto block = std::chrono::seconds(5);
constexpr std::string_view block_ms = "5000";
constexpr std::string_view read_count = "100";

// Scripts of one key: a hash {generation, value}, and a lease {holder, until, generation, note}.

/// ARGV: generation, value, lifetime in ms.
constexpr std::string_view keep_script = R"lua(
local there = redis.call('HGET', KEYS[1], 'generation')
if there and tonumber(there) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
)lua";

/// ARGV: lifetime in ms.
constexpr std::string_view raise_script = R"lua(
local value = redis.call('HGET', KEYS[1], 'value')
if not value or value == '' then return {} end
redis.call('HINCRBY', KEYS[1], 'generation', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {redis.call('HGET', KEYS[1], 'generation'), value}
)lua";

/// ARGV: holder, lifetime, the note's lifetime, both in ms. Only the server's clock counts.
constexpr std::string_view hold_script = R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local holder, till, generation, note =
  unpack(redis.call('HMGET', KEYS[1], 'holder', 'until', 'generation', 'note'))
generation = generation or '0'
if holder ~= ARGV[1] then
  if holder and holder ~= '' and tonumber(till) > now then
    return {holder, generation, note or ''}
  end
  generation = redis.call('HINCRBY', KEYS[1], 'generation', 1)
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {ARGV[1], tostring(generation), note or ''}
)lua";

/// ARGV: holder.
constexpr std::string_view release_script = R"lua(
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then redis.call('HSET', KEYS[1], 'holder', '') end
return 1
)lua";

/// KEYS[2] is where the messages go, unless it is a channel. ARGV: holder, generation, lifetime,
/// the note's lifetime, note; then of each message: PUBLISH or SPUBLISH, channel, bytes; or XADD,
/// stream, how many words follow, and these. The note first: a server without memory refuses it,
/// and has sent nothing.
constexpr std::string_view send_script = R"lua(
local holder, generation = unpack(redis.call('HMGET', KEYS[1], 'holder', 'generation'))
if holder ~= ARGV[1] or generation ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'note', ARGV[5], 'until', string.format('%.0f', now + ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local i = 6
while i <= #ARGV do
  if ARGV[i] == 'XADD' then
    local words = tonumber(ARGV[i + 2])
    redis.call('XADD', ARGV[i + 1], unpack(ARGV, i + 3, i + 2 + words))
    i = i + 3 + words
  else
    redis.call(ARGV[i], ARGV[i + 1], ARGV[i + 2])
    i = i + 3
  end
end
return 1
)lua";

std::string_view subscribe_command(Kind kind) {
    return kind == Kind::channel   ? "SUBSCRIBE"
           : kind == Kind::pattern ? "PSUBSCRIBE"
                                   : "SSUBSCRIBE";
}
std::string_view unsubscribe_command(Kind kind) {
    return kind == Kind::channel   ? "UNSUBSCRIBE"
           : kind == Kind::pattern ? "PUNSUBSCRIBE"
                                   : "SUNSUBSCRIBE";
}

/// [id, [field, value, …]]; nothing for an entry that was deleted meanwhile.
std::optional<ClusterBus::Entry> to_entry(Reply& reply) {
    if (reply.elements.size() != 2 || reply.elements[1].type != Reply::Type::array)
        return std::nullopt;
    ClusterBus::Entry entry{.id = std::move(reply.elements[0].text)};
    auto& words = reply.elements[1].elements;
    for (std::size_t i = 0; i + 1 < words.size(); i += 2)
        entry.fields.emplace_back(std::move(words[i].text), std::move(words[i + 1].text));
    return entry;
}

} // namespace

class RedisClusterBus::Impl {
public:
    /// A channel that somebody here listens to.
    struct Channel {
        std::vector<std::pair<Subscription, std::shared_ptr<OnMessage>>> listeners;
        /// The server that it was asked of; empty: of none yet.
        std::string asked_of;
        bool confirmed = false;
    };
    using Channels = std::map<std::string, Channel, std::less<>>;
    struct Follower {
        explicit Follower(const asio::any_io_executor& executor) : known(executor) {}
        std::string stream;
        /// The entry that was given to the listeners last; empty: not known yet.
        std::string last;
        std::map<Subscription, std::shared_ptr<OnEntry>> listeners;
        std::shared_ptr<RedisLink> link;
        Signal known;
        bool closed = false;
    };

    Impl(asio::any_io_executor executor, Clock& clock, Options options)
        : executor_(executor),
          clock_(clock),
          options_(std::move(options)),
          nodes_(executor, clock,
                 {.url = options_.url,
                  .ca_file = options_.ca_file,
                  .link = link_options(),
                  .ping_interval = options_.ping_interval},
                 {.on_topology = [this](bool) { place_all(); },
                  .on_lost =
                      [this] {
                          ++counters_.connections_lost;
                          changed_.notify_all();
                      },
                  .on_ping = [this] { ping(); }}),
          changed_(executor) {}

    awaitable<void> stop() {
        for (auto& [address, link] : listening_)
            link->close();
        for (auto& [stream, follower] : followers_)
            close(*follower);
        co_await nodes_.stop();
    }

    // Links that listen.

    [[nodiscard]] RedisLink::Options link_options() const {
        return {.name = "netbuild-cluster", .queued_bytes_max = options_.queued_bytes_max};
    }
    std::shared_ptr<RedisLink> make_link(const std::string& address, RedisLink::Events events) {
        return nodes_.make_link(address, std::move(events), link_options());
    }
    std::shared_ptr<RedisLink> listening_link(const std::string& address) {
        if (const auto found = listening_.find(address); found != listening_.end())
            return found->second;
        if (listening_.size() >= links_max) return nullptr;
        auto link =
            make_link(address, {.on_ready = [this, address] { resubscribe(address); },
                                .on_lost =
                                    [this, address] {
                                        ++counters_.connections_lost;
                                        forget_subscriptions(address);
                                    },
                                .on_push = [this, address](Reply& r) { push(address, r); }});
        listening_.emplace(address, link);
        return link;
    }
    void ping() {
        const std::string command = resp::command({"PING"});
        for (const auto& [address, link] : listening_) {
            link->send(command, {});
            link->check(2 * options_.ping_interval + std::chrono::seconds(1));
        }
        for (const auto& [stream, follower] : followers_)
            if (follower->link) follower->link->check(2 * block);
    }

    // Commands.

    /// The reply to one command, within the time-out.
    awaitable<result<Reply>> call(std::optional<std::uint16_t> slot, std::string command,
                                  std::size_t replies = 1) {
        co_return co_await call_on(nullptr, slot, std::move(command), replies);
    }
    awaitable<result<Reply>> call_on(std::shared_ptr<RedisLink> link,
                                     std::optional<std::uint16_t> slot, std::string command,
                                     std::size_t replies) {
        struct Waiting {
            explicit Waiting(const asio::any_io_executor& executor) : done(executor) {}
            Signal done;
            std::optional<result<Reply>> reply;
        };
        const auto waiting = std::make_shared<Waiting>(executor_);
        auto on_reply = [waiting](result<Reply> reply) {
            waiting->reply.emplace(std::move(reply));
            waiting->done.notify_all();
        };
        const bool sent = link ? link->send(command, std::move(on_reply), replies)
                               : nodes_.execute(slot, command, std::move(on_reply), replies);
        if (!sent) co_return nodes_.unavailable(link ? link : nodes_.link_for(slot));
        const Deadline deadline(clock_, options_.timeout);
        while (!waiting->reply) {
            if (deadline.passed(clock_))
                co_return fail(ErrorCode::unavailable,
                               fmt::format("Redis {}: no answer in time", nodes_.seed().text()));
            CO_TRY_VOID(co_await waiting->done.wait_for(clock_, deadline.left(clock_)));
        }
        CO_TRY(Reply reply, std::move(*waiting->reply));
        if (reply.is_error())
            co_return fail(ErrorCode::unavailable,
                           fmt::format("Redis {}: {}", nodes_.seed().text(), reply.text));
        co_return reply;
    }
    /// The replies of all masters, or of the one server.
    awaitable<result<std::vector<Reply>>> call_all(std::string command) {
        std::vector<Reply> replies;
        auto masters = nodes_.topology().masters();
        if (masters.empty()) masters.emplace_back();
        for (const std::string& master : masters) {
            CO_TRY(Reply reply, co_await call_on(master.empty() ? nullptr : nodes_.link_to(master),
                                                 std::nullopt, command, 1));
            replies.push_back(std::move(reply));
        }
        co_return replies;
    }

    // Subscriptions.

    Channels& channels_of(Kind kind) { return channels_[static_cast<std::size_t>(kind)]; }

    void place_all() {
        for (const Kind kind : {Kind::channel, Kind::pattern, Kind::shard}) {
            for (auto& [name, channel] : channels_of(kind))
                place(kind, name, channel);
        }
        changed_.notify_all();
    }
    /// Asks the server that has it, if that is another one than so far.
    void place(Kind kind, const std::string& name, Channel& channel) {
        if (!nodes_.topology_known()) return;
        std::string address = nodes_.seed().text();
        if (kind == Kind::shard && nodes_.topology().is_cluster()) {
            address = nodes_.topology().owner(resp::slot_of(name));
            if (address.empty()) return;
        } else if (nodes_.topology().is_cluster()) {
            // Any server has it; the seed may have left the cluster.
            const auto masters = nodes_.topology().masters();
            const auto& at = channel.asked_of.empty() ? address : channel.asked_of;
            const bool there = std::find(masters.begin(), masters.end(), at) != masters.end();
            address = there || masters.empty() ? at : masters.front();
        }
        if (channel.asked_of == address) return;
        if (const auto former = listening_.find(channel.asked_of); former != listening_.end())
            former->second->send(resp::command({unsubscribe_command(kind), name}), {});
        channel.asked_of.clear();
        channel.confirmed = false;
        const auto link = listening_link(address);
        if (link && link->send(resp::command({subscribe_command(kind), name}), {}))
            channel.asked_of = address; // else when that link is ready
    }
    /// A link is ready: what is not asked of anyone goes to its server.
    void resubscribe(const std::string&) {
        for (const Kind kind : {Kind::channel, Kind::pattern, Kind::shard}) {
            for (auto& [name, channel] : channels_of(kind))
                if (channel.asked_of.empty()) place(kind, name, channel);
        }
    }
    void forget_subscriptions(const std::string& address) {
        for (Channels& channels : channels_) {
            for (auto& [name, channel] : channels) {
                if (channel.asked_of != address) continue;
                channel.asked_of.clear();
                channel.confirmed = false;
            }
        }
        if (nodes_.topology().is_cluster()) nodes_.refresh();
    }

    void push(const std::string& address, Reply& reply) {
        if (reply.is_error()) {
            // A slot that moved, most likely: where to, the servers tell.
            refresh_after_error(address, reply.text);
            return;
        }
        if (reply.elements.size() < 3) return; // a pong
        const std::string& what = reply.elements[0].text;
        if (what == "message") {
            deliver(Kind::channel, reply.elements[1].text, reply.elements[1].text,
                    reply.elements[2].text);
        } else if (what == "smessage") {
            deliver(Kind::shard, reply.elements[1].text, reply.elements[1].text,
                    reply.elements[2].text);
        } else if (what == "pmessage" && reply.elements.size() == 4) {
            deliver(Kind::pattern, reply.elements[1].text, reply.elements[2].text,
                    reply.elements[3].text);
        } else if (what == "subscribe") {
            confirm(Kind::channel, reply.elements[1].text, address);
        } else if (what == "psubscribe") {
            confirm(Kind::pattern, reply.elements[1].text, address);
        } else if (what == "ssubscribe") {
            confirm(Kind::shard, reply.elements[1].text, address);
        } else if (what == "sunsubscribe") {
            taken_away(reply.elements[1].text, address);
        }
    }
    void deliver(Kind kind, const std::string& name, std::string_view channel,
                 std::string_view message) {
        const Channels& channels = channels_of(kind);
        const auto found = channels.find(name);
        if (found == channels.end()) return;
        ++counters_.received;
        // A listener may subscribe and unsubscribe.
        if (found->second.listeners.size() == 1) {
            const auto listener = found->second.listeners.front().second;
            (*listener)(channel, message);
            return;
        }
        const auto listeners = found->second.listeners;
        for (const auto& [subscription, listener] : listeners)
            (*listener)(channel, message);
    }
    void confirm(Kind kind, const std::string& name, const std::string& address) {
        const auto found = channels_of(kind).find(name);
        if (found == channels_of(kind).end() || found->second.asked_of != address) return;
        found->second.confirmed = true;
        changed_.notify_all();
    }
    /// The server says so when it gives a slot away, too.
    void taken_away(const std::string& name, const std::string& address) {
        const auto found = channels_of(Kind::shard).find(name);
        if (found == channels_of(Kind::shard).end() || found->second.asked_of != address) return;
        found->second.asked_of.clear();
        found->second.confirmed = false;
        nodes_.refresh_now();
    }
    void refresh_after_error(const std::string& address, const std::string& error) {
        const auto there = parse_redirection(error, address.substr(0, address.rfind(':')));
        if (!there) {
            last_failure_ = error;
            return;
        }
        nodes_.move(there->slot, there->address);
        for (auto& [name, channel] : channels_of(Kind::shard)) {
            if (resp::slot_of(name) != there->slot || channel.confirmed) continue;
            channel.asked_of.clear();
            place(Kind::shard, name, channel);
        }
        nodes_.refresh();
    }

    Subscription subscribe(Kind kind, std::string name, OnMessage on_message) {
        const Subscription id = ++last_subscription_;
        auto& [key, channel] = *channels_of(kind).try_emplace(std::move(name)).first;
        channel.listeners.emplace_back(id, std::make_shared<OnMessage>(std::move(on_message)));
        subscriptions_.emplace(id, std::pair(kind, key));
        if (channel.asked_of.empty()) place(kind, key, channel);
        return id;
    }
    void unsubscribe(Subscription subscription) {
        const auto found = subscriptions_.find(subscription);
        if (found == subscriptions_.end()) return;
        const auto [kind, name] = found->second;
        subscriptions_.erase(found);
        auto& channels = channels_of(kind);
        const auto channel = channels.find(name);
        if (channel == channels.end()) return;
        std::erase_if(channel->second.listeners,
                      [&](const auto& each) { return each.first == subscription; });
        if (!channel->second.listeners.empty()) return;
        if (const auto link = listening_.find(channel->second.asked_of); link != listening_.end())
            link->second->send(resp::command({unsubscribe_command(kind), name}), {});
        channels.erase(channel);
    }
    [[nodiscard]] bool all_confirmed() const {
        return nodes_.topology_known() &&
               std::all_of(channels_.begin(), channels_.end(), [](const Channels& channels) {
                   return std::all_of(channels.begin(), channels.end(),
                                      [](const auto& each) { return each.second.confirmed; });
               });
    }
    awaitable<result<void>> subscribed() {
        const Deadline deadline(clock_, options_.timeout);
        while (!all_confirmed()) {
            if (deadline.passed(clock_)) co_return unconfirmed();
            CO_TRY_VOID(co_await changed_.wait_for(clock_, deadline.left(clock_)));
        }
        co_return result<void>{};
    }
    [[nodiscard]] Error unconfirmed() {
        for (const auto& [address, link] : listening_)
            if (!link->ready()) return nodes_.unavailable(link);
        const auto seed = nodes_.link_for(std::nullopt);
        if (seed && !seed->ready()) return nodes_.unavailable(seed);
        return fail(ErrorCode::unavailable,
                    fmt::format("Redis {}: subscriptions are not confirmed: {}",
                                nodes_.seed().text(), last_failure_));
    }

    // Publishing.

    void publish(Kind kind, std::string_view channel, std::string_view message) {
        std::string command = resp::command(
            {kind == Kind::shard ? std::string_view("SPUBLISH") : "PUBLISH", channel, message});
        std::optional<std::uint16_t> slot;
        if (kind == Kind::shard) slot = resp::slot_of(channel);
        if (nodes_.execute(slot, command, [this](const result<Reply>& reply) {
                if (!reply || reply->is_error()) ++counters_.dropped;
            })) {
            ++counters_.published;
        } else {
            count_unsent(slot);
        }
    }
    void count_unsent(std::optional<std::uint16_t> slot) {
        ++counters_.dropped;
        const auto link = nodes_.link_for(slot);
        if (link && link->ready()) ++counters_.overflowed;
    }

    // Streams.

    void follow_next(const std::shared_ptr<Follower>& follower) {
        const std::string command = resp::command({"XREAD", "BLOCK", block_ms, "COUNT", read_count,
                                                   "STREAMS", follower->stream, follower->last});
        follower->link->send(command, [this, follower](result<Reply> reply) {
            if (!reply || follower->closed) return; // on_ready begins again
            if (reply->is_error()) return moved(follower, reply->text);
            if (!reply->elements.empty() && reply->elements[0].elements.size() == 2) {
                for (Reply& each : reply->elements[0].elements[1].elements)
                    if (const auto entry = to_entry(each)) give(*follower, *entry);
            }
            if (!follower->closed) follow_next(follower);
        });
    }
    void give(Follower& follower, const Entry& entry) {
        follower.last = entry.id;
        ++counters_.received;
        const auto listeners = follower.listeners;
        for (const auto& [subscription, listener] : listeners)
            (*listener)(entry);
    }
    void moved(const std::shared_ptr<Follower>& follower, const std::string& error) {
        last_failure_ = error;
        const auto there = parse_redirection(error, follower->link->address().host);
        if (!there) return follower->link->check(Clock::duration::zero()); // try again, later
        nodes_.move(there->slot, there->address);
        follower->link->close();
        open(follower);
    }
    void open(const std::shared_ptr<Follower>& follower) {
        const std::string owner = nodes_.topology().is_cluster()
                                      ? nodes_.topology().owner(resp::slot_of(follower->stream))
                                      : std::string();
        follower->link =
            make_link(owner.empty() ? nodes_.seed().text() : owner,
                      {.on_ready = [this, weak = std::weak_ptr(follower)] {
                          const auto ready = weak.lock();
                          if (!ready || ready->closed) return;
                          if (!ready->last.empty()) return follow_next(ready);
                          ready->link->send(
                              resp::command({"XREVRANGE", ready->stream, "+", "-", "COUNT", "1"}),
                              [this, ready](result<Reply> reply) {
                                  if (!reply) return;
                                  if (reply->is_error()) return moved(ready, reply->text);
                                  ready->last =
                                      reply->elements.empty() || reply->elements[0].elements.empty()
                                          ? "0-0"
                                          : reply->elements[0].elements[0].text;
                                  ready->known.notify_all();
                                  follow_next(ready);
                              });
                      }});
    }
    static void close(Follower& follower) {
        follower.closed = true;
        if (follower.link) follower.link->close();
    }

    awaitable<result<Following>> follow(std::string stream, OnEntry on_entry) {
        const Deadline deadline(clock_, options_.timeout);
        while (!nodes_.topology_known()) {
            if (deadline.passed(clock_))
                co_return nodes_.unavailable(nodes_.link_for(std::nullopt));
            CO_TRY_VOID(co_await changed_.wait_for(clock_, deadline.left(clock_)));
        }
        auto& place = followers_[stream];
        if (!place) {
            place = std::make_shared<Follower>(executor_);
            place->stream = stream;
            open(place);
        }
        const auto follower = place;
        const Subscription id = ++last_subscription_;
        const auto listener = std::make_shared<OnEntry>(std::move(on_entry));
        while (follower->last.empty()) {
            if (deadline.passed(clock_)) co_return nodes_.unavailable(follower->link);
            CO_TRY_VOID(co_await follower->known.wait_for(clock_, deadline.left(clock_)));
        }
        follower->listeners.emplace(id, listener);
        co_return Following{.subscription = id, .after = follower->last};
    }
    void unfollow(Subscription subscription) {
        for (auto at = followers_.begin(); at != followers_.end(); ++at) {
            if (at->second->listeners.erase(subscription) == 0) continue;
            if (at->second->listeners.empty()) {
                close(*at->second);
                followers_.erase(at);
            }
            return;
        }
    }

    asio::any_io_executor executor_;
    Clock& clock_;
    Options options_;
    RedisNodes nodes_;
    std::map<std::string, std::shared_ptr<RedisLink>> listening_;
    std::array<Channels, 3> channels_;
    std::map<Subscription, std::pair<Kind, std::string>> subscriptions_;
    Subscription last_subscription_ = 0;
    std::map<std::string, std::shared_ptr<Follower>> followers_;
    Counters counters_;
    std::string last_failure_ = "no answer";
    /// A subscription was confirmed, the topology is known, a connection was lost.
    Signal changed_;
};

RedisClusterBus::RedisClusterBus(asio::any_io_executor executor, Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, std::move(options))) {}
RedisClusterBus::~RedisClusterBus() = default;

result<void> RedisClusterBus::start() { return impl_->nodes_.start(); }
awaitable<void> RedisClusterBus::stop() { return impl_->stop(); }

ClusterBus::Subscription RedisClusterBus::subscribe(Kind kind, std::string name,
                                                    OnMessage on_message) {
    return impl_->subscribe(kind, std::move(name), std::move(on_message));
}
void RedisClusterBus::unsubscribe(Subscription subscription) { impl_->unsubscribe(subscription); }
awaitable<result<void>> RedisClusterBus::subscribed() { return impl_->subscribed(); }
void RedisClusterBus::publish(Kind kind, std::string_view channel, std::string_view message) {
    impl_->publish(kind, channel, message);
}

awaitable<result<std::size_t>> RedisClusterBus::subscribers(Kind kind, std::string channel) {
    // What Node counts: a shard channel at its owner, another over all masters.
    std::size_t count = 0;
    std::vector<Reply> replies;
    if (kind == Kind::shard) {
        CO_TRY(Reply reply,
               co_await impl_->call(resp::slot_of(channel),
                                    resp::command({"PUBSUB", "SHARDNUMSUB", channel})));
        replies.push_back(std::move(reply));
    } else {
        CO_TRY(replies, co_await impl_->call_all(resp::command({"PUBSUB", "NUMSUB", channel})));
    }
    for (const Reply& reply : replies) {
        if (reply.elements.size() == 2 && reply.elements[1].integer > 0)
            count += static_cast<std::size_t>(reply.elements[1].integer);
    }
    co_return count;
}

awaitable<result<std::vector<std::string>>> RedisClusterBus::channels(Kind kind, std::string glob) {
    const std::string_view which = kind == Kind::shard ? "SHARDCHANNELS" : "CHANNELS";
    CO_TRY(std::vector<Reply> replies,
           co_await impl_->call_all(resp::command({"PUBSUB", which, glob})));
    std::vector<std::string> names;
    for (Reply& reply : replies) {
        for (Reply& each : reply.elements)
            names.push_back(std::move(each.text));
    }
    co_return names;
}

void RedisClusterBus::append(std::string stream, std::size_t length_max, Fields fields,
                             OnAppended on_appended) {
    const std::string length = std::to_string(length_max);
    std::vector<std::string_view> words{"XADD", stream, "MAXLEN", "~", length, "*"};
    for (const auto& [name, value] : fields) {
        words.push_back(name);
        words.push_back(value);
    }
    std::string command;
    resp::append_command(command, words);
    auto done = std::make_shared<OnAppended>(std::move(on_appended));
    const bool sent = impl_->nodes_.execute(
        resp::slot_of(stream), std::move(command), [impl = impl_.get(), done](result<Reply> reply) {
            if (reply && !reply->is_error()) return (*done)(std::move(reply->text));
            ++impl->counters_.dropped;
            if (!reply) return (*done)(std::move(reply).error());
            (*done)(fail(ErrorCode::unavailable, "Redis: " + reply->text));
        });
    if (sent) {
        ++impl_->counters_.published;
        return;
    }
    impl_->count_unsent(resp::slot_of(stream));
    (*done)(impl_->nodes_.unavailable(impl_->nodes_.link_for(resp::slot_of(stream))));
}

awaitable<result<ClusterBus::Following>> RedisClusterBus::follow(std::string stream,
                                                                 OnEntry on_entry) {
    return impl_->follow(std::move(stream), std::move(on_entry));
}
void RedisClusterBus::unfollow(Subscription subscription) { impl_->unfollow(subscription); }

awaitable<result<std::vector<ClusterBus::Entry>>>
RedisClusterBus::range(std::string stream, std::string from, std::string to, std::size_t count) {
    CO_TRY(Reply reply, co_await impl_->call(resp::slot_of(stream),
                                             resp::command({"XRANGE", stream, from, to, "COUNT",
                                                            std::to_string(count)})));
    std::vector<Entry> entries;
    for (Reply& each : reply.elements)
        if (auto entry = to_entry(each)) entries.push_back(std::move(*entry));
    co_return entries;
}

void RedisClusterBus::put(std::string key, std::string value, std::chrono::milliseconds lifetime) {
    const std::string command =
        resp::command({"SET", key, value, "PX", std::to_string(lifetime.count())});
    if (!impl_->nodes_.execute(resp::slot_of(key), command,
                               [impl = impl_.get()](result<Reply> reply) {
                                   if (!reply || reply->is_error()) ++impl->counters_.dropped;
                               }))
        impl_->count_unsent(resp::slot_of(key));
}

awaitable<result<std::optional<std::string>>> RedisClusterBus::take(std::string key) {
    const std::string commands = resp::command({"MULTI"}) + resp::command({"GET", key}) +
                                 resp::command({"DEL", key}) + resp::command({"EXEC"});
    CO_TRY(Reply reply, co_await impl_->call(resp::slot_of(key), commands, 4));
    if (reply.elements.empty() || reply.elements[0].type != Reply::Type::text)
        co_return std::optional<std::string>();
    co_return std::optional<std::string>(std::move(reply.elements[0].text));
}

void RedisClusterBus::keep(std::string key, Versioned value, std::chrono::milliseconds lifetime,
                           OnKept on_kept) {
    const std::string command =
        resp::command({"EVAL", keep_script, "1", key, std::to_string(value.generation), value.value,
                       std::to_string(lifetime.count())});
    const auto slot = resp::slot_of(key);
    auto done = std::make_shared<OnKept>(std::move(on_kept));
    const bool sent =
        impl_->nodes_.execute(slot, command, [impl = impl_.get(), done](result<Reply> reply) {
            if (reply && !reply->is_error()) return (*done)(reply->integer == 1);
            ++impl->counters_.dropped;
            if (!reply) return (*done)(std::move(reply).error());
            (*done)(fail(ErrorCode::unavailable, "Redis: " + reply->text));
        });
    if (sent) return;
    impl_->count_unsent(slot);
    (*done)(impl_->nodes_.unavailable(impl_->nodes_.link_for(slot)));
}

namespace {

/// [generation, value]
std::optional<ClusterBus::Versioned> to_versioned(Reply& reply) {
    if (reply.elements.size() != 2 || reply.elements[0].type != Reply::Type::text ||
        reply.elements[1].type != Reply::Type::text)
        return std::nullopt;
    ClusterBus::Versioned found{.value = std::move(reply.elements[1].text)};
    const std::string& number = reply.elements[0].text;
    std::from_chars(number.data(), number.data() + number.size(), found.generation);
    return found;
}

} // namespace

awaitable<result<std::optional<ClusterBus::Versioned>>> RedisClusterBus::read(std::string key) {
    CO_TRY(Reply reply, co_await impl_->call(resp::slot_of(key),
                                             resp::command({"HMGET", key, "generation", "value"})));
    co_return to_versioned(reply);
}

awaitable<result<std::optional<ClusterBus::Versioned>>>
RedisClusterBus::raise(std::string key, std::chrono::milliseconds lifetime) {
    CO_TRY(Reply reply, co_await impl_->call(resp::slot_of(key),
                                             resp::command({"EVAL", raise_script, "1", key,
                                                            std::to_string(lifetime.count())})));
    co_return to_versioned(reply);
}

awaitable<result<ClusterBus::Lease>> RedisClusterBus::hold(LeaseTerms terms) {
    CO_TRY(Reply reply,
           co_await impl_->call(resp::slot_of(terms.key),
                                resp::command({"EVAL", hold_script, "1", terms.key, terms.holder,
                                               std::to_string(terms.lifetime.count()),
                                               std::to_string(terms.note_lifetime.count())})));
    if (reply.elements.size() != 3) co_return fail(ErrorCode::corrupt, "a lease in Redis");
    Lease lease{.holder = std::move(reply.elements[0].text),
                .note = std::move(reply.elements[2].text)};
    const std::string& number = reply.elements[1].text;
    std::from_chars(number.data(), number.data() + number.size(), lease.generation);
    co_return lease;
}

awaitable<result<void>> RedisClusterBus::release(LeaseTerms terms) {
    CO_TRY_VOID(co_await impl_->call(
        resp::slot_of(terms.key),
        resp::command({"EVAL", release_script, "1", terms.key, terms.holder})));
    co_return result<void>{};
}

awaitable<result<bool>> RedisClusterBus::send_as_holder(LeaseTerms terms, std::uint64_t generation,
                                                        std::string note,
                                                        std::vector<Outgoing> messages) {
    // A channel is no key: in a Redis Cluster it may have any slot.
    const bool keyed = !messages.empty() && messages.front().to != Outgoing::To::channel;
    std::vector<std::string> arguments{"EVAL", std::string(send_script), keyed ? "2" : "1",
                                       terms.key};
    if (keyed) arguments.push_back(messages.front().name);
    for (std::string each :
         {terms.holder, std::to_string(generation), std::to_string(terms.lifetime.count()),
          std::to_string(terms.note_lifetime.count()), note})
        arguments.push_back(std::move(each));
    for (Outgoing& message : messages) {
        const bool stream = message.to == Outgoing::To::stream;
        arguments.emplace_back(stream                                ? "XADD"
                               : message.to == Outgoing::To::channel ? "PUBLISH"
                                                                     : "SPUBLISH");
        arguments.push_back(std::move(message.name));
        if (!stream) {
            arguments.push_back(std::move(message.message));
            continue;
        }
        arguments.push_back(std::to_string(4 + 2 * message.fields.size()));
        for (std::string each : {std::string("MAXLEN"), std::string("~"),
                                 std::to_string(message.length_max), std::string("*")})
            arguments.push_back(std::move(each));
        for (auto& [name, value] : message.fields) {
            arguments.push_back(std::move(name));
            arguments.push_back(std::move(value));
        }
    }
    std::string command;
    const std::vector<std::string_view> words(arguments.begin(), arguments.end());
    resp::append_command(command, words);
    auto reply = co_await impl_->call(resp::slot_of(terms.key), std::move(command));
    if (!reply) {
        impl_->counters_.dropped += messages.size();
        co_return std::move(reply).error();
    }
    if (reply->integer == 1) impl_->counters_.published += messages.size();
    co_return reply->integer == 1;
}

ClusterBus::Counters RedisClusterBus::counters() const { return impl_->counters_; }

} // namespace netbuild
