// SPDX-License-Identifier: Apache-2.0
// What a load has not come to is not in the engine's tables any more: removed by the engine's
// history clean-up, or never of this history.
#include <set>

#include "model/collections.hpp"
#include "sync/pipeline.hpp"

namespace netbuild::sync {
namespace {

using Operator = Condition::Operator;

constexpr std::size_t page_documents = 500;

Filter stale(const LoadState& load, std::string_view collection) {
    Filter filter;
    // A document without a Position was written by nobody of ours.
    filter.any_of.push_back({{"sync.lsn", Operator::less, static_cast<std::int64_t>(load.base)},
                             {"sync.lsn", Operator::exists, false}});
    if (load.all || collection == collections::process_definitions) return filter;
    Array ids(load.scope.begin(), load.scope.end());
    if (load.standalone_tasks) ids.emplace_back(nullptr);
    const bool is_instance = collection != collections::tasks;
    filter.all.push_back({is_instance ? "_id" : "processInstanceId", Operator::in, std::move(ids)});
    return filter;
}

bool ended(const Value& execution) {
    const std::string_view status = execution.text_at("status");
    return status == "completed" || status == "terminated";
}

DocumentWrite erased(std::string_view collection, const Value& document, std::uint64_t base) {
    DocumentWrite write;
    write.kind = DocumentWrite::Kind::erase;
    write.collection = collection;
    write.id = document.text_at("_id");
    write.lsn = base;
    return write;
}

/// As a DELETE in the stream would have left it.
DocumentWrite retained(const Value& execution, std::uint64_t base, Date at) {
    Object body = *execution.get_if<Object>();
    body.set("retainedAt", at);
    body.set("sync", Object{{"lsn", static_cast<std::int64_t>(base)}, {"at", at}});
    DocumentWrite write;
    write.collection = collections::workflow_executions;
    write.id = execution.text_at("_id");
    write.lsn = base;
    write.body = std::make_shared<const Value>(std::move(body));
    return write;
}

} // namespace

/// Those of the documents' process instances that outlived their history.
awaitable<result<std::set<std::string>>>
Pipeline::retained_owners(std::span<const ValuePtr> documents) {
    std::set<std::string> found;
    Query query;
    query.collection = collections::workflow_executions;
    query.limit = page_documents;
    query.without = {"variables"};
    Array ids;
    for (const ValuePtr& document : documents)
        ids.emplace_back(document->text_at("processInstanceId"));
    query.filter.all.push_back({"_id", Operator::in, std::move(ids)});
    query.filter.all.push_back({"retainedAt", Operator::exists, true});
    CO_TRY(const auto owners,
           co_await until_done([&] { return ports_.store.find(query); }, progress_.store_trouble));
    for (const ValuePtr& owner : owners)
        found.emplace(owner->text_at("_id"));
    co_return found;
}

/// Documents of the scope older than the load's begin go, but for those of process instances that
/// outlived their history. If that may have ended while nobody looked, an ended one is kept as
/// such; of one that was running nothing says how it ended.
awaitable<result<void>> Pipeline::settle_stale(std::string_view collection) {
    const LoadState& load = loads_.front();
    const bool of_definitions = collection == collections::process_definitions;
    const bool of_instances = collection == collections::workflow_executions;
    const bool of_parts = !of_definitions && !of_instances;
    if (!load.all && of_definitions && !load.definitions) co_return result<void>{};
    const bool may_keep =
        of_instances && load.same_history && options_.projection.retention == Retention::keep;
    const Date at{ports_.clock.utc_us() / 1000};
    Query query;
    query.collection = collection;
    query.filter = stale(load, collection);
    query.limit = page_documents;
    if (of_instances) query.filter.all.push_back({"retainedAt", Operator::exists, false});
    if (!may_keep) query.without = {"variables", "bpmnXml", "forms"};
    while (true) {
        CO_TRY(const auto page, co_await until_done([&] { return ports_.store.find(query); },
                                                    progress_.store_trouble));
        std::set<std::string> spared;
        if (of_parts) {
            CO_TRY(spared, co_await retained_owners(page));
        }
        auto batch = new_batch(); // fenced: another worker may have taken over
        for (const ValuePtr& document : page) {
            if (spared.contains(std::string(document->text_at("processInstanceId")))) continue;
            const bool keep = may_keep && ended(*document);
            batch->documents.push_back(keep ? retained(*document, load.base, at)
                                            : erased(collection, *document, load.base));
        }
        if (!batch->documents.empty())
            CO_TRY_VOID(co_await until_done([&] { return ports_.store.apply(batch); },
                                            progress_.store_trouble));
        if (of_definitions) definitions_changed(); // a worker before us may have erased them
        if (page.size() < page_documents) co_return result<void>{};
        query.after = {*page.back()->at_path("_id")};
    }
}

} // namespace netbuild::sync
