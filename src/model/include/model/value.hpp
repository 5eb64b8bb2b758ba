// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace netbuild {

class Value;

/// Milliseconds since 1970-01-01T00:00:00Z, as BSON's UTC datetime.
struct Date {
    std::int64_t milliseconds = 0;
    friend auto operator<=>(const Date&, const Date&) = default;
};

/// Bytes, as BSON's binary of subtype 0.
struct Binary {
    std::string bytes;
    friend bool operator==(const Binary&, const Binary&) = default;
};

using Array = std::vector<Value>;

/// A document: members in insertion order, keys unique. Look-up is linear: documents are small, or
/// are read whole. Two objects are equal if they have equal members in any order.
class Object {
public:
    struct Member;
    struct Written;

    // Out of line: Member holds a Value, which is not complete yet.
    Object() noexcept;
    /// Keys are different; values are moved out of the list.
    Object(std::initializer_list<Written> members);
    Object(const Object& other);
    Object(Object&& other) noexcept;
    Object& operator=(const Object& other);
    Object& operator=(Object&& other) noexcept;
    ~Object();

    [[nodiscard]] const Value* find(std::string_view key) const noexcept;
    [[nodiscard]] Value* find(std::string_view key) noexcept;
    [[nodiscard]] bool contains(std::string_view key) const noexcept {
        return find(key) != nullptr;
    }
    /// The member's, as Value's string_or() and integer_or(); `otherwise` where it is missing too.
    [[nodiscard]] std::string_view text(std::string_view key,
                                        std::string_view otherwise = {}) const noexcept;
    [[nodiscard]] std::int64_t integer(std::string_view key,
                                       std::int64_t otherwise = 0) const noexcept;
    /// Sets or replaces.
    Value& set(std::string_view key, Value value);
    /// The member `key`, made an empty object if it is missing or no object.
    Object& object_at(std::string_view key);
    /// Appends without a look for a member of that name: for who knows that there is none.
    void append(std::string key, Value value);
    /// True if there was such a member.
    bool erase(std::string_view key);
    void reserve(std::size_t members);

    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] bool empty() const noexcept;
    [[nodiscard]] const Member* begin() const noexcept;
    [[nodiscard]] const Member* end() const noexcept;
    [[nodiscard]] Member* begin() noexcept;
    [[nodiscard]] Member* end() noexcept;

    friend bool operator==(const Object& left, const Object& right);

private:
    std::vector<Member> members_;
};

/// One value of a document, with exactly the types of BSON that the product stores.
class Value {
public:
    using Variant = std::variant<std::monostate, bool, std::int32_t, std::int64_t, double,
                                 std::string, Date, Binary, Array, Object>;

    Value() = default;
    Value(std::nullptr_t) {}
    Value(bool value) : variant_(value) {}
    Value(std::int32_t value) : variant_(value) {}
    Value(std::int64_t value) : variant_(value) {}
    Value(double value) : variant_(value) {}
    Value(std::string value) : variant_(std::move(value)) {}
    Value(std::string_view value) : variant_(std::string(value)) {}
    Value(const char* value) : variant_(std::string(value)) {}
    Value(Date value) : variant_(value) {}
    Value(Binary value) : variant_(std::move(value)) {}
    Value(Array value) : variant_(std::move(value)) {}
    Value(Object value) : variant_(std::move(value)) {}

    template <class T>
    [[nodiscard]] const T* get_if() const noexcept {
        return std::get_if<T>(&variant_);
    }
    template <class T>
    [[nodiscard]] T* get_if() noexcept {
        return std::get_if<T>(&variant_);
    }
    template <class T>
    [[nodiscard]] bool is() const noexcept {
        return std::holds_alternative<T>(variant_);
    }
    [[nodiscard]] bool is_null() const noexcept { return is<std::monostate>(); }
    [[nodiscard]] const Variant& variant() const noexcept { return variant_; }

    /// The string, or `otherwise` if this is none.
    [[nodiscard]] std::string_view string_or(std::string_view otherwise = {}) const noexcept;
    /// Any integer type widened, or `otherwise`.
    [[nodiscard]] std::int64_t integer_or(std::int64_t otherwise = 0) const noexcept;
    /// The value at "a.b.c", or null pointer; an Array's elements are not searched.
    [[nodiscard]] const Value* at_path(std::string_view dotted) const noexcept;
    /// What lies there, as string_or() and integer_or(); `otherwise` where nothing does.
    [[nodiscard]] std::string_view text_at(std::string_view dotted,
                                           std::string_view otherwise = {}) const noexcept;
    [[nodiscard]] std::int64_t integer_at(std::string_view dotted,
                                          std::int64_t otherwise = 0) const noexcept;

    friend bool operator==(const Value&, const Value&) = default;

private:
    Variant variant_;
};

struct Object::Member {
    std::string key;
    Value value;
};

/// A member as source text has it, `{{"key", value}, …}`: a list's elements are const, and a copy
/// of each value is what that would cost.
struct Object::Written {
    std::string_view key;
    mutable Value value;
};

/// Bytes in memory, near enough for limits.
[[nodiscard]] std::size_t approximate_bytes(const Value& value) noexcept;

inline std::size_t Object::size() const noexcept { return members_.size(); }
inline bool Object::empty() const noexcept { return members_.empty(); }
inline const Object::Member* Object::begin() const noexcept { return members_.data(); }
inline const Object::Member* Object::end() const noexcept { return begin() + size(); }
inline Object::Member* Object::begin() noexcept { return members_.data(); }
inline Object::Member* Object::end() noexcept { return begin() + size(); }

} // namespace netbuild
