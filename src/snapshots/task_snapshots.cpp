// SPDX-License-Identifier: Apache-2.0
#include "snapshots/task_snapshots.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "data/snapshot_records.hpp"
#include "model/collections.hpp"
#include "runtime/backoff.hpp"
#include "snapshots/links.hpp"
#include "wire/canonical_json.hpp"
#include "wire/json.hpp"
#include "wire/sha256.hpp"

namespace netbuild::snapshots {
namespace {

using Op = RecordCondition::Operator;

constexpr int content_depth_max = 250;
const std::string head_id = "head";

/// The member, or null.
Value member(const Value& object, std::string_view key) {
    const Value* found = object.at_path(key);
    return found ? *found : Value();
}

std::string text_of(const Value* value) {
    return std::string(value ? value->string_or() : std::string_view{});
}

/// A document as HTTP shows it: names as users gave them, without what is ours.
Value shown(Value document) {
    if (auto* object = document.get_if<Object>()) {
        if (const Value* id = object->find("_id")) object->set("id", *id);
        object->erase("_id");
        object->erase("sync");
        if (Value* variables = object->find("variables")) unescape_keys(*variables);
    }
    return document;
}

Value shown_variables(Value variables) {
    unescape_keys(variables);
    return variables;
}

/// What passes a document's size loses its variables, and says so.
std::string content_text(Object content) {
    std::string text = canonical_json(content);
    const auto leave_out = [&](Value* variables) {
        if (text.size() <= data::snapshot_content_bytes_max || !variables) return;
        *variables =
            Object{{"truncated", true}, {"sizeBytes", static_cast<std::int64_t>(text.size())}};
        text = canonical_json(content);
    };
    leave_out(content.find("variables"));
    leave_out(content.object_at("task").find("variables"));
    return text;
}

std::string chain_of(const Object& content) {
    const Value* instance = content.find("processInstanceId");
    if (instance && !instance->is_null()) return text_of(instance);
    return text_of(content.find("taskId"));
}

RecordWrite snapshot_write(const Link& link, const Object& content, std::string text) {
    Object body{{"sequence", link.sequence},
                {"chain", link.chain},
                {"number", link.number},
                {"previousHash", link.previous_hash},
                {"previousInAll", link.previous_in_all},
                {"contentHash", link.content_hash},
                {"hash", link.hash()},
                {"content", std::move(text)}};
    for (const char* key : {"taskId", "processInstanceId", "executionId", "domainId"}) {
        const Value* value = content.find(key);
        if (value && !value->is_null()) body.append(key, *value);
    }
    return RecordWrite::insert(data::task_snapshots, link.id, std::move(body));
}

std::uint64_t lsn_of(const Value* document) {
    const Value* lsn = document ? document->at_path("sync.lsn") : nullptr;
    return static_cast<std::uint64_t>(lsn ? lsn->integer_or() : 0);
}

Query by_id(std::string_view collection, const std::string& id) {
    Query query;
    query.collection = collection;
    query.filter.all.push_back({"_id", Condition::Operator::equal, id});
    query.limit = 1;
    return query;
}

} // namespace

Value shown_snapshot(const Value& record) {
    Object shown{{"id", record_id(record)}};
    for (const char* key :
         {"sequence", "chain", "number", "previousHash", "previousInAll", "contentHash", "hash"})
        shown.append(key, member(record, key));
    auto content = parse_canonical_json(record.at_path("content")->string_or(), content_depth_max);
    shown.append("content", content ? std::move(*content) : Value()); // verify says what it is
    return shown;
}

// --- tasks that completed

TaskSnapshots::Material TaskSnapshots::material_of(const Value& completion) {
    const std::string id = text_of(completion.at_path("_id"));
    return {id, Object{{"id", id},
                       {"reason", "completed"},
                       {"position", id},
                       {"takenAt", member(completion, "at")},
                       {"takenBy", nullptr},
                       {"domainId", member(completion, "domainId")},
                       {"executionId", member(completion, "executionId")},
                       {"processInstanceId", member(completion, "processInstanceId")},
                       {"taskId", member(completion, "taskId")},
                       {"task", shown(member(completion, "task"))},
                       {"variables", shown_variables(member(completion, "variables"))}}};
}

awaitable<result<std::size_t>> TaskSnapshots::take_completed() {
    CO_TRY(const auto checkpoint, co_await ports_.documents.checkpoint(ports_.engine));
    if (!checkpoint) co_return std::size_t{0};
    // Behind the checkpoint another one may still be on its way in front of one that is there.
    Query query;
    query.collection = collections::task_completions;
    query.filter.all.push_back({"lsn", Condition::Operator::less_or_equal,
                                static_cast<std::int64_t>(checkpoint->position.number)});
    query.sort = {{"lsn", false}, {"ordinal", false}};
    query.limit = batch_max;
    CO_TRY(const auto completions, co_await ports_.documents.find(query));
    std::vector<Material> materials;
    Array ids;
    std::size_t bytes = 0;
    for (const ValuePtr& completion : completions) {
        bytes += approximate_bytes(*completion);
        if (bytes > batch_bytes_max && !ids.empty()) break;
        materials.push_back(material_of(*completion));
        ids.emplace_back(materials.back().id);
    }
    const std::size_t count = ids.size();
    if (count == 0) co_return count;
    CO_TRY_VOID(co_await append(std::move(materials)));
    Filter taken;
    taken.all.push_back({"_id", Condition::Operator::in, std::move(ids)});
    CO_TRY_VOID(co_await ports_.documents.erase(collections::task_completions, std::move(taken)));
    co_return count;
}

awaitable<result<void>> TaskSnapshots::append(std::vector<Material> materials) {
    Backoff backoff({std::chrono::milliseconds(1), std::chrono::milliseconds(50)}, ports_.random);
    for (int tries = 0; tries < attempts_max; ++tries) {
        CO_TRY(materials, co_await not_taken(std::move(materials)));
        if (materials.empty()) co_return result<void>{};
        CO_TRY(auto writes, co_await plan(materials));
        auto done = co_await ports_.records.commit(std::move(writes));
        if (done) co_return result<void>{};
        const ErrorCode code = done.error().code();
        if (code != ErrorCode::conflict && code != ErrorCode::already_exists &&
            code != ErrorCode::outcome_unknown)
            co_return std::move(done).error();
        CO_TRY_VOID(co_await ports_.clock.sleep(backoff.next()));
    }
    co_return fail(ErrorCode::overloaded, "others kept taking snapshots");
}

awaitable<result<std::vector<TaskSnapshots::Material>>>
TaskSnapshots::not_taken(std::vector<Material> materials) {
    std::vector<std::string> ids;
    for (const Material& material : materials)
        ids.push_back(material.id);
    CO_TRY(const auto found, co_await ports_.records.get(data::task_snapshots, ids));
    std::vector<Material> left;
    for (std::size_t i = 0; i < materials.size(); ++i) {
        if (!found[i]) left.push_back(std::move(materials[i]));
    }
    co_return left;
}

awaitable<result<std::vector<RecordWrite>>>
TaskSnapshots::plan(const std::vector<Material>& materials) {
    CO_TRY(const auto heads, co_await ports_.records.get(data::snapshot_heads, {head_id}));
    const Value* head = heads.front().get();
    std::int64_t sequence = head ? head->at_path("sequence")->integer_or() : 0;
    std::string newest = head ? text_of(head->at_path("hash")) : no_hash;
    struct Last {
        std::int64_t number = 0;
        std::string hash = no_hash;
    };
    std::map<std::string, Last> chains;
    std::vector<RecordWrite> writes;
    for (const Material& material : materials) {
        const std::string chain = chain_of(material.content);
        if (!chains.contains(chain)) {
            CO_TRY(const ValuePtr last,
                   co_await ports_.records.first({.collection = &data::task_snapshots,
                                                  .where = {{"chain", Op::equal, chain}},
                                                  .sort = {"chain", "number"},
                                                  .descending = true}));
            Last& known = chains[chain];
            if (last)
                known = {last->at_path("number")->integer_or(), text_of(last->at_path("hash"))};
        }
        Last& last = chains[chain];
        std::string text = content_text(material.content);
        const Link link{.id = material.id,
                        .sequence = ++sequence,
                        .chain = chain,
                        .number = ++last.number,
                        .previous_hash = last.hash,
                        .previous_in_all = newest,
                        .content_hash = sha256_hex(text)};
        last.hash = newest = link.hash();
        writes.push_back(snapshot_write(link, material.content, std::move(text)));
    }
    Object body{{"sequence", sequence}, {"hash", newest}};
    writes.push_back(head ? RecordWrite::replace(data::snapshot_heads, head_id,
                                                 record_version(*head), std::move(body))
                          : RecordWrite::insert(data::snapshot_heads, head_id, std::move(body)));
    co_return writes;
}

// --- on demand

awaitable<result<std::string>> TaskSnapshots::domain_of(std::string task_id) {
    CO_TRY(const auto found, co_await ports_.documents.get(collections::tasks, {task_id}));
    if (!found.front()) co_return fail(ErrorCode::not_found, "task " + task_id);
    co_return text_of(found.front()->at_path("domainId"));
}

awaitable<result<data::KeptAnswer>> TaskSnapshots::take(data::KeyedRequest request,
                                                        std::string task_id) {
    const std::string by = request.subject;
    co_return co_await idempotency_.once(std::move(request), [&] { return decide(by, task_id); });
}

awaitable<result<TaskSnapshots::Decision>> TaskSnapshots::decide(const std::string& by,
                                                                 const std::string& task_id) {
    CO_TRY(const auto known, co_await ports_.documents.get(collections::tasks, {task_id}));
    if (!known.front()) co_return fail(ErrorCode::not_found, "task " + task_id);
    const std::string instance = text_of(known.front()->at_path("processInstanceId"));
    CO_TRY(const auto both, co_await ports_.documents.find_together(
                                {by_id(collections::tasks, task_id),
                                 by_id(collections::workflow_executions, instance)}));
    if (both[0].empty()) co_return fail(ErrorCode::not_found, "task " + task_id);
    const Value& task = *both[0].front();
    const Value* execution = both[1].empty() ? nullptr : both[1].front().get();
    const Position position{std::max(lsn_of(&task), lsn_of(execution)), 0};
    Material material;
    material.id = fmt::format("{:011x}{:016x}", ports_.clock.utc_us() / 1000, ports_.random.next());
    material.content =
        Object{{"id", material.id},
               {"reason", "requested"},
               {"position", to_string(position)},
               {"takenAt", Date{ports_.clock.utc_us() / 1000}},
               {"takenBy", by},
               {"domainId", member(task, "domainId")},
               {"executionId", member(task, "executionId")},
               {"processInstanceId", member(task, "processInstanceId")},
               {"taskId", task_id},
               {"task", shown(task)},
               {"variables",
                execution ? shown_variables(member(*execution, "variables")) : Value(Object{})}};
    std::vector<Material> materials;
    materials.push_back(std::move(material));
    Decision decision;
    CO_TRY(decision.writes, co_await plan(materials));
    // In the answer the snapshot's place only: its content may be larger than an answer is kept.
    Object place = decision.writes.front().body;
    place.erase("content");
    Object answer{{"id", materials.front().id}};
    for (const auto& one : place)
        answer.append(one.key, one.value);
    decision.answer = {201, to_json(answer)};
    co_return decision;
}

// --- reading

awaitable<result<ValuePtr>> TaskSnapshots::one(std::string snapshot_id) {
    auto found = co_await ports_.records.one(data::task_snapshots, snapshot_id);
    if (!found && found.error().code() == ErrorCode::not_found)
        co_return fail(ErrorCode::not_found, "snapshot " + snapshot_id);
    co_return found;
}

awaitable<result<RecordPage>> TaskSnapshots::list(Wish wish, Scope scope) {
    RecordQuery query{.collection = &data::task_snapshots,
                      .sort = {"sequence"},
                      .descending = true,
                      .limit = wish.limit,
                      .after = wish.cursor};
    if (!wish.domain_id.empty()) {
        if (!scope.admits(wish.domain_id))
            co_return fail(ErrorCode::not_found, "domain " + wish.domain_id);
        query.where.push_back({"domainId", Op::equal, wish.domain_id});
    } else if (!scope.all) {
        query.where.push_back(
            {"domainId", Op::in, Array(scope.domains.begin(), scope.domains.end())});
    }
    const std::pair<std::string_view, const std::string&> filters[] = {
        {"taskId", wish.task_id},
        {"executionId", wish.execution_id},
        {"processInstanceId", wish.process_instance_id}};
    for (const auto& [field, value] : filters) {
        if (!value.empty()) query.where.push_back({field, Op::equal, value});
    }
    co_return co_await ports_.records.find(std::move(query));
}

} // namespace netbuild::snapshots
