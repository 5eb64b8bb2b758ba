// SPDX-License-Identifier: Apache-2.0
#include "ports/query_order.hpp"

#include <algorithm>

namespace netbuild {
namespace {

bool ordered_before(const Query& query, const std::vector<Value>& left,
                    const std::vector<Value>& right) {
    for (std::size_t i = 0; i < left.size(); ++i) {
        const int order = compare_values(left[i], right[i]);
        const bool descending = i < query.sort.size() && query.sort[i].descending;
        if (order != 0) return descending ? order > 0 : order < 0;
    }
    return false;
}

void erase_path(Value& document, std::string_view path) {
    auto* object = document.get_if<Object>();
    if (!object) return;
    const auto dot = path.find('.');
    if (dot == std::string_view::npos) {
        object->erase(path);
    } else if (Value* member = object->find(path.substr(0, dot))) {
        erase_path(*member, path.substr(dot + 1));
    }
}

} // namespace

std::vector<Value> cursor_of(const Query& query, const Value& document) {
    std::vector<Value> keys;
    for (const SortKey& key : query.sort) {
        const Value* found = document.at_path(key.path);
        keys.push_back(found ? *found : Value());
    }
    keys.push_back(*document.at_path("_id"));
    return keys;
}

void add_ordered(const Query& query, ValuePtr document, std::vector<OrderedDocument>& found) {
    auto keys = cursor_of(query, *document);
    if (query.after.size() == keys.size() && !ordered_before(query, query.after, keys)) return;
    found.emplace_back(std::move(keys), std::move(document));
}

std::vector<ValuePtr> take_page(const Query& query, std::vector<OrderedDocument> found) {
    std::sort(found.begin(), found.end(), [&](const auto& left, const auto& right) {
        return ordered_before(query, left.first, right.first);
    });
    std::vector<ValuePtr> page;
    for (auto& [keys, document] : found) {
        if (page.size() == query.limit) break;
        page.push_back(without_members(query, std::move(document)));
    }
    return page;
}

ValuePtr without_members(const Query& query, ValuePtr document) {
    if (query.without.empty()) return document;
    Value copy = *document;
    for (const std::string& path : query.without)
        erase_path(copy, path);
    return std::make_shared<const Value>(std::move(copy));
}

} // namespace netbuild
