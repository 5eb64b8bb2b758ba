// SPDX-License-Identifier: Apache-2.0
#include "wire/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <unordered_map>
#include <unordered_set>

#include <boost/json/basic_parser_impl.hpp>

#include "wire/base64.hpp"
#include "wire/canonical_json.hpp"

namespace netbuild {
namespace {

void append_number(std::string& out, auto number) {
    char buffer[32];
    const auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, number);
    out.append(buffer, end);
}

// The shortest text that reads back as the same double, with a mark that it is one.
void append_double(std::string& out, double number) {
    const auto start = out.size();
    append_number(out, number);
    if (out.find_first_of(".en", start) == std::string::npos) out += ".0";
}

struct Writer {
    std::string& out;
    JsonStyle style;

    [[nodiscard]] bool canonical() const { return style == JsonStyle::canonical; }

    void wrapped(std::string_view key, auto&& write_value) const {
        out += "{\"";
        out += key;
        out += "\":";
        write_value();
        out += '}';
    }
    void operator()(std::monostate) const { out += "null"; }
    void operator()(bool value) const { out += value ? "true" : "false"; }
    void integer(std::string_view key, auto value) const {
        if (!canonical()) return append_number(out, value);
        wrapped(key, [&] {
            out += '"';
            append_number(out, value);
            out += '"';
        });
    }
    void operator()(std::int32_t value) const { integer("$numberInt", value); }
    void operator()(std::int64_t value) const { integer("$numberLong", value); }
    void operator()(double value) const {
        if (!canonical()) {
            // JSON has no infinity and no NaN.
            return std::isfinite(value) ? append_double(out, value) : void(out += "null");
        }
        wrapped("$numberDouble", [&] {
            out += '"';
            if (std::isnan(value)) {
                out += "NaN";
            } else if (std::isinf(value)) {
                out += value < 0 ? "-Infinity" : "Infinity";
            } else {
                append_double(out, value);
            }
            out += '"';
        });
    }
    void operator()(const std::string& value) const { append_json_string(out, value); }
    void operator()(Date value) const {
        if (!canonical()) {
            out += '"';
            out += format_utc(value);
            out += '"';
            return;
        }
        wrapped("$date", [&] { (*this)(value.milliseconds); });
    }
    void operator()(const Binary& value) const {
        const auto base64 = [&] {
            out += '"';
            append_base64(out, value.bytes);
            out += '"';
        };
        if (!canonical()) return base64();
        wrapped("$binary", [&] {
            out += "{\"base64\":";
            base64();
            out += ",\"subType\":\"00\"}";
        });
    }
    void operator()(const Array& array) const {
        out += '[';
        for (std::size_t i = 0; i < array.size(); ++i) {
            if (i) out += ',';
            append_json(out, array[i], style);
        }
        out += ']';
    }
    void member(const Object::Member& member, bool first) const {
        if (!first) out += ',';
        append_json_string(out, member.key);
        out += ':';
        append_json(out, member.value, style);
    }
    void operator()(const Object& object) const {
        out += '{';
        bool first = true;
        if (canonical()) {
            std::vector<const Object::Member*> sorted;
            sorted.reserve(object.size());
            for (const auto& each : object)
                sorted.push_back(&each);
            std::sort(sorted.begin(), sorted.end(),
                      [](const auto* a, const auto* b) { return a->key < b->key; });
            for (const auto* each : sorted)
                member(*each, std::exchange(first, false));
        } else {
            for (const auto& each : object)
                member(each, std::exchange(first, false));
        }
        out += '}';
    }
};

// Builds a Value from Boost.JSON's parser events. Numbers come with their text, so that what a
// double cannot hold exactly is seen.
class ValueBuilder {
public:
    static constexpr std::size_t max_object_size = SIZE_MAX;
    static constexpr std::size_t max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX;
    static constexpr std::size_t max_string_size = SIZE_MAX;
    using error_code = boost::system::error_code;

    Value root;
    std::string refusal;

