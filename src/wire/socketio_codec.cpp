// SPDX-License-Identifier: Apache-2.0
#include "wire/socketio_codec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "wire/json.hpp"

namespace netbuild::socketio {
namespace {

constexpr std::string_view placeholder_key = "_placeholder";
constexpr std::string_view number_key = "num";
constexpr std::size_t digits_max = 15; // of an acknowledgement's id: exact as a double

bool holds_binary(const Value& value) {
    if (value.is<Binary>()) return true;
    if (const auto* array = value.get_if<Array>())
        return std::any_of(array->begin(), array->end(), holds_binary);
    if (const auto* object = value.get_if<Object>())
        return std::any_of(object->begin(), object->end(),
                           [](const auto& member) { return holds_binary(member.value); });
    return false;
}

Value with_placeholders(const Value& value, std::vector<std::string>& attachments) {
    if (const auto* binary = value.get_if<Binary>()) {
        attachments.push_back(binary->bytes);
        return Object{{placeholder_key, true},
                      {number_key, static_cast<std::int32_t>(attachments.size() - 1)}};
    }
    if (const auto* array = value.get_if<Array>()) {
        Array copy;
        copy.reserve(array->size());
        for (const auto& each : *array)
            copy.push_back(with_placeholders(each, attachments));
        return copy;
    }
    if (const auto* object = value.get_if<Object>()) {
        Object copy;
        copy.reserve(object->size());
        for (const auto& [key, each] : *object)
            copy.append(key, with_placeholders(each, attachments));
        return copy;
    }
    return value;
}

/// False: a placeholder for an attachment that there is not, or that has its place already
/// (official clients number each occurrence anew; copies would let a small packet become a huge
/// value).
bool fill_placeholders(Value& value, std::vector<std::optional<std::string>>& attachments) {
    if (auto* array = value.get_if<Array>())
        return std::all_of(array->begin(), array->end(),
                           [&](Value& each) { return fill_placeholders(each, attachments); });
    auto* object = value.get_if<Object>();
    if (!object) return true;
    const Value* mark = object->find(placeholder_key);
    if (mark && *mark == Value(true)) {
        const Value* number = object->find(number_key);
        const auto index = number ? number->integer_or(-1) : -1;
        if (index < 0 || index >= static_cast<std::int64_t>(attachments.size())) return false;
        auto& attachment = attachments[static_cast<std::size_t>(index)];
        if (!attachment) return false;
        value = Binary{*std::exchange(attachment, std::nullopt)};
        return true;
    }
    return std::all_of(object->begin(), object->end(), [&](Object::Member& member) {
        return fill_placeholders(member.value, attachments);
    });
}

Error refuse(std::string_view reason) {
    return fail(ErrorCode::invalid_argument, "Socket.IO packet: " + std::string(reason));
}

/// Names that mean something to a client itself: a server never takes them from one.
bool reserved(std::string_view event) {
    constexpr std::array<std::string_view, 6> names{
        "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"};
    return std::find(names.begin(), names.end(), event) != names.end();
}

bool valid_event(const Value& data) {
    const auto* array = data.get_if<Array>();
    if (!array || array->empty()) return false;
    const Value& name = array->front();
    if (const auto* text = name.get_if<std::string>()) return !reserved(*text);
    return name.is<std::int32_t>() || name.is<std::int64_t>() || name.is<double>();
}

bool valid_payload(PacketType type, const Value& data) {
    switch (type) {
    case PacketType::connect:
        return data.is<Object>();
    case PacketType::disconnect:
        return false;
    case PacketType::connect_error:
        return data.is<std::string>() || data.is<Object>();
    case PacketType::event:
        return valid_event(data);
    case PacketType::ack:
        return data.is<Array>();
    }
    return false;
}

struct Head {
    Packet packet;
    std::size_t attachments = 0;
};

/// Takes "<attachments>-" off the front.
result<std::size_t> take_attachments(std::string_view& text) {
    std::size_t count = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
    const auto used = static_cast<std::size_t>(end - text.data());
    if (ec != std::errc{} || used == text.size() || text[used] != '-' || count == 0)
        return refuse("attachments are not told");
    if (count > attachments_max) return refuse("too many attachments");
    text.remove_prefix(used + 1);
    return count;
}

result<std::optional<std::uint64_t>> take_id(std::string_view& text) {
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9')
        ++digits;
    if (digits == 0) return std::optional<std::uint64_t>{};
    if (digits > digits_max) return refuse("an id without end");
    std::uint64_t id = 0;
    std::from_chars(text.data(), text.data() + digits, id);
    text.remove_prefix(digits);
    return std::optional(id);
}

result<Head> decode_head(std::string_view text) {
    if (text.empty() || text[0] < '0' || text[0] > '6') return refuse("an unknown type");
    const int digit = text[0] - '0';
    constexpr int binary_event = 5;
    text.remove_prefix(1);
    Head head;
    if (digit >= binary_event) {
        head.packet.type = digit == binary_event ? PacketType::event : PacketType::ack;
        TRY(head.attachments, take_attachments(text));
    } else {
        head.packet.type = static_cast<PacketType>(digit);
    }
    if (text.starts_with('/')) {
        const auto comma = text.find(',');
        head.packet.nsp = text.substr(0, comma);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    TRY(head.packet.id, take_id(text));
    if (text.empty()) {
        if (head.attachments) return refuse("attachments without a place");
        return head;
    }
    TRY(head.packet.data, parse_lenient_json(text, json_depth_max));
    if (!valid_payload(head.packet.type, head.packet.data)) return refuse("data of a wrong shape");
    return head;
}

} // namespace

void encode(const Packet& packet, std::string& text, std::vector<std::string>& attachments) {
    const bool binary = (packet.type == PacketType::event || packet.type == PacketType::ack) &&
                        holds_binary(packet.data);
    const auto type = static_cast<int>(packet.type);
    Value placed;
    if (binary) placed = with_placeholders(packet.data, attachments);
    text += static_cast<char>('0' + (binary ? type + 3 : type));
    if (binary) {
        text += std::to_string(attachments.size());
        text += '-';
    }
    if (packet.nsp != "/") {
        text += packet.nsp;
        text += ',';
    }
    if (packet.id) text += std::to_string(*packet.id);
    const Value& data = binary ? placed : packet.data;
    if (!data.is_null()) append_json(text, data);
}

result<std::optional<Packet>> Decoder::text(std::string_view text) {
    if (partial_) return refuse("text where an attachment is due");
    TRY(auto head, decode_head(text));
    if (head.attachments == 0) return std::optional(std::move(head.packet));
    partial_ = std::make_unique<Partial>(Partial{std::move(head.packet), head.attachments, {}});
    return std::optional<Packet>{};
}

result<std::optional<Packet>> Decoder::binary(std::string_view bytes) {
    if (!partial_) return refuse("an attachment that no event told of");
    partial_->attachments.emplace_back(bytes);
    if (partial_->attachments.size() < partial_->wanted) return std::optional<Packet>{};
    const auto whole = std::move(partial_);
    if (!fill_placeholders(whole->packet.data, whole->attachments))
        return refuse("a placeholder for no attachment");
    return std::optional(std::move(whole->packet));
}

} // namespace netbuild::socketio
