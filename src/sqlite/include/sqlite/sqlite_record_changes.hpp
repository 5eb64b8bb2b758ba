// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/record_changes.hpp"

namespace netbuild {

/// The log that SqliteRecords writes with each commit, read by a connection of its own.
class SqliteRecordChanges final : public RecordChanges {
public:
    struct Options {
        std::string path;
        std::span<const RecordEvents> events;
        /// How often a waiting next() looks: another process may have written.
        Clock::duration poll_interval = std::chrono::milliseconds(50);
        int busy_timeout_ms = 5000;
        /// Confirmed changes that stay, to fill the event stream of one process again at its start.
        std::int64_t kept_max = 10'000;
    };
    SqliteRecordChanges(Options options, Clock& clock);
    ~SqliteRecordChanges() override;

    awaitable<result<void>> open(Position published) override;
    awaitable<result<RecordChangeBatch>> next(Clock::duration wait) override;
    awaitable<result<void>> confirm() override;

private:
    class Impl;
    Clock& clock_;
    Clock::duration poll_interval_;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
