// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
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
    static constexpr std::size_t ahead_bytes_max = 4 * 1024 * 1024;

    explicit EncodedBodies(const ApplyBatch& batch);

    /// Not worth a second thread.
    [[nodiscard]] bool small() const noexcept { return chunks_ <= 2; }

    /// On the encoder's thread; returns when all is encoded or the writer has ended.
    void encode_ahead();

    /// On the writer's thread: the next writes with their bodies (empty for an erase), valid until
    /// the next call; none at the end.
    struct Chunk {
        std::span<const DocumentWrite* const> writes;
        std::span<const std::string> bodies;
    };
    Chunk next();
    /// On the writer's thread, always: there will be no further next().
    void close();

private:
    enum State : int { untouched, taken, encoded };
    struct Slot {
        std::atomic<int> state{untouched};
        std::vector<std::string> bodies;
        std::size_t bytes = 0;
    };
    [[nodiscard]] std::span<const DocumentWrite* const> writes_of(std::size_t chunk) const;
    /// False if the other thread has it.
    bool take(std::size_t chunk);
    void encode(std::size_t chunk);
    Chunk give(std::size_t chunk);

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
};

} // namespace netbuild::sqlite
