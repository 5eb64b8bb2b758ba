// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "ports/document_store.hpp"

namespace netbuild {
namespace {

// MongoDB's order of types: null, numbers, strings, object, array, binary, boolean, date.
int type_class(const Value& value) noexcept {
    constexpr int classes[] = {0, 6, 1, 1, 1, 2, 7, 5, 4, 3};
    return classes[value.variant().index()];
}

template <class T>
int three_way(const T& left, const T& right) noexcept {
    return left < right ? -1 : right < left ? 1 : 0;
}

int compare_numbers(const Value& left, const Value& right) noexcept {
    const auto* left_double = left.get_if<double>();
    const auto* right_double = right.get_if<double>();
    if (!left_double && !right_double) return three_way(left.integer_or(), right.integer_or());
    // long double holds every int64 and every double exactly on x86-64.
    const long double l = left_double ? static_cast<long double>(*left_double)
                                      : static_cast<long double>(left.integer_or());
    const long double r = right_double ? static_cast<long double>(*right_double)
                                       : static_cast<long double>(right.integer_or());
    if (std::isnan(l) || std::isnan(r)) return three_way(!std::isnan(l), !std::isnan(r));
    return three_way(l, r);
}

template <class Range, class Compare>
int compare_ranges(const Range& left, const Range& right, Compare compare) {
    auto l = left.begin();
    auto r = right.begin();
    for (; l != left.end() && r != right.end(); ++l, ++r) {
        if (const int order = compare(*l, *r)) return order;
    }
    return l != left.end() ? 1 : r != right.end() ? -1 : 0;
}

// `*` stands for any run of characters; greedy with one point to go back to, linear in practice.
bool like(std::string_view text, std::string_view pattern) {
    std::size_t t = 0, p = 0, star = std::string_view::npos, resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p, ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

bool holds(const Condition& condition, const Value& value) {
    using Operator = Condition::Operator;
    const auto ordered = [&] { return type_class(value) == type_class(condition.value); };
    switch (condition.op) {
    case Operator::equal:
        return compare_values(value, condition.value) == 0;
    case Operator::not_equal:
        return compare_values(value, condition.value) != 0;
    case Operator::less:
        return ordered() && compare_values(value, condition.value) < 0;
    case Operator::less_or_equal:
        return ordered() && compare_values(value, condition.value) <= 0;
    case Operator::greater:
        return ordered() && compare_values(value, condition.value) > 0;
    case Operator::greater_or_equal:
        return ordered() && compare_values(value, condition.value) >= 0;
    case Operator::in:
        for (const Value& element : *condition.value.get_if<Array>()) {
            if (compare_values(value, element) == 0) return true;
        }
        return false;
    case Operator::like: {
        const auto* text = value.get_if<std::string>();
        return text && like(*text, condition.value.string_or());
    }
    case Operator::exists:
    case Operator::empty:
        return false; // decided by the caller
    }
    return false;
}

bool matches(const Condition& condition, const Value& document) {
    using Operator = Condition::Operator;
    const Value* value = document.at_path(condition.path);
    if (condition.op == Operator::exists)
        return (value != nullptr) == *condition.value.get_if<bool>();
    if (condition.op == Operator::empty) {
        const auto* object = value ? value->get_if<Object>() : nullptr;
        const auto* array = value ? value->get_if<Array>() : nullptr;
        const bool empty = object ? object->empty() : array ? array->empty() : true;
        return empty == *condition.value.get_if<bool>();
    }
    static const Value missing;
    if (!value) value = &missing; // equal to null, as MongoDB has it
    const auto* array = value->get_if<Array>();
    if (!array || condition.value.is<Array>() == (condition.op != Operator::in)) {
        return holds(condition, *value);
    }
    if (condition.op == Operator::not_equal) {
        return std::all_of(array->begin(), array->end(),
                           [&](const Value& element) { return holds(condition, element); });
    }
    return std::any_of(array->begin(), array->end(),
                       [&](const Value& element) { return holds(condition, element); });
}

} // namespace

int compare_values(const Value& left, const Value& right) noexcept {
    if (const int order = three_way(type_class(left), type_class(right))) return order;
    if (const auto* l = left.get_if<std::string>()) {
        return three_way(l->compare(*right.get_if<std::string>()), 0);
    }
    if (const auto* l = left.get_if<bool>()) return three_way(*l, *right.get_if<bool>());
    if (const auto* l = left.get_if<Date>()) return three_way(*l, *right.get_if<Date>());
    if (const auto* l = left.get_if<Binary>()) {
        return three_way(l->bytes.compare(right.get_if<Binary>()->bytes), 0);
    }
    if (const auto* l = left.get_if<Array>()) {
        return compare_ranges(*l, *right.get_if<Array>(), compare_values);
    }
    if (const auto* l = left.get_if<Object>()) {
        return compare_ranges(*l, *right.get_if<Object>(), [](const auto& a, const auto& b) {
            if (const int order = three_way(a.key.compare(b.key), 0)) return order;
            return compare_values(a.value, b.value);
        });
    }
    return left.is_null() ? 0 : compare_numbers(left, right);
}

bool matches(const Filter& filter, const Value& document) {
    const auto holds_here = [&](const Condition& condition) {
        return matches(condition, document);
    };
    return std::all_of(filter.all.begin(), filter.all.end(), holds_here) &&
           std::all_of(filter.any_of.begin(), filter.any_of.end(), [&](const auto& group) {
               return std::any_of(group.begin(), group.end(), holds_here);
           });
}

} // namespace netbuild
