// SPDX-License-Identifier: Apache-2.0
#include "wire/bson.hpp"

#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>

namespace netbuild {
namespace {

static_assert(std::endian::native == std::endian::little,
              "BSON is little-endian, as all we run on");

enum Type : char {
    type_double = 0x01,
    type_string = 0x02,
    type_document = 0x03,
    type_array = 0x04,
    type_binary = 0x05,
    type_undefined = 0x06,
    type_object_id = 0x07,
    type_bool = 0x08,
    type_date = 0x09,
    type_null = 0x0A,
    type_regex = 0x0B,
    type_code = 0x0D,
    type_symbol = 0x0E,
    type_int32 = 0x10,
    type_timestamp = 0x11,
    type_int64 = 0x12,
    type_decimal = 0x13,
    type_max_key = 0x7F,
    type_min_key = -1,
};

/// IEEE 754-2008 decimal128 in binary integer form, as its standard text ("10.50", "1E+3").
std::string decimal_text(std::uint64_t high, std::uint64_t low) {
    using Integer = unsigned __int128;
    const std::string sign = high >> 63 ? "-" : "";
    if (((high >> 58) & 0x1F) == 0x1F) return "NaN";
    if (((high >> 58) & 0x1F) == 0x1E) return sign + "Infinity";
    constexpr Integer digits_34 = [] {
        Integer value = 1;
        for (int i = 0; i < 34; ++i)
            value *= 10;
        return value;
    }();
    const bool wide = ((high >> 61) & 3) == 3; // its integer has more than 34 digits: it is 0
    const int exponent = static_cast<int>((high >> (wide ? 47 : 49)) & 0x3FFF) - 6176;
    Integer integer = wide ? 0 : (static_cast<Integer>(high & 0x1FFFFFFFFFFFFu) << 64) | low;
    if (integer >= digits_34) integer = 0;
    std::string digits;
    do {
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(integer % 10)));
        integer /= 10;
    } while (integer != 0);
    const auto count = static_cast<int>(digits.size());
    const int adjusted = exponent + count - 1;
    if (exponent > 0 || adjusted < -6) {
        if (count > 1) digits.insert(1, ".");
        return fmt::format("{}{}E{:+}", sign, digits, adjusted);
    }
    if (exponent == 0) return sign + digits;
    if (const int before = count + exponent; before > 0) {
        digits.insert(static_cast<std::size_t>(before), ".");
    } else {
        digits.insert(0, "0." + std::string(static_cast<std::size_t>(-before), '0'));
    }
    return sign + digits;
}

template <class Number>
void append_number(std::string& out, Number number) {
    std::array<char, sizeof(Number)> bytes;
    std::memcpy(bytes.data(), &number, sizeof number);
    out.append(bytes.data(), bytes.size());
}

void append_value(std::string& out, std::string_view key, const Value& value);

/// The length stands in front of what it measures: written last.
template <class Body>
void append_sized(std::string& out, Body body) {
    const std::size_t start = out.size();
    append_number(out, std::int32_t{0});
    body();
    out.push_back('\0');
    const auto length = static_cast<std::int32_t>(out.size() - start);
    std::memcpy(out.data() + start, &length, sizeof length);
}

void append_header(std::string& out, Type type, std::string_view key) {
    out.push_back(type);
    out.append(key.substr(0, key.find('\0'))); // a key ends at its first NUL in any case
    out.push_back('\0');
}

void append_array(std::string& out, const Array& array) {
    append_sized(out, [&] {
        std::size_t index = 0;
        for (const Value& element : array)
            append_value(out, fmt::format_int(index++).c_str(), element);
    });
}

struct ValueWriter {
    std::string& out;
    std::string_view key;

    void operator()(std::monostate) const { append_header(out, type_null, key); }
    void operator()(bool value) const {
        append_header(out, type_bool, key);
        out.push_back(value ? '\1' : '\0');
    }
    void operator()(std::int32_t value) const {
        append_header(out, type_int32, key);
        append_number(out, value);
    }
    void operator()(std::int64_t value) const {
        append_header(out, type_int64, key);
        append_number(out, value);
    }
    void operator()(double value) const {
        append_header(out, type_double, key);
        append_number(out, value);
    }
    void operator()(const std::string& value) const {
        append_header(out, type_string, key);
        append_number(out, static_cast<std::int32_t>(value.size() + 1));
        out.append(value);
        out.push_back('\0');
    }
    void operator()(Date value) const {
        append_header(out, type_date, key);
        append_number(out, value.milliseconds);
    }
    void operator()(const Binary& value) const {
        append_header(out, type_binary, key);
        append_number(out, static_cast<std::int32_t>(value.bytes.size()));
        out.push_back('\0'); // subtype 0: generic
        out.append(value.bytes);
    }
    void operator()(const Array& value) const {
        append_header(out, type_array, key);
        append_array(out, value);
    }
    void operator()(const Object& value) const {
        append_header(out, type_document, key);
        append_bson(out, value);
    }
};

void append_value(std::string& out, std::string_view key, const Value& value) {
    std::visit(ValueWriter{out, key}, value.variant());
}

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    result<Object> document(int depth) {
        Object object;
        TRY_VOID(elements(depth, [&](std::string_view key, Value value) {
            object.append(std::string(key), std::move(value));
        }));
        return object;
    }
    [[nodiscard]] bool at_end() const noexcept { return at_ == bytes_.size(); }
    [[nodiscard]] Error corrupt(std::string_view what) const {
        return fail(ErrorCode::corrupt, fmt::format("BSON: {} at byte {}", what, at_));
    }

