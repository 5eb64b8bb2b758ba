// SPDX-License-Identifier: Apache-2.0
#include "ports/collection.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "wire/json.hpp"

namespace netbuild {
namespace {

/// How a value came: JSON has no dates, and what only NetBuild sets is not in a request.
enum class Origin : unsigned char { request, store };

Error wrong(const std::string& path, std::string_view must) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", path, must));
}

bool is_choice(std::string_view choices, std::string_view text) {
    while (true) {
        const auto bar = choices.find('|');
        if (choices.substr(0, bar) == text) return true;
        if (bar == std::string_view::npos) return false;
        choices.remove_prefix(bar + 1);
    }
}

std::string_view type_name(FieldType type) {
    constexpr std::string_view names[] = {"a text",    "a whole number", "a number",
                                          "a boolean", "a date",         "bytes",
                                          "an object", "a list",         "JSON"};
    return names[static_cast<std::size_t>(type)];
}

std::string inside(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

/// A name of the client's in a message: printable, short.
std::string shown(std::string_view name) {
    std::string text;
    for (const char c : name.substr(0, 64))
        text.push_back(static_cast<unsigned char>(c) < 0x21 || c == ':' ? '?' : c);
    return is_utf8(text) && !text.empty() ? text : "?";
}

result<void> check_text(const Field& field, const std::string& path, const std::string& text) {
    const std::size_t max = field.size_max ? field.size_max : text_bytes_max;
    if (text.size() > max) return wrong(path, fmt::format("must have at most {} bytes", max));
    if (text.find('\0') != std::string::npos) return wrong(path, "must not hold NUL");
    if (!is_utf8(text)) return wrong(path, "must be UTF-8");
    if (field.required && text.empty()) return wrong(path, "must not be empty");
    if (!field.choices.empty() && !is_choice(field.choices, text))
        return wrong(path, fmt::format("must be one of {}", field.choices));
    return {};
}

/// What has no declared shape: keys that no store can take for something else, and bounds.
result<void> check_json(const std::string& path, const Value& value, int depth) {
    if (depth > json_depth_max)
        return wrong(path, fmt::format("is nested deeper than {} levels", json_depth_max));
    if (const auto* text = value.get_if<std::string>()) {
        if (!is_utf8(*text)) return wrong(path, "must be UTF-8");
    } else if (const auto* list = value.get_if<Array>()) {
        for (std::size_t i = 0; i < list->size(); ++i)
            TRY_VOID(check_json(fmt::format("{}[{}]", path, i), (*list)[i], depth + 1));
    } else if (const auto* object = value.get_if<Object>()) {
        for (const auto& member : *object) {
            const std::string name = inside(path, shown(member.key));
            if (member.key.starts_with('$')) return wrong(name, "a key must not begin with $");
            if (member.key.find('.') != std::string::npos)
                return wrong(name, "a key must not hold a dot");
            if (member.key.find('\0') != std::string::npos)
                return wrong(name, "a key must not hold NUL");
            if (!is_utf8(member.key)) return wrong(name, "a key must be UTF-8");
            TRY_VOID(check_json(name, member.value, depth + 1));
        }
    }
    return {};
}

result<Object> read_members(std::span<const Field> fields, const std::string& path,
                            const Object& object, Origin origin);

result<Value> read_value(const Field& field, FieldType type, const std::string& path,
                         const Value& value, Origin origin);

result<Value> read_list(const Field& field, const std::string& path, const Array& list,
                        Origin origin) {
    const std::size_t max = field.size_max ? field.size_max : list_elements_max;
    if (list.size() > max) return wrong(path, fmt::format("must have at most {} elements", max));
    Field element = field;
    element.size_max = 0;
    element.required = true;
    Array read;
    read.reserve(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
        TRY(Value one,
            read_value(element, field.element, fmt::format("{}[{}]", path, i), list[i], origin));
        read.push_back(std::move(one));
    }
    return Value(std::move(read));
}

result<Value> read_value(const Field& field, FieldType type, const std::string& path,
                         const Value& value, Origin origin) {
    const auto mismatch = [&] { return wrong(path, fmt::format("must be {}", type_name(type))); };
    const bool whole = value.is<std::int32_t>() || value.is<std::int64_t>();
    switch (type) {
    case FieldType::text:
        if (!value.is<std::string>()) return mismatch();
        TRY_VOID(check_text(field, path, *value.get_if<std::string>()));
        return value;
    case FieldType::integer:
        if (!whole) return mismatch();
        return Value(value.integer_or());
    case FieldType::number:
        if (!whole && !value.is<double>()) return mismatch();
        return value;
    case FieldType::boolean:
        if (!value.is<bool>()) return mismatch();
        return value;
    case FieldType::date: {
        if (value.is<Date>()) return value;
        if (origin == Origin::store || !value.is<std::string>()) return mismatch();
        const auto date = parse_date(*value.get_if<std::string>());
        if (!date) return wrong(path, "must be a date such as 2026-01-02T03:04:05Z");
        return Value(*date);
    }
    case FieldType::binary:
        if (!value.is<Binary>()) return mismatch();
        return value;
    case FieldType::object: {
        const auto* object = value.get_if<Object>();
        if (!object) return mismatch();
        TRY(Object read, read_members(field.fields, path, *object, origin));
        return Value(std::move(read));
    }
    case FieldType::list: {
        const auto* list = value.get_if<Array>();
        if (!list) return mismatch();
        return read_list(field, path, *list, origin);
    }
    case FieldType::json:
        TRY_VOID(check_json(path, value, 1));
        return value;
    }
    return mismatch();
}

result<Object> read_members(std::span<const Field> fields, const std::string& path,
                            const Object& object, Origin origin) {
    Object read;
    for (const auto& member : object) {
        const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& one) {
            return one.name == member.key && (origin == Origin::store || !one.server);
        });
        const std::string name = inside(path, shown(member.key));
        if (field == fields.end()) return wrong(name, "there is no such field");
        if (member.value.is_null()) {
            if (origin == Origin::store) return wrong(name, "must not be null");
            continue;
        }
        TRY(Value value, read_value(*field, field->type, name, member.value, origin));
        read.append(std::string(field->name), std::move(value));
    }
    for (const Field& field : fields) {
        if (field.required && !read.contains(field.name) &&
            (origin == Origin::store || !field.server))
            return wrong(inside(path, field.name), "is missing");
    }
    return read;
}

