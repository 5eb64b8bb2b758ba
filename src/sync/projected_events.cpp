// SPDX-License-Identifier: Apache-2.0
// Events get their Positions, and their form in store and stream.
#include "model/collections.hpp"
#include "sync/projector.hpp"
#include "wire/json.hpp"

namespace netbuild::sync {
namespace {

/// A process instance's events of one transaction lie in several documents past it: MongoDB's
/// end at 16 MB.
constexpr std::size_t document_events_max = 500;

} // namespace

std::string_view instance_key(const Value& event_document) {
    const Value* instance = event_document.at_path("processInstanceId");
    if (instance && instance->is<std::string>()) return instance->string_or();
    const Value* events = event_document.at_path("events");
    const Array* list = events ? events->get_if<Array>() : nullptr;
    const Value* task = list && !list->empty() ? list->front().at_path("payload.taskId") : nullptr;
    return task ? task->string_or() : std::string_view{};
}

void ProjectedEvents::number(InstanceEvents&& instance, Position transaction, Date at) {
    Array entries;
    Position first{transaction.number, next_ordinal};
    const auto close = [&] {
        DocumentWrite write;
        write.kind = DocumentWrite::Kind::insert_only;
        write.collection = collections::events;
        write.id = to_string(first);
        write.lsn = first.number;
        auto body = std::make_shared<const Value>(
            Object{{"_id", write.id},
                   {"lsn", static_cast<std::int64_t>(first.number)},
                   {"ordinal", static_cast<std::int32_t>(first.ordinal)},
                   {"processInstanceId", instance.instance_id},
                   {"executionId", instance.execution_id},
                   {"domainId", instance.domain_id},
                   {"at", at},
                   {"events", std::exchange(entries, {})}});
        write.partition = body->at_path("processInstanceId")->string_or();
        write.body = std::move(body);
        documents.push_back(std::move(write));
        first.ordinal = next_ordinal;
    };
    for (InstanceEvents::Event& event : instance.events) {
        const Position position{transaction.number, next_ordinal};
        const Value* own_domain = event.payload.find("domainId");
        const Value event_domain = own_domain ? *own_domain : instance.domain_id;
        Object payload{{"position", to_string(position)},
                       {"at", at},
                       {"domainId", event_domain},
                       {"processInstanceId", instance.instance_id},
                       {"executionId", instance.execution_id}};
        for (auto& part : event.payload) {
            if (part.key != "domainId") payload.append(std::move(part.key), std::move(part.value));
        }
        auto published = std::make_shared<StreamEvent>();
        published->position = position;
        published->type = event.type;
        published->domain_id = event_domain.string_or();
        published->execution_id = instance.execution_id.string_or();
        published->process_instance_id = instance.instance_id.string_or();
        append_json(published->payload, payload);
        stream.push_back(std::move(published));
        entries.push_back(Object{{"ordinal", static_cast<std::int32_t>(next_ordinal)},
                                 {"type", std::move(event.type)},
                                 {"payload", std::move(payload)}});
        ++next_ordinal;
        if (entries.size() == document_events_max) close();
    }
    if (!entries.empty()) close();
}

void ProjectedEvents::take_stored(const std::vector<StreamEventPtr>& events) {
    for (const StreamEventPtr& event : events) {
        next_ordinal = std::max(next_ordinal, event->position.ordinal + 1);
        stream.push_back(event);
    }
}

} // namespace netbuild::sync
