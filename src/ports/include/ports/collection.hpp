// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild {

enum class FieldType : unsigned char {
    text,
    /// 64 bits.
    integer,
    /// Any number.
    number,
    boolean,
    /// In JSON an ISO 8601 string with a zone.
    date,
    /// Bytes; never in a request's body.
    binary,
    /// Exactly the members of Field::fields.
    object,
    /// Elements of the type Field::element.
    list,
    /// Whatever JSON holds, without a declared shape.
    json,
};

/// One member of a collection's records or of a request's body. Null is what is not there.
struct Field {
    std::string_view name;
    FieldType type = FieldType::text;
    bool required = false;
    /// Only NetBuild sets it: unknown in a request's body.
    bool server = false;
    /// May say who a person is: all of an append-only record that RecordWrite::redact may change.
    bool personal = false;
    /// Bytes of a text, elements of a list; 0: the type's own limit.
    std::size_t size_max = 0;
    /// The allowed texts, separated by |; empty: any.
    std::string_view choices = {};
    /// Of an object, and of a list whose elements are objects.
    std::span<const Field> fields = {};
    FieldType element = FieldType::text;
    std::string_view help = {};
};

inline constexpr std::size_t text_bytes_max = 64 * 1024;
inline constexpr std::size_t list_elements_max = 1000;
/// Levels of objects and lists inside a `json` field.
inline constexpr int json_depth_max = 20;

/// Ascending; serves either direction. What is not unique has `_id` as its last key.
struct RecordIndex {
    std::array<std::string_view, 4> fields;
    /// Of records that have all the fields; the others are not bound by it.
    bool unique = false;
    /// What it is there for.
    std::string_view reason = {};

    [[nodiscard]] std::span<const std::string_view> keys() const noexcept {
        std::size_t count = 0;
        while (count < fields.size() && !fields[count].empty())
            ++count;
        return std::span(fields).first(count);
    }
};

/// One of NetBuild's own collections. Every record has `_id` (text) and `version` (integer, 1 when
/// it is new) besides its fields.
struct Collection {
    std::string_view name;
    /// What one record is.
    std::string_view holds;
    std::span<const Field> fields;
    std::span<const RecordIndex> indexes = {};
    /// Records are inserted and never changed, but for their `personal` fields when a person is
    /// erased; only what has expired is removed.
    bool append_only = false;
    /// A date field: after it a record may be removed. It needs an index.
    std::string_view expires = {};
    std::size_t bytes_max = 1024 * 1024;
    /// Other programs write into it, too, in forms of their own: their records have an `_id` that
    /// is no text, or no version. They are let in, told of and read as they are, held to nothing,
    /// and bound by no unique index whose last field they lack.
    bool shared = false;
    /// A text field with a full-text index, where the store has such a thing. Of an append-only
    /// collection that does not expire: what is indexed once stays.
    std::string_view searched = {};

    [[nodiscard]] const Field* field(std::string_view wanted) const noexcept;
    /// Filters and orders are made of `_id` and of fields that an index has.
    [[nodiscard]] bool indexed(std::string_view wanted) const noexcept;
};

/// A request's body by its declaration: dates parsed, integers 64 bits wide, nulls left out.
/// invalid_argument whose detail begins with the path of the field ("roles[0].domainId: …") for
/// what is unknown, missing, of another type or too large, for text with NUL or bad UTF-8, for keys
/// with NUL, a dot or a leading dollar sign, for nesting deeper than json_depth_max.
[[nodiscard]] result<Object> read_body(std::span<const Field> fields, const Value& body);

/// The same rules for what is about to be stored, where `server` fields belong and dates are dates;
/// also payload_too_large. `body` has neither _id nor version.
[[nodiscard]] result<void> check_record(const Collection& collection, const Object& body);

/// Is the value one of a field's type that can be compared (no object, no list)?
[[nodiscard]] bool is_scalar_of(const Field& field, const Value& value) noexcept;

/// The declaration as MongoDB's $jsonSchema
/// (https://www.mongodb.com/docs/manual/reference/operator/query/jsonSchema/).
[[nodiscard]] Object json_schema(const Collection& collection);

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
/// A client's name of a field as messages have it: printable and short.
[[nodiscard]] std::string printable_name(std::string_view name);

} // namespace netbuild
