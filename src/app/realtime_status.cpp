// SPDX-License-Identifier: Apache-2.0
#include "realtime_status.hpp"

#include <chrono>

#include <fmt/format.h>

#include "metric_text.hpp"

namespace netbuild::app {
namespace {

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::int64_t milliseconds(Clock::duration time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

std::string_view adapter_name(RealtimeAdapter adapter) {
    switch (adapter) {
    case RealtimeAdapter::redis:
        return "redis";
    case RealtimeAdapter::sharded:
        return "sharded";
    case RealtimeAdapter::streams:
        return "streams";
    case RealtimeAdapter::none:
        break;
    }
    return "none";
}

Object sessions_object(const gateway::SessionStore& sessions) {
    const auto counters = sessions.counters();
    return {{"shared", sessions.shared()},
            {"here", number(sessions.size())},
            {"stored", number(counters.stored)},
            {"takenUp", number(counters.taken_up)},
            {"late", number(counters.late)},
            {"keptHere", number(counters.kept_here)},
            {"lookedHere", number(counters.looked_here)}};
}

Object cluster_object(const RealtimeCluster& cluster) {
    const auto& adapter = cluster.adapter_counters();
    const auto bus = cluster.bus_counters();
    return {{"adapter", adapter_name(cluster.options().adapter)},
            {"received", number(adapter.received)},
            {"ignored", number(adapter.ignored)},
            {"malformed", number(adapter.malformed)},
            {"tooLarge", number(adapter.too_large)},
            {"requests", number(adapter.requests)},
            {"requestMs", milliseconds(adapter.request_time)},
            {"requestsTimedOut", number(adapter.timed_out)},
            {"bus", Object{{"published", number(bus.published)},
                           {"received", number(bus.received)},
                           {"dropped", number(bus.dropped)},
                           {"overflowed", number(bus.overflowed)},
                           {"connectionsLost", number(bus.connections_lost)}}}};
}

Object publisher_object(const gateway::EventPublisher& publisher) {
    const auto& status = publisher.status();
    const auto lag = publisher.lag();
    return {{"name", publisher.name()},
            {"state", to_string(status.state)},
            {"holder", status.holder.empty() ? Value() : Value(status.holder)},
            {"generation", number(status.generation)},
            {"place", feed::to_string(status.place)},
            {"lagMs", lag ? Value(milliseconds(*lag)) : Value()},
            {"events", number(status.events)},
            {"batches", number(status.batches)},
            {"dropped", number(status.dropped)},
            {"takeovers", number(status.takeovers)},
            {"retries", number(status.retries)},
            {"trouble", status.trouble.empty() ? Value() : Value(status.trouble)}};
}

template <class Number>
void add_metric(std::string& out, std::string_view name, std::string_view type,
                std::string_view help, Number value) {
    append_metric(out, fmt::format("netbuild_realtime_{}", name), type, help, value);
}

void add_fleet_metrics(std::string& out, const Realtime& realtime) {
    const auto sessions = realtime.sessions().counters();
    add_metric(out, "sessions_here", "gauge", "Sessions in this node's memory",
               realtime.sessions().size());
    if (realtime.sessions().shared()) {
        add_metric(out, "sessions_stored_total", "counter", "Writes of shared sessions",
                   sessions.stored);
        add_metric(out, "sessions_taken_up_total", "counter", "Sessions of clients that came back",
                   sessions.taken_up);
        add_metric(out, "sessions_late_total", "counter",
                   "Writes that came after another node had the client", sessions.late);
        add_metric(out, "sessions_kept_here_total", "counter",
                   "Writes that Redis did not get: this node alone has them", sessions.kept_here);
    }
    if (const RealtimeCluster* cluster = realtime.cluster()) {
        const auto& adapter = cluster->adapter_counters();
        const auto bus = cluster->bus_counters();
        add_metric(out, "bus_published_total", "counter", "Messages to other nodes", bus.published);
        add_metric(out, "bus_received_total", "counter", "Messages of other nodes", bus.received);
        add_metric(out, "bus_dropped_total", "counter", "Messages that Redis did not get",
                   bus.dropped);
        add_metric(out, "bus_connections_lost_total", "counter", "Connections to Redis that broke",
                   bus.connections_lost);
        add_metric(out, "adapter_received_total", "counter", "Messages in the adapter's protocol",
                   adapter.received);
        add_metric(out, "adapter_ignored_total", "counter",
                   "Of these, the publisher's: they are for Node servers", adapter.ignored);
        add_metric(out, "adapter_malformed_total", "counter", "Of these, what no node sends",
                   adapter.malformed);
        add_metric(out, "adapter_requests_total", "counter", "Requests to other nodes",
                   adapter.requests);
        add_metric(out, "adapter_request_seconds_total", "counter", "How long they took in all",
                   static_cast<double>(milliseconds(adapter.request_time)) / 1e3);
        add_metric(out, "adapter_requests_timed_out_total", "counter",
                   "Of these, such that some node did not answer", adapter.timed_out);
    }
    if (const gateway::EventPublisher* publisher = realtime.publisher()) {
        const auto& status = publisher->status();
        const auto lag = publisher->lag();
        add_metric(out, "publisher_active", "gauge",
                   "Whether this node gives events to Node servers' clients", lag ? 1 : 0);
        add_metric(out, "publisher_lag_seconds", "gauge",
                   "How long it has been behind the newest event",
                   static_cast<double>(milliseconds(lag.value_or(Clock::duration::zero()))) / 1e3);
        add_metric(out, "published_events_total", "counter", "Events that it gave them",
                   status.events);
        add_metric(out, "publisher_takeovers_total", "counter", "How often its turn began",
                   status.takeovers);
        add_metric(out, "publisher_retries_total", "counter", "Tries of Redis that failed",
                   status.retries);
        add_metric(out, "published_dropped_total", "counter", "Events too large for a message",
                   status.dropped);
    }
}

} // namespace

Object realtime_object(Realtime& realtime) {
    gateway::EventGateway& gateway = realtime.gateway();
    const auto counters = gateway.server().counters();
    const auto& own = gateway.counters();
    const auto& engine = counters.engine;
    return {{"connections", number(engine.connections)},
            {"sockets", number(gateway.size())},
            {"rooms", number(gateway.rooms().size())},
            {"deliveries", number(counters.deliveries + own.resumed_events)},
            {"bytesOut", number(engine.bytes_out)},
            {"queuedBytes", number(engine.queued_bytes)},
            {"ringEvents", number(gateway.ring().size())},
            {"resumed", number(own.resumed)},
            {"resumedEvents", number(own.resumed_events)},
            {"replaying", number(own.replaying)},
            {"fellBehind", number(own.fell_behind)},
            {"caughtUp", number(own.caught_up)},
            {"gaps", number(own.gaps)},
            {"dropped", Object{{"volatile", number(engine.dropped_volatile)},
                               {"slow", number(engine.closed_slow)},
                               {"silent", number(engine.closed_timeout)},
                               {"protocol", number(engine.closed_protocol)},
                               {"full", number(engine.refused_full)},
                               {"limited", number(counters.limited_events)},
                               {"unauthorized", number(own.refused_connections)},
                               {"expired", number(own.expired)},
                               {"kicked", number(own.kicked)}}},
            {"sessions", sessions_object(realtime.sessions())},
            {"cluster", realtime.cluster() ? Value(cluster_object(*realtime.cluster())) : Value()},
            {"publisher",
             realtime.publisher() ? Value(publisher_object(*realtime.publisher())) : Value()}};
}

std::string realtime_metrics(Realtime& realtime) {
    gateway::EventGateway& gateway = realtime.gateway();
    const auto counters = gateway.server().counters();
    const auto& own = gateway.counters();
    const auto& engine = counters.engine;
    std::string out;
    const auto add = [&out](std::string_view name, std::string_view type, std::string_view help,
                            std::uint64_t value) { add_metric(out, name, type, help, value); };
    add("connections", "gauge", "TCP connections of Socket.IO", engine.connections);
    add("sockets", "gauge", "Socket.IO clients that are connected", gateway.size());
    add("rooms", "gauge", "Rooms that have clients here", gateway.rooms().size());
    add("events_total", "counter", "Events of the streams that were looked at", own.events);
    add("deliveries_total", "counter", "Events that were sent to clients",
        counters.deliveries + own.resumed_events);
    add("sent_bytes_total", "counter", "Bytes that were sent", engine.bytes_out);
    add("received_bytes_total", "counter", "Bytes that came", engine.bytes_in);
    add("queued_bytes", "gauge", "Bytes that wait for clients", engine.queued_bytes);
    add("subscriptions_total", "counter", "Rooms that were entered", own.subscribed);
    add("resumed_total", "counter", "Clients that came back and have what they missed",
        own.resumed);
    add("resumed_events_total", "counter", "Events that they had missed", own.resumed_events);
    add("not_resumed_total", "counter", "Clients that came back to nothing", own.not_resumed);
    add("replaying", "gauge", "Clients that are given what they missed", own.replaying);
    add("fell_behind_total", "counter",
        "Slow readers that were put back on the streams instead of more live events",
        own.fell_behind);
    add("caught_up_total", "counter", "Those that are live again", own.caught_up);
    add("gaps_total", "counter", "Clients that were told of a gap", own.gaps);
    add("ring_events", "gauge", "Newest events in memory", gateway.ring().size());
    add("ring_bytes", "gauge", "Their size", gateway.ring().bytes());
    append_metric_head(out, "netbuild_realtime_dropped_total", "counter",
                       "Messages and clients that were dropped");
    for (const auto& [reason, count] :
         {std::pair{"volatile", engine.dropped_volatile}, std::pair{"slow", engine.closed_slow},
          std::pair{"silent", engine.closed_timeout}, std::pair{"protocol", engine.closed_protocol},
          std::pair{"full", engine.refused_full}, std::pair{"limited", counters.limited_events},
          std::pair{"unauthorized", own.refused_connections}, std::pair{"expired", own.expired},
          std::pair{"kicked", own.kicked}})
        out += fmt::format("netbuild_realtime_dropped_total{{reason=\"{}\"}} {}\n", reason, count);
    add_fleet_metrics(out, realtime);
    return out;
}

} // namespace netbuild::app
