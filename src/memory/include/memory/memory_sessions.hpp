// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <unordered_map>

#include "ports/session_store.hpp"

namespace netbuild {

/// Sessions of one process, which end with it. An id that was given up is never given out again, so
/// nothing is kept of it. Use from one executor only.
class MemorySessions final : public SessionStore {
public:
    struct Options {
        SessionTimeouts timeouts;
        /// One more is out_of_memory.
        std::size_t sessions_max = 100'000;
    };
    MemorySessions(Clock& clock, Options options) : clock_(clock), options_(options) {}

private:
    struct Kept {
        std::string user;
        Object data;
        /// The order in which a user's sessions began; a rotation keeps it.
        std::uint64_t number = 0;
        /// Of the monotonic clock: nobody's setting of the time ends or revives a session.
        Clock::duration created{}, expires{}, ends{};
    };
    using ByHandle = std::unordered_map<std::string, Kept>;

    awaitable<result<NewSession>> insert(std::string user, Object data) override;
    awaitable<result<Session>> get(std::string id) override;
    awaitable<result<void>> extend(std::string id) override;
    awaitable<result<Session>> apply(std::string id, SessionChange change) override;
    awaitable<result<NewSession>> move(std::string id, std::string user) override;
    awaitable<result<bool>> end(std::string id_or_handle) override;
    awaitable<result<std::uint64_t>> end_all(std::string user) override;
    awaitable<result<std::vector<Session>>> of_user(std::string user) override;

    /// not_found.
    result<ByHandle::iterator> find(std::string_view id);
    void touch(Kept& kept) const;
    void add(const std::string& handle, Kept kept);
    void remove(ByHandle::iterator session);
    void remove_expired();
    [[nodiscard]] Session shown(const std::string& handle, const Kept& kept) const;
    [[nodiscard]] std::vector<std::string> handles_of(const std::string& user) const;

    Clock& clock_;
    Options options_;
    std::uint64_t count_ = 0;
    ByHandle sessions_;
    std::map<std::pair<std::string, std::uint64_t>, std::string> by_user_; // → handle
};

} // namespace netbuild
