// SPDX-License-Identifier: Apache-2.0
#include "ports/stored_events.hpp"

#include "model/collections.hpp"
#include "wire/json.hpp"

namespace netbuild {

std::vector<StreamEventPtr> stream_events(const Value& document) {
    std::vector<StreamEventPtr> events;
    const Value* list = document.at_path("events");
    const Value* number = document.at_path("lsn");
    if (!list || !list->is<Array>() || !number) return events;
    for (const Value& entry : *list->get_if<Array>()) {
        const Value* ordinal = entry.at_path("ordinal");
        const Value* type = entry.at_path("type");
        const Value* payload = entry.at_path("payload");
        if (!ordinal || !type || !payload) continue;
        const auto text = [&](std::string_view key) {
            const Value* member = payload->at_path(key);
            return std::string(member ? member->string_or() : std::string_view{});
        };
        auto event = std::make_shared<StreamEvent>();
        event->position = {static_cast<std::uint64_t>(number->integer_or()),
                           static_cast<std::uint32_t>(ordinal->integer_or())};
        event->type = type->string_or();
        event->domain_id = text("domainId");
        event->execution_id = text("executionId");
        event->process_instance_id = text("processInstanceId");
        append_json(event->payload, *payload);
        events.push_back(std::move(event));
    }
    return events;
}

StreamEventPtr gap_event(Position from, Position to, std::string_view reason) {
    auto event = std::make_shared<StreamEvent>();
    event->position = to;
    event->type = gap_event_type;
    append_json(event->payload, Object{{"position", to_string(to)},
                                       {"from", to_string(from)},
                                       {"to", to_string(to)},
                                       {"reason", reason}});
    return event;
}

DocumentWrite event_horizon_write(Position removed_upto) {
    DocumentWrite write;
    write.collection = collections::sync_checkpoints;
    write.id = event_horizon_id;
    write.lsn = removed_upto.number;
    write.body = std::make_shared<const Value>(
        Object{{"_id", write.id},
               {"removedUpto", to_string(removed_upto)},
               {"sync", Object{{"lsn", static_cast<std::int64_t>(removed_upto.number)}}}});
    return write;
}

Position event_horizon(const Value* document) {
    const Value* text = document ? document->at_path("removedUpto") : nullptr;
    const auto parsed = parse_position(text ? text->string_or() : std::string_view{});
    return parsed ? *parsed : Position{};
}

} // namespace netbuild
