// SPDX-License-Identifier: Apache-2.0
#include "sync/verify.hpp"

#include <map>
#include <unordered_set>

#include "model/collections.hpp"
#include "sync/content_hash.hpp"
#include "sync/projector.hpp"
#include "wire/json.hpp"

namespace netbuild::sync {
namespace {

constexpr std::size_t page_documents = 500;

class Verifier {
public:
    Verifier(DocumentStore& store, VerifyReport& report) : store_(store), report_(report) {}

    awaitable<result<void>> compare(const std::vector<DocumentWrite>& expected) {
        std::map<std::string_view, std::vector<const DocumentWrite*>> by_collection;
        for (const DocumentWrite& write : expected)
            by_collection[write.collection].push_back(&write);
        for (const auto& [collection, writes] : by_collection) {
            std::vector<std::string> ids;
            for (const DocumentWrite* write : writes)
                ids.push_back(write->id);
            CO_TRY(const auto found, co_await store_.get(collection, std::move(ids)));
            for (std::size_t i = 0; i < writes.size(); ++i)
                compare_one(*writes[i], found[i]);
        }
        co_return result<void>{};
    }

    /// What is stored and was not in the snapshot.
    awaitable<result<void>> find_unexpected() {
        std::unordered_set<std::string> retained;
        for (const std::string_view collection :
             {collections::workflow_executions, collections::task_executions, collections::tasks,
              collections::process_definitions}) {
            Query query;
            query.collection = collection;
            query.limit = page_documents;
            query.without = {"variables", "activeActivities", "activeTasks", "bpmnXml"};
            while (true) {
                CO_TRY(const auto page, co_await store_.find(query));
                for (const ValuePtr& document : page) {
                    const std::string id(document->at_path("_id")->string_or());
                    const Value* instance = document->at_path("processInstanceId");
                    if (document->at_path("retainedAt")) retained.insert(id);
                    if (seen_.contains(key(collection, id)) || is_newer(*document)) continue;
                    if (retained.contains(instance ? std::string(instance->string_or())
                                                   : std::string())) {
                        ++report_.retained;
                    } else {
                        add({collection, id, {}, {}, "a document"});
                    }
                }
                if (page.size() < page_documents) break;
                query.after = {*page.back()->at_path("_id")};
            }
        }
        co_return result<void>{};
    }

private:
    static std::string key(std::string_view collection, std::string_view id) {
        return std::string(collection) + "/" + std::string(id);
    }
    bool is_newer(const Value& document) {
        const Value* lsn = document.at_path("sync.lsn");
        const bool newer =
            lsn && static_cast<std::uint64_t>(lsn->integer_or()) > report_.position.number;
        report_.newer += newer;
        return newer;
    }
    void add(Difference difference) {
        ++report_.difference_count;
        if (report_.differences.size() < VerifyReport::differences_max)
            report_.differences.push_back(std::move(difference));
    }
    void compare_one(const DocumentWrite& expected, const ValuePtr& found) {
        seen_.insert(key(expected.collection, expected.id));
        ++report_.documents;
        if (!found) return add({expected.collection, expected.id, {}, "a document", {}});
        if (is_newer(*found)) return;
        const Value wanted = without_sync(*expected.body);
        const Value stored = without_sync(*found);
        if (wanted == stored) return;
        const auto text = [](const Value* value) {
            return value ? to_json(*value) : std::string();
        };
        for (const auto& member : *wanted.get_if<Object>()) {
            const Value* other = stored.at_path(member.key);
            if (!other || !(*other == member.value)) {
                add({expected.collection, expected.id, member.key, to_json(member.value),
                     text(other)});
            }
        }
        for (const auto& member : *stored.get_if<Object>()) {
            if (!wanted.at_path(member.key))
                add({expected.collection, expected.id, member.key, {}, to_json(member.value)});
        }
    }

    DocumentStore& store_;
    VerifyReport& report_;
    std::unordered_set<std::string> seen_;
};

} // namespace

awaitable<result<VerifyReport>> verify(EngineSnapshot& snapshot, DocumentStore& store,
                                       ProjectionOptions options,
                                       std::function<void(const VerifyReport&)> on_progress) {
    const PipelineOptions defaults;
    DocumentCache cache({defaults.cache_documents_max, defaults.cache_bytes_max});
    Projector projector(options, cache);
    VerifyReport report;
    report.position = snapshot.position();
    Verifier verifier(store, report);
    while (true) {
        CO_TRY(const auto chunk, co_await snapshot.next());
        if (!chunk) break;
        // Definitions may have left the cache since their chunk: the stored ones were compared
        // then.
        std::set<DocumentKey> missing;
        projector.collect_missing(chunk->rows, true, missing);
        for (const auto& [collection, id] : missing) {
            CO_TRY(const auto found, co_await store.get(collection, {id}));
            cache.put(collection, id,
                      collection == collections::process_definitions ? found.front() : nullptr);
        }
        projector.project_snapshot(chunk->rows);
        ApplyBatch expected;
        cache.take_dirty(expected);
        CO_TRY_VOID(co_await verifier.compare(expected.parts));
        CO_TRY_VOID(co_await verifier.compare(expected.documents));
        cache.written(expected);
        on_progress(report);
    }
    CO_TRY_VOID(co_await verifier.find_unexpected());
    co_return report;
}

} // namespace netbuild::sync
