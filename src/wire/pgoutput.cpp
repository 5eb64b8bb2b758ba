// SPDX-License-Identifier: Apache-2.0
#include "wire/pgoutput.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace netbuild {
namespace {

constexpr std::size_t following_part_bytes = 1024 * 1024;

} // namespace

/// A transaction that asks for more is no honest one.
static constexpr std::size_t requests_max = 64;

/// Big-endian numbers and NUL-terminated strings of one message.
class PgoutputDecoder::Reader {
public:
    explicit Reader(std::string_view message) : message_(message) {}

    template <class Number>
    result<Number> number() {
        if (left() < sizeof(Number)) return corrupt("the message ends early");
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(Number); ++i) {
            value = value << 8 | static_cast<unsigned char>(message_[at_ + i]);
        }
        at_ += sizeof(Number);
        return static_cast<Number>(value);
    }
    result<std::string_view> string() {
        const std::size_t nul = message_.find('\0', at_);
        if (nul == std::string_view::npos) return corrupt("a string has no end");
        const std::string_view text = message_.substr(at_, nul - at_);
        at_ = nul + 1;
        return text;
    }
    result<std::string_view> bytes(std::uint32_t count) {
        if (left() < count) return corrupt("a value is longer than the message");
        return std::string_view(message_.substr(std::exchange(at_, at_ + count), count));
    }
    result<void> end() const {
        if (left() != 0) return corrupt("bytes follow the message");
        return {};
    }
    [[nodiscard]] Error corrupt(std::string_view what) const {
        return fail(ErrorCode::corrupt,
                    fmt::format("pgoutput message '{}': {} at byte {}",
                                message_.empty() ? ' ' : message_.front(), what, at_));
    }

private:
    [[nodiscard]] std::size_t left() const noexcept { return message_.size() - at_; }

    std::string_view message_;
    std::size_t at_ = 0;
};

result<std::optional<Transaction>> PgoutputDecoder::decode(std::string_view message) {
    ++counters_.messages;
    counters_.bytes += message.size();
    Reader in(message);
    TRY(const char kind, in.number<char>());
    switch (kind) {
    case 'B':
        TRY_VOID(begin(in));
        break;
    case 'C':
        return commit(in);
    case 'R':
        TRY_VOID(relation(in));
        break;
    case 'I':
    case 'U':
    case 'D':
        TRY_VOID(change(in, kind));
        break;
    case 'T':
        TRY_VOID(truncate(in));
        break;
    case 'M':
        TRY_VOID(logical_message(in));
        break;
    case 'Y': // a type's name: values come as text whatever their type
    case 'O': // the origin of a replicated transaction
        return std::optional<Transaction>();
    default:
        return in.corrupt("an unknown kind of message");
    }
    TRY_VOID(in.end());
    if (part_is_due()) return std::optional(take_part());
    return std::optional<Transaction>();
}

bool PgoutputDecoder::part_is_due() const noexcept {
    if (!open_ || options_.part_bytes_max == 0) return false;
    // Once a transaction is known to be large nothing is gained by gathering much of it.
    return open_->bytes() > (parted_ ? std::min(following_part_bytes, options_.part_bytes_max)
                                     : options_.part_bytes_max);
}

Transaction PgoutputDecoder::take_part() {
    Transaction rest;
    rest.position = open_->position;
    rest.committed_at_us = open_->committed_at_us;
    rest.xid = open_->xid;
    Transaction part = std::exchange(*open_, std::move(rest));
    part.extent = Extent::part;
    parted_ = true;
    return part;
}

result<void> PgoutputDecoder::begin(Reader& in) {
    if (open_) return in.corrupt("Begin inside a transaction");
    TRY(const auto commit_lsn, in.number<std::uint64_t>()); // Commit brings the record's end
    TRY(const auto committed_at, in.number<std::int64_t>());
    TRY(const auto xid, in.number<std::uint32_t>());
    open_.emplace();
    parted_ = false;
    open_->position = Position::at(options_.epoch, Lsn{commit_lsn & Position::lsn_mask});
    open_->committed_at_us = committed_at + postgres_epoch_us;
    open_->xid = xid;
    return {};
}

result<std::optional<Transaction>> PgoutputDecoder::commit(Reader& in) {
    if (!open_) return in.corrupt("Commit without Begin");
    TRY_VOID(in.number<std::uint8_t>());
    TRY_VOID(in.number<std::uint64_t>());
    TRY(const auto end_lsn, in.number<std::uint64_t>());
    TRY_VOID(in.number<std::int64_t>());
    TRY_VOID(in.end());
    if (end_lsn > Position::lsn_mask) return in.corrupt("an LSN past 2^48");
    open_->position = Position::at(options_.epoch, Lsn{end_lsn});
    open_->extent = parted_ ? Extent::last : Extent::whole;
    return std::exchange(open_, std::nullopt);
}

