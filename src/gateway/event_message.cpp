// SPDX-License-Identifier: Apache-2.0
#include "event_message.hpp"

#include "wire/json.hpp"

namespace netbuild::gateway {

Value client_payload(Value payload, feed::Source source) {
    if (auto* object = payload.get_if<Object>()) object->set("source", source_name(source));
    return payload;
}

std::optional<Object> gap_payload(const feed::FeedEvent& gap) {
    const auto payload = parse_json(gap.event->payload);
    if (!payload) return std::nullopt;
    Object told{{"source", source_name(gap.source)}};
    for (const std::string_view name : {"from", "to", "reason"})
        if (const Value* value = payload->at_path(name)) told.append(std::string(name), *value);
    return told;
}

std::optional<Array> event_message(const feed::FeedEvent& event, std::string offset) {
    if (event.is_gap()) {
        auto gap = gap_payload(event);
        if (!gap) return std::nullopt;
        return Array{event.event->type, std::move(*gap), std::move(offset)};
    }
    auto payload = parse_json(event.event->payload);
    return Array{event.event->type,
                 client_payload(payload ? std::move(*payload) : Value(Object{}), event.source),
                 std::move(offset)};
}

} // namespace netbuild::gateway
