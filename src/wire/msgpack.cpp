// SPDX-License-Identifier: Apache-2.0
#include "wire/msgpack.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <unordered_set>

namespace netbuild {
namespace {

constexpr std::int8_t timestamp_type = -1;
constexpr std::int8_t notepack_type = 0; // undefined, Date and ArrayBuffer of its earlier versions

class Parser {
public:
    Parser(std::string_view bytes, const MsgpackLimits& limits) : bytes_(bytes), limits_(limits) {}

    result<Value> whole() {
        TRY(Value root, value(0));
        if (at_ != bytes_.size()) return bad("bytes after the value");
        return root;
    }

private:
    [[nodiscard]] Error bad(std::string_view what) const {
        return fail(ErrorCode::corrupt, fmt::format("MessagePack at byte {}: {}", at_, what));
    }
    [[nodiscard]] static Error past(std::string_view limit, std::size_t value) {
        return fail(ErrorCode::payload_too_large,
                    fmt::format("MessagePack: more than {} {}", value, limit));
    }
    [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

    /// A big-endian integer of `width` bytes.
    result<std::uint64_t> number(std::size_t width) {
        if (left() < width) return bad("cut off");
        std::uint64_t n = 0;
        for (std::size_t i = 0; i < width; ++i)
            n = n << 8 | static_cast<unsigned char>(bytes_[at_++]);
        return n;
    }
    result<std::string_view> take(std::uint64_t length) {
        if (left() < length) return bad("cut off");
        const auto taken = bytes_.substr(at_, length);
        at_ += length;
        return taken;
    }

    result<Value> value(int depth) {
        if (depth > limits_.depth_max)
            return past("levels", static_cast<std::size_t>(limits_.depth_max));
        if (++values_ > limits_.values_max) return past("values", limits_.values_max);
        TRY(const auto first, number(1));
        const auto tag = static_cast<std::uint8_t>(first);
        if (tag < 0x80) return Value(static_cast<std::int32_t>(tag));
        if (tag < 0x90) return map(tag & 0x0f, depth);
        if (tag < 0xa0) return array(tag & 0x0f, depth);
        if (tag < 0xc0) return text(tag & 0x1f);
        if (tag >= 0xe0) return Value(static_cast<std::int32_t>(static_cast<std::int8_t>(tag)));
        switch (tag) {
        case 0xc0:
            return Value();
        case 0xc2:
            return Value(false);
        case 0xc3:
            return Value(true);
        case 0xca: {
            TRY(const auto bits, number(4));
            return Value(
                static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits))));
        }
        case 0xcb: {
            TRY(const auto bits, number(8));
            return Value(std::bit_cast<double>(bits));
        }
        default:
            return tag >= 0xcc && tag <= 0xd3 ? integer(tag) : sized(tag, depth);
        }
    }

    result<Value> integer(std::uint8_t tag) {
        const bool with_sign = tag >= 0xd0;
        const std::size_t width = std::size_t{1} << ((tag - (with_sign ? 0xd0 : 0xcc)) & 3);
        TRY(const auto bits, number(width));
        const auto unused = static_cast<int>(64 - 8 * width);
        const auto signed_bits = static_cast<std::int64_t>(bits << unused) >> unused;
        const std::int64_t n = with_sign ? signed_bits : static_cast<std::int64_t>(bits);
        if (!with_sign && bits > INT64_MAX) return Value(static_cast<double>(bits));
        if (n >= INT32_MIN && n <= INT32_MAX) return Value(static_cast<std::int32_t>(n));
        return Value(n);
    }

    /// What has its length in 1, 2 or 4 bytes behind the tag, or is an extension of a fixed size.
    result<Value> sized(std::uint8_t tag, int depth) {
        if (tag >= 0xd4 && tag <= 0xd8) return extension(std::uint64_t{1} << (tag - 0xd4));
        const auto length_of = [&](std::uint8_t of_8_bits) {
            return number(std::size_t{1} << (tag - of_8_bits));
        };
        if (tag >= 0xc4 && tag <= 0xc6) {
            TRY(const auto length, length_of(0xc4));
            TRY(const auto bytes, take(length));
            return Value(Binary{std::string(bytes)});
        }
        if (tag >= 0xc7 && tag <= 0xc9) {
            TRY(const auto length, length_of(0xc7));
            return extension(length);
        }
        if (tag >= 0xd9 && tag <= 0xdb) {
            TRY(const auto length, length_of(0xd9));
            return text(length);
        }
        if (tag == 0xdc || tag == 0xdd) {
            TRY(const auto length, number(tag == 0xdc ? 2 : 4));
            return array(length, depth);
        }
        if (tag == 0xde || tag == 0xdf) {
            TRY(const auto length, number(tag == 0xde ? 2 : 4));
            return map(length, depth);
        }
        return bad("no such type");
    }

