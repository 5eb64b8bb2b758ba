// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "feed/place.hpp"
#include "model/value.hpp"
#include "runtime/clock.hpp"

namespace netbuild::gateway {

/// A room that a client is in.
struct RoomState {
    /// Events of these domains belong to it; "*": of any.
    std::vector<std::string> domains;
    /// Only what came after it was asked for.
    feed::Place since;
};

/// What a client comes back to, whichever node it comes to.
struct Session {
    std::string sid, pid;
    /// Whose it is: nobody else resumes it.
    std::string subject;
    std::map<std::string, RoomState, std::less<>> rooms;
    /// Of who has had no event yet.
    feed::Place start;
    /// When it left: the last event that it was sent, and how far the node was. Who had that event
    /// missed nothing before the latter.
    struct Left {
        feed::Place sent, place;
    };
    std::optional<Left> left;
    /// Rises with each node that takes it up: what an earlier one writes is late.
    std::int64_t generation = 1;
};
[[nodiscard]] Value to_value(const Session& session);
/// corrupt.
[[nodiscard]] result<Session> session_of(const Value& value);

struct SessionCounters {
    std::uint64_t stored = 0, taken_up = 0;
    /// What an earlier node wrote, after a later one had the client.
    std::uint64_t late = 0;
    /// The shared store was away: kept by, and looked for in, this node alone.
    std::uint64_t kept_here = 0, looked_here = 0;
};

/// Where sessions wait for their clients.
class SessionStore {
public:
    virtual ~SessionStore() = default;
    /// Other nodes see it: then a session is stored as soon as it changes.
    [[nodiscard]] virtual bool shared() const = 0;
    /// Never waits.
    virtual void keep(Session session) = 0;
    /// Is kept when it returns.
    virtual awaitable<result<void>> store(Session session) = 0;
    virtual awaitable<result<std::optional<Session>>> find(std::string pid) = 0;
    /// For a client that is back: the session, or a later one that was stored meanwhile, of a
    /// generation past all that were stored.
    virtual awaitable<result<Session>> take_up(Session session) = 0;
    /// Of a client that will not come back; what a later node has stays.
    virtual void forget(const Session& session) = 0;
    /// Waits until what was to be kept is, or cannot be.
    virtual awaitable<void> settled() { co_return; }
    /// Called now and then: what nobody came back to in time goes.
    virtual void tidy() {}
    /// In the memory of this process.
    [[nodiscard]] virtual std::size_t size() const = 0;
    [[nodiscard]] virtual SessionCounters counters() const { return {}; }
};

/// Of this process.
class MemorySessions final : public SessionStore {
public:
    struct Options {
        Clock::duration keep = std::chrono::minutes(2);
        std::size_t sessions_max = 100'000;
    };
    MemorySessions(Clock& clock, Options options) : clock_(clock), options_(options) {}

    [[nodiscard]] bool shared() const override { return false; }
    void keep(Session session) override;
    awaitable<result<void>> store(Session session) override;
    awaitable<result<std::optional<Session>>> find(std::string pid) override;
    awaitable<result<Session>> take_up(Session session) override;
    void forget(const Session& session) override { erase(session.pid); }
    void erase(const std::string& pid);
    void tidy() override { drop_old(); }
    [[nodiscard]] std::size_t size() const override { return sessions_.size(); }

private:
    struct Kept {
        Session session;
        Clock::duration until;
        std::uint64_t order;
    };
    void drop_old();

    Clock& clock_;
    Options options_;
    std::map<std::string, Kept, std::less<>> sessions_;
    std::map<std::uint64_t, std::string> order_; // oldest first
    std::uint64_t next_order_ = 0;
};

} // namespace netbuild::gateway
