// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>

namespace netbuild::mongo {

/// How many writes go out as one bulk. One that is not answered in time halves it, and it grows
/// again with those that are: the same too large bulk, tried again for ever, would stop everything
/// on a server that is slow for a while. Any thread.
class BulkSize {
public:
    static constexpr std::size_t least = 16;
    static constexpr std::size_t most = 100'000; // libmongoc's own limit of a message

    [[nodiscard]] std::size_t now() const noexcept { return now_.load(); }
    /// A bulk of so many. (What another thread sets meanwhile is as good as what this one does.)
    void answered(std::size_t writes) noexcept {
        if (writes >= now()) now_.store(std::min(now() * 2, most));
    }
    void unanswered(std::size_t writes) noexcept {
        if (writes <= now()) now_.store(std::max(writes / 2, least));
    }

private:
    std::atomic<std::size_t> now_{most};
};

} // namespace netbuild::mongo
