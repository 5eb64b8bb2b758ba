// SPDX-License-Identifier: Apache-2.0
#pragma once
// What both families of messages are made of, and how it is read and written.
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "wire/cluster_message.hpp"
#include "wire/json.hpp"
#include "wire/msgpack.hpp"

namespace netbuild::socketio {

/// JSON if it begins with `{`, else MessagePack, within the limits.
[[nodiscard]] result<Value> parse_message(std::string_view bytes);

[[nodiscard]] inline Error wrong_shape(std::string_view what) {
    return fail(ErrorCode::corrupt, "a cluster message: " + std::string(what));
}

/// The member moved out, or null; of a Value that is no object, null.
[[nodiscard]] Value take(Value& object, std::string_view key);
[[nodiscard]] result<std::string> take_text(Value& object, std::string_view key);
/// Rooms are strings, or numbers that Node's users put there.
[[nodiscard]] result<std::vector<std::string>> to_names(Value value, std::string_view what);
[[nodiscard]] result<Audience> to_audience(Value opts);
/// {type, data[, nsp]} of an event.
[[nodiscard]] result<Packet> to_packet(Value value, std::string nsp);
/// [event, …].
[[nodiscard]] result<Array> to_event(Value value);
[[nodiscard]] result<std::vector<SocketDescription>> to_sockets(Value value);
[[nodiscard]] result<std::uint64_t> to_count(const Value& value);

struct Contents {
    bool has_binary = false;
    bool too_deep = false;
};
/// Of all that a message holds.
[[nodiscard]] Contents contents_of(const ClusterMessage& message);

/// Writes JSON or MessagePack through one interface; maps and arrays say their size first.
class JsonOut {
public:
    std::string out;
    void map(std::size_t) { open('{'); }
    void end_map() { out += '}'; }
    void array(std::size_t) { open('['); }
    void end_array() { out += ']'; }
    void key(std::string_view name) {
        separate();
        append_json_string(out, name);
        out += ':';
    }
    void text(std::string_view value) {
        separate();
        append_json_string(out, value);
    }
    void integer(std::int64_t value) {
        separate();
        out += std::to_string(value);
    }
    void boolean(bool value) {
        separate();
        out += value ? "true" : "false";
    }
    void value(const Value& value) {
        separate();
        append_json(out, value);
    }

private:
    void open(char bracket) {
        separate();
        out += bracket;
    }
    void separate() {
        if (out.empty()) return;
        const char last = out.back();
        if (last != '{' && last != '[' && last != ':') out += ',';
    }
};

class MsgpackOut {
public:
    std::string out;
    void map(std::size_t members) { append_msgpack_map(out, members); }
    void end_map() {}
    void array(std::size_t elements) { append_msgpack_array(out, elements); }
    void end_array() {}
    void key(std::string_view name) { append_msgpack_string(out, name); }
    void text(std::string_view value) { append_msgpack_string(out, value); }
    void integer(std::int64_t value) { append_msgpack(out, Value(value)); }
    void boolean(bool value) { append_msgpack(out, Value(value)); }
    void value(const Value& value) { append_msgpack(out, value); }
};

template <class Out>
void write_names(Out& out, const std::vector<std::string>& names) {
    out.array(names.size());
    for (const std::string& name : names)
        out.text(name);
    out.end_array();
}

template <class Out>
void write_flags(Out& out, const Audience::Flags& flags) {
    out.map(std::size_t{flags.is_volatile} + std::size_t{!flags.compress} +
            std::size_t{flags.timeout.has_value()});
    if (flags.is_volatile) {
        out.key("volatile");
        out.boolean(true);
    }
    if (!flags.compress) {
        out.key("compress");
        out.boolean(false);
    }
    if (flags.timeout) {
        out.key("timeout");
        out.integer(flags.timeout->count());
    }
    out.end_map();
}

/// {rooms, except[, flags]}.
template <class Out>
void write_audience(Out& out, const Audience& audience, bool with_flags) {
    out.map(with_flags ? 3 : 2);
    out.key("rooms");
    write_names(out, audience.rooms);
    out.key("except");
    write_names(out, audience.except);
    if (with_flags) {
        out.key("flags");
        write_flags(out, audience.flags);
    }
    out.end_map();
}

template <class Out>
void write_packet(Out& out, const Packet& packet, bool with_nsp) {
    out.map(with_nsp ? 3 : 2);
    out.key("type");
    out.integer(2);
    out.key("data");
    out.value(packet.data);
    if (with_nsp) {
        out.key("nsp");
        out.text(packet.nsp);
    }
    out.end_map();
}

template <class Out>
void write_sockets(Out& out, const std::vector<SocketDescription>& sockets) {
    out.array(sockets.size());
    for (const SocketDescription& socket : sockets) {
        out.map(4);
        out.key("id");
        out.text(socket.id);
        out.key("handshake");
        out.value(socket.handshake);
        out.key("rooms");
        write_names(out, socket.rooms);
        out.key("data");
        out.value(socket.data);
        out.end_map();
    }
    out.end_array();
}

template <class Out>
void write_array(Out& out, const Array& elements) {
    out.array(elements.size());
    for (const Value& element : elements)
        out.value(element);
    out.end_array();
}

} // namespace netbuild::socketio
