// SPDX-License-Identifier: Apache-2.0
#include "sync/gap.hpp"

#include "model/collections.hpp"
#include "ports/stored_events.hpp"

namespace netbuild::sync {

DocumentWrite gap_document(const Gap& gap, std::uint32_t epoch, std::int64_t at_us) {
    const Position first = Position::at(epoch, Lsn{0});
    const Date at{at_us / 1000};
    DocumentWrite write;
    write.kind = DocumentWrite::Kind::insert_only;
    write.collection = collections::events;
    write.id = to_string(first);
    write.lsn = first.number;
    Object payload{{"position", write.id},
                   {"at", at},
                   {"from", to_string(gap.from)},
                   {"to", write.id},
                   {"reason", gap.reason}};
    write.body = std::make_shared<const Value>(
        Object{{"_id", write.id},
               {"lsn", static_cast<std::int64_t>(first.number)},
               {"ordinal", 0},
               {"processInstanceId", Value()},
               {"executionId", Value()},
               {"domainId", Value()},
               {"at", at},
               {"events",
                Array{Object{
                    {"ordinal", 0}, {"type", gap_event_type}, {"payload", std::move(payload)}}}}});
    return write;
}

} // namespace netbuild::sync
