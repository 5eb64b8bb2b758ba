// SPDX-License-Identifier: Apache-2.0
#include "gateway/event_publisher.hpp"

#include <utility>

#include "event_message.hpp"
#include "gateway/rooms.hpp"
#include "telemetry/log.hpp"

namespace netbuild::gateway {
namespace {

constexpr std::chrono::milliseconds retry_interval{200};

} // namespace

std::string_view to_string(EventPublisher::State state) noexcept {
    using State = EventPublisher::State;
    switch (state) {
    case State::starting:
        return "starting";
    case State::standby:
        return "standby";
    case State::publishing:
        return "publishing";
    case State::waiting:
        break;
    }
    return "waiting";
}

EventPublisher::EventPublisher(Ports ports, Options options)
    : ports_(std::move(ports)), options_(std::move(options)) {}

void EventPublisher::enter(State state) {
    if (std::exchange(status_.state, state) == state) return;
    if (state == State::publishing) {
        ++status_.takeovers;
        log::info("events go to the cluster's other servers from here, generation {}, after {}",
                  status_.generation, feed::to_string(status_.place));
    } else if (state == State::standby) {
        log::info("{} gives events to the cluster's other servers", status_.holder);
    }
}

std::optional<Clock::duration> EventPublisher::lag() const {
    if (status_.state != State::publishing) return std::nullopt;
    if (status_.place.covers(ports_.feed.place())) return Clock::duration::zero();
    return ports_.clock.monotonic() - caught_up_at_;
}

awaitable<result<void>> EventPublisher::run() {
    while (true) {
        auto done = co_await ports_.feed.started(options_.look_interval);
        if (done) break;
        if (done.error().error_class() == ErrorClass::cancelled) co_return done;
    }
    while (!released_) {
        auto done = co_await step();
        if (done) continue;
        if (done.error().error_class() == ErrorClass::cancelled) co_return done;
        ++status_.retries;
        status_.trouble = done.error().message();
        if (status_.state != State::waiting)
            log::warning("events for the cluster's other servers wait: {}", status_.trouble);
        enter(State::waiting);
        CO_TRY_VOID(co_await ports_.clock.sleep(retry_interval));
    }
    co_return result<void>{};
}

awaitable<void> EventPublisher::release() {
    released_ = true;
    if (status_.holder != name()) co_return;
    const auto released = co_await ports_.bus.release(options_.lease);
    if (!released) log::warning("the publisher's lease runs out: {}", released.error().message());
}

/// One look at the lease, and what it is ours for.
awaitable<result<void>> EventPublisher::step() {
    CO_TRY(const ClusterBus::Lease lease, co_await ports_.bus.hold(options_.lease));
    status_.trouble.clear();
    status_.holder = lease.holder;
    status_.generation = lease.generation;
    // Nobody has published yet: from now on.
    status_.place = ports_.feed.place();
    if (!lease.note.empty()) {
        CO_TRY(status_.place, feed::parse_place(lease.note, ports_.feed.place().documents));
    }
    if (lease.holder != name()) {
        enter(State::standby);
        co_return co_await ports_.clock.sleep(options_.look_interval);
    }
    enter(State::publishing);
    co_return co_await publish();
}

/// Until the lease is another node's, or the bus is away: then what was sent is not known, and the
/// lease is asked for it.
awaitable<result<void>> EventPublisher::publish() {
    feed::FeedReader reader(ports_.feed, status_.place, feed::Interest{});
    caught_up_at_ = ports_.clock.monotonic();
    // A successor goes on here, even if nothing happens meanwhile.
    CO_TRY(bool ours, co_await send({}, status_.place));
    Deadline renewal(ports_.clock, options_.lease.lifetime / 3);
    while (ours && !released_) {
        std::vector<feed::Delivery> found;
        if (reader.in_ring()) {
            found = reader.newest(options_.batch_events_max);
        } else {
            CO_TRY(found, co_await reader.older());
        }
        const bool idle = found.empty() && reader.place() == status_.place && reader.in_ring();
        if (idle) {
            caught_up_at_ = ports_.clock.monotonic();
            if (!renewal.passed(ports_.clock)) {
                CO_TRY_VOID(co_await ports_.feed.changed(renewal.left(ports_.clock)));
                continue;
            }
        }
        CO_TRY(ours, co_await send(found, reader.place()));
        renewal = Deadline(ports_.clock, options_.lease.lifetime / 3);
    }
    co_return result<void>{};
}

/// All of it, and then the place, in as many steps as its size needs. False: it is another's turn.
awaitable<result<bool>> EventPublisher::send(const std::vector<feed::Delivery>& found,
                                             feed::Place upto) {
    std::vector<ClusterBus::Outgoing> batch;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (auto message = outgoing(found[i])) {
            bytes += message->message.size();
            for (const auto& [name, value] : message->fields)
                bytes += name.size() + value.size();
            batch.push_back(std::move(*message));
        }
        if (bytes < options_.batch_bytes_max || i + 1 == found.size()) continue;
        CO_TRY(const bool ours, co_await ports_.bus.send_as_holder(
                                    options_.lease, status_.generation,
                                    feed::to_string(found[i].place), std::exchange(batch, {})));
        if (!ours) co_return false;
        ++status_.batches;
        status_.place = found[i].place;
        bytes = 0;
    }
    CO_TRY(const bool ours,
           co_await ports_.bus.send_as_holder(options_.lease, status_.generation,
                                              feed::to_string(upto), std::move(batch)));
    if (!ours) co_return false;
    if (!found.empty()) ++status_.batches;
    status_.place = upto;
    status_.events += found.size();
    co_return true;
}

std::optional<ClusterBus::Outgoing> EventPublisher::outgoing(const feed::Delivery& delivery) {
    const feed::FeedEvent& event = *delivery.event;
    socketio::ClusterMessage message{.type = socketio::ClusterMessageType::broadcast,
                                     .uid = std::string(publisher_uid)};
    auto content = event_message(event, ports_.feed.text(delivery.place));
    if (!content) return std::nullopt;
    message.packet = {socketio::PacketType::event, message.nsp, {}, std::move(*content)};
    for (const std::string& room : event.rooms) {
        message.audience.rooms.push_back(room);
        if (auto part = part_of(room, event.event->domain_id); part != room)
            message.audience.rooms.push_back(std::move(part));
    }
    auto encoded = ports_.emitter.encode(message);
    if (encoded) return std::move(*encoded);
    ++status_.dropped;
    log::warning("event {} of {} does not go to the cluster's other servers: {}",
                 netbuild::to_string(event.event->position), feed::source_name(event.source),
                 encoded.error().message());
    return std::nullopt;
}

} // namespace netbuild::gateway
