// SPDX-License-Identifier: Apache-2.0
#include "cluster_parts.hpp"

#include <cmath>

#include "wire/json.hpp"

namespace netbuild::socketio {
namespace {

// What a message wraps around the data that its depth is counted of.
constexpr int wrapping_levels = 8;

void inspect(const Value& value, int depth, Contents& contents) {
    if (depth > cluster_data_depth_max) {
        contents.too_deep = true;
        return;
    }
    if (value.is<Binary>()) {
        contents.has_binary = true;
    } else if (const auto* array = value.get_if<Array>()) {
        for (const Value& each : *array)
            inspect(each, depth + 1, contents);
    } else if (const auto* object = value.get_if<Object>()) {
        for (const auto& each : *object)
            inspect(each.value, depth + 1, contents);
    }
}

bool truthy(const Value* value) {
    if (!value || value->is_null()) return false;
    if (const auto* flag = value->get_if<bool>()) return *flag;
    if (const auto* number = value->get_if<double>()) return *number != 0;
    if (const auto* text = value->get_if<std::string>()) return !text->empty();
    return value->integer_or(1) != 0;
}

std::optional<std::int64_t> whole_number(const Value& value) {
    if (const auto* number = value.get_if<double>()) {
        if (std::fabs(*number) > 9e15 || std::floor(*number) != *number) return std::nullopt;
        return static_cast<std::int64_t>(*number);
    }
    if (value.is<std::int32_t>() || value.is<std::int64_t>()) return value.integer_or();
    return std::nullopt;
}

} // namespace

result<Value> parse_message(std::string_view bytes) {
    if (bytes.size() > cluster_message_bytes_max)
        return wrong_shape(
            fmt::format("{} bytes, the limit is {}", bytes.size(), cluster_message_bytes_max));
    constexpr int depth_max = cluster_data_depth_max + wrapping_levels;
    result<Value> value = bytes.starts_with('{')
                              ? parse_lenient_json(bytes, depth_max)
                              : parse_msgpack(bytes, {.bytes_max = cluster_message_bytes_max,
                                                      .depth_max = depth_max});
    if (!value) return wrong_shape(value.error().detail());
    return value;
}

Value take(Value& object, std::string_view key) {
    auto* members = object.get_if<Object>();
    Value* member = members ? members->find(key) : nullptr;
    return member ? std::move(*member) : Value();
}

result<std::string> take_text(Value& object, std::string_view key) {
    Value value = take(object, key);
    if (auto* text = value.get_if<std::string>()) return std::move(*text);
    return wrong_shape(fmt::format("{} is no text", key));
}

result<std::vector<std::string>> to_names(Value value, std::string_view what) {
    auto* elements = value.get_if<Array>();
    if (!elements) return wrong_shape(fmt::format("{} is no array", what));
    std::vector<std::string> names;
    names.reserve(elements->size());
    for (Value& element : *elements) {
        if (auto* text = element.get_if<std::string>()) {
            names.push_back(std::move(*text));
        } else if (const auto number = whole_number(element)) {
            names.push_back(std::to_string(*number));
        } else {
            return wrong_shape(fmt::format("{} holds what is no name", what));
        }
    }
    return names;
}

result<Audience> to_audience(Value opts) {
    if (!opts.is<Object>()) return wrong_shape("opts is no object");
    Audience audience;
    TRY(audience.rooms, to_names(take(opts, "rooms"), "rooms"));
    if (Value except = take(opts, "except"); !except.is_null()) {
        TRY(audience.except, to_names(std::move(except), "except"));
    }
    const Value flag_value = take(opts, "flags");
    if (flag_value.is_null()) return audience;
    const auto* flags = flag_value.get_if<Object>();
    if (!flags) return wrong_shape("flags is no object");
    audience.flags.is_volatile = truthy(flags->find("volatile"));
    if (const Value* compress = flags->find("compress"); compress && !compress->is_null())
        audience.flags.compress = truthy(compress);
    if (const Value* timeout = flags->find("timeout")) {
        const auto ms = whole_number(*timeout);
        if (ms && *ms >= 0 && *ms <= INT32_MAX)
            audience.flags.timeout = std::chrono::milliseconds(*ms);
    }
    return audience;
}

result<Array> to_event(Value value) {
    auto* data = value.get_if<Array>();
    if (!data || data->empty()) return wrong_shape("an event is no array");
    const Value& name = data->front();
    if (!name.is<std::string>() && !whole_number(name)) return wrong_shape("an event has no name");
    return std::move(*data);
}

result<Packet> to_packet(Value value, std::string nsp) {
    constexpr std::int64_t event = 2, binary_event = 5;
    if (!value.is<Object>()) return wrong_shape("the packet is no object");
    const auto type = take(value, "type").integer_or(-1);
    if (type != event && type != binary_event) return wrong_shape("the packet is no event");
    Packet packet{.nsp = std::move(nsp)};
    TRY(Array data, to_event(take(value, "data")));
    packet.data = std::move(data);
    return packet;
}

result<std::vector<SocketDescription>> to_sockets(Value value) {
    auto* elements = value.get_if<Array>();
    if (!elements) return wrong_shape("sockets is no array");
    std::vector<SocketDescription> sockets;
    sockets.reserve(elements->size());
    for (Value& element : *elements) {
        SocketDescription socket;
        TRY(socket.id, take_text(element, "id"));
        socket.handshake = take(element, "handshake");
        if (!socket.handshake.is<Object>()) return wrong_shape("a handshake is no object");
        TRY(socket.rooms, to_names(take(element, "rooms"), "rooms"));
        socket.data = take(element, "data");
        sockets.push_back(std::move(socket));
    }
    return sockets;
}

result<std::uint64_t> to_count(const Value& value) {
    const auto count = whole_number(value);
    if (!count || *count < 0) return wrong_shape("a count is no number");
    return static_cast<std::uint64_t>(*count);
}

Contents contents_of(const ClusterMessage& message) {
    Contents contents;
    inspect(message.packet.data, 0, contents);
    inspect(message.answer, 0, contents);
    for (const Value& each : message.args)
        inspect(each, 0, contents);
    for (const SocketDescription& socket : message.sockets) {
        inspect(socket.handshake, 0, contents);
        inspect(socket.data, 0, contents);
    }
    return contents;
}

} // namespace netbuild::socketio
