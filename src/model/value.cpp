// SPDX-License-Identifier: Apache-2.0
#include "model/value.hpp"

#include <algorithm>

namespace netbuild {

Object::Object() noexcept = default;
Object::Object(std::initializer_list<Written> members) {
    members_.reserve(members.size());
    for (const Written& member : members)
        members_.push_back({std::string(member.key), std::move(member.value)});
}
Object::Object(const Object&) = default;
Object::Object(Object&&) noexcept = default;
Object& Object::operator=(const Object&) = default;
Object& Object::operator=(Object&&) noexcept = default;
Object::~Object() = default;

const Value* Object::find(std::string_view key) const noexcept {
    for (const auto& [name, value] : members_) {
        if (name == key) return &value;
    }
    return nullptr;
}

Value* Object::find(std::string_view key) noexcept {
    return const_cast<Value*>(std::as_const(*this).find(key));
}

Value& Object::set(std::string_view key, Value value) {
    if (Value* existing = find(key)) {
        *existing = std::move(value);
        return *existing;
    }
    return members_.emplace_back(Member{std::string(key), std::move(value)}).value;
}

Object& Object::object_at(std::string_view key) {
    Value* member = find(key);
    if (!member) member = &members_.emplace_back(Member{std::string(key), Object{}}).value;
    if (!member->is<Object>()) *member = Object{};
    return *member->get_if<Object>();
}

void Object::append(std::string key, Value value) {
    members_.push_back({std::move(key), std::move(value)});
}

bool Object::erase(std::string_view key) {
    const auto member = std::find_if(members_.begin(), members_.end(),
                                     [&](const Member& m) { return m.key == key; });
    if (member == members_.end()) return false;
    members_.erase(member);
    return true;
}

void Object::reserve(std::size_t members) { members_.reserve(members); }

bool operator==(const Object& left, const Object& right) {
    return left.size() == right.size() &&
           std::all_of(left.begin(), left.end(), [&](const Object::Member& member) {
               const Value* other = right.find(member.key);
               return other && *other == member.value;
           });
}

std::string_view Value::string_or(std::string_view otherwise) const noexcept {
    const auto* text = get_if<std::string>();
    return text ? std::string_view(*text) : otherwise;
}

std::int64_t Value::integer_or(std::int64_t otherwise) const noexcept {
    if (const auto* narrow = get_if<std::int32_t>()) return *narrow;
    if (const auto* wide = get_if<std::int64_t>()) return *wide;
    return otherwise;
}

std::string_view Object::text(std::string_view key, std::string_view otherwise) const noexcept {
    const Value* member = find(key);
    return member ? member->string_or(otherwise) : otherwise;
}

std::int64_t Object::integer(std::string_view key, std::int64_t otherwise) const noexcept {
    const Value* member = find(key);
    return member ? member->integer_or(otherwise) : otherwise;
}

std::string_view Value::text_at(std::string_view dotted,
                                std::string_view otherwise) const noexcept {
    const Value* there = at_path(dotted);
    return there ? there->string_or(otherwise) : otherwise;
}

std::int64_t Value::integer_at(std::string_view dotted, std::int64_t otherwise) const noexcept {
    const Value* there = at_path(dotted);
    return there ? there->integer_or(otherwise) : otherwise;
}

const Value* Value::at_path(std::string_view dotted) const noexcept {
    const Value* value = this;
    while (value) {
        const auto* object = value->get_if<Object>();
        if (!object) return nullptr;
        const auto dot = dotted.find('.');
        value = object->find(dotted.substr(0, dot));
        if (dot == std::string_view::npos) return value;
        dotted.remove_prefix(dot + 1);
    }
    return nullptr;
}

std::size_t approximate_bytes(const Value& value) noexcept {
    std::size_t bytes = sizeof(Value);
    if (const auto* text = value.get_if<std::string>()) return bytes + text->capacity();
    if (const auto* binary = value.get_if<Binary>()) return bytes + binary->bytes.capacity();
    if (const auto* array = value.get_if<Array>()) {
        for (const auto& element : *array)
            bytes += approximate_bytes(element);
    } else if (const auto* object = value.get_if<Object>()) {
        for (const auto& member : *object) {
            bytes += sizeof(std::string) + member.key.size() + approximate_bytes(member.value);
        }
    }
    return bytes;
}

} // namespace netbuild
