// SPDX-License-Identifier: Apache-2.0
#include "filter_bson.hpp"

namespace netbuild::mongo {
namespace {

/// h*o as an anchored regular expression; what stands between the stars is literal.
std::string like_pattern(std::string_view like) {
    std::string pattern = "^";
    for (const char c : like) {
        if (c == '*') {
            pattern += ".*";
            continue;
        }
        if (std::string_view("\\^$.|?+()[]{}").find(c) != std::string_view::npos)
            pattern.push_back('\\');
        pattern.push_back(c);
    }
    return pattern + "$";
}

Object condition_object(const Condition& condition) {
    using Op = Condition::Operator;
    const auto with = [&](const char* op) {
        return Object{{condition.path, Object{{op, condition.value}}}};
    };
    const bool* flag = condition.value.get_if<bool>();
    const bool yes = flag && *flag;
    switch (condition.op) {
    case Op::equal:
        return with("$eq");
    case Op::not_equal:
        return with("$ne");
    case Op::less:
        return with("$lt");
    case Op::less_or_equal:
        return with("$lte");
    case Op::greater:
        return with("$gt");
    case Op::greater_or_equal:
        return with("$gte");
    case Op::in:
        return with("$in");
    case Op::exists:
        return with("$exists");
    case Op::like:
        return Object{{condition.path, Object{{"$regex", like_pattern(condition.value.string_or())},
                                              {"$options", "s"}}}};
    case Op::empty:
        return Object{
            {condition.path, Object{{yes ? "$in" : "$nin", Array{nullptr, Object{}, Array{}}}}}};
    }
    return {};
}

} // namespace

/// {path: value} where it says the same as {path: {$eq: value}}: the form that every planner knows.
[[nodiscard]] static bool plain_equal(const Condition& condition) {
    return condition.op == Condition::Operator::equal && !condition.value.is<Object>();
}

Object filter_object(const Filter& filter) {
    Object flat;
    Array rest; // a second condition on a path, and alternatives
    for (const Condition& condition : filter.all) {
        if (flat.contains(condition.path)) {
            rest.emplace_back(condition_object(condition));
        } else if (plain_equal(condition)) {
            flat.append(condition.path, condition.value);
        } else {
            Object object = condition_object(condition);
            flat.append(condition.path, std::move(object.begin()->value));
        }
    }
    for (const auto& group : filter.any_of) {
        Array any;
        for (const Condition& condition : group)
            any.emplace_back(condition_object(condition));
        rest.emplace_back(Object{{"$or", std::move(any)}});
    }
    if (!rest.empty()) flat.append("$and", std::move(rest));
    return flat;
}

Object sort_object(const Query& query) {
    Object sort;
    for (const SortKey& key : query.sort)
        sort.append(key.path, key.descending ? -1 : 1);
    sort.append("_id", 1);
    return sort;
}

Object query_object(const Query& query) {
    Object filter = filter_object(query.filter);
    if (query.after.size() != query.sort.size() + 1) return filter;
    if (query.sort.empty() && !filter.contains("_id")) {
        // A plain range beside the rest: not every server finds an index in the general form.
        filter.set("_id", Object{{"$gt", query.after.front()}});
        return filter;
    }
    // (a, b, _id) after (x, y, z): greater in one member, equal in those before it. Null, and what
    // is not there, is the smallest.
    Array alternatives;
    for (std::size_t i = 0; i < query.after.size(); ++i) {
        Array parts;
        const auto path = [&](std::size_t at) {
            return at < query.sort.size() ? query.sort[at].path : std::string("_id");
        };
        for (std::size_t j = 0; j < i; ++j)
            parts.emplace_back(Object{{path(j), Object{{"$eq", query.after[j]}}}});
        const bool descending = i < query.sort.size() && query.sort[i].descending;
        const Value& value = query.after[i];
        if (value.is_null()) {
            if (descending) continue; // nothing is smaller
            parts.emplace_back(Object{{path(i), Object{{"$ne", nullptr}}}});
        } else if (descending) {
            parts.emplace_back(Object{{"$or", Array{Object{{path(i), Object{{"$lt", value}}}},
                                                    Object{{path(i), Object{{"$eq", nullptr}}}}}}});
        } else {
            parts.emplace_back(Object{{path(i), Object{{"$gt", value}}}});
        }
        alternatives.emplace_back(Object{{"$and", std::move(parts)}});
    }
    Array both{Object{{"$or", std::move(alternatives)}}};
    if (!filter.empty()) both.emplace_back(std::move(filter));
    return Object{{"$and", std::move(both)}};
}

} // namespace netbuild::mongo
