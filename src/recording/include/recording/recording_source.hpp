// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ports/change_source.hpp"

namespace netbuild {

/// Replays a recording (docs/formats/recording.md) through the decoder of the live stream: the same
/// transactions at the same LSNs, as fast as they are read, then `end`.
class RecordingSource final : public ChangeSource {
public:
    struct Options {
        std::string path;
        std::size_t batch_transactions_max = 256;
        /// A transaction of more row changes comes in parts; 0: never.
        std::size_t transaction_memory_max = 0;
        std::size_t batch_bytes_max = 1024 * 1024;
    };

    explicit RecordingSource(Options options);
    ~RecordingSource() override;

    /// Kind "recording" and the recorded server's identity. not_found, corrupt, unsupported.
    awaitable<result<SourceIdentity>> identify() override;
    /// The end of the last whole transaction in the file.
    awaitable<result<Lsn>> end_of_history() override;
    /// Never has a snapshot: a recording begins with an empty engine.
    awaitable<result<std::unique_ptr<EngineSnapshot>>> open(SourceStart start) override;
    /// `end` with the last transaction. A cut file ends with its last whole transaction.
    awaitable<result<ChangeBatch>> next() override;
    void confirm(Position durable) override;
    awaitable<void> close() override;
    awaitable<result<std::unique_ptr<EngineSnapshot>>> snapshot(SnapshotTaken taken) override;

    /// Once next() has said `end`: the offset at which the file was cut, if it was not ended.
    [[nodiscard]] std::optional<std::uint64_t> cut_at() const noexcept;

private:
    class Replay;
    std::unique_ptr<Replay> replay_;
};

} // namespace netbuild
