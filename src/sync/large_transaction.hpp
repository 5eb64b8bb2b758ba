// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "id_index.hpp"
#include "model/transaction.hpp"
#include "ports/spill.hpp"
#include "sync/options.hpp"
#include "sync/projector.hpp"

namespace netbuild::sync {

/// A transaction whose rows do not fit into memory (docs/adr/0005-large-transactions.md). Rows are
/// taken as they come and lie in a spill file; when the transaction has committed they are written
/// once more, shared out into pieces: each holds all rows of its process instances, in their order,
/// and fits into memory. Pieces follow the order in which the projection of the whole would come to
/// the instances, so pieces projected one after the other give the same documents and the same
/// events at the same ordinals, whatever the limits.
///
/// Whatever waits for the disk may fail and be called again: nothing is done twice.
class LargeTransaction {
public:
    struct Limits {
        /// Rows of one piece; more only where one process instance has more.
        std::size_t piece_bytes_max = 4 * 1024 * 1024;
        /// Documents that a piece reads or changes.
        std::size_t piece_documents_max = 512;
        /// Ids by which rows find their process instance, about 24 bytes each.
        std::size_t ids_max = 16'000'000;
        /// Ids of deleted jobs of which no row says whose they were.
        std::size_t unlogged_jobs_bytes_max = 64 * 1024 * 1024;
    };
    LargeTransaction(std::unique_ptr<SpillFile> file, Retention retention, Limits limits);

    /// The rows of a part or of the last one; to be written by flush(). payload_too_large.
    [[nodiscard]] result<void> take(const Transaction& part);
    awaitable<result<void>> flush();

    /// After the last part. Tasks that rows name and of which no row says whose they are: at most
    /// a block's; empty when there are none left. The answer goes to set_owner().
    awaitable<result<std::vector<std::string>>> orphaned_tasks();
    /// `instance` empty: a task without one, or an unknown one.
    void set_owner(std::string_view task, std::string_view instance);

    /// Makes the pieces; then share_out() until it says that all is shared out.
    [[nodiscard]] result<void> arrange();
    awaitable<result<bool>> share_out();

    [[nodiscard]] std::size_t pieces() const noexcept { return pieces_.size(); }
    /// A piece as a transaction, with the whole's Position and commit time; Extent::last is the
    /// last one.
    awaitable<result<Transaction>> piece(std::size_t index);
    /// For the projection of each piece.
    [[nodiscard]] const ErasedJobs& erased_jobs() const noexcept { return erased_jobs_; }

    [[nodiscard]] Position position() const noexcept { return position_; }
    [[nodiscard]] std::int64_t committed_at_us() const noexcept { return committed_at_us_; }
    [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return file_bytes_; }

private:
    /// A process instance, a task without one, or all that belongs to none.
    struct Group {
        std::uint64_t order; // phase and row, of the first row that names it
        std::uint64_t bytes = 0;
        std::uint32_t documents = 2;
        std::uint32_t piece = 0;
    };
    /// What a row that names no process instance is found by.
    struct Reference {
        enum class Kind : unsigned char { none, task, variable, bytes, job };
        Kind kind = Kind::none;
        std::string_view id;
        /// The projection comes to the instance by it.
        bool in_order = false;
        /// Its task's document may say whose it is, if no row does.
        bool ask_store = false;
    };
    struct OpenReference {
        std::uint64_t hash;
        std::uint64_t order; // UINT64_MAX: not in order
        std::uint32_t bytes;
        Reference::Kind kind;
        bool ask_store;
    };
    struct Segment {
        std::uint64_t offset;
        std::size_t size;
    };
    struct Piece {
        std::string gathered;
        std::vector<Segment> segments;
    };

    [[nodiscard]] static Reference reference_of(const Row& row);
    [[nodiscard]] static std::uint64_t hash_of(Reference::Kind kind, std::string_view id);
    /// Of the group that a row says it belongs to; nullopt: to be found by reference_of().
    [[nodiscard]] static std::optional<std::uint64_t> group_hash_of(const Row& row);
    [[nodiscard]] bool is_wanted(const Row& row) const;
    void close_block();
    std::uint32_t group_at(std::uint64_t hash, std::uint64_t order);
    void name_id(Reference::Kind kind, std::string_view id, std::uint32_t group);
    void route(const Row& row, std::size_t bytes);
    void name_ids(const Row& row, std::uint32_t group);
    [[nodiscard]] std::optional<std::uint32_t> piece_of(const Row& row) const;
    result<void> share(std::string_view block);
    awaitable<result<void>> write_gathered();

    std::unique_ptr<SpillFile> file_;
    const Retention retention_;
    const Limits limits_;
    Position position_;
    std::int64_t committed_at_us_ = 0;
    std::uint32_t xid_ = 0;
    std::uint64_t rows_ = 0, file_bytes_ = 0;

    std::string unwritten_;
    std::vector<std::size_t> unwritten_blocks_; // their sizes
    std::size_t block_begin_ = 0;               // in unwritten_
    std::vector<Segment> blocks_;
    std::size_t next_block_ = 0;

    IdIndex groups_by_hash_;
    std::vector<Group> groups_;
    IdIndex group_by_id_;
    std::vector<OpenReference> references_;

    std::vector<Piece> pieces_;
    std::size_t piece_buffer_bytes_ = 0;
    std::vector<std::uint32_t> full_pieces_;
    TextArena erased_job_ids_;
    ErasedJobs erased_jobs_;
};

} // namespace netbuild::sync