    result<Value> text(std::uint64_t length) {
        TRY(const auto bytes, take(length));
        return Value(bytes);
    }

    result<Value> array(std::uint64_t length, int depth) {
        if (length > left()) return bad("an array longer than the message");
        if (length > limits_.values_max) return past("values", limits_.values_max);
        Array elements;
        elements.reserve(std::min<std::size_t>(length, reserved_max));
        for (std::uint64_t i = 0; i < length; ++i) {
            TRY(Value element, value(depth + 1));
            elements.push_back(std::move(element));
        }
        return Value(std::move(elements));
    }

    result<Value> map(std::uint64_t length, int depth) {
        if (length > left() / 2) return bad("a map longer than the message");
        if (length > limits_.values_max) return past("values", limits_.values_max);
        Object members;
        members.reserve(std::min<std::size_t>(length, reserved_max));
        for (std::uint64_t i = 0; i < length; ++i) {
            TRY(const Value key, value(depth + 1));
            const auto* name = key.get_if<std::string>();
            const bool number = key.is<std::int32_t>() || key.is<std::int64_t>();
            if (!name && !number) return bad("a key that is no text");
            TRY(Value member, value(depth + 1));
            members.append(name ? *name : std::to_string(key.integer_or()), std::move(member));
        }
        if (has_doubled_key(members)) return bad("a doubled key");
        return Value(std::move(members));
    }

    static bool has_doubled_key(const Object& members) {
        if (members.size() <= few_members) {
            for (const auto* a = members.begin(); a != members.end(); ++a) {
                for (const auto* b = members.begin(); b != a; ++b)
                    if (a->key == b->key) return true;
            }
            return false;
        }
        std::unordered_set<std::string_view> seen;
        return !std::all_of(members.begin(), members.end(),
                            [&](const auto& member) { return seen.insert(member.key).second; });
    }

    result<Value> extension(std::uint64_t length) {
        TRY(const auto type_byte, number(1));
        const auto type = static_cast<std::int8_t>(type_byte);
        TRY(const auto bytes, take(length));
        if (type == timestamp_type) {
            if (const auto date = timestamp(bytes)) return Value(*date);
            return bad("no timestamp");
        }
        if (type == notepack_type) {
            if (length == 1) return Value();
            if (length != 8) return Value(Binary{std::string(bytes)});
            const Date date{static_cast<std::int64_t>(big_endian(bytes))};
            if (!is_ecmascript(date)) return bad("no date");
            return Value(date);
        }
        return Value(
            Array{Value(static_cast<std::int32_t>(type)), Value(Binary{std::string(bytes)})});
    }

    static std::uint64_t big_endian(std::string_view bytes) {
        std::uint64_t n = 0;
        for (const char c : bytes)
            n = n << 8 | static_cast<unsigned char>(c);
        return n;
    }

    static std::optional<Date> timestamp(std::string_view bytes) {
        std::int64_t seconds = 0;
        std::uint64_t nanoseconds = 0;
        if (bytes.size() == 4) {
            seconds = static_cast<std::int64_t>(big_endian(bytes));
        } else if (bytes.size() == 8) {
            const auto both = big_endian(bytes);
            seconds = static_cast<std::int64_t>(both & 0x3ffffffffu);
            nanoseconds = both >> 34;
        } else if (bytes.size() == 12) {
            nanoseconds = big_endian(bytes.substr(0, 4));
            seconds = static_cast<std::int64_t>(big_endian(bytes.substr(4)));
        } else {
            return std::nullopt;
        }
        if (nanoseconds >= 1'000'000'000 || seconds > milliseconds_max / 1000 ||
            seconds < -milliseconds_max / 1000)
            return std::nullopt;
        const Date date{seconds * 1000 + static_cast<std::int64_t>(nanoseconds / 1'000'000)};
        return is_ecmascript(date) ? std::optional(date) : std::nullopt;
    }

    /// ECMAScript's range of a Date.
    static constexpr std::int64_t milliseconds_max = 8'640'000'000'000'000;
    static bool is_ecmascript(Date date) {
        return date.milliseconds <= milliseconds_max && date.milliseconds >= -milliseconds_max;
    }

    static constexpr std::size_t reserved_max = 1024;
    static constexpr std::size_t few_members = 8;
    std::string_view bytes_;
    const MsgpackLimits& limits_;
    std::size_t at_ = 0;
    std::size_t values_ = 0;
};

void append_big_endian(std::string& out, std::uint64_t number, int width) {
    for (int i = width - 1; i >= 0; --i)
        out += static_cast<char>(number >> (8 * i));
}

