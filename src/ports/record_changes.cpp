// SPDX-License-Identifier: Apache-2.0
#include "ports/record_changes.hpp"

#include <algorithm>

#include "wire/json.hpp"

namespace netbuild {
namespace {

/// Other programs write what they like: an event stays small.
bool fits(const Value& value) {
    if (const auto* text = value.get_if<std::string>())
        return text->size() <= RecordEvents::text_bytes_max;
    return value.is<bool>() || value.is<std::int32_t>() || value.is<std::int64_t>() ||
           value.is<double>() || value.is<Date>();
}

} // namespace

Object RecordEvents::pick(const Object& record) const {
    Object picked;
    const auto take = [&](std::string_view field) {
        const Value* value = record.find(field);
        if (value && fits(*value) && !picked.contains(field))
            picked.append(std::string(field), *value);
    };
    take("_id");
    take("version");
    take(domain);
    if (!state_number.empty()) take(state_number);
    for (const std::string_view field : fields)
        take(field);
    return picked;
}

const RecordEvents* RecordEvents::find(std::span<const RecordEvents> all,
                                       std::string_view collection) noexcept {
    const auto found = std::ranges::find_if(
        all, [&](const RecordEvents& one) { return one.collection->name == collection; });
    return found == all.end() ? nullptr : &*found;
}

StreamEventPtr RecordChange::event() const {
    const auto text = [&](std::string_view field) {
        const Value* value = record.find(field);
        return std::string(value ? value->string_or() : std::string_view{});
    };
    const Value* number = of->state_number.empty() ? nullptr : record.find(of->state_number);
    auto event = std::make_shared<StreamEvent>();
    event->position = position;
    event->type = of->subject;
    event->type += inserted && (!number || number->integer_or(1) <= 1) ? ":created" : ":updated";
    event->domain_id = text(of->domain);
    event->execution_id = text("executionId");
    event->process_instance_id = text("processInstanceId");
    Object payload{{"position", to_string(position)},
                   {"at", Date{at_ms}},
                   {"domainId", event->domain_id.empty() ? Value() : Value(event->domain_id)}};
    const Value* id = record.find("_id");
    payload.append("id", id ? *id : Value());
    for (const auto& [key, value] : record) {
        if (key != "_id" && !payload.contains(key)) payload.append(key, value);
    }
    append_json(event->payload, payload);
    return event;
}

} // namespace netbuild
