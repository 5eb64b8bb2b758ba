// SPDX-License-Identifier: Apache-2.0
#include "wire/cluster_codec.hpp"

#include <charconv>

#include "cluster_parts.hpp"
#include "wire/base64.hpp"

namespace netbuild::socketio {
namespace {

using Type = ClusterMessageType;

bool has_data(Type type) {
    return type != Type::initial_heartbeat && type != Type::heartbeat && type != Type::close;
}

bool needs_request_id(Type type) {
    return type == Type::fetch_sockets || type == Type::fetch_sockets_answer ||
           type == Type::server_side_emit_answer || type == Type::broadcast_client_count ||
           type == Type::broadcast_ack;
}

/// `message.type` and `nsp` are known.
result<void> read_data(ClusterMessage& message, Value data) {
    if (!has_data(message.type)) return {};
    if (!data.is<Object>()) return wrong_shape("data is no object");
    if (Value id = take(data, "requestId"); auto* text = id.get_if<std::string>()) {
        message.request_id = std::move(*text);
    } else if (!id.is_null() || needs_request_id(message.type)) {
        return wrong_shape("requestId is no text");
    }
    switch (message.type) {
    case Type::broadcast: {
        TRY(message.packet, to_packet(take(data, "packet"), message.nsp));
        TRY(message.audience, to_audience(take(data, "opts")));
        break;
    }
    case Type::join:
    case Type::leave: {
        TRY(message.audience, to_audience(take(data, "opts")));
        TRY(message.rooms, to_names(take(data, "rooms"), "rooms"));
        break;
    }
    case Type::disconnect: {
        TRY(message.audience, to_audience(take(data, "opts")));
        const Value close = take(data, "close");
        message.close = close.get_if<bool>() && *close.get_if<bool>();
        break;
    }
    case Type::fetch_sockets: {
        TRY(message.audience, to_audience(take(data, "opts")));
        break;
    }
    case Type::fetch_sockets_answer: {
        TRY(message.sockets, to_sockets(take(data, "sockets")));
        break;
    }
    case Type::server_side_emit: {
        TRY(message.args, to_event(take(data, "packet")));
        break;
    }
    case Type::broadcast_client_count: {
        TRY(message.client_count, to_count(take(data, "clientCount")));
        break;
    }
    default:
        message.answer = take(data, "packet");
    }
    return {};
}

result<Type> to_type(std::int64_t number) {
    if (number < static_cast<int>(Type::initial_heartbeat) ||
        number > static_cast<int>(Type::close))
        return wrong_shape(fmt::format("no message has the type {}", number));
    return static_cast<Type>(number);
}

template <class Out>
void write_request_id(Out& out, const ClusterMessage& message) {
    if (!message.request_id) return;
    out.key("requestId");
    out.text(*message.request_id);
}

/// In the order in which Node writes the members.
template <class Out>
void write_data(Out& out, const ClusterMessage& message) {
    const std::size_t with_id = message.request_id ? 1 : 0;
    switch (message.type) {
    case Type::broadcast:
        out.map(2 + with_id);
        out.key("packet");
        write_packet(out, message.packet, false);
        write_request_id(out, message);
        out.key("opts");
        write_audience(out, message.audience, true);
        break;
    case Type::join:
    case Type::leave:
        out.map(2);
        out.key("opts");
        write_audience(out, message.audience, true);
        out.key("rooms");
        write_names(out, message.rooms);
        break;
    case Type::disconnect:
        out.map(2);
        out.key("opts");
        write_audience(out, message.audience, true);
        out.key("close");
        out.boolean(message.close);
        break;
    case Type::fetch_sockets:
        out.map(1 + with_id);
        out.key("opts");
        write_audience(out, message.audience, true);
        write_request_id(out, message);
        break;
    case Type::fetch_sockets_answer:
        out.map(1 + with_id);
        write_request_id(out, message);
        out.key("sockets");
        write_sockets(out, message.sockets);
        break;
    case Type::server_side_emit:
        out.map(1 + with_id);
        write_request_id(out, message);
        out.key("packet");
        write_array(out, message.args);
        break;
    case Type::broadcast_client_count:
        out.map(1 + with_id);
        write_request_id(out, message);
        out.key("clientCount");
        out.integer(static_cast<std::int64_t>(message.client_count));
        break;
    default:
        out.map(1 + with_id);
        write_request_id(out, message);
        out.key("packet");
        out.value(message.answer);
    }
    out.end_map();
}

template <class Out>
void write(Out& out, const ClusterMessage& message) {
    const bool data = has_data(message.type);
    out.map(data ? 4 : 3);
    out.key("type");
    out.integer(static_cast<int>(message.type));
    if (data) {
        out.key("data");
        write_data(out, message);
    }
    out.key("uid");
    out.text(message.uid);
    out.key("nsp");
    out.text(message.nsp);
    out.end_map();
}

result<void> check_size(const std::string& bytes) {
    if (bytes.size() <= cluster_message_bytes_max) return {};
    return fail(ErrorCode::payload_too_large,
                fmt::format("a cluster message of {} bytes", bytes.size()));
}

Error too_deep() {
    return fail(ErrorCode::payload_too_large, "data nested too deep for a cluster message");
}

} // namespace

result<ClusterMessage> decode_cluster_message(std::string_view bytes) {
    TRY(Value body, parse_message(bytes));
    if (!body.is<Object>()) return wrong_shape("it is no object");
    ClusterMessage message;
    TRY(message.type, to_type(take(body, "type").integer_or(-1)));
    TRY(message.uid, take_text(body, "uid"));
    TRY(message.nsp, take_text(body, "nsp"));
    TRY_VOID(read_data(message, take(body, "data")));
    return message;
}

result<std::string> encode_cluster_message(const ClusterMessage& message, ClusterForm form) {
    const Contents contents = contents_of(message);
    if (contents.too_deep) return too_deep();
    MsgpackOut packed;
    JsonOut json;
    if (form == ClusterForm::msgpack || contents.has_binary) {
        write(packed, message);
    } else {
        write(json, message);
    }
    std::string bytes = packed.out.empty() ? std::move(json.out) : std::move(packed.out);
    TRY_VOID(check_size(bytes));
    return bytes;
}

result<ClusterMessage> decode_stream_entry(const StreamFields& fields) {
    ClusterMessage message{.nsp = {}};
    std::int64_t type = -1;
    std::string_view data;
    for (const auto& [name, value] : fields) {
        if (name == "uid") message.uid = value;
        if (name == "nsp") message.nsp = value;
        if (name == "data") data = value;
        if (name == "type") std::from_chars(value.data(), value.data() + value.size(), type);
    }
    TRY(message.type, to_type(type));
    if (data.empty()) {
        TRY_VOID(read_data(message, {}));
        return message;
    }
    if (data.size() > cluster_message_bytes_max) return wrong_shape("an entry is too long");
    std::string bytes;
    if (!data.starts_with('{') && !decode_base64(data, bytes))
        return wrong_shape("data is neither JSON nor base64");
    TRY(Value body, parse_message(bytes.empty() ? data : std::string_view(bytes)));
    TRY_VOID(read_data(message, std::move(body)));
    return message;
}

result<StreamFields> encode_stream_entry(const ClusterMessage& message) {
    const Contents contents = contents_of(message);
    if (contents.too_deep) return too_deep();
    StreamFields fields{{"uid", message.uid},
                        {"nsp", message.nsp},
                        {"type", std::to_string(static_cast<int>(message.type))}};
    if (!has_data(message.type)) return fields;
    std::string data;
    if (contents.has_binary) {
        MsgpackOut out;
        write_data(out, message);
        data = encode_base64(out.out);
    } else {
        JsonOut out;
        write_data(out, message);
        data = std::move(out.out);
    }
    TRY_VOID(check_size(data));
    fields.emplace_back("data", std::move(data));
    return fields;
}

std::string stream_of_namespace(std::string_view name, std::string_view nsp, std::uint32_t count) {
    if (count <= 1) return std::string(name);
    // Node's is a signed remainder: a namespace that hashes below zero has a stream that it does
    // not read there ("name--1"), so it is ours alone; names are ASCII but in rare cases.
    std::uint32_t hash = 0;
    for (const char c : nsp)
        hash = hash * 31 + static_cast<unsigned char>(c);
    const auto place = static_cast<std::int64_t>(static_cast<std::int32_t>(hash)) %
                       static_cast<std::int64_t>(count);
    return fmt::format("{}-{}", name, place);
}

std::string encode_session(const SavedSession& session) {
    MsgpackOut out;
    out.map(4);
    out.key("sid");
    out.text(session.sid);
    out.key("pid");
    out.text(session.pid);
    out.key("rooms");
    write_names(out, session.rooms);
    out.key("data");
    out.value(session.data);
    return encode_base64(out.out);
}

result<SavedSession> decode_session(std::string_view text) {
    std::string bytes;
    if (text.size() > cluster_message_bytes_max || !decode_base64(text, bytes))
        return wrong_shape("a session is no base64");
    TRY(Value body, parse_message(bytes));
    SavedSession session;
    TRY(session.sid, take_text(body, "sid"));
    TRY(session.pid, take_text(body, "pid"));
    TRY(session.rooms, to_names(take(body, "rooms"), "rooms"));
    session.data = take(body, "data");
    return session;
}

} // namespace netbuild::socketio
