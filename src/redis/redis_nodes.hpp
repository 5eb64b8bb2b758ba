// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "redis_link.hpp"
#include "redis_topology.hpp"
#include "runtime/task_group.hpp"

namespace netbuild {

/// The servers of one Redis: one link to the server, or to each master of a Redis Cluster, which it
/// finds out; which of them has a slot; and commands that follow redirections. One executor.
class RedisNodes {
public:
    struct Options {
        std::string url;
        std::string ca_file;
        /// Of each link.
        RedisLink::Options link = {};
        /// A link is tried so often, and given up after two of them in silence.
        Clock::duration ping_interval = std::chrono::seconds(5);
    };
    struct Events {
        /// The servers have told who has what; `changed`: another than before.
        std::function<void(bool changed)> on_topology = {};
        std::function<void()> on_ready = {};
        std::function<void()> on_lost = {};
        std::function<void(resp::Reply& reply)> on_push = {};
        /// At each ping_interval.
        std::function<void()> on_ping = {};
    };
    RedisNodes(asio::any_io_executor executor, Clock& clock, Options options, Events events);
    /// Without stop(), what runs is let go of and ends with the executor's next turns.
    ~RedisNodes();

    /// invalid_configuration: the URL.
    result<void> start();
    awaitable<void> stop();

    /// A link of the owner's own, with other events; it runs until its close() or stop().
    std::shared_ptr<RedisLink> make_link(const std::string& address, RedisLink::Events events,
                                         RedisLink::Options options);
    /// The one to this server; nothing: there are too many.
    std::shared_ptr<RedisLink> link_to(const std::string& address);
    /// To the owner of the slot; any that is ready where it makes no difference.
    std::shared_ptr<RedisLink> link_for(std::optional<std::uint16_t> slot);

    /// Sends the bytes of a command of `replies` replies and follows MOVED and ASK. False: nothing
    /// was sent, and `on_reply` is as it was.
    bool execute(std::optional<std::uint16_t> slot, const std::string& command,
                 RedisLink::OnReply&& on_reply, std::size_t replies = 1,
                 Clock::duration deadline = RedisLink::no_deadline);
    /// Gives up what is past its deadline.
    void expire();
    /// Asks who has what, unless that was asked a moment ago.
    void refresh();
    void refresh_now();
    void move(std::uint16_t slot, const std::string& address) { topology_.move(slot, address); }

    [[nodiscard]] const RedisTopology& topology() const { return topology_; }
    [[nodiscard]] bool topology_known() const { return topology_known_; }
    [[nodiscard]] const std::map<std::string, std::shared_ptr<RedisLink>>& links() const {
        return links_;
    }
    [[nodiscard]] const RedisAddress& seed() const { return seed_; }
    [[nodiscard]] std::uint64_t redirections() const { return redirections_; }
    [[nodiscard]] Error unavailable(const std::shared_ptr<RedisLink>& link) const;

private:
    bool execute_on(const std::shared_ptr<RedisLink>& link, std::uint16_t slot,
                    std::shared_ptr<const std::string> command,
                    std::shared_ptr<RedisLink::OnReply> on_reply, std::size_t replies,
                    Clock::duration deadline, int redirections);
    void adopt(RedisTopology topology);
    awaitable<result<void>> ping();

    asio::any_io_executor executor_;
    Clock& clock_;
    Options options_;
    Events events_;
    RedisAddress seed_;
    RedisTopology topology_;
    bool topology_known_ = false;
    bool refreshing_ = false;
    Clock::duration refreshed_at_{};
    std::uint64_t redirections_ = 0;
    std::map<std::string, std::shared_ptr<RedisLink>> links_;
    std::vector<std::weak_ptr<RedisLink>> made_;
    std::shared_ptr<bool> gone_ = std::make_shared<bool>(false);
    TaskGroup tasks_;
};

} // namespace netbuild
