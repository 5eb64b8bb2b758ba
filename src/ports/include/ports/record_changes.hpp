// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/position.hpp"
#include "ports/collection.hpp"
#include "ports/event_bus.hpp"

namespace netbuild {

/// What the world is told when a record of a collection comes or changes: ids and states, never
/// what was said or paid. Whoever wants to know more asks for the record, and may see it or not.
struct RecordEvents {
    const Collection* collection = nullptr;
    /// "message" of message:created and message:updated.
    std::string_view subject;
    /// Fields that an event has, where the record has them and they are short scalars.
    std::span<const std::string_view> fields;
    /// The field that names the domain whose members may see it, or `_id`; empty: it is of none.
    std::string_view domain = "domainId";
    /// Of a log of states, the field that counts them: a record past the first is an update.
    std::string_view state_number = {};

    /// A longer text is left out of an event.
    static constexpr std::size_t text_bytes_max = 512;

    /// Of the record, `_id` included, what an event of it needs.
    [[nodiscard]] Object pick(const Object& record) const;
    [[nodiscard]] static const RecordEvents* find(std::span<const RecordEvents> all,
                                                  std::string_view collection) noexcept;
};

/// One change of a record.
struct RecordChange {
    /// On the clock of NetBuild's own data: seconds·2^32 + a counter, and an ordinal inside the
    /// commit. The same change has the same one, however often it is given out.
    Position position;
    const RecordEvents* of = nullptr;
    bool inserted = false;
    std::int64_t at_ms = 0;
    /// What RecordEvents::pick() takes. A record that was removed meanwhile may have its id only.
    Object record;

    /// As the stream has it: {position, at, domainId, id, version, …}.
    [[nodiscard]] StreamEventPtr event() const;
};

struct RecordChangeBatch {
    std::vector<RecordChange> changes;
    /// What came after `gap_from` and at or before `gap_upto` is not known any more; both zero:
    /// nothing is missing. It lies before the changes.
    Position gap_from, gap_upto;
    std::string gap_reason;

    [[nodiscard]] bool gap() const noexcept { return !gap_upto.is_zero(); }
};

/// The changes of NetBuild's own records, whoever made them, in the order of their commits.
/// Contract: `tests/contract/record_changes_contract.hpp`. One consumer; several processes may have
/// one each, and what they confirm never goes back.
class RecordChanges {
public:
    virtual ~RecordChanges() = default;

    /// Goes to the place that was confirmed last, by whatever process; if the stream ends before it
    /// (`published`), to where the stream ends, as far back as the source keeps what was confirmed,
    /// or says the gap. The first time of all: to the source's beginning, or to now.
    virtual awaitable<result<void>> open(Position published) = 0;
    /// Up to `changes_max` of what comes next; waits up to `wait` for the first. After a failure:
    /// open().
    virtual awaitable<result<RecordChangeBatch>> next(Clock::duration wait) = 0;
    /// All that next() has given out is in the stream, and need not come again.
    virtual awaitable<result<void>> confirm() = 0;

    static constexpr std::size_t changes_max = 500;
};

} // namespace netbuild
