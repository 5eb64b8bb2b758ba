// SPDX-License-Identifier: Apache-2.0
#include "redis_nodes.hpp"

#include "telemetry/log.hpp"

namespace netbuild {

using resp::Reply;

namespace {

constexpr int redirections_max = 3;
/// Links to servers; a cluster that claims more masters than that is not followed there.
constexpr std::size_t links_max = 1000;
constexpr auto refresh_interval = std::chrono::milliseconds(100);

} // namespace

RedisNodes::RedisNodes(asio::any_io_executor executor, Clock& clock, Options options, Events events)
    : executor_(std::move(executor)),
      clock_(clock),
      options_(std::move(options)),
      events_(std::move(events)),
      tasks_(executor_, [](const std::string& name, const Error& error) {
          log::error("{}: {}", name, error.message());
      }) {}

RedisNodes::~RedisNodes() {
    *gone_ = true;
    for (const auto& each : made_)
        if (const auto link = each.lock()) link->abandon();
    tasks_.abandon();
}

result<void> RedisNodes::start() {
    TRY(seed_, parse_redis_url(options_.url, options_.ca_file));
    TRY_VOID(link_to(seed_.text())->prepare());
    tasks_.spawn("Redis pings", ping());
    return {};
}

awaitable<void> RedisNodes::stop() {
    for (auto& [address, link] : links_)
        link->close();
    co_await tasks_.stop();
}

std::shared_ptr<RedisLink> RedisNodes::make_link(const std::string& address,
                                                 RedisLink::Events events,
                                                 RedisLink::Options options) {
    RedisAddress at = seed_;
    const auto colon = address.rfind(':');
    at.host = address.substr(0, colon);
    at.port = address.substr(colon + 1);
    auto link = std::make_shared<RedisLink>(executor_, clock_, std::move(at), std::move(options),
                                            std::move(events));
    std::erase_if(made_, [](const auto& each) { return each.expired(); });
    made_.push_back(link);
    tasks_.spawn("Redis " + address, link->run());
    return link;
}

std::shared_ptr<RedisLink> RedisNodes::link_to(const std::string& address) {
    if (const auto found = links_.find(address); found != links_.end()) return found->second;
    if (links_.size() >= links_max) return nullptr;
    auto link = make_link(address,
                          {.on_ready =
                               [this] {
                                   refresh();
                                   if (events_.on_ready) events_.on_ready();
                               },
                           .on_lost =
                               [this] {
                                   if (events_.on_lost) events_.on_lost();
                                   if (topology_.is_cluster()) refresh();
                               },
                           .on_push = events_.on_push},
                          options_.link);
    links_.emplace(address, link);
    return link;
}

std::shared_ptr<RedisLink> RedisNodes::link_for(std::optional<std::uint16_t> slot) {
    if (slot && topology_.is_cluster()) {
        const std::string owner = topology_.owner(*slot);
        if (!owner.empty()) return link_to(owner);
    }
    const auto seed = links_.find(seed_.text());
    if (seed != links_.end() && seed->second->ready()) return seed->second;
    for (const auto& [address, link] : links_)
        if (link->ready()) return link;
    return seed == links_.end() ? nullptr : seed->second;
}

awaitable<result<void>> RedisNodes::ping() {
    const std::string command = resp::command({"PING"});
    const auto gone = gone_;
    while (true) {
        CO_TRY_VOID(co_await clock_.sleep(options_.ping_interval));
        if (*gone) co_return result<void>{};
        for (const auto& [address, link] : links_) {
            link->send(command, {});
            link->check(2 * options_.ping_interval + std::chrono::seconds(1));
        }
        if (events_.on_ping) events_.on_ping();
        // A cluster changes without telling who only listens.
        if (topology_.is_cluster()) refresh();
    }
}

void RedisNodes::refresh_now() {
    refreshed_at_ = {};
    refresh();
}

void RedisNodes::refresh() {
    const auto now = clock_.monotonic();
    if (refreshing_ || (topology_known_ && now - refreshed_at_ < refresh_interval)) return;
    const auto link = link_for(std::nullopt);
    if (!link) return;
    refreshed_at_ = now;
    refreshing_ = link->send(resp::command({"CLUSTER", "SLOTS"}),
                             [this, host = link->address().host](result<Reply> reply) {
                                 refreshing_ = false;
                                 if (!reply) return;
                                 // "This instance has cluster support disabled": no cluster.
                                 auto topology = reply->is_error()
                                                     ? RedisTopology{}
                                                     : RedisTopology::from_reply(*reply, host);
                                 if (topology) adopt(std::move(*topology));
                             });
}

void RedisNodes::adopt(RedisTopology topology) {
    const bool changed = !topology_known_ || !(topology == topology_);
    topology_ = std::move(topology);
    topology_known_ = true;
    const auto masters = topology_.masters();
    for (const std::string& master : masters)
        link_to(master);
    // A server that left, or became a replica, is asked no more; the seed may come back.
    if (topology_.is_cluster()) {
        std::erase_if(links_, [&](const auto& each) {
            const bool gone =
                each.first != seed_.text() &&
                std::find(masters.begin(), masters.end(), each.first) == masters.end();
            if (gone) each.second->close();
            return gone;
        });
    }
    if (events_.on_topology) events_.on_topology(changed);
}

bool RedisNodes::execute(std::optional<std::uint16_t> slot, const std::string& command,
                         RedisLink::OnReply&& on_reply, std::size_t replies,
                         Clock::duration deadline) {
    const auto link = link_for(slot);
    if (!link || !link->ready()) {
        // A master that is away: another one may have its slots by now.
        if (topology_.is_cluster()) refresh();
        return false;
    }
    if (!slot || !topology_.is_cluster())
        return link->send(command, std::move(on_reply), replies, deadline);
    auto shared = std::make_shared<RedisLink::OnReply>(std::move(on_reply));
    const bool sent = execute_on(link, *slot, std::make_shared<const std::string>(command), shared,
                                 replies, deadline, redirections_max);
    if (!sent) on_reply = std::move(*shared);
    return sent;
}

bool RedisNodes::execute_on(const std::shared_ptr<RedisLink>& link, std::uint16_t slot,
                            std::shared_ptr<const std::string> command,
                            std::shared_ptr<RedisLink::OnReply> on_reply, std::size_t replies,
                            Clock::duration deadline, int redirections) {
    auto follow = [this, slot, command, on_reply, replies, deadline, redirections,
                   host = link->address().host](result<Reply> reply) {
        const auto done = [&](result<Reply> outcome) {
            if (*on_reply) std::move (*on_reply)(std::move(outcome));
        };
        const auto there = reply && reply->is_error() && redirections > 0
                               ? parse_redirection(reply->text, host)
                               : std::nullopt;
        if (!there) return done(std::move(reply));
        ++redirections_;
        const auto next = link_to(there->address);
        if (!there->ask) {
            topology_.move(there->slot, there->address);
            refresh();
        }
        if (!next || !next->ready()) return done(unavailable(next));
        if (there->ask) next->send(resp::command({"ASKING"}), {});
        if (!execute_on(next, slot, command, on_reply, replies, deadline, redirections - 1))
            done(unavailable(next));
    };
    return link->send(*command, std::move(follow), replies, deadline);
}

void RedisNodes::expire() {
    // A waiter may make links.
    std::vector<std::shared_ptr<RedisLink>> links;
    for (const auto& [address, link] : links_)
        links.push_back(link);
    for (const auto& link : links)
        link->expire();
}

Error RedisNodes::unavailable(const std::shared_ptr<RedisLink>& link) const {
    const std::string why = link ? link->trouble() : std::string();
    const bool refused =
        why.starts_with("WRONGPASS") || why.starts_with("NOAUTH") || why.starts_with("NOPERM");
    return fail(refused ? ErrorCode::unauthorized : ErrorCode::unavailable,
                fmt::format("Redis {}{}", link ? link->address().text() : seed_.text(),
                            why.empty() ? ": too much is queued" : ": " + why));
}

} // namespace netbuild
