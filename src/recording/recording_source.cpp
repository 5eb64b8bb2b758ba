// SPDX-License-Identifier: Apache-2.0
#include "recording/recording_source.hpp"

#include <utility>

#include "recording_file.hpp"
#include "wire/pgoutput.hpp"

namespace netbuild {

using recording::RecordingFile;

class RecordingSource::Replay {
public:
    explicit Replay(Options options) : options_(std::move(options)) {}

    result<SourceIdentity> identify() {
        TRY(const RecordingFile file, RecordingFile::open(options_.path));
        return SourceIdentity{"recording", file.header().system_identifier, file.header().timeline};
    }

    result<Lsn> end_of_history() {
        TRY(RecordingFile file, RecordingFile::open(options_.path));
        Lsn last = file.header().start;
        while (true) {
            TRY(const auto message, file.next());
            if (!message) return last;
            if (const auto end = recording::commit_end(message->pgoutput)) last = *end;
        }
    }

    result<void> open(SourceStart start) {
        TRY(RecordingFile file, RecordingFile::open(options_.path));
        decoder_.emplace(
            PgoutputDecoder::Options{.schema = file.header().schema,
                                     .epoch = start.epoch,
                                     .part_bytes_max = options_.transaction_memory_max});
        after_ = start.after;
        upto_ = start.after.value_or(Position::at(start.epoch, file.header().start));
        file_.emplace(std::move(file));
        return {};
    }

    result<ChangeBatch> next() {
        if (!file_) return fail(ErrorCode::invalid_argument, "the recording is not open");
        ChangeBatch batch;
        std::size_t bytes = 0;
        while (batch.transactions.size() < options_.batch_transactions_max &&
               bytes < options_.batch_bytes_max) {
            TRY(const auto message, file_->next());
            if (!message) {
                batch.end = true;
                break;
            }
            auto decoded = decoder_->decode(message->pgoutput);
            if (!decoded) return std::move(decoded).error().within(options_.path);
            if (!*decoded) continue;
            Transaction& transaction = **decoded;
            const bool part = transaction.extent == Extent::part;
            // A part has the commit record's begin: before the last one's end is that one.
            if (after_ && (part ? transaction.position.number < after_->number
                                : transaction.position <= *after_))
                continue;
            if (!part) upto_ = std::max(upto_, transaction.position);
            if (transaction.extent == Extent::whole && transaction.empty()) continue;
            bytes += transaction.bytes();
            batch.transactions.push_back(std::move(transaction));
        }
        batch.upto = upto_;
        return batch;
    }

    void close() { file_.reset(); }
    [[nodiscard]] std::optional<std::uint64_t> cut_at() const noexcept {
        return file_ ? file_->cut_at() : std::nullopt;
    }

private:
    Options options_;
    std::optional<RecordingFile> file_;
    std::optional<PgoutputDecoder> decoder_;
    std::optional<Position> after_;
    Position upto_;
};

RecordingSource::RecordingSource(Options options)
    : replay_(std::make_unique<Replay>(std::move(options))) {}
RecordingSource::~RecordingSource() = default;

awaitable<result<SourceIdentity>> RecordingSource::identify() { co_return replay_->identify(); }
awaitable<result<Lsn>> RecordingSource::end_of_history() { co_return replay_->end_of_history(); }
awaitable<result<std::unique_ptr<EngineSnapshot>>> RecordingSource::open(SourceStart start) {
    CO_TRY_VOID(replay_->open(start));
    co_return std::unique_ptr<EngineSnapshot>();
}
awaitable<result<ChangeBatch>> RecordingSource::next() { co_return replay_->next(); }
void RecordingSource::confirm(Position) {} // a file comes again as often as it is opened
awaitable<void> RecordingSource::close() {
    replay_->close();
    co_return;
}
awaitable<result<std::unique_ptr<EngineSnapshot>>> RecordingSource::snapshot(SnapshotTaken) {
    co_return std::unique_ptr<EngineSnapshot>();
}
std::optional<std::uint64_t> RecordingSource::cut_at() const noexcept { return replay_->cut_at(); }

} // namespace netbuild
