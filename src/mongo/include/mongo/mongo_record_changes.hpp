// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "ports/record_changes.hpp"

namespace netbuild {

/// A change stream of the whole database (MongoDB 4.2 and later, replica set): inserts, updates and
/// replacements by whatever program. The place is a resume token in `sync_checkpoints`; one that
/// the server does not take any more is a gap.
class MongoRecordChanges final : public RecordChanges {
public:
    struct Options {
        /// As MongoRecords'.
        std::string uri;
        std::span<const RecordEvents> events;
        Clock::duration socket_timeout = std::chrono::seconds(45);
        Clock::duration server_selection_timeout = std::chrono::seconds(3);
        /// One wait on the server: also how long an end of the process may take.
        Clock::duration await_max = std::chrono::milliseconds(500);
        /// A silent stream's token is stored this often: the oplog goes on without it.
        Clock::duration idle_store_interval = std::chrono::seconds(10);
    };
    MongoRecordChanges(Options options, Clock& clock);
    ~MongoRecordChanges() override;

    awaitable<result<void>> open(Position published) override;
    awaitable<result<RecordChangeBatch>> next(Clock::duration wait) override;
    awaitable<result<void>> confirm() override;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