    /// Numbers are what a double makes of them, as ECMAScript reads them.
    bool nearest = false;
    /// As ECMAScript's JSON.parse otherwise too: see parse_lenient_json().
    bool lenient = false;

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_object_begin(error_code&) { return open(Object{}); }
    bool on_object_end(std::size_t, error_code& ec) {
        Object& object = *stack_.back().get_if<Object>();
        if (lenient) {
            keep_last_of_each_key(object);
            return close();
        }
        if (has_doubled_key(object)) return refuse("a doubled key", ec);
        return close();
    }
    bool on_array_begin(error_code&) { return open(Array{}); }
    bool on_array_end(std::size_t, error_code&) { return close(); }
    bool on_key_part(std::string_view part, std::size_t, error_code&) {
        text_ += part;
        return true;
    }
    bool on_key(std::string_view part, std::size_t, error_code& ec) {
        text_ += part;
        if (!lenient && text_.find('\0') != std::string::npos)
            return refuse("a key holds a NUL", ec);
        keys_.push_back(std::move(text_));
        text_.clear();
        return true;
    }
    bool on_string_part(std::string_view part, std::size_t, error_code&) {
        text_ += part;
        return true;
    }
    bool on_string(std::string_view part, std::size_t, error_code&) {
        text_ += part;
        return put(Value(std::exchange(text_, {})));
    }
    bool on_number_part(std::string_view part, error_code&) {
        text_ += part;
        return true;
    }
    bool on_int64(std::int64_t number, std::string_view, error_code&) {
        text_.clear();
        return put_integer(number);
    }
    bool on_uint64(std::uint64_t number, std::string_view, error_code& ec) {
        text_.clear();
        if (nearest) return put(Value(static_cast<double>(number)));
        return refuse("an integer over 64 bits", ec);
    }
    bool on_double(double, std::string_view part, error_code& ec) {
        text_ += part;
        const std::string text = std::exchange(text_, {});
        if (!nearest && text.find_first_of(".eE") == std::string::npos) {
            return refuse("an integer over 64 bits", ec);
        }
        double number = 0;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (lenient) {
            // Out of range it is zero or an infinity, which from_chars does not tell apart.
            return put_number(code == std::errc{} ? number : std::strtod(text.c_str(), nullptr));
        }
        const auto digits = std::count_if(text.begin(), text.begin() + mantissa_end(text),
                                          [](char c) { return c >= '0' && c <= '9'; });
        if (code != std::errc{} || end != text.data() + text.size() || (digits > 17 && !nearest)) {
            return refuse("a number that a double cannot hold", ec);
        }
        return put(Value(number));
    }
    bool on_bool(bool value, error_code&) { return put(Value(value)); }
    bool on_null(error_code&) { return put(Value()); }
    bool on_comment_part(std::string_view, error_code&) { return true; }
    bool on_comment(std::string_view, error_code&) { return true; }

private:
    static std::ptrdiff_t mantissa_end(std::string_view text) {
        const auto e = text.find_first_of("eE");
        return static_cast<std::ptrdiff_t>(e == std::string_view::npos ? text.size() : e);
    }
    bool refuse(const char* reason, error_code& ec) {
        refusal = reason;
        ec = boost::json::error::syntax;
        return false;
    }
    static bool has_doubled_key(const Object& object) {
        constexpr std::size_t small = 12; // up to here comparing each with each is the faster way
        if (object.size() <= small) {
            for (const auto* each = object.begin(); each != object.end(); ++each)
                for (const auto* other = object.begin(); other != each; ++other)
                    if (other->key == each->key) return true;
            return false;
        }
        std::unordered_set<std::string_view> seen;
        for (const auto& [key, value] : object)
            if (!seen.insert(key).second) return true;
        return false;
    }
    // In the first one's place, with the last one's value.
    static void keep_last_of_each_key(Object& object) {
        if (!has_doubled_key(object)) return;
        std::unordered_map<std::string, std::size_t> places;
        Object kept;
        for (auto& [key, value] : object) {
            const auto [place, fresh] = places.try_emplace(key, kept.size());
            if (fresh) {
                kept.append(key, std::move(value));
            } else {
                (kept.begin() + place->second)->value = std::move(value);
            }
        }
        object = std::move(kept);
    }
    bool put_integer(std::int64_t number) {
        constexpr std::int64_t exact = std::int64_t{1} << 53;
        if (number >= INT32_MIN && number <= INT32_MAX)
            return put(Value(static_cast<std::int32_t>(number)));
        if (lenient && (number > exact || number < -exact))
            return put(Value(static_cast<double>(number)));
        return put(Value(number));
    }
    /// 1.0 and 1e3 are integers there.
    bool put_number(double number) {
        constexpr double exact = 9007199254740992.0;
        if (std::abs(number) <= exact && number == std::floor(number))
            return put_integer(static_cast<std::int64_t>(number));
        return put(Value(number));
    }
    bool open(Value container) {
        stack_.push_back(std::move(container));
        return true;
    }
    bool close() {
        Value done = std::move(stack_.back());
        stack_.pop_back();
        return put(std::move(done));
    }
    bool put(Value value) {
        if (stack_.empty()) {
            root = std::move(value);
        } else if (auto* array = stack_.back().get_if<Array>()) {
            array->push_back(std::move(value));
        } else {
            stack_.back().get_if<Object>()->append(std::move(keys_.back()), std::move(value));
            keys_.pop_back();
        }
        return true;
    }

