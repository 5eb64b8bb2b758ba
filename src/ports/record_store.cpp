// SPDX-License-Identifier: Apache-2.0
#include "ports/record_store.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "wire/base64url.hpp"
#include "wire/bson.hpp"

namespace netbuild {
namespace {

constexpr std::size_t id_bytes_max = 512;
constexpr std::size_t cursor_bytes_max = 4096;
constexpr std::size_t search_bytes_max = 1000;

Error refuse(std::string_view field, std::string_view why) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", field, why));
}

/// `_id` is no declared field, and a text like any.
const Field* field_of(const Collection& collection, std::string_view name) {
    static constexpr Field id{.name = "_id", .required = true};
    return name == "_id" ? &id : collection.field(name);
}

result<void> check_condition(const Collection& collection, const RecordCondition& condition) {
    using Op = RecordCondition::Operator;
    const Field* field = field_of(collection, condition.field);
    if (!field || !collection.indexed(condition.field))
        return refuse(condition.field, "is no field to filter by");
    if (condition.op == Op::equal && condition.value.is_null() && !field->required) return {};
    if (condition.op != Op::in) {
        if (is_scalar_of(*field, condition.value)) return {};
        return refuse(condition.field, "the value is not of the field's type");
    }
    const auto* list = condition.value.get_if<Array>();
    if (!list || list->size() > RecordQuery::in_max)
        return refuse(condition.field, "must be a list of at most 500 values");
    for (const Value& value : *list) {
        if (!is_scalar_of(*field, value))
            return refuse(condition.field, "a value is not of the field's type");
    }
    return {};
}

std::string cursor_of(const RecordStore::Plan& plan, const Value& record) {
    Array keys;
    for (const std::string_view key : plan.keys) {
        const Value* value = record.at_path(key);
        keys.push_back(value ? *value : Value()); // another program's record may lack it
    }
    return encode_base64url(encode_bson(Object{{"k", std::move(keys)}}));
}

/// Whatever a client sends as a cursor: only scalars of the keys' types come out of it.
result<std::vector<Value>> read_cursor(const RecordStore::Plan& plan, const std::string& text) {
    const Error error = refuse("cursor", "not one that this list gave out");
    std::string bytes;
    if (text.size() > cursor_bytes_max || !decode_base64url(text, bytes)) return error;
    const auto decoded = decode_bson(bytes);
    const Value* list = decoded ? decoded->find("k") : nullptr;
    const auto* keys = list ? list->get_if<Array>() : nullptr;
    if (!keys || keys->size() != plan.keys.size()) return error;
    for (std::size_t i = 0; i < keys->size(); ++i) {
        if (!is_scalar_of(*field_of(*plan.collection, plan.keys[i]), (*keys)[i])) return error;
    }
    return *keys;
}

/// Do the keys say which record it is? Then an index has the whole order.
bool identify(const Collection& collection, std::span<const std::string_view> keys) {
    return std::any_of(collection.indexes.begin(), collection.indexes.end(),
                       [&](const RecordIndex& index) {
                           const auto fields = index.keys();
                           return index.unique && keys.size() >= fields.size() &&
                                  std::equal(fields.begin(), fields.end(), keys.begin());
                       });
}

/// Blanks, quotes and backslashes end a word: no store takes the rest for an operator.
result<std::vector<std::string>> words_of(const RecordQuery& query) {
    std::vector<std::string> words;
    if (query.text.empty()) return words;
    if (query.collection->searched.empty()) return refuse("text", "nothing is indexed here");
    if (query.text.size() > search_bytes_max || !is_utf8(query.text) ||
        query.text.find('\0') != std::string::npos)
        return refuse("text", fmt::format("must be UTF-8 of at most {} bytes", search_bytes_max));
    constexpr std::string_view ends = " \t\r\n\"\\";
    for (std::string_view left = query.text; !left.empty();) {
        const auto end = std::min(left.find_first_of(ends), left.size());
        if (end > 0) words.emplace_back(left.substr(0, end));
        left.remove_prefix(std::min(end + 1, left.size()));
    }
    if (words.empty() || words.size() > RecordQuery::words_max)
        return refuse("text", fmt::format("must be 1 to {} words", RecordQuery::words_max));
    return words;
}

result<RecordStore::Plan> plan_of(const RecordQuery& query) {
    RecordStore::Plan plan;
    plan.collection = query.collection;
    if (query.limit == 0 || query.limit > RecordQuery::limit_max)
        return refuse("limit", fmt::format("must be 1 to {}", RecordQuery::limit_max));
    for (const RecordCondition& condition : query.where) {
        TRY_VOID(check_condition(*query.collection, condition));
        const auto* list = condition.value.get_if<Array>();
        plan.nothing |= list && list->empty();
    }
    plan.where = query.where;
    for (const std::string_view key : query.sort) {
        const Field* field = query.collection->field(key);
        if (!field || !field->required || !query.collection->indexed(key))
            return refuse(key, "is no field to sort by");
        plan.keys.push_back(key);
    }
    if (!identify(*query.collection, plan.keys)) plan.keys.emplace_back("_id");
    TRY(plan.words, words_of(query));
    if (!query.after.empty() && !query.before.empty())
        return refuse("before", "there is an `after` too");
    const std::string& cursor = query.after.empty() ? query.before : query.after;
    if (!cursor.empty()) {
        TRY(plan.from, read_cursor(plan, cursor));
    }
    plan.descending = query.descending != !query.before.empty();
    plan.limit = query.limit + 1;
    return plan;
}

result<void> check_write(const RecordWrite& write) {
    const Collection& collection = *write.collection;
    if (write.id.empty() || write.id.size() > id_bytes_max || !is_utf8(write.id) ||
        write.id.find('\0') != std::string::npos)
        return refuse("_id", fmt::format("must be 1 to {} bytes of UTF-8", id_bytes_max));
    using Kind = RecordWrite::Kind;
    if (collection.append_only && (write.kind == Kind::replace || write.kind == Kind::erase))
        return fail(ErrorCode::unsupported, fmt::format("{} are never changed", collection.name));
    if (!collection.append_only && write.kind == Kind::redact)
        return fail(ErrorCode::unsupported, fmt::format("{} are replaced", collection.name));
    if (write.kind == RecordWrite::Kind::erase) return {};
    return check_record(collection, write.body);
}

} // namespace

