// SPDX-License-Identifier: Apache-2.0
#include "sync/variable_value.hpp"

#include <charconv>

#include "model/collections.hpp"
#include "sync/cells.hpp"
#include "wire/json.hpp"

namespace netbuild::sync {
namespace {

using Column = camunda::hi_varinst;
using Answer = VariableValue;

Answer unknown() { return {}; }
Answer known(Value value) { return {std::move(value), std::nullopt}; }
Answer unreadable(Column column) { return {std::nullopt, column}; }

Answer from_long(const Row& row, auto make) {
    if (row.is_unchanged(Column::long_)) return unknown();
    if (!row.has_text(Column::long_)) return known({});
    const auto number = parse_integer<std::int64_t>(row.text(Column::long_));
    return number ? known(make(*number)) : unreadable(Column::long_);
}

Answer from_text(const Row& row) {
    if (row.is_unchanged(Column::text)) return unknown();
    return known(text_value(row.cell(Column::text)));
}

Answer from_double(const Row& row) {
    if (!row.has_text(Column::double_)) return known({});
    const std::string_view text = row.text(Column::double_);
    double number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc{} || end != text.data() + text.size()) return unreadable(Column::double_);
    return known(number);
}

Object description(std::string_view type, std::size_t size_bytes) {
    return Object{{"type", type}, {"sizeBytes", static_cast<std::int64_t>(size_bytes)}};
}

void add_bytes(Object& object, std::string bytes, const ProjectionOptions& options) {
    if (bytes.size() <= options.bytes_inline_max) object.set("bytes", Binary{std::move(bytes)});
}

Value json(std::string bytes) {
    auto parsed = parse_json(bytes);
    if (parsed) {
        escape_keys(*parsed);
        return std::move(*parsed);
    }
    Object object = description("Json", bytes.size());
    object.set("text", std::move(bytes));
    return object;
}

Value object(const Row& row, std::string_view format, std::string bytes,
             const ProjectionOptions& options) {
    Object described = description("Object", bytes.size());
    described.set("format", format);
    described.set("objectTypeName", text_value(row.cell(Column::text2)));
    add_bytes(described, std::move(bytes), options);
    return described;
}

Value file(const Row& row, std::string bytes, const ProjectionOptions& options) {
    Object described = description("File", bytes.size());
    described.set("fileName", text_value(row.cell(Column::text)));
    // "text/plain#UTF-8": the encoding stands behind the type.
    const std::string_view mime = row.text(Column::text2);
    described.set("mimeType", mime.empty() ? Value() : Value(mime.substr(0, mime.find('#'))));
    add_bytes(described, std::move(bytes), options);
    return described;
}

Answer from_bytes(const Row& row, std::string_view type, std::optional<std::string_view> bytea,
                  const ProjectionOptions& options) {
    if (row.is_null(Column::bytearray_id))
        return known(type == "file" ? Value(file(row, {}, options)) : Value());
    if (!bytea) return unknown();
    auto decoded = decode_bytea(*bytea);
    if (!decoded) return unreadable(Column::bytearray_id);
    std::string bytes = std::move(*decoded);
    if (type == "json") return known(json(std::move(bytes)));
    if (type == "file") return known(file(row, std::move(bytes), options));
    if (type == "serializable") {
        return known(
            object(row, "application/x-java-serialized-object", std::move(bytes), options));
    }
    if (type.starts_with("spin://"))
        return known(object(row, type.substr(7), std::move(bytes), options));
    Object described = description(type == "bytes" ? "Bytes"
                                   : type == "xml" ? "Xml"
                                                   : type,
                                   bytes.size());
    add_bytes(described, std::move(bytes), options);
    return known(std::move(described));
}

} // namespace

void escape_keys(Value& value) {
    if (auto* array = value.get_if<Array>()) {
        for (auto& element : *array)
            escape_keys(element);
    } else if (auto* object = value.get_if<Object>()) {
        for (auto& member : *object) {
            if (member.key.find_first_of("%.$") != std::string::npos) {
                member.key = escape_key(member.key);
            }
            escape_keys(member.value);
        }
    }
}

Answer variable_value(const Row& row, std::optional<std::string_view> bytes,
                      const ProjectionOptions& options) {
    const std::string_view type = row.text(Column::var_type);
    if (type == "string") return from_text(row);
    if (type == "integer" || type == "short") {
        return from_long(row, [](std::int64_t n) { return Value(static_cast<std::int32_t>(n)); });
    }
    if (type == "long") return from_long(row, [](std::int64_t n) { return Value(n); });
    if (type == "boolean") return from_long(row, [](std::int64_t n) { return Value(n != 0); });
    if (type == "date") return from_long(row, [](std::int64_t n) { return Value(Date{n}); });
    if (type == "double") return from_double(row);
    if (type == "null") return known({});
    return from_bytes(row, type, bytes, options);
}

} // namespace netbuild::sync
