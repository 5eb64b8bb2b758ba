// SPDX-License-Identifier: Apache-2.0
#include "wire/redis_adapter_codec.hpp"

#include "cluster_parts.hpp"

namespace netbuild::socketio {
namespace {

using Type = ClusterMessageType;

/// RequestType of the package's index.ts.
enum RedisType : std::int64_t {
    sockets = 0,
    all_rooms = 1,
    remote_join = 2,
    remote_leave = 3,
    remote_disconnect = 4,
    remote_fetch = 5,
    server_side_emit = 6,
    broadcast = 7,
    broadcast_client_count = 8,
    broadcast_ack = 9,
};

/// Absent, or text.
result<std::string> optional_text(Value& object, std::string_view key) {
    Value value = take(object, key);
    if (value.is_null()) return std::string();
    if (auto* text = value.get_if<std::string>()) return std::move(*text);
    return wrong_shape(fmt::format("{} is no text", key));
}

result<void> read_request(ClusterMessage& message, RedisType type, Value& body) {
    switch (type) {
    case sockets: {
        message.type = Type::socket_ids;
        TRY(message.audience.rooms, to_names(take(body, "rooms"), "rooms"));
        break;
    }
    case all_rooms:
        message.type = Type::all_rooms;
        break;
    case remote_join:
    case remote_leave: {
        message.type = type == remote_join ? Type::join : Type::leave;
        TRY(message.audience, to_audience(take(body, "opts")));
        TRY(message.rooms, to_names(take(body, "rooms"), "rooms"));
        break;
    }
    case remote_disconnect: {
        message.type = Type::disconnect;
        TRY(message.audience, to_audience(take(body, "opts")));
        const Value close = take(body, "close");
        message.close = close.get_if<bool>() && *close.get_if<bool>();
        break;
    }
    case remote_fetch: {
        message.type = Type::fetch_sockets;
        TRY(message.audience, to_audience(take(body, "opts")));
        break;
    }
    case server_side_emit: {
        message.type = Type::server_side_emit;
        TRY(message.args, to_event(take(body, "data")));
        break;
    }
    case broadcast: {
        message.type = Type::broadcast;
        TRY(message.audience, to_audience(take(body, "opts")));
        Value packet = take(body, "packet");
        TRY(message.nsp, optional_text(packet, "nsp"));
        TRY(message.packet, to_packet(std::move(packet), message.nsp));
        break;
    }
    default:
        return wrong_shape(fmt::format("no request has the type {}", std::int64_t{type}));
    }
    const bool answered = type != remote_join && type != remote_leave &&
                          type != remote_disconnect && type != server_side_emit;
    if (answered && !message.request_id) return wrong_shape("a request has no id");
    return {};
}

template <class Out>
void write_head(Out& out, const ClusterMessage& message, RedisType type, std::size_t members) {
    out.map(members + 2 + std::size_t{message.request_id.has_value()});
    out.key("uid");
    out.text(message.uid);
    if (message.request_id) {
        out.key("requestId");
        out.text(*message.request_id);
    }
    out.key("type");
    out.integer(type);
}

template <class Out>
void write_request(Out& out, const ClusterMessage& message) {
    switch (message.type) {
    case Type::socket_ids:
        write_head(out, message, sockets, 1);
        out.key("rooms");
        write_names(out, message.audience.rooms);
        break;
    case Type::join:
    case Type::leave:
        write_head(out, message, message.type == Type::join ? remote_join : remote_leave, 2);
        out.key("opts");
        write_audience(out, message.audience, false);
        out.key("rooms");
        write_names(out, message.rooms);
        break;
    case Type::disconnect:
        write_head(out, message, remote_disconnect, 2);
        out.key("opts");
        write_audience(out, message.audience, false);
        out.key("close");
        out.boolean(message.close);
        break;
    case Type::fetch_sockets:
        write_head(out, message, remote_fetch, 1);
        out.key("opts");
        write_audience(out, message.audience, false);
        break;
    case Type::server_side_emit:
        write_head(out, message, server_side_emit, 1);
        out.key("data");
        write_array(out, message.args);
        break;
    case Type::broadcast:
        write_head(out, message, broadcast, 2);
        out.key("packet");
        write_packet(out, message.packet, true);
        out.key("opts");
        write_audience(out, message.audience, true);
        break;
    default:
        write_head(out, message, all_rooms, 0);
    }
    out.end_map();
}

template <class Out>
void write_answer(Out& out, const ClusterMessage& message) {
    const bool typed = message.type == Type::server_side_emit_answer ||
                       message.type == Type::broadcast_client_count ||
                       message.type == Type::broadcast_ack;
    out.map(2 + std::size_t{typed} + std::size_t{!message.uid.empty()});
    if (typed) {
        out.key("type");
        out.integer(message.type == Type::server_side_emit_answer  ? server_side_emit
                    : message.type == Type::broadcast_client_count ? broadcast_client_count
                                                                   : broadcast_ack);
    }
    out.key("requestId");
    out.text(message.request_id.value_or(std::string()));
    switch (message.type) {
    case Type::fetch_sockets_answer:
        out.key("sockets");
        write_sockets(out, message.sockets);
        break;
    case Type::socket_ids_answer:
        out.key("sockets");
        write_names(out, message.rooms);
        break;
    case Type::server_side_emit_answer:
        out.key("data");
        out.value(message.answer);
        break;
    case Type::broadcast_client_count:
        out.key("clientCount");
        out.integer(static_cast<std::int64_t>(message.client_count));
        break;
    case Type::broadcast_ack:
        out.key("packet");
        out.value(message.answer);
        break;
    default:
        out.key("rooms");
        write_names(out, message.rooms);
    }
    if (!message.uid.empty()) {
        out.key("uid");
        out.text(message.uid);
    }
    out.end_map();
}

/// [uid, packet, {rooms, except, flags}].
void write_broadcast(MsgpackOut& out, const ClusterMessage& message) {
    out.array(3);
    out.text(message.uid);
    write_packet(out, message.packet, true);
    write_audience(out, message.audience, true);
}

bool is_answer(Type type) {
    return type == Type::fetch_sockets_answer || type == Type::socket_ids_answer ||
           type == Type::all_rooms_answer || type == Type::server_side_emit_answer ||
           type == Type::broadcast_client_count || type == Type::broadcast_ack;
}

template <class Out>
void write(Out& out, const ClusterMessage& message) {
    if (is_answer(message.type)) {
        write_answer(out, message);
    } else {
        write_request(out, message);
    }
}

} // namespace

result<ClusterMessage> decode_redis_broadcast(std::string_view bytes) {
    TRY(Value body, parse_message(bytes));
    auto* parts = body.get_if<Array>();
    if (!parts || parts->size() < 3) return wrong_shape("a broadcast is no array of three");
    ClusterMessage message{.type = Type::broadcast};
    auto* uid = parts->at(0).get_if<std::string>();
    if (!uid) return wrong_shape("uid is no text");
    message.uid = std::move(*uid);
    TRY(std::string nsp, optional_text(parts->at(1), "nsp"));
    message.nsp = nsp.empty() ? "/" : std::move(nsp);
    TRY(message.packet, to_packet(std::move(parts->at(1)), message.nsp));
    TRY(message.audience, to_audience(std::move(parts->at(2))));
    return message;
}

result<ClusterMessage> decode_redis_request(std::string_view bytes) {
    TRY(Value body, parse_message(bytes));
    if (!body.is<Object>()) return wrong_shape("a request is no object");
    ClusterMessage message;
    TRY(message.uid, optional_text(body, "uid"));
    TRY(std::string id, optional_text(body, "requestId"));
    if (!id.empty()) message.request_id = std::move(id);
    const auto type = static_cast<RedisType>(take(body, "type").integer_or(-1));
    TRY_VOID(read_request(message, type, body));
    return message;
}

result<ClusterMessage> decode_redis_answer(std::string_view bytes) {
    TRY(Value body, parse_message(bytes));
    if (!body.is<Object>()) return wrong_shape("an answer is no object");
    ClusterMessage message;
    TRY(message.uid, optional_text(body, "uid"));
    TRY(message.request_id, take_text(body, "requestId"));
    const Value type = take(body, "type");
    switch (type.integer_or(-1)) {
    case server_side_emit:
        message.type = Type::server_side_emit_answer;
        message.answer = take(body, "data");
        return message;
    case broadcast_client_count: {
        message.type = Type::broadcast_client_count;
        TRY(message.client_count, to_count(take(body, "clientCount")));
        return message;
    }
    case broadcast_ack:
        message.type = Type::broadcast_ack;
        message.answer = take(body, "packet");
        return message;
    default:
        break;
    }
    if (Value found = take(body, "sockets"); !found.is_null()) {
        const auto* elements = found.get_if<Array>();
        if (elements && !elements->empty() && !elements->front().is<Object>()) {
            message.type = Type::socket_ids_answer;
            TRY(message.rooms, to_names(std::move(found), "sockets"));
        } else {
            message.type = Type::fetch_sockets_answer;
            TRY(message.sockets, to_sockets(std::move(found)));
        }
        return message;
    }
    message.type = Type::all_rooms_answer;
    TRY(message.rooms, to_names(take(body, "rooms"), "rooms"));
    return message;
}

result<std::string> encode_redis_message(const ClusterMessage& message) {
    const Contents contents = contents_of(message);
    if (contents.too_deep)
        return fail(ErrorCode::payload_too_large, "data nested too deep for a cluster message");
    MsgpackOut packed;
    JsonOut json;
    const bool asks = message.type == Type::broadcast && message.request_id;
    if (message.type == Type::broadcast && !asks) {
        write_broadcast(packed, message);
    } else if (asks || message.type == Type::broadcast_ack || contents.has_binary) {
        write(packed, message);
    } else {
        write(json, message);
    }
    std::string bytes = packed.out.empty() ? std::move(json.out) : std::move(packed.out);
    if (bytes.size() > cluster_message_bytes_max)
        return fail(ErrorCode::payload_too_large,
                    fmt::format("a cluster message of {} bytes", bytes.size()));
    return bytes;
}

} // namespace netbuild::socketio
