// SPDX-License-Identifier: Apache-2.0
#include "record_bson.hpp"

#include <algorithm>
#include <limits>

namespace netbuild::mongo {
namespace {

/// Always with an operator of ours in front of the value, which is a scalar: see RecordQuery. Side
/// by side, not in an $and, which not every server takes an index for.
Object conditions_object(const std::vector<RecordCondition>& conditions) {
    constexpr const char* operators[] = {"$eq", "$lt", "$lte", "$gt", "$gte", "$in"};
    Object filter;
    Array twice; // one operator on one field
    for (const RecordCondition& condition : conditions) {
        const char* op = operators[static_cast<std::size_t>(condition.op)];
        Object& of_field = filter.object_at(condition.field);
        if (of_field.contains(op)) {
            twice.emplace_back(
                Object{{std::string(condition.field), Object{{op, condition.value}}}});
        } else {
            of_field.append(op, condition.value);
        }
    }
    // The value alone says the same, and a server may be a quarter faster with it (SecantusDB).
    for (auto& member : filter) {
        const auto& operators_of = *member.value.get_if<Object>();
        if (operators_of.size() == 1 && operators_of.begin()->key == "$eq") {
            Value value = operators_of.begin()->value;
            member.value = std::move(value);
        }
    }
    if (!twice.empty()) filter.append("$and", std::move(twice));
    return filter;
}

/// (a, b, _id) behind (x, y, z): beyond in one member, equal in those before it. ObjectIds, which
/// other programs' records have, come after all texts; a comparison sees values of one type only.
Array behind(const RecordStore::Plan& plan) {
    Array alternatives;
    for (std::size_t i = 0; i < plan.keys.size(); ++i) {
        Object parts;
        for (std::size_t j = 0; j < i; ++j)
            parts.append(std::string(plan.keys[j]), Object{{"$eq", plan.from[j]}});
        const char* beyond = plan.descending ? "$lt" : "$gt";
        const bool of_ids = plan.collection->shared && plan.keys[i] == "_id";
        if (of_ids && is_object_id(plan.from[i].string_or())) {
            parts.append("$expr",
                         Object{{beyond, Array{"$_id", Object{{"$toObjectId", plan.from[i]}}}}});
            alternatives.emplace_back(std::move(parts));
            continue;
        }
        if (of_ids && !plan.descending) {
            Object object_ids = parts;
            object_ids.append("_id", Object{{"$type", "objectId"}});
            alternatives.emplace_back(std::move(object_ids));
        }
        parts.append(std::string(plan.keys[i]), Object{{beyond, plan.from[i]}});
        alternatives.emplace_back(std::move(parts));
    }
    return alternatives;
}

/// Of a type that is ordered: no value is less.
Value least(FieldType type) {
    switch (type) {
    case FieldType::integer:
    case FieldType::number:
        return std::numeric_limits<std::int64_t>::min();
    case FieldType::date:
        return Date{-62'135'596'800'000}; // the year 1
    case FieldType::boolean:
        return false;
    default:
        return "";
    }
}

/// A record of another program's that lacks what a list is ordered by, or has it in another type,
/// is not in that list: nothing could come behind it. This is also what lets MongoDB take a unique
/// index, which has only those that have its last field.
void ordered_only(const RecordStore::Plan& plan, Object& filter) {
    for (const std::string_view key : plan.keys)
        if (key != "_id" && !filter.contains(key))
            filter.append(std::string(key),
                          Object{{"$gte", least(plan.collection->field(key)->type)}});
}

} // namespace

bool is_object_id(std::string_view text) noexcept {
    return text.size() == 24 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

Object walk_filter(const RecordStore::Plan& plan) {
    Object filter = conditions_object(plan.where);
    if (plan.collection->shared) ordered_only(plan, filter);
    if (!plan.from.empty()) filter.append("$or", behind(plan));
    if (!plan.words.empty()) {
        std::string search; // phrases: all of them
        for (const std::string& word : plan.words)
            search += "\"" + word + "\" ";
        filter.append("$text", Object{{"$search", std::move(search)}});
    }
    return filter;
}

Object walk_sort(const RecordStore::Plan& plan) {
    Object sort;
    for (const std::string_view key : plan.keys)
        sort.append(std::string(key), plan.descending ? -1 : 1);
    return sort;
}

Object index_object(const Collection& collection, const RecordIndex& index) {
    Object keys, present;
    for (const std::string_view key : index.keys()) {
        keys.append(std::string(key), 1);
        const Field* field = collection.field(key);
        const bool last = key == index.keys().back();
        if (field && (!field->required || (collection.shared && last)))
            present.append(std::string(key), Object{{"$exists", true}});
    }
    if (!index.unique) keys.append("_id", 1); // orders end with it
    Object object{{"key", std::move(keys)}, {"name", index_name(index)}};
    if (!index.unique) return object;
    object.append("unique", true);
    // What lacks a field is not bound by the index: MongoDB would take it for null.
    if (!present.empty()) object.append("partialFilterExpression", std::move(present));
    return object;
}

Object search_index_object(const Collection& collection) {
    // No language: no stemming, no words left out, as SQLite's.
    return {{"key", Object{{std::string(collection.searched), "text"}}},
            {"name", search_index_name(collection)},
            {"default_language", "none"},
            {"language_override", "_language"}};
}

Object validator_object(const Collection& collection) {
    return {{"$jsonSchema", json_schema(collection)}};
}

} // namespace netbuild::mongo