private:
    result<Array> array(int depth) {
        Array values;
        TRY_VOID(elements(
            depth, [&](std::string_view, Value value) { values.push_back(std::move(value)); }));
        return values;
    }

    template <class Each>
    result<void> elements(int depth, Each each) {
        if (depth > bson_depth_max) return corrupt("nesting too deep");
        const std::size_t start = at_;
        TRY(const auto length, number<std::int32_t>());
        if (length < 5 || static_cast<std::size_t>(length) > bytes_.size() - start) {
            return corrupt("a document's length is wrong");
        }
        const std::size_t end = start + static_cast<std::size_t>(length);
        while (true) {
            if (at_ >= end) return corrupt("a document has no end");
            const char type = bytes_[at_++];
            if (type == '\0') break;
            TRY(const std::string_view key, name(end));
            TRY(Value element, value(type, depth));
            each(key, std::move(element));
        }
        if (at_ != end) return corrupt("a document's length does not fit its content");
        return {};
    }

    result<Value> value(char type, int depth) {
        switch (type) {
        case type_double:
            return scalar<double>();
        case type_int32:
            return scalar<std::int32_t>();
        case type_int64:
            return scalar<std::int64_t>();
        case type_timestamp:
            return scalar<std::int64_t>();
        case type_null:
            return Value();
        case type_string:
            return string();
        case type_binary:
            return binary();
        case type_object_id:
            return object_id();
        // What drivers of other programs write and NetBuild does not: as text, or as nothing.
        case type_decimal: {
            TRY(const auto low, number<std::uint64_t>());
            TRY(const auto high, number<std::uint64_t>());
            return Value(decimal_text(high, low));
        }
        case type_code:
        case type_symbol:
            return string();
        case type_regex: {
            TRY(const std::string_view pattern, name(bytes_.size()));
            TRY(const std::string_view options, name(bytes_.size()));
            return Value(fmt::format("/{}/{}", pattern, options));
        }
        case type_undefined:
        case type_min_key:
        case type_max_key:
            return Value();
        case type_bool: {
            TRY(const auto byte, number<char>());
            if (byte != 0 && byte != 1) return corrupt("a boolean is neither 0 nor 1");
            return Value(byte == 1);
        }
        case type_date: {
            TRY(const auto milliseconds, number<std::int64_t>());
            return Value(Date{milliseconds});
        }
        case type_document: {
            TRY(Object object, document(depth + 1));
            return Value(std::move(object));
        }
        case type_array: {
            TRY(Array values, array(depth + 1));
            return Value(std::move(values));
        }
        default:
            return fail(ErrorCode::unsupported, fmt::format("BSON type 0x{:02x} at byte {}",
                                                            static_cast<unsigned char>(type), at_));
        }
    }

    template <class Number>
    result<Value> scalar() {
        TRY(const auto read, number<Number>());
        return Value(read);
    }

    template <class Number>
    result<Number> number() {
        TRY(const std::string_view raw, take(sizeof(Number)));
        Number value;
        std::memcpy(&value, raw.data(), sizeof value);
        return value;
    }

    result<std::string_view> take(std::size_t count) {
        if (bytes_.size() - at_ < count) return corrupt("the bytes end early");
        const std::string_view taken = bytes_.substr(at_, count);
        at_ += count;
        return taken;
    }

    result<std::string_view> name(std::size_t end) {
        const std::size_t nul = bytes_.find('\0', at_);
        if (nul == std::string_view::npos || nul >= end) return corrupt("a key has no end");
        const std::string_view key = bytes_.substr(at_, nul - at_);
        at_ = nul + 1;
        return key;
    }

    result<Value> string() {
        TRY(const auto length, number<std::int32_t>());
        if (length < 1) return corrupt("a string's length is wrong");
        TRY(std::string_view text, take(static_cast<std::size_t>(length)));
        if (text.back() != '\0') return corrupt("a string has no end");
        text.remove_suffix(1);
        return Value(text);
    }

    result<Value> binary() {
        TRY(const auto length, number<std::int32_t>());
        if (length < 0) return corrupt("a binary's length is wrong");
        TRY_VOID(take(1)); // subtype
        TRY(const std::string_view raw, take(static_cast<std::size_t>(length)));
        return Value(Binary{std::string(raw)});
    }

    result<Value> object_id() {
        TRY(const std::string_view raw, take(12));
        std::string hex;
        for (const char byte : raw)
            fmt::format_to(std::back_inserter(hex), "{:02x}", static_cast<unsigned char>(byte));
        return Value(std::move(hex));
    }

    std::string_view bytes_;
    std::size_t at_ = 0;
};

} // namespace

void append_bson(std::string& out, const Object& document) {
    append_sized(out, [&] {
        for (const auto& member : document)
            append_value(out, member.key, member.value);
    });
}

std::string encode_bson(const Object& document) {
    std::string out;
    append_bson(out, document);
    return out;
}

result<Object> decode_bson(std::string_view bytes) {
    Reader reader(bytes);
    TRY(Object document, reader.document(0));
    if (!reader.at_end()) return reader.corrupt("bytes follow the document");
    return document;
}

} // namespace netbuild
