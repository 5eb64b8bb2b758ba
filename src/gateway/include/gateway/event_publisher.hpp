// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "feed/feed_reader.hpp"
#include "ports/cluster_bus.hpp"
#include "realtime/cluster_adapters.hpp"

namespace netbuild::gateway {

/// The sender of what the fleet's publisher emits. No node has it, and NetBuild's gateways ignore
/// what it sends: they give their clients the same events from the streams.
inline constexpr std::string_view publisher_uid = "netbuild-events";

/// Emits the streams' events to clients of the cluster's Node servers: of all nodes that run one,
/// the one that holds the lease does. Each event goes out in one step with the place that the lease
/// keeps, so that a successor goes on exactly there.
class EventPublisher {
public:
    enum class State : std::uint8_t {
        starting,
        /// Another node publishes.
        standby,
        publishing,
        /// The bus is away.
        waiting,
    };
    struct Options {
        ClusterBus::LeaseTerms lease;
        /// Another node may have given the lease back.
        Clock::duration look_interval = std::chrono::seconds(1);
        std::size_t batch_events_max = 100;
        std::size_t batch_bytes_max = std::size_t{1} << 20;
    };
    struct Ports {
        Clock& clock;
        feed::EventFeed& feed;
        ClusterBus& bus;
        realtime::ClusterEmitter emitter;
    };
    /// What is known of it, here.
    struct Status {
        State state = State::starting;
        /// Who publishes, as far as this node knows.
        std::string holder;
        std::uint64_t generation = 0;
        /// Up to here all was emitted; of another node: when it was last asked.
        feed::Place place;
        std::uint64_t events = 0, batches = 0, takeovers = 0, retries = 0;
        /// Larger than a cluster's message may be: nobody gets them.
        std::uint64_t dropped = 0;
        std::string trouble;
    };
    EventPublisher(Ports ports, Options options);

    /// Publishes whenever it is this node's turn, until cancelled.
    awaitable<result<void>> run();
    /// Ends run(), and lets another node go on at once.
    awaitable<void> release();

    [[nodiscard]] const Status& status() const noexcept { return status_; }
    [[nodiscard]] const std::string& name() const noexcept { return options_.lease.holder; }
    /// How long this node has been publishing behind the newest event; nothing if it does not.
    [[nodiscard]] std::optional<Clock::duration> lag() const;

private:
    awaitable<result<void>> step();
    awaitable<result<void>> publish();
    awaitable<result<bool>> send(const std::vector<feed::Delivery>& found, feed::Place upto);
    [[nodiscard]] std::optional<ClusterBus::Outgoing> outgoing(const feed::Delivery& delivery);
    void enter(State state);

    Ports ports_;
    Options options_;
    Status status_;
    bool released_ = false;
    Clock::duration caught_up_at_{};
};
[[nodiscard]] std::string_view to_string(EventPublisher::State state) noexcept;

} // namespace netbuild::gateway
