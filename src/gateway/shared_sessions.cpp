// SPDX-License-Identifier: Apache-2.0
#include "gateway/shared_sessions.hpp"

#include <algorithm>
#include <utility>

#include "runtime/signal.hpp"
#include "telemetry/log.hpp"
#include "wire/json.hpp"

namespace netbuild::gateway {
namespace {

result<std::optional<Session>> session_in(const std::optional<ClusterBus::Versioned>& found) {
    if (!found || found->value.empty()) return std::optional<Session>();
    TRY(const Value value, parse_json(found->value));
    TRY(Session session, session_of(value));
    session.generation = static_cast<std::int64_t>(found->generation);
    return std::optional(std::move(session));
}

std::uint64_t generation_of(const Session& session) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(1, session.generation));
}

} // namespace

struct SharedSessions::Here {
    Here(const asio::any_io_executor& executor, Clock& clock, MemorySessions::Options options)
        : sessions(clock, options), answered(executor) {}

    void unreachable(const Error& error) {
        if (!std::exchange(away, true))
            log::warning("sessions stay in this node's memory for now: {}", error.message());
    }
    void reachable() {
        if (std::exchange(away, false)) log::info("sessions are shared again");
    }

    MemorySessions sessions;
    SessionCounters counters;
    bool away = false;
    std::size_t under_way = 0;
    Signal answered;
};

SharedSessions::SharedSessions(const asio::any_io_executor& executor, Clock& clock, ClusterBus& bus,
                               Options options)
    : clock_(clock),
      bus_(bus),
      options_(std::move(options)),
      here_(std::make_shared<Here>(
          executor, clock,
          MemorySessions::Options{.keep = options_.keep, .sessions_max = options_.sessions_max})) {}

void SharedSessions::put(Session session, std::shared_ptr<bool> answered) {
    const std::uint64_t generation = generation_of(session);
    std::string key = options_.prefix + session.pid;
    std::string text = to_json(to_value(session));
    ++here_->under_way;
    bus_.keep(std::move(key), {generation, std::move(text)}, options_.keep,
              [here = here_, session = std::move(session),
               answered = std::move(answered)](const result<bool>& kept) mutable {
                  if (!kept) {
                      here->unreachable(kept.error());
                      ++here->counters.kept_here;
                      here->sessions.keep(std::move(session));
                  } else {
                      here->reachable();
                      here->sessions.forget(session);
                      ++(*kept ? here->counters.stored : here->counters.late);
                  }
                  if (answered) *answered = true;
                  --here->under_way;
                  here->answered.notify_all();
              });
}

void SharedSessions::keep(Session session) { put(std::move(session), nullptr); }

awaitable<result<void>> SharedSessions::store(Session session) {
    const auto answered = std::make_shared<bool>(false);
    const Deadline deadline(clock_, options_.wait);
    put(std::move(session), answered);
    // One that stays silent is found out by the bus, and the session is kept here then.
    while (!*answered && !deadline.passed(clock_))
        CO_TRY_VOID(co_await here_->answered.wait_for(clock_, deadline.left(clock_)));
    co_return result<void>{};
}

awaitable<void> SharedSessions::settled() {
    const Deadline deadline(clock_, options_.wait);
    while (here_->under_way > 0 && !deadline.passed(clock_))
        if (!co_await here_->answered.wait_for(clock_, deadline.left(clock_))) co_return;
}

awaitable<result<std::optional<Session>>> SharedSessions::find(std::string pid) {
    auto here = co_await here_->sessions.find(pid);
    const auto read = co_await bus_.read(options_.prefix + pid);
    if (!read && read.error().error_class() == ErrorClass::cancelled) co_return read.error();
    if (!read) {
        here_->unreachable(read.error());
        ++here_->counters.looked_here;
        co_return here;
    }
    here_->reachable();
    CO_TRY(auto stored, session_in(*read));
    // Of the same generation the one here is newer: the bus was away when it was kept.
    const bool newer = here && *here && (!*read || generation_of(**here) >= (*read)->generation);
    co_return newer ? std::move(*here) : std::move(stored);
}

awaitable<result<Session>> SharedSessions::take_up(Session session) {
    ++here_->counters.taken_up;
    const std::int64_t had = session.generation;
    ++session.generation;
    const auto raised = co_await bus_.raise(options_.prefix + session.pid, options_.keep);
    if (!raised && raised.error().error_class() == ErrorClass::cancelled) co_return raised.error();
    if (!raised) here_->unreachable(raised.error());
    if (!raised || !*raised) co_return session;
    CO_TRY(auto stored, session_in(*raised));
    if (stored->generation > had + 1) co_return std::move(*stored);
    co_return session;
}

void SharedSessions::forget(const Session& session) {
    here_->sessions.forget(session);
    // An empty one stays: what a node still writes that had the client before is late.
    bus_.keep(options_.prefix + session.pid, {generation_of(session), {}}, options_.keep,
              [here = here_](const result<bool>& kept) {
                  if (!kept) here->unreachable(kept.error());
              });
}

std::size_t SharedSessions::size() const { return here_->sessions.size(); }
SessionCounters SharedSessions::counters() const { return here_->counters; }

} // namespace netbuild::gateway
