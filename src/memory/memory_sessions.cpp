// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_sessions.hpp"

#include <algorithm>

#include "base/shrink.hpp"

namespace netbuild {
namespace {

Error none() { return fail(ErrorCode::not_found, "session"); }

} // namespace

result<MemorySessions::ByHandle::iterator> MemorySessions::find(std::string_view id) {
    if (!is_session_id(id)) return none();
    const auto found = sessions_.find(session_handle(id));
    if (found == sessions_.end()) return none();
    const Clock::duration now = clock_.monotonic();
    if (now < found->second.expires && now < found->second.ends) return found;
    remove(found);
    return none();
}

void MemorySessions::touch(Kept& kept) const {
    kept.expires = std::min(clock_.monotonic() + options_.timeouts.idle, kept.ends);
}

void MemorySessions::add(const std::string& handle, Kept kept) {
    if (!kept.user.empty()) by_user_.emplace(std::pair{kept.user, kept.number}, handle);
    sessions_.emplace(handle, std::move(kept));
}

void MemorySessions::remove(ByHandle::iterator session) {
    by_user_.erase({session->second.user, session->second.number});
    sessions_.erase(session);
    shrink(sessions_);
}

void MemorySessions::remove_expired() {
    const Clock::duration now = clock_.monotonic();
    std::vector<std::string> ended;
    for (const auto& [handle, kept] : sessions_) {
        if (now >= kept.expires) ended.push_back(handle);
    }
    for (const std::string& handle : ended)
        remove(sessions_.find(handle));
}

Session MemorySessions::shown(const std::string& handle, const Kept& kept) const {
    const auto date = [&](Clock::duration moment) {
        const auto from_now =
            std::chrono::duration_cast<std::chrono::milliseconds>(moment - clock_.monotonic());
        return Date{clock_.utc_us() / 1000 + from_now.count()};
    };
    return {handle, kept.user, kept.data, date(kept.created), date(kept.expires), date(kept.ends)};
}

std::vector<std::string> MemorySessions::handles_of(const std::string& user) const {
    std::vector<std::string> handles;
    for (auto at = by_user_.lower_bound({user, 0}); at != by_user_.end() && at->first.first == user;
         ++at)
        handles.push_back(at->second);
    return handles;
}

awaitable<result<NewSession>> MemorySessions::insert(std::string user, Object data) {
    if (sessions_.size() >= options_.sessions_max) remove_expired();
    if (sessions_.size() >= options_.sessions_max)
        co_return fail(ErrorCode::out_of_memory, "sessions of this process");
    NewSession made{new_session_id(), {}};
    const std::string handle = session_handle(made.id);
    Kept kept;
    kept.user = std::move(user);
    kept.data = std::move(data);
    kept.number = ++count_;
    kept.created = clock_.monotonic();
    kept.ends = kept.created + options_.timeouts.absolute;
    touch(kept);
    made.session = shown(handle, kept);
    const std::string owner = kept.user;
    add(handle, std::move(kept));
    if (owner.empty()) co_return made;
    const auto all = handles_of(owner);
    for (std::size_t i = 0; i + sessions_of_a_user_max < all.size(); ++i) {
        remove(sessions_.find(all[i]));
        ++counters_.revoked;
    }
    co_return made;
}

awaitable<result<Session>> MemorySessions::get(std::string id) {
    CO_TRY(const auto found, find(id));
    touch(found->second);
    co_return shown(found->first, found->second);
}

awaitable<result<void>> MemorySessions::extend(std::string id) {
    CO_TRY(const auto found, find(id));
    touch(found->second);
    co_return result<void>{};
}

awaitable<result<Session>> MemorySessions::apply(std::string id, SessionChange change) {
    CO_TRY(const auto found, find(id));
    CO_TRY(found->second.data, apply_change(found->second.data, change));
    touch(found->second);
    co_return shown(found->first, found->second);
}

awaitable<result<NewSession>> MemorySessions::move(std::string id, std::string user) {
    CO_TRY(const auto found, find(id));
    Kept kept = found->second;
    CO_TRY(kept.user, signed_in(std::move(kept.user), std::move(user)));
    remove(found);
    touch(kept);
    NewSession made{new_session_id(), {}};
    const std::string handle = session_handle(made.id);
    made.session = shown(handle, kept);
    add(handle, std::move(kept));
    co_return made;
}

awaitable<result<bool>> MemorySessions::end(std::string id_or_handle) {
    const auto found = sessions_.find(
        is_session_handle(id_or_handle) ? id_or_handle : session_handle(id_or_handle));
    if (found == sessions_.end()) co_return false;
    const bool alive = clock_.monotonic() < found->second.expires;
    remove(found);
    co_return alive;
}

awaitable<result<std::uint64_t>> MemorySessions::end_all(std::string user) {
    std::uint64_t ended = 0;
    for (const std::string& handle : handles_of(user)) {
        const auto found = sessions_.find(handle);
        ended += clock_.monotonic() < found->second.expires;
        remove(found);
    }
    co_return ended;
}

awaitable<result<std::vector<Session>>> MemorySessions::of_user(std::string user) {
    std::vector<Session> listed;
    for (const std::string& handle : handles_of(user)) {
        const auto found = sessions_.find(handle);
        if (clock_.monotonic() < found->second.expires) {
            listed.push_back(shown(handle, found->second));
        } else {
            remove(found);
        }
    }
    co_return listed;
}

} // namespace netbuild