result<void> PgoutputDecoder::relation(Reader& in) {
    TRY(const auto id, in.number<std::uint32_t>());
    TRY(const auto schema, in.string());
    TRY(const auto name, in.string());
    TRY_VOID(in.number<std::uint8_t>());
    TRY(const auto count, in.number<std::uint16_t>());
    Relation made;
    if (schema == options_.schema) made.table = camunda::find_table(name);
    if (!made.table)
        notes_.push_back(fmt::format("table {}.{} is not projected: ignored", schema, name));
    for (unsigned i = 0; i < count; ++i) {
        TRY_VOID(in.number<std::uint8_t>());
        TRY(const auto column, in.string());
        TRY_VOID(in.number<std::uint32_t>());
        TRY_VOID(in.number<std::uint32_t>());
        int index = -1;
        if (made.table) {
            const auto columns = camunda::info(*made.table).columns;
            const auto found = std::find(columns.begin(), columns.end(), column);
            if (found != columns.end()) index = static_cast<int>(found - columns.begin());
        }
        made.columns.push_back(index);
    }
    relations_[id] = std::move(made);
    return {};
}

result<void> PgoutputDecoder::change(Reader& in, char kind) {
    if (!open_) return in.corrupt("a row change outside a transaction");
    TRY(const auto id, in.number<std::uint32_t>());
    const auto found = relations_.find(id);
    if (found == relations_.end()) return in.corrupt("a row of a relation that was not described");
    const Relation& relation = found->second;
    TRY(char part, in.number<char>());
    if (kind == 'U' && (part == 'K' || part == 'O')) {
        TRY_VOID(tuple(in, relation, false, false)); // the old row: ids are never changed
        TRY(part, in.number<char>());
    }
    const bool key_only = kind == 'D' && part == 'K';
    const bool right = kind == 'D' ? part == 'K' || part == 'O' : part == 'N';
    if (!right) return in.corrupt("a tuple of the wrong kind");
    TRY_VOID(tuple(in, relation, key_only, relation.table.has_value()));
    if (!relation.table) {
        ++counters_.ignored_row_changes;
        return {};
    }
    ++counters_.row_changes;
    open_->add_kept(*relation.table,
                    kind == 'I'   ? RowOperation::insert
                    : kind == 'U' ? RowOperation::update
                                  : RowOperation::erase,
                    cells_);
    if (open_->bytes() > options_.transaction_bytes_max) {
        return fail(ErrorCode::payload_too_large,
                    fmt::format("transaction {} has more than {} bytes of row changes", open_->xid,
                                options_.transaction_bytes_max));
    }
    return {};
}

result<void> PgoutputDecoder::tuple(Reader& in, const Relation& relation, bool key_only,
                                    bool keep) {
    TRY(const auto count, in.number<std::uint16_t>());
    if (count != relation.columns.size())
        return in.corrupt("a tuple with another number of columns");
    if (keep) cells_.assign(camunda::info(*relation.table).columns.size(), Cell{});
    for (unsigned i = 0; i < count; ++i) {
        const int index = keep ? relation.columns[i] : -1;
        // A DELETE's key tuple says null of every column that is not in the key.
        const bool wanted = index >= 0 && (!key_only || index == 0);
        TRY(const char kind, in.number<char>());
        Cell cell;
        if (kind == 't') {
            TRY(const auto length, in.number<std::uint32_t>());
            TRY(const auto text, in.bytes(length));
            if (!wanted) continue;
            cell = {Cell::Kind::text, open_->arena().keep(text)};
        } else if (kind == 'n') {
            cell.kind = Cell::Kind::null;
        } else if (kind == 'u') {
            cell.kind = Cell::Kind::unchanged;
        } else {
            return in.corrupt("an unknown kind of column");
        }
        if (wanted) cells_[static_cast<std::size_t>(index)] = cell;
    }
    return {};
}

result<void> PgoutputDecoder::truncate(Reader& in) {
    if (!open_) return in.corrupt("Truncate outside a transaction");
    TRY(const auto count, in.number<std::uint32_t>());
    TRY_VOID(in.number<std::uint8_t>());
    for (std::uint32_t i = 0; i < count; ++i) {
        TRY(const auto id, in.number<std::uint32_t>());
        const auto found = relations_.find(id);
        if (found == relations_.end()) return in.corrupt("a relation that was not described");
        if (found->second.table) open_->add_kept(*found->second.table, RowOperation::truncate, {});
    }
    return {};
}

result<void> PgoutputDecoder::logical_message(Reader& in) {
    constexpr std::uint8_t transactional = 1;
    TRY(const auto flags, in.number<std::uint8_t>());
    TRY_VOID(in.number<std::uint64_t>());
    TRY(const auto prefix, in.string());
    TRY(const auto length, in.number<std::uint32_t>());
    TRY(const auto content, in.bytes(length));
    ++counters_.logical_messages;
    if (open_ && flags & transactional && prefix == Transaction::request_prefix &&
        open_->requests.size() < requests_max) {
        open_->requests.emplace_back(content);
    }
    return {};
}

} // namespace netbuild
