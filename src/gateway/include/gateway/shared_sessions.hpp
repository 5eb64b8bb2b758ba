// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "gateway/session.hpp"
#include "ports/cluster_bus.hpp"

namespace netbuild::gateway {

/// Sessions that every node of a fleet finds, as JSON under a key each, for so long as `keep` says.
/// A write of a node that had the client before another one is late, and changes nothing.
///
/// While the bus is away a session is kept in this node's memory, within `sessions_max`: its client
/// comes back here, and to any other node as new.
class SharedSessions final : public SessionStore {
public:
    struct Options {
        std::string prefix = "netbuild:session:";
        std::chrono::milliseconds keep = std::chrono::minutes(2);
        std::size_t sessions_max = 100'000;
        /// For an answer of the bus; a client waits so long for its subscription.
        Clock::duration wait = std::chrono::seconds(2);
    };
    SharedSessions(const asio::any_io_executor& executor, Clock& clock, ClusterBus& bus,
                   Options options);

    [[nodiscard]] bool shared() const override { return true; }
    void keep(Session session) override;
    awaitable<result<void>> store(Session session) override;
    awaitable<result<std::optional<Session>>> find(std::string pid) override;
    awaitable<result<Session>> take_up(Session session) override;
    void forget(const Session& session) override;
    awaitable<void> settled() override;
    [[nodiscard]] std::size_t size() const override;
    [[nodiscard]] SessionCounters counters() const override;

private:
    struct Here;
    /// `answered`, if any, becomes true then.
    void put(Session session, std::shared_ptr<bool> answered);

    Clock& clock_;
    ClusterBus& bus_;
    Options options_;
    /// Answers of the bus may come after the store has gone.
    std::shared_ptr<Here> here_;
};

} // namespace netbuild::gateway