Object value_schema(const Field& field, FieldType type);

Object members_schema(std::span<const Field> fields) {
    Object properties;
    Array required;
    for (const Field& field : fields) {
        properties.append(std::string(field.name), value_schema(field, field.type));
        if (field.required) required.emplace_back(field.name);
    }
    Object schema{{"bsonType", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) schema.append("required", std::move(required));
    return schema;
}

Object value_schema(const Field& field, FieldType type) {
    switch (type) {
    case FieldType::text: {
        Object schema{{"bsonType", "string"}};
        if (field.choices.empty()) return schema;
        Array choices;
        for (std::string_view left = field.choices;;) {
            const auto bar = left.find('|');
            choices.emplace_back(left.substr(0, bar));
            if (bar == std::string_view::npos) break;
            left.remove_prefix(bar + 1);
        }
        schema.append("enum", std::move(choices));
        return schema;
    }
    case FieldType::integer:
        return {{"bsonType", Array{"int", "long"}}};
    case FieldType::number:
        return {{"bsonType", Array{"int", "long", "double"}}};
    case FieldType::boolean:
        return {{"bsonType", "bool"}};
    case FieldType::date:
        return {{"bsonType", "date"}};
    case FieldType::binary:
        return {{"bsonType", "binData"}};
    case FieldType::object:
        return members_schema(field.fields);
    case FieldType::list: {
        Field element = field;
        return {{"bsonType", "array"}, {"items", value_schema(element, field.element)}};
    }
    case FieldType::json:
        return {};
    }
    return {};
}

} // namespace

std::string printable_name(std::string_view name) { return shown(name); }

const Field* Collection::field(std::string_view wanted) const noexcept {
    const auto found = std::find_if(fields.begin(), fields.end(),
                                    [&](const Field& one) { return one.name == wanted; });
    return found == fields.end() ? nullptr : &*found;
}

bool Collection::indexed(std::string_view wanted) const noexcept {
    return wanted == "_id" || std::any_of(indexes.begin(), indexes.end(), [&](const auto& index) {
               const auto keys = index.keys();
               return std::find(keys.begin(), keys.end(), wanted) != keys.end();
           });
}

result<Object> read_body(std::span<const Field> fields, const Value& body) {
    const auto* object = body.get_if<Object>();
    if (!object) return fail(ErrorCode::invalid_argument, "body: must be an object");
    return read_members(fields, "", *object, Origin::request);
}

result<void> check_record(const Collection& collection, const Object& body) {
    TRY_VOID(read_members(collection.fields, "", body, Origin::store));
    if (const std::size_t bytes = approximate_bytes(body); bytes > collection.bytes_max) {
        return fail(
            ErrorCode::payload_too_large,
            fmt::format("{}: {} bytes, at most {}", collection.name, bytes, collection.bytes_max));
    }
    return {};
}

bool is_scalar_of(const Field& field, const Value& value) noexcept {
    const bool whole = value.is<std::int32_t>() || value.is<std::int64_t>();
    switch (field.type) {
    case FieldType::text: {
        const auto* text = value.get_if<std::string>();
        return text && is_utf8(*text) && text->find('\0') == std::string::npos;
    }
    case FieldType::integer:
        return whole;
    case FieldType::number:
        return whole || value.is<double>();
    case FieldType::boolean:
        return value.is<bool>();
    case FieldType::date:
        return value.is<Date>();
    default:
        return false;
    }
}

Object json_schema(const Collection& collection) {
    Object schema = members_schema(collection.fields);
    Object& properties = schema.object_at("properties");
    properties.set("_id", Object{{"bsonType", "string"}});
    properties.set("version", Object{{"bsonType", Array{"int", "long"}}});
    if (!collection.shared) return schema;
    const Object text{{"bsonType", "string"}};
    return {
        {"anyOf", Array{std::move(schema), Object{{"not", Object{{"required", Array{"version"}}}}},
                        Object{{"properties", Object{{"_id", Object{{"not", text}}}}}}}}};
}

bool is_utf8(std::string_view text) noexcept {
    const auto at = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    for (std::size_t i = 0; i < text.size();) {
        const unsigned first = at(i);
        if (first < 0x80) {
            ++i;
            continue;
        }
        // RFC 3629, section 4: the second byte's range excludes overlong forms and surrogates.
        const std::size_t more = first >= 0xC2 && first <= 0xDF   ? 1
                                 : first >= 0xE0 && first <= 0xEF ? 2
                                 : first >= 0xF0 && first <= 0xF4 ? 3
                                                                  : 0;
        if (more == 0) return false;
        const unsigned low = first == 0xE0 ? 0xA0u : first == 0xF0 ? 0x90u : 0x80u;
        const unsigned high = first == 0xED ? 0x9Fu : first == 0xF4 ? 0x8Fu : 0xBFu;
        if (at(i + 1) < low || at(i + 1) > high) return false;
        for (std::size_t j = 2; j <= more; ++j) {
            if (at(i + j) < 0x80 || at(i + j) > 0xBF) return false;
        }
        i += more + 1;
    }
    return true;
}

} // namespace netbuild
