// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/position.hpp"
#include "base/result.hpp"
#include "wire/recording.hpp"

namespace netbuild {

/// Writes a recording: to PATH.part, which a killed recorder leaves behind readable up to its last
/// whole transaction, and finish() turns into PATH. Blocks on the disk.
class RecordingWriter {
public:
    enum class IfExists : unsigned char { refuse, replace };

    /// conflict: PATH or PATH.part is there (`refuse`); invalid_argument: it cannot be made.
    static result<std::unique_ptr<RecordingWriter>>
    create(std::string path, const RecordingHeader& header, IfExists if_exists = IfExists::refuse);
    /// Without finish() the file stays PATH.part.
    ~RecordingWriter();
    RecordingWriter(const RecordingWriter&) = delete;
    RecordingWriter& operator=(const RecordingWriter&) = delete;

    /// Every pgoutput message of the slot in order, relations included, each with the WAL end that
    /// came with it.
    result<void> on_message(std::string_view pgoutput, Lsn wal_end);
    /// Hands all that came so far to the operating system; call it when the stream is idle.
    result<void> flush();
    /// Ends the recording: end frame, fsync, rename, fsync of the folder. Nothing may follow.
    result<void> finish();

    [[nodiscard]] const RecordingEnd& counts() const noexcept { return encoder_.counts(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    RecordingWriter(std::string path, int descriptor, const RecordingHeader& header);
    result<void> write_out();

    std::string path_;
    int descriptor_;
    RecordingEncoder encoder_;
    std::uint64_t bytes_ = 0;
};

} // namespace netbuild
