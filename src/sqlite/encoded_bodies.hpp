// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ports/document_store.hpp"

namespace netbuild::sqlite {

/// The BSON bodies of a batch, a chunk at a time, in any order: they are written in one
/// transaction. An encoder's thread works ahead of the writer's; what it has not begun when its
/// turn comes, the writer encodes itself, and what it is at comes later. So the writer waits for
/// the other thread at the end at most.
class EncodedBodies {
public:
    static constexpr std::size_t chunk_writes_max = 32;
    /// The encoder stops when so much is encoded and not yet written.
    static constexpr std::size_t ahead_bytes_max = 1024 * 1024;
    /// Used buffers that are kept for the next chunks: their memory is in the processor's cache.
    static constexpr std::size_t spare_buffers_max = 8;

    explicit EncodedBodies(const ApplyBatch& batch);

    /// Not worth a second thread.
    [[nodiscard]] bool small() const noexcept { return chunks_ <= 2; }

    /// On the encoder's thread; returns when all is encoded or the writer has ended.
    void encode_ahead();

    /// Writes with their bodies, one after the other in `bytes`.
    struct Chunk {
        std::span<const DocumentWrite* const> writes;
        std::string_view bytes;
        std::span<const std::size_t> ends;
        /// Empty for an erase.
        [[nodiscard]] std::string_view body(std::size_t i) const {
            const std::size_t begin = i == 0 ? 0 : ends[i - 1];
            return bytes.substr(begin, ends[i] - begin);
        }
    };
    /// On the writer's thread: what is to be written next, valid until the next call; without
    /// writes at the end.
    Chunk next();
    /// On the writer's thread, always: there will be no further next().
    void close();

private:
    enum State : int { untouched, taken, encoded };
    struct Slot {
        std::atomic<int> state{untouched};
        std::string bytes;
        std::vector<std::size_t> ends;
    };
    [[nodiscard]] std::span<const DocumentWrite* const> writes_of(std::size_t chunk) const;
    /// False if the other thread has it.
    bool take(std::size_t chunk);
    void encode(std::size_t chunk);
    Chunk give(std::size_t chunk);
    std::string spare_buffer();
    void take_back(Slot& slot);

    std::vector<const DocumentWrite*> writes_;
    std::size_t chunks_;
    std::unique_ptr<Slot[]> slots_;
    // The writer's.
    std::size_t next_ = 0;
    std::optional<std::size_t> passed_over_;
    Slot* given_ = nullptr;
    // Of both.
    std::atomic<std::size_t> ahead_bytes_{0}; // encoded, not yet written
    std::atomic<bool> closed_{false};
    std::mutex mutex_; // spare_
    std::vector<std::string> spare_;
};

} // namespace netbuild::sqlite