/// The tag of a length in 8 bits (0: there is none of these), 16 and 32 bits, and the length.
void append_length(std::string& out, std::size_t length, int of_8, int of_16, int of_32) {
    if (of_8 && length < 0x100) {
        out += static_cast<char>(of_8);
        append_big_endian(out, length, 1);
    } else if (length < 0x10000) {
        out += static_cast<char>(of_16);
        append_big_endian(out, length, 2);
    } else {
        out += static_cast<char>(of_32);
        append_big_endian(out, length, 4);
    }
}

void append_integer(std::string& out, std::int64_t n) {
    const auto tagged = [&](int tag, int width) {
        out += static_cast<char>(tag);
        append_big_endian(out, static_cast<std::uint64_t>(n), width);
    };
    if (n >= -0x20 && n < 0x80) {
        out += static_cast<char>(n);
    } else if (n >= 0) {
        if (n < 0x100) return tagged(0xcc, 1);
        if (n < 0x10000) return tagged(0xcd, 2);
        if (n < 0x100000000) return tagged(0xce, 4);
        tagged(0xcf, 8);
    } else {
        if (n >= INT8_MIN) return tagged(0xd0, 1);
        if (n >= INT16_MIN) return tagged(0xd1, 2);
        if (n >= INT32_MIN) return tagged(0xd2, 4);
        tagged(0xd3, 8);
    }
}

void append_date(std::string& out, Date date) {
    const std::int64_t ms = date.milliseconds;
    const std::int64_t seconds = ms >= 0 ? ms / 1000 : -((-(ms + 1)) / 1000) - 1;
    const auto nanoseconds = static_cast<std::uint64_t>(ms - seconds * 1000) * 1'000'000;
    if (seconds >= 0 && seconds < 0x400000000) {
        if (nanoseconds == 0 && seconds < 0x100000000) {
            out += "\xd6\xff";
            return append_big_endian(out, static_cast<std::uint64_t>(seconds), 4);
        }
        out += "\xd7\xff";
        return append_big_endian(out, nanoseconds << 34 | static_cast<std::uint64_t>(seconds), 8);
    }
    out += "\xc7\x0c\xff";
    append_big_endian(out, nanoseconds, 4);
    append_big_endian(out, static_cast<std::uint64_t>(seconds), 8);
}

struct Writer {
    std::string& out;

    void operator()(std::monostate) const { out += '\xc0'; }
    void operator()(bool value) const { out += value ? '\xc3' : '\xc2'; }
    void operator()(std::int32_t value) const { append_integer(out, value); }
    void operator()(std::int64_t value) const { append_integer(out, value); }
    void operator()(double value) const {
        out += '\xcb';
        append_big_endian(out, std::bit_cast<std::uint64_t>(value), 8);
    }
    void operator()(const std::string& value) const { append_msgpack_string(out, value); }
    void operator()(Date value) const { append_date(out, value); }
    void operator()(const Binary& value) const {
        append_length(out, value.bytes.size(), 0xc4, 0xc5, 0xc6);
        out += value.bytes;
    }
    void operator()(const Array& array) const {
        append_msgpack_array(out, array.size());
        for (const Value& each : array)
            append_msgpack(out, each);
    }
    void operator()(const Object& object) const {
        append_msgpack_map(out, object.size());
        for (const auto& [key, value] : object) {
            append_msgpack_string(out, key);
            append_msgpack(out, value);
        }
    }
};

} // namespace

result<Value> parse_msgpack(std::string_view bytes, const MsgpackLimits& limits) {
    if (bytes.size() > limits.bytes_max)
        return fail(
            ErrorCode::payload_too_large,
            fmt::format("MessagePack: {} bytes, the limit is {}", bytes.size(), limits.bytes_max));
    return Parser(bytes, limits).whole();
}

void append_msgpack_array(std::string& out, std::size_t elements) {
    if (elements < 0x10) {
        out += static_cast<char>(0x90 | elements);
    } else {
        append_length(out, elements, 0, 0xdc, 0xdd);
    }
}
void append_msgpack_map(std::string& out, std::size_t members) {
    if (members < 0x10) {
        out += static_cast<char>(0x80 | members);
    } else {
        append_length(out, members, 0, 0xde, 0xdf);
    }
}
void append_msgpack_string(std::string& out, std::string_view text) {
    if (text.size() < 0x20) {
        out += static_cast<char>(0xa0 | text.size());
    } else {
        append_length(out, text.size(), 0xd9, 0xda, 0xdb);
    }
    out += text;
}
void append_msgpack(std::string& out, const Value& value) {
    std::visit(Writer{out}, value.variant());
}
std::string to_msgpack(const Value& value) {
    std::string out;
    append_msgpack(out, value);
    return out;
}

} // namespace netbuild
