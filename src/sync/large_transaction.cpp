// SPDX-License-Identifier: Apache-2.0
#include "large_transaction.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include <fmt/format.h>

#include "row_roles.hpp"
#include "wire/rows.hpp"

namespace netbuild::sync {
namespace {

using camunda::Table;

constexpr std::size_t block_bytes = 256 * 1024;
constexpr std::size_t write_bytes = 1024 * 1024;
constexpr std::uint64_t no_order = UINT64_MAX;
/// Rows of all pieces that wait to be written, together.
constexpr std::size_t gathered_bytes_max = 8 * 1024 * 1024;

// What a hash is of: ids of different things may be equal.
enum Space : unsigned char { of_reference = 0, of_instance = 16, of_task_alone, of_definitions };

std::uint64_t order_of(const Row& row, std::uint64_t index) {
    return static_cast<std::uint64_t>(phase_of(row)) << 56 | index;
}

} // namespace

LargeTransaction::LargeTransaction(std::unique_ptr<SpillFile> file, Retention retention,
                                   Limits limits)
    : file_(std::move(file)), retention_(retention), limits_(limits) {}

// --- which rows belong together

std::uint64_t LargeTransaction::hash_of(Reference::Kind kind, std::string_view id) {
    return hash_id(id, static_cast<unsigned char>(of_reference + static_cast<int>(kind)));
}

std::optional<std::uint64_t> LargeTransaction::group_hash_of(const Row& row) {
    if (const auto instance = instance_of(row); !instance.empty())
        return hash_id(instance, of_instance);
    if (const auto task = standalone_task_of(row); !task.empty())
        return hash_id(task, of_task_alone);
    if (row.table == Table::re_procdef || row.table == Table::ru_jobdef ||
        (row.table == Table::ge_bytearray && row.has_text(camunda::ge_bytearray::deployment_id))) {
        return hash_id({}, of_definitions);
    }
    if (reference_of(row).kind != Reference::Kind::none) return std::nullopt;
    return hash_id({}, of_instance); // a deployment, a start timer's job
}

LargeTransaction::Reference LargeTransaction::reference_of(const Row& row) {
    using Kind = Reference::Kind;
    const bool erase = row.operation == RowOperation::erase;
    switch (row.table) {
    case Table::ru_task:
        if (!erase) break;
        return {Kind::task, row.text(camunda::ru_task::id), true, true};
    case Table::hi_taskinst:
        if (!erase) break;
        return {Kind::task, row.text(camunda::hi_taskinst::id), false, true};
    case Table::hi_identitylink: {
        const bool candidate = row.text(camunda::hi_identitylink::type) == "candidate";
        return {Kind::task, row.text(camunda::hi_identitylink::task_id), candidate, candidate};
    }
    case Table::ru_variable:
        return {Kind::variable, row.text(camunda::ru_variable::id), false, false};
    case Table::ge_bytearray:
        return {Kind::bytes, row.text(camunda::ge_bytearray::id), false, false};
    case Table::ru_job:
        if (!erase) break;
        return {Kind::job, row.text(camunda::ru_job::id), true, false};
    default:
        break;
    }
    return {};
}

bool LargeTransaction::is_wanted(const Row& row) const {
    if (!is_read(row, retention_)) return false;
    if (row.table != Table::hi_identitylink) return true;
    const auto type = row.text(camunda::hi_identitylink::type);
    return !task_of(row).empty() && (type == "candidate" || type == "assignee");
}

std::uint32_t LargeTransaction::group_at(std::uint64_t hash, std::uint64_t order) {
    if (const auto known = groups_by_hash_.find(hash)) {
        groups_[*known].order = std::min(groups_[*known].order, order);
        return *known;
    }
    const auto made = static_cast<std::uint32_t>(groups_.size());
    groups_.push_back({.order = order});
    groups_by_hash_.insert(hash, made);
    return made;
}

void LargeTransaction::name_id(Reference::Kind kind, std::string_view id, std::uint32_t group) {
    if (id.empty()) return;
    const std::size_t known = group_by_id_.size();
    group_by_id_.insert(hash_of(kind, id), group);
    const bool is_new = group_by_id_.size() > known;
    if (kind == Reference::Kind::task && is_new) ++groups_[group].documents;
}

/// What rows without a process instance may be found by.
void LargeTransaction::name_ids(const Row& row, std::uint32_t group) {
    using Kind = Reference::Kind;
    name_id(Kind::task, task_of(row), group);
    switch (row.table) {
    case Table::hi_varinst:
        name_id(Kind::variable, row.text(camunda::hi_varinst::id), group);
        name_id(Kind::bytes, row.text(camunda::hi_varinst::bytearray_id), group);
        break;
    case Table::hi_detail:
        name_id(Kind::variable, row.text(camunda::hi_detail::var_inst_id), group);
        break;
    case Table::hi_job_log:
        name_id(Kind::job, row.text(camunda::hi_job_log::job_id), group);
        break;
    case Table::re_procdef:
        ++groups_[group].documents;
        break;
    default:
        break;
    }
}

void LargeTransaction::route(const Row& row, std::size_t bytes) {
    const std::uint64_t order = order_of(row, rows_);
    if (const auto hash = group_hash_of(row)) {
        // Definitions come before all that refers to them.
        const bool definition = *hash == hash_id({}, of_definitions);
        const std::uint32_t group = group_at(*hash, definition ? 0 : order);
        groups_[group].bytes += bytes;
        name_ids(row, group);
        return;
    }
    const Reference reference = reference_of(row);
    references_.push_back({hash_of(reference.kind, reference.id),
                           reference.in_order ? order : no_order, static_cast<std::uint32_t>(bytes),
                           reference.kind, reference.ask_store});
}

// --- taking rows

void LargeTransaction::close_block() {
    if (unwritten_.size() == block_begin_) return;
    unwritten_blocks_.push_back(unwritten_.size() - block_begin_);
    block_begin_ = unwritten_.size();
}

result<void> LargeTransaction::take(const Transaction& part) {
    position_ = part.position;
    committed_at_us_ = part.committed_at_us;
    xid_ = part.xid;
    for (std::size_t i = 0; i < part.size(); ++i) {
        const Row row = part.row(i);
        ++rows_;
        if (!is_wanted(row)) continue;
        const std::size_t before = unwritten_.size();
        append_row(unwritten_, row);
        route(row, unwritten_.size() - before + row.cells.size() * sizeof(Cell));
        if (unwritten_.size() - block_begin_ >= block_bytes) close_block();
    }
    close_block();
    if (group_by_id_.size() + groups_.size() > limits_.ids_max ||
        references_.size() > limits_.ids_max) {
        return fail(ErrorCode::payload_too_large,
                    fmt::format("transaction {} names more than {} ids", xid_, limits_.ids_max));
    }
    return {};
}

awaitable<result<void>> LargeTransaction::flush() {
    if (unwritten_.empty()) co_return result<void>{};
    CO_TRY_VOID(co_await file_->append(unwritten_));
    for (const std::size_t size : unwritten_blocks_) {
        blocks_.push_back({file_bytes_, size});
        file_bytes_ += size;
    }
    unwritten_ = {};
    unwritten_blocks_.clear();
    block_begin_ = 0;
    co_return result<void>{};
}

// --- the pieces

awaitable<result<std::vector<std::string>>> LargeTransaction::orphaned_tasks() {
    const auto unknown = [this](std::uint64_t hash) { return !group_by_id_.find(hash); };
    const bool any =
        std::any_of(references_.begin(), references_.end(),
                    [&](const OpenReference& one) { return one.ask_store && unknown(one.hash); });
    std::unordered_set<std::string> found;
    while (any && found.empty() && next_block_ < blocks_.size()) {
        CO_TRY(const std::string block,
               co_await file_->read(blocks_[next_block_].offset, blocks_[next_block_].size));
        RowReader reader(block);
        while (true) {
            CO_TRY(const auto row, reader.next());
            if (!row) break;
            if (group_hash_of(*row)) continue;
            const Reference reference = reference_of(*row);
            if (reference.ask_store && unknown(hash_of(reference.kind, reference.id)))
                found.emplace(reference.id);
        }
        ++next_block_;
    }
    if (found.empty()) next_block_ = 0;
    co_return std::vector<std::string>(found.begin(), found.end());
}

void LargeTransaction::set_owner(std::string_view task, std::string_view instance) {
    const std::uint64_t hash =
        instance.empty() ? hash_id(task, of_task_alone) : hash_id(instance, of_instance);
    name_id(Reference::Kind::task, task, group_at(hash, no_order));
}

result<void> LargeTransaction::arrange() {
    for (const OpenReference& reference : references_) {
        const auto group = group_by_id_.find(reference.hash);
        if (!group) continue;
        groups_[*group].order = std::min(groups_[*group].order, reference.order);
        groups_[*group].bytes += reference.bytes;
    }
    references_ = {};
    std::vector<std::uint32_t> order(groups_.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [this](std::uint32_t left, std::uint32_t right) {
        return std::pair(groups_[left].order, left) < std::pair(groups_[right].order, right);
    });
    std::uint64_t bytes = 0;
    std::size_t documents = 0;
    for (const std::uint32_t index : order) {
        Group& group = groups_[index];
        if (pieces_.empty() || bytes + group.bytes > limits_.piece_bytes_max ||
            documents + group.documents > limits_.piece_documents_max) {
            pieces_.emplace_back();
            bytes = documents = 0;
        }
        bytes += group.bytes;
        documents += group.documents;
        group.piece = static_cast<std::uint32_t>(pieces_.size() - 1);
    }
    piece_buffer_bytes_ = std::clamp<std::size_t>(
        gathered_bytes_max / std::max<std::size_t>(1, pieces_.size()), 1024, 64 * 1024);
    return {};
}

std::optional<std::uint32_t> LargeTransaction::piece_of(const Row& row) const {
    std::optional<std::uint32_t> group;
    if (const auto hash = group_hash_of(row)) {
        group = groups_by_hash_.find(*hash);
    } else {
        const Reference reference = reference_of(row);
        group = group_by_id_.find(hash_of(reference.kind, reference.id));
    }
    return group ? std::optional(groups_[*group].piece) : std::nullopt;
}

result<void> LargeTransaction::share(std::string_view block) {
    RowReader reader(block);
    while (true) {
        TRY(const auto row, reader.next());
        if (!row) return {};
        const auto piece = piece_of(*row);
        if (piece) {
            std::string& gathered = pieces_[*piece].gathered;
            const bool was_full = gathered.size() >= piece_buffer_bytes_;
            append_row(gathered, *row);
            if (!was_full && gathered.size() >= piece_buffer_bytes_) full_pieces_.push_back(*piece);
        } else if (row->table == Table::ru_job) {
            erased_jobs_.add(erased_job_ids_.keep(row->text(camunda::ru_job::id)));
            if (erased_job_ids_.bytes() > limits_.unlogged_jobs_bytes_max) {
                return fail(
                    ErrorCode::payload_too_large,
                    fmt::format("transaction {} deletes too many jobs without a log", xid_));
            }
        } // else what it belongs to is not in the transaction: nothing asks for it
    }
}

awaitable<result<void>> LargeTransaction::write_gathered() {
    std::string bytes;
    for (const std::uint32_t index : full_pieces_)
        bytes += pieces_[index].gathered;
    CO_TRY_VOID(co_await file_->append(bytes));
    for (const std::uint32_t index : full_pieces_) {
        Piece& piece = pieces_[index];
        piece.segments.push_back({file_bytes_, piece.gathered.size()});
        file_bytes_ += piece.gathered.size();
        piece.gathered = {};
    }
    full_pieces_.clear();
    co_return result<void>{};
}

awaitable<result<bool>> LargeTransaction::share_out() {
    if (!full_pieces_.empty()) {
        CO_TRY_VOID(co_await write_gathered());
        co_return false;
    }
    if (next_block_ < blocks_.size()) {
        CO_TRY(const std::string block,
               co_await file_->read(blocks_[next_block_].offset, blocks_[next_block_].size));
        CO_TRY_VOID(share(block));
        ++next_block_;
        co_return false;
    }
    std::size_t bytes = 0;
    for (std::uint32_t index = 0; index < pieces_.size() && bytes < write_bytes; ++index) {
        if (pieces_[index].gathered.empty()) continue;
        full_pieces_.push_back(index);
        bytes += pieces_[index].gathered.size();
    }
    if (!full_pieces_.empty()) co_return false;
    erased_jobs_.seal();
    co_return true;
}

awaitable<result<Transaction>> LargeTransaction::piece(std::size_t index) {
    Transaction rows;
    rows.position = position_;
    rows.committed_at_us = committed_at_us_;
    rows.xid = xid_;
    rows.extent = index + 1 == pieces_.size() ? Extent::last : Extent::part;
    for (const Segment& segment : pieces_[index].segments) {
        CO_TRY(const std::string bytes, co_await file_->read(segment.offset, segment.size));
        RowReader reader(bytes);
        while (true) {
            CO_TRY(const auto row, reader.next());
            if (!row) break;
            rows.add(row->table, row->operation, row->cells);
        }
    }
    co_return rows;
}

} // namespace netbuild::sync