    std::vector<Value> stack_;
    std::vector<std::string> keys_;
    std::string text_;
};

struct CivilTime {
    std::chrono::year_month_day day;
    std::chrono::hh_mm_ss<std::chrono::milliseconds> time;
};

CivilTime civil(Date date) {
    const auto at = std::chrono::sys_time<std::chrono::milliseconds>(
        std::chrono::milliseconds(date.milliseconds));
    const auto midnight = std::chrono::floor<std::chrono::days>(at);
    return {midnight, std::chrono::hh_mm_ss(at - midnight)};
}

std::string format_date(Date date, std::string_view zone) {
    const auto [day, time] = civil(date);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}", static_cast<int>(day.year()),
                       static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()),
                       time.hours().count(), time.minutes().count(), time.seconds().count(),
                       time.subseconds().count(), zone);
}

// Reads exactly `digits` digits at the front.
bool take_digits(std::string_view& text, std::size_t digits, int& number) {
    if (text.size() < digits) return false;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + digits, number);
    if (ec != std::errc{} || end != text.data() + digits || text[0] == '-') return false;
    text.remove_prefix(digits);
    return true;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text[0] != c) return false;
    text.remove_prefix(1);
    return true;
}

// Milliseconds of "" or ".678901": what is finer is cut off.
bool take_fraction(std::string_view& text, int& milliseconds) {
    milliseconds = 0;
    if (!take(text, '.')) return true;
    int scale = 100;
    const auto before = text.size();
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), scale /= 10) {
        milliseconds += (text[0] - '0') * scale;
    }
    return text.size() < before;
}

bool take_zone(std::string_view& text, int& minutes) {
    minutes = 0;
    if (take(text, 'Z')) return text.empty();
    const int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
    int hour = 0, minute = 0;
    if (!sign || !take_digits(text, 2, hour)) return false;
    take(text, ':');
    if (!take_digits(text, 2, minute) || hour > 18 || minute > 59) return false;
    minutes = sign * (hour * 60 + minute);
    return text.empty();
}

} // namespace

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    std::size_t plain = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        out.append(text, plain, i - plain);
        plain = i + 1;
        switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            out += fmt::format("\\u{:04x}", c);
        }
    }
    out.append(text, plain);
    out += '"';
}

void append_json(std::string& out, const Value& value, JsonStyle style) {
    std::visit(Writer{out, style}, value.variant());
}

std::string to_json(const Value& value, JsonStyle style) {
    std::string out;
    append_json(out, value, style);
    return out;
}

namespace {

enum class Reading { exact, nearest, lenient };

result<Value> parse(std::string_view text, int depth_max, Reading reading) {
    boost::json::parse_options options;
    options.allow_invalid_utf16 = reading == Reading::lenient;
    options.max_depth = static_cast<std::size_t>(depth_max);
    boost::json::basic_parser<ValueBuilder> parser(options);
    parser.handler().nearest = reading != Reading::exact;
    parser.handler().lenient = reading == Reading::lenient;
    boost::system::error_code ec;
    const std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
    if (ec || read != text.size()) {
        const std::string& refusal = parser.handler().refusal;
        return fail(ErrorCode::invalid_argument,
                    fmt::format("JSON at byte {}: {}", read,
                                !refusal.empty() ? refusal
                                : ec             ? ec.message()
                                                 : std::string("text after the value")));
    }
    return std::move(parser.handler().root);
}

} // namespace

result<Value> parse_json(std::string_view text, int depth_max) {
    return parse(text, depth_max, Reading::exact);
}
result<Value> parse_canonical_json(std::string_view text, int depth_max) {
    return parse(text, depth_max, Reading::nearest);
}
result<Value> parse_lenient_json(std::string_view text, int depth_max) {
    return parse(text, depth_max, Reading::lenient);
}

std::string format_utc(Date date) { return format_date(date, "Z"); }
std::string format_camunda(Date date) { return format_date(date, "+0000"); }

result<Date> parse_date(std::string_view text) {
    const auto refuse = [whole = text] {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' is not a date such as 2026-01-02T03:04:05.678Z", whole));
    };
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millisecond = 0, zone = 0;
    const bool read = take_digits(text, 4, year) && take(text, '-') &&
                      take_digits(text, 2, month) && take(text, '-') && take_digits(text, 2, day) &&
                      take(text, 'T') && take_digits(text, 2, hour) && take(text, ':') &&
                      take_digits(text, 2, minute) && take(text, ':') &&
                      take_digits(text, 2, second) && take_fraction(text, millisecond) &&
                      take_zone(text, zone);
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!read || !date.ok() || hour > 23 || minute > 59 || second > 60) return refuse();
    const auto at = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                    std::chrono::minutes(minute - zone) + std::chrono::seconds(second) +
                    std::chrono::milliseconds(millisecond);
    return Date{
        std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count()};
}

} // namespace netbuild