RecordWrite RecordWrite::insert(const Collection& collection, std::string id, Object body) {
    return {Kind::insert, &collection, std::move(id), 0, std::move(body)};
}
RecordWrite RecordWrite::replace(const Collection& collection, std::string id, std::int64_t version,
                                 Object body) {
    return {Kind::replace, &collection, std::move(id), version, std::move(body)};
}
RecordWrite RecordWrite::erase(const Collection& collection, std::string id, std::int64_t version) {
    return {Kind::erase, &collection, std::move(id), version, {}};
}

RecordWrite RecordWrite::redact(const Collection& collection, std::string id, std::int64_t version,
                                Object body) {
    return {Kind::redact, &collection, std::move(id), version, std::move(body)};
}

std::string SchemaChange::text() const {
    constexpr std::string_view verbs[] = {"create collection", "set validator of", "create index",
                                          "drop index"};
    return fmt::format("{} {}{}{}", verbs[static_cast<std::size_t>(kind)], collection->name,
                       index.empty() ? "" : ".", index);
}

awaitable<result<void>> RecordStore::commit(std::vector<RecordWrite> writes) {
    if (writes.empty()) co_return result<void>{};
    if (writes.size() > writes_max)
        co_return fail(ErrorCode::payload_too_large,
                       fmt::format("a commit has at most {} writes", writes_max));
    for (const RecordWrite& write : writes)
        CO_TRY_VOID(check_write(write));
    for (const RecordWrite& write : writes) {
        if (write.kind == RecordWrite::Kind::redact) CO_TRY_VOID(co_await check_redaction(write));
    }
    co_return co_await write(std::move(writes));
}

/// What is compared is the version that is written over: another one is a conflict.
awaitable<result<void>> RecordStore::check_redaction(RecordWrite write) {
    CO_TRY(const ValuePtr there, co_await one(*write.collection, write.id));
    if (record_version(*there) != write.version)
        co_return fail(ErrorCode::conflict,
                       fmt::format("{}: {}", write.collection->name, write.id));
    Object before = record_body(*there), after = std::move(write.body);
    for (const Field& field : write.collection->fields) {
        if (!field.personal) continue;
        before.erase(field.name);
        after.erase(field.name);
    }
    if (before == after) co_return result<void>{};
    co_return fail(ErrorCode::unsupported, fmt::format("{} are never changed but for who is named",
                                                       write.collection->name));
}

awaitable<result<void>> RecordStore::commit(RecordWrite write) {
    std::vector<RecordWrite> writes;
    writes.push_back(std::move(write));
    co_return co_await commit(std::move(writes));
}

awaitable<result<ValuePtr>> RecordStore::one(const Collection& collection, std::string id) {
    const Collection* from = &collection;
    CO_TRY(const auto found, co_await get(*from, {id}));
    if (!found.front()) co_return fail(ErrorCode::not_found, fmt::format("{}: {}", from->name, id));
    co_return found.front();
}

awaitable<result<RecordPage>> RecordStore::find(RecordQuery query) {
    CO_TRY(const Plan plan, plan_of(query));
    RecordPage page;
    if (plan.nothing) co_return page;
    CO_TRY(page.items, co_await walk(plan));
    const bool more = page.items.size() > query.limit;
    if (more) page.items.pop_back();
    const bool backwards = !query.before.empty();
    if (backwards) std::reverse(page.items.begin(), page.items.end());
    if (page.items.empty()) co_return page;
    if (backwards || more) page.next = cursor_of(plan, *page.items.back());
    if (backwards ? more : !query.after.empty())
        page.previous = cursor_of(plan, *page.items.front());
    co_return page;
}

awaitable<result<ValuePtr>> RecordStore::first(RecordQuery query) {
    query.limit = 1;
    CO_TRY(const RecordPage page, co_await find(std::move(query)));
    co_return page.items.empty() ? nullptr : page.items.front();
}

Object record_body(const Value& record) {
    Object body = *record.get_if<Object>();
    body.erase("_id");
    body.erase("version");
    return body;
}

std::string record_id(const Value& record) {
    return std::string(record.at_path("_id")->string_or());
}

std::int64_t record_version(const Value& record) {
    const Value* version = record.at_path("version");
    return version ? version->integer_or() : 0;
}

Object stored_record(const RecordWrite& write) {
    Object record{{"_id", write.id}, {"version", write.version + 1}};
    record.reserve(write.body.size() + 2);
    for (const auto& member : write.body)
        record.append(member.key, member.value);
    return record;
}

std::string index_name(const RecordIndex& index) {
    return fmt::format("nb_{}{}", index.unique ? "unique_" : "", fmt::join(index.keys(), "_"));
}

std::string search_index_name(const Collection& collection) {
    return collection.searched.empty() ? "" : fmt::format("nb_text_{}", collection.searched);
}

const RecordIndex* find_index(const Collection& collection, std::string_view name) {
    const auto found = std::find_if(collection.indexes.begin(), collection.indexes.end(),
                                    [&](const auto& index) { return index_name(index) == name; });
    return found == collection.indexes.end() ? nullptr : &*found;
}

} // namespace netbuild
