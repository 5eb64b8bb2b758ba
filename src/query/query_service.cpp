// SPDX-License-Identifier: Apache-2.0
#include "query/query_service.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include "cursor.hpp"
#include "filters.hpp"
#include "model/collections.hpp"
#include "ports/query_order.hpp"
#include "ports/stored_events.hpp"
#include "query/rest_shapes.hpp"
#include "wire/json.hpp"

namespace netbuild::query {
namespace {

using Op = Condition::Operator;
/// Instances of one business key that an answer tells of.
constexpr std::size_t other_instances_max = 20;
/// Executions that a condition on variables may select for a task list.
constexpr std::size_t variable_matches_max = 5000;
/// A task and its execution are read again this often until their copies agree.
constexpr int agreement_tries_max = 5;

Value position_value(Position position) { return Object{{"engine", to_string(position)}}; }

struct Page {
    std::vector<ValuePtr> documents;
    Value next_cursor; // or null
};

/// One document more than asked for tells whether there is a next page.
awaitable<result<Page>> find_page(DocumentStore& store, Query query) {
    const std::size_t limit = query.limit++;
    Page page;
    CO_TRY(page.documents, co_await store.find(query));
    if (page.documents.size() > limit) {
        page.documents.resize(limit);
        if (limit > 0) page.next_cursor = encode_cursor(cursor_of(query, *page.documents.back()));
    }
    co_return page;
}

Answer list_answer(Array items, Page page, Position position) {
    return {Object{{"items", std::move(items)},
                   {"nextCursor", std::move(page.next_cursor)},
                   {"position", position_value(position)}},
            position};
}

[[nodiscard]] bool admitted(const Scope& scope, const ValuePtr& document) {
    return document && scope.admits(document->text_at("domainId"));
}

void restrict_to(Filter& filter, const Scope& scope) {
    if (scope.all) return;
    filter.all.push_back({"domainId", Op::in, Array(scope.domains.begin(), scope.domains.end())});
}

} // namespace

awaitable<result<void>> QueryService::wait(Freshness freshness) {
    if (freshness.kind == Freshness::Kind::any) co_return result<void>{};
    Position wanted = freshness.position;
    if (freshness.kind == Freshness::Kind::now) {
        if (!ports_.engine_clock) {
            wanted =
                ports_.model.applied(); // no database to ask: what was captured is all there is
        } else {
            CO_TRY(const Lsn flushed, co_await ports_.engine_clock->flushed());
            wanted = Position::at(ports_.model.applied().epoch(), flushed);
        }
    }
    if (ports_.model.applied() >= wanted) co_return result<void>{};
    // An idle stream says where it is only now and then: most waits end long before the nudge.
    const Clock::duration first =
        std::min<Clock::duration>(freshness.wait, std::chrono::milliseconds(20));
    auto waited = co_await ports_.model.wait_applied(wanted, first);
    if (waited || waited.error().code() != ErrorCode::not_yet_consistent || freshness.wait <= first)
        co_return waited;
    if (freshness.kind == Freshness::Kind::now && ports_.engine_clock) {
        CO_TRY_VOID(co_await ports_.engine_clock->nudge());
    }
    co_return co_await ports_.model.wait_applied(wanted, freshness.wait - first);
}

awaitable<result<std::vector<ValuePtr>>> QueryService::find_instances(std::string id,
                                                                      std::string by, Scope scope) {
    if (by == "processInstanceId") {
        CO_TRY(auto found,
               co_await ports_.store.get(collections::workflow_executions, {std::move(id)}));
        if (!admitted(scope, found.front())) found.clear();
        co_return found;
    }
    Query query;
    query.collection = collections::workflow_executions;
    query.filter.all.push_back({"executionId", Op::equal, std::move(id)});
    restrict_to(query.filter, scope);
    query.limit = other_instances_max + 1;
    query.any_order = true;
    CO_TRY(auto found, co_await ports_.store.find(query));
    const SortKey newest_first{"startedAt", true};
    if (found.size() > other_instances_max) { // too many to be sure that the newest are among them
        query.any_order = false;
        query.sort = {newest_first};
        query.limit = other_instances_max;
        CO_TRY(found, co_await ports_.store.find(query));
    } else if (found.size() > 1) {
        query.sort = {newest_first};
        std::vector<OrderedDocument> ordered;
        for (ValuePtr& document : found)
            add_ordered(query, std::move(document), ordered);
        found = take_page(query, std::move(ordered));
    }
    co_return found;
}

awaitable<result<std::vector<std::string>>> QueryService::execution_domains(std::string id,
                                                                            Scope scope) {
    CO_TRY(auto found, co_await find_instances(id, "executionId", scope));
    if (found.empty()) {
        CO_TRY(found, co_await find_instances(id, "processInstanceId", scope));
    }
    if (found.empty()) co_return fail(ErrorCode::not_found, "execution " + id);
    std::vector<std::string> domains;
    for (const ValuePtr& instance : found) {
        const std::string domain(instance->text_at("domainId"));
        if (std::find(domains.begin(), domains.end(), domain) == domains.end())
            domains.push_back(domain);
    }
    co_return domains;
}

Object QueryService::rendered(const Value& document, Object state, Array tasks, Position position,
                              std::string_view source) const {
    Value copy = shown(document);
    Object body = std::move(*copy.get_if<Object>());
    body.erase("_id");
    const Value ended = *state.find("ended");
    body.set("ended", ended);
    body.set("processState", std::move(state));
    body.set("activeTasks", std::move(tasks));
    body.set("position", position_value(position));
    body.set("freshness",
             Object{{"lagMs", source == "model" ? ports_.model.lag_ms() : std::int64_t{0}},
                    {"source", source},
                    {"approximate", source != "model"}});
    return body;
}

awaitable<result<Answer>> QueryService::execution(std::string id, Parameters parameters,
                                                  Scope scope) {
    CO_TRY_VOID(only(parameters, {"by", "consistency"}));
    const std::string by(parameter(parameters, "by", "executionId"));
    if (by != "executionId" && by != "processInstanceId") {
        co_return fail(ErrorCode::invalid_argument, "by: must be executionId or processInstanceId");
    }
    const std::string consistency(parameter(parameters, "consistency", "model"));
    if (consistency == "engine" || consistency == "rest") {
        ProcessEngine* engine = consistency == "engine" ? ports_.engine : ports_.rest;
        if (!engine) {
            co_return fail(ErrorCode::unsupported, consistency == "engine"
                                                       ? "consistency: engine needs postgres.host"
                                                       : "consistency: rest needs camunda.url");
        }
        co_return co_await live(std::move(id), by, *engine,
                                consistency == "engine" ? "engine" : "rest", std::move(scope));
    }
    if (consistency != "model") {
        co_return fail(ErrorCode::invalid_argument, "consistency: must be model, engine or rest");
    }
    const Position position = ports_.model.applied();
    const std::string wanted = id;
    CO_TRY(const auto found, co_await find_instances(std::move(id), by, std::move(scope)));
    if (found.empty()) co_return fail(ErrorCode::not_found, "execution " + wanted);
    const Object& newest = *found.front()->get_if<Object>();
    Object body =
        rendered(*found.front(), process_state(newest), active_tasks(newest), position, "model");
    if (found.size() > 1) {
        Array others;
        for (std::size_t i = 1; i < found.size(); ++i) {
            const Object& other = *found[i]->get_if<Object>();
            others.push_back(Object{{"processInstanceId", *other.find("processInstanceId")},
                                    {"status", *other.find("status")},
                                    {"startedAt", *other.find("startedAt")}});
        }
        body.set("otherInstances", std::move(others));
    }
    co_return Answer{std::move(body), position};
}

awaitable<result<Answer>> QueryService::live(std::string id, std::string by, ProcessEngine& engine,
                                             std::string_view source, Scope scope) {
    const Position position = ports_.model.applied();
    const auto kind = by == "processInstanceId" ? InstanceKey::Kind::process_instance_id
                                                : InstanceKey::Kind::business_key;
    CO_TRY(auto running, co_await engine.executions({kind, id}));
    if (!scope.all) CO_TRY_VOID(co_await keep_admitted(running, scope));
    if (running.empty()) {
        // Ended, or never there: the model tells, once it has what the engine has.
        CO_TRY_VOID(co_await wait({Freshness::Kind::now, {}, std::chrono::seconds(1)}));
        CO_TRY(const auto found, co_await find_instances(id, by, scope));
        if (found.empty()) co_return fail(ErrorCode::not_found, "execution " + id);
        const Object& ended = *found.front()->get_if<Object>();
        Object state = process_state(ended);
        co_return Answer{
            rendered(*found.front(), std::move(state), active_tasks(ended), position, source),
            position};
    }
    EngineExecution& newest = running.front();
    if (source == "engine") CO_TRY_VOID(co_await add_forms(newest.active_tasks));
    CO_TRY(auto found,
           co_await find_instances(newest.process_instance_id, "processInstanceId", scope));
    if (found.empty()) {
        CO_TRY_VOID(co_await wait({Freshness::Kind::now, {}, std::chrono::seconds(1)}));
        CO_TRY(found,
               co_await find_instances(newest.process_instance_id, "processInstanceId", scope));
    }
    if (found.empty())
        co_return fail(ErrorCode::not_found, "execution " + id + " in the read model");
    Object body = rendered(*found.front(), std::move(newest.process_state),
                           std::move(newest.active_tasks), position, source);
    if (running.size() > 1) {
        Array others;
        for (std::size_t i = 1; i < running.size(); ++i) {
            others.push_back(Object{{"processInstanceId", running[i].process_instance_id}});
        }
        body.set("otherInstances", std::move(others));
    }
    co_return Answer{std::move(body), position};
}

/// The engine knows tenants, the model says which domain that is.
awaitable<result<void>> QueryService::keep_admitted(std::vector<EngineExecution>& running,
                                                    Scope scope) {
    std::vector<std::string> ids;
    for (const EngineExecution& one : running)
        ids.push_back(one.process_instance_id);
    CO_TRY(auto documents, co_await ports_.store.get(collections::workflow_executions, ids));
    if (std::find(documents.begin(), documents.end(), nullptr) != documents.end()) {
        CO_TRY_VOID(co_await wait({Freshness::Kind::now, {}, std::chrono::seconds(1)}));
        CO_TRY(documents, co_await ports_.store.get(collections::workflow_executions, ids));
    }
    std::vector<EngineExecution> kept;
    for (std::size_t i = 0; i < running.size(); ++i) {
        if (admitted(scope, documents[i])) kept.push_back(std::move(running[i]));
    }
    running = std::move(kept);
    co_return result<void>{};
}

awaitable<result<void>> QueryService::add_forms(Array& tasks) {
    std::map<std::string, ValuePtr, std::less<>> read;
    for (Value& task : tasks) {
        const std::string definition_id(task.text_at("processDefinitionId"));
        auto known = read.find(definition_id);
        if (known == read.end()) {
            CO_TRY(auto definition, co_await definition_document(definition_id));
            known = read.emplace(definition_id, std::move(definition)).first;
        }
        // Null: not in the model yet.
        const Value* forms = known->second ? known->second->at_path("forms") : nullptr;
        const Object* by_key = forms ? forms->get_if<Object>() : nullptr;
        const Value* form =
            by_key ? by_key->find(escape_key(task.text_at("taskDefinitionKey"))) : nullptr;
        if (!form) continue;
        for (const char* member : {"formKey", "camundaFormRef"}) {
            if (const Value* value = form->at_path(member))
                task.get_if<Object>()->set(member, *value);
        }
    }
    co_return result<void>{};
}

awaitable<result<Answer>> QueryService::batch_get(Value request, Scope scope) {
    const auto* members = request.get_if<Object>();
    if (!members) co_return fail(ErrorCode::invalid_argument, "body: must be an object");
    for (const auto& member : *members) {
        if (member.key != "ids" && member.key != "by")
            co_return fail(ErrorCode::invalid_argument, member.key + ": there is no such field");
    }
    const Value* list = request.at_path("ids");
    const auto* ids = list ? list->get_if<Array>() : nullptr;
    if (!ids || ids->empty() || ids->size() > batch_ids_max) {
        co_return fail(ErrorCode::invalid_argument,
                       fmt::format("ids: must be a list of 1 to {} strings", batch_ids_max));
    }
    std::vector<std::string> wanted;
    for (const Value& id : *ids) {
        if (!id.is<std::string>())
            co_return fail(ErrorCode::invalid_argument, "ids: must be strings");
        wanted.emplace_back(id.string_or());
    }
    const Value* by_value = request.at_path("by");
    const std::string_view by = by_value ? by_value->string_or() : "executionId";
    if (by != "executionId" && by != "processInstanceId") {
        co_return fail(ErrorCode::invalid_argument, "by: must be executionId or processInstanceId");
    }
    const Position position = ports_.model.applied();
    std::map<std::string, ValuePtr, std::less<>> found;
    if (by == "processInstanceId") {
        CO_TRY(auto documents, co_await ports_.store.get(collections::workflow_executions, wanted));
        for (std::size_t i = 0; i < wanted.size(); ++i)
            found[wanted[i]] = std::move(documents[i]);
    } else {
        Query query;
        query.collection = collections::workflow_executions;
        query.filter.all.push_back({"executionId", Op::in, *ids});
        restrict_to(query.filter, scope);
        query.sort = {{"startedAt", true}};
        query.limit = batch_ids_max * other_instances_max;
        CO_TRY(const auto documents, co_await ports_.store.find(std::move(query)));
        for (const ValuePtr& document : documents)
            found.try_emplace(std::string(document->text_at("executionId")), document);
    }
    Array items;
    for (const std::string& id : wanted) {
        const auto one = found.find(id);
        if (one == found.end() || !admitted(scope, one->second)) {
            items.emplace_back();
            continue;
        }
        const Object& document = *one->second->get_if<Object>();
        items.emplace_back(rendered(*one->second, process_state(document), active_tasks(document),
                                    position, "model"));
    }
    co_return Answer{Object{{"items", std::move(items)},
                            {"nextCursor", nullptr},
                            {"position", position_value(position)}},
                     position};
}

awaitable<result<Answer>> QueryService::executions(Parameters parameters, Scope scope) {
    CO_TRY(ListRequest request, executions_request(parameters));
    restrict_to(request.query.filter, scope);
    const Position position = ports_.model.applied();
    CO_TRY(Page page, co_await find_page(ports_.store, request.query));
    Array items;
    for (const ValuePtr& document : page.documents) {
        Value item = shown(*document);
        item.get_if<Object>()->erase("_id");
        items.push_back(std::move(item));
    }
    co_return list_answer(std::move(items), std::move(page), position);
}

awaitable<result<Answer>> QueryService::timeline(std::string id, Parameters parameters,
                                                 Scope scope) {
    CO_TRY_VOID(only(parameters, {"by", "limit", "cursor"}));
    CO_TRY(const std::size_t limit, limit_of(parameters));
    Position after;
    const std::string_view cursor = parameter(parameters, "cursor");
    if (!cursor.empty()) {
        auto parsed = parse_position(cursor);
        if (!parsed)
            co_return fail(ErrorCode::invalid_argument, "cursor: not one that this list gave out");
        after = *parsed;
    }
    const Position position = ports_.model.applied();
    const std::string wanted = id;
    CO_TRY(const auto found,
           co_await find_instances(std::move(id),
                                   std::string(parameter(parameters, "by", "executionId")),
                                   std::move(scope)));
    if (found.empty()) co_return fail(ErrorCode::not_found, "execution " + wanted);
    Query query;
    query.collection = collections::events;
    query.filter.all = {
        {"processInstanceId", Op::equal, Value(found.front()->text_at("processInstanceId"))},
        {"lsn", Op::greater_or_equal, static_cast<std::int64_t>(after.number)}};
    query.sort = {{"lsn", false}, {"ordinal", false}};
    query.limit = limit + 1; // each holds at least one event
    CO_TRY(const auto documents, co_await ports_.store.find(std::move(query)));
    Array items;
    Value next;
    Position last;
    for (const ValuePtr& document : documents) {
        const Value* list = document->at_path("events");
        for (const Value& event : *list->get_if<Array>()) {
            const Value& payload = *event.at_path("payload");
            CO_TRY(const Position at, parse_position(payload.text_at("position")));
            if (!cursor.empty() && at <= after) continue;
            if (items.size() == limit) {
                if (next.is_null()) next = to_string(last);
                continue;
            }
            Object item{{"type", *event.at_path("type")}, {"source", "engine"}};
            for (const auto& member : *payload.get_if<Object>())
                item.append(member.key, member.value);
            items.emplace_back(std::move(item));
            last = at;
        }
    }
    co_return Answer{Object{{"items", std::move(items)},
                            {"nextCursor", std::move(next)},
                            {"position", position_value(position)}},
                     position};
}

/// Each task with its execution's variables, both of one Position: the copy of an open task in the
/// execution tells by its sync.lsn whether they are.
awaitable<result<Array>> QueryService::with_variables(std::vector<ValuePtr> tasks, Filter filter) {
    for (int attempt = 1;; ++attempt) {
        std::vector<std::string> owners;
        std::set<std::string_view> seen;
        for (const ValuePtr& task : tasks) {
            const std::string_view owner = task->text_at("processInstanceId");
            if (!owner.empty() && seen.insert(owner).second) owners.emplace_back(owner);
        }
        CO_TRY(const auto documents,
               co_await ports_.store.get(collections::workflow_executions, owners));
        std::map<std::string_view, ValuePtr> executions;
        for (std::size_t i = 0; i < owners.size(); ++i)
            executions[owners[i]] = documents[i];
        std::vector<std::string> stale;
        Array items;
        for (const ValuePtr& task : tasks) {
            const auto owner = executions.find(task->text_at("processInstanceId"));
            const ValuePtr execution = owner == executions.end() ? nullptr : owner->second;
            Value item = shown(*task);
            Object& object = *item.get_if<Object>();
            object.set("taskId", *object.find("_id"));
            object.erase("_id");
            Object variables;
            if (execution) {
                const Value whole = shown(Object{{"variables", *execution->at_path("variables")}});
                variables = *whole.at_path("variables")->get_if<Object>();
                const auto* entries = execution->at_path("activeTasks")->get_if<Object>();
                const Value* copy = entries ? entries->find(task->text_at("_id")) : nullptr;
                const Value* one = copy ? copy->at_path("sync.lsn") : nullptr;
                const Value* other = task->at_path("sync.lsn");
                if (one && other && one->integer_or() != other->integer_or())
                    stale.emplace_back(task->text_at("_id"));
            }
            if (const Value* local = object.find("variables")) {
                const Value locals = *local;
                for (const auto& member : *locals.get_if<Object>())
                    variables.set(member.key, member.value);
                object.set("localVariables", locals);
            }
            object.set("variables", std::move(variables));
            items.push_back(std::move(item));
        }
        if (stale.empty() || attempt == agreement_tries_max) co_return items;
        std::vector<std::string> ids;
        for (const ValuePtr& task : tasks)
            ids.emplace_back(task->text_at("_id"));
        CO_TRY(auto again, co_await ports_.store.get(collections::tasks, ids));
        // A task may have ended since it was listed.
        std::erase_if(again,
                      [&](const ValuePtr& task) { return !task || !matches(filter, *task); });
        tasks = std::move(again);
    }
}

awaitable<result<Answer>> QueryService::tasks(Parameters parameters, Scope scope) {
    CO_TRY(ListRequest request, tasks_request(parameters));
    restrict_to(request.query.filter, scope);
    const Position position = ports_.model.applied();
    if (!request.variables.empty()) {
        Query executions;
        executions.collection = collections::workflow_executions;
        executions.limit = variable_matches_max + 1;
        for (const auto& [name, value] : request.variables)
            CO_TRY_VOID(add_variable(executions.filter, name, value));
        for (const Condition& condition : request.query.filter.all) {
            if (condition.path == "domainId") executions.filter.all.push_back(condition);
            if (condition.path == "processDefinitionKey") {
                executions.filter.all.push_back({"definition.key", condition.op, condition.value});
            }
        }
        executions.without = {"variables", "activeTasks", "activeActivities"};
        CO_TRY(const auto found, co_await ports_.store.find(std::move(executions)));
        if (found.size() > variable_matches_max) {
            co_return fail(ErrorCode::invalid_argument,
                           fmt::format("variable.{}: more than {} executions match; narrow by "
                                       "domainId or definitionKey",
                                       request.variables.front().first, variable_matches_max));
        }
        Array ids;
        for (const ValuePtr& execution : found)
            ids.emplace_back(execution->text_at("_id"));
        request.query.filter.all.push_back({"processInstanceId", Op::in, std::move(ids)});
    }
    CO_TRY(Page page, co_await find_page(ports_.store, request.query));
    CO_TRY(Array items, co_await with_variables(page.documents, request.query.filter));
    co_return list_answer(std::move(items), std::move(page), position);
}

awaitable<result<Answer>> QueryService::definitions(Parameters parameters, Scope scope) {
    CO_TRY(ListRequest request, definitions_request(parameters));
    if (!scope.all) {
        request.query.filter.any_of.push_back(
            {{"domainId", Op::in, Array(scope.domains.begin(), scope.domains.end())},
             {"domainId", Op::equal, nullptr}});
    }
    const Position position = ports_.model.applied();
    CO_TRY(Page page, co_await find_page(ports_.store, request.query));
    Array items;
    for (const ValuePtr& document : page.documents) {
        Value item = shown(*document);
        Object& object = *item.get_if<Object>();
        object.set("id", *object.find("_id"));
        object.erase("_id");
        items.push_back(std::move(item));
    }
    co_return list_answer(std::move(items), std::move(page), position);
}

namespace {

awaitable<result<ValuePtr>> stored_definition(DocumentStore& store, std::string id) {
    CO_TRY(auto found, co_await store.get(collections::process_definitions, {std::move(id)}));
    co_return std::move(found.front());
}

} // namespace

awaitable<result<ValuePtr>> QueryService::definition_document(std::string id) {
    const std::uint64_t version = ports_.model.definitions_version();
    const Position position = ports_.model.applied();
    std::string key = fmt::format("{}@{}", id, version);
    if (!definition_cache_ || version == 0 || position.is_zero() ||
        key.size() > CacheStore::key_bytes_max)
        co_return co_await stored_definition(ports_.store, std::move(id));
    if (auto here = definition_cache_->try_get(key)) co_return here;
    CO_TRY(auto found,
           co_await definition_cache_->get(
               std::move(key), {},
               [&store = ports_.store, id, position]() -> awaitable<result<cache::Loaded<Value>>> {
                   CO_TRY(auto read, co_await stored_definition(store, id));
                   co_return cache::Loaded<Value>{std::move(read), position};
               }));
    co_return std::move(found.value);
}

awaitable<result<Answer>> QueryService::definition(std::string id, Scope scope) {
    const Position position = ports_.model.applied();
    CO_TRY(const auto found, co_await definition_document(id));
    if (!found || !(admitted(scope, found) || found->text_at("domainId").empty()))
        co_return fail(ErrorCode::not_found, "definition " + id);
    Value body = shown(*found);
    Object& object = *body.get_if<Object>();
    object.set("id", id);
    object.erase("_id");
    object.set("position", position_value(position));
    co_return Answer{std::move(body), position};
}

awaitable<result<std::vector<ValuePtr>>> QueryService::stored_events(Position after,
                                                                     std::size_t documents) {
    const auto number = static_cast<std::int64_t>(after.number);
    const auto ordinal =
        static_cast<std::int32_t>(std::min<std::uint32_t>(after.ordinal, INT32_MAX));
    // The document that holds `after` may hold events behind it; a transaction may have many more
    // documents than a page.
    Query around;
    around.collection = collections::events;
    around.filter.all = {{"lsn", Op::equal, number}, {"ordinal", Op::less_or_equal, ordinal}};
    around.sort = {{"ordinal", true}};
    around.limit = 1;
    CO_TRY(std::vector<ValuePtr> found, co_await ports_.store.find(std::move(around)));
    Query query;
    query.collection = collections::events;
    query.filter.all = {{"lsn", Op::greater_or_equal, number}};
    query.sort = {{"lsn", false}, {"ordinal", false}};
    query.after = {number, ordinal, ""};
    if (!found.empty()) {
        query.after = {number, *found.front()->at_path("ordinal"), *found.front()->at_path("_id")};
        const auto events = stream_events(*found.front());
        if (events.empty() || events.back()->position <= after) found.clear();
    }
    query.limit = documents - std::min(documents, found.size());
    CO_TRY(auto rest, co_await ports_.store.find(std::move(query)));
    std::move(rest.begin(), rest.end(), std::back_inserter(found));
    co_return found;
}

awaitable<result<Position>> QueryService::event_horizon() {
    std::vector<std::string> id{std::string(event_horizon_id)};
    CO_TRY(const auto found,
           co_await ports_.store.get(collections::sync_checkpoints, std::move(id)));
    co_return netbuild::event_horizon(found.front().get());
}

} // namespace netbuild::query
