// SPDX-License-Identifier: Apache-2.0
#include "merged_lookups.hpp"

#include <algorithm>
#include <unordered_map>

namespace netbuild::mongo {

bool MergedLookups::mergeable(const Query& query) {
    if (!query.any_order || query.limit == 0 || !query.without.empty() || !query.after.empty() ||
        query.filter.all.size() != 1 || !query.filter.any_of.empty()) {
        return false;
    }
    const Condition& only = query.filter.all.front();
    return only.op == Condition::Operator::equal && only.value.is<std::string>();
}

result<MergedLookups::Documents> MergedLookups::look_up(const Query& query, const Find& find) {
    Waiting mine{query, {}};
    std::unique_lock lock(mutex_);
    Group& group =
        groups_[{std::string(query.collection), query.filter.all.front().path, query.limit}];
    group.waiting.push_back(&mine);
    while (!mine.answer) {
        if (group.running == running_max || group.waiting.empty()) {
            group.answered.wait(lock);
            continue;
        }
        ++group.running;
        const Share share = take(group);
        lock.unlock();
        Answers answers = ask(share, find);
        lock.lock();
        for (std::size_t i = 0; i < share.size(); ++i)
            share[i]->answer = std::move(answers[i]);
        --group.running;
        group.answered.notify_all();
    }
    return std::move(*mine.answer);
}

std::size_t MergedLookups::waiting() const {
    const std::scoped_lock lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [shape, group] : groups_)
        sum += group.waiting.size();
    return sum;
}

MergedLookups::Share MergedLookups::take(Group& group) {
    const auto count = std::min(group.waiting.size(), values_max);
    const auto last = group.waiting.begin() + static_cast<std::ptrdiff_t>(count);
    Share share(group.waiting.begin(), last);
    group.waiting.erase(group.waiting.begin(), last);
    return share;
}

MergedLookups::Answers MergedLookups::ask_each(const Share& share, const Find& find) {
    Answers answers;
    for (const Waiting* one : share)
        answers.push_back(find(one->query));
    return answers;
}

MergedLookups::Answers MergedLookups::ask(const Share& share, const Find& find) {
    if (share.size() == 1) return ask_each(share, find);
    std::unordered_map<std::string_view, Documents> found_of;
    for (const Waiting* one : share)
        found_of[one->value()];
    Array values;
    for (const auto& [value, documents] : found_of)
        values.emplace_back(value);
    const Query& like = share.front()->query;
    const std::string& path = like.filter.all.front().path;
    Query merged;
    merged.collection = like.collection;
    merged.any_order = true;
    merged.limit = like.limit * found_of.size();
    merged.filter.all.push_back({path, Condition::Operator::in, std::move(values)});
    auto found = find(merged);
    if (!found) return Answers(share.size(), found.error());
    // As many as were asked for: one value's documents may have crowded out another's.
    if (path != "_id" && found->size() == merged.limit) return ask_each(share, find);
    for (ValuePtr& document : *found) {
        const Value* value = document->at_path(path);
        const auto wanted = found_of.find(value ? value->string_or() : std::string_view{});
        if (wanted != found_of.end() && wanted->second.size() < like.limit)
            wanted->second.push_back(std::move(document));
    }
    Answers answers;
    for (const Waiting* one : share)
        answers.emplace_back(found_of.find(one->value())->second);
    return answers;
}

} // namespace netbuild::mongo
