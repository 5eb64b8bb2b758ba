// SPDX-License-Identifier: Apache-2.0
#include "sync/verify.hpp"

#include <map>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "model/collections.hpp"
#include "sync/content_hash.hpp"
#include "sync/projector.hpp"
#include "wire/json.hpp"

namespace netbuild::sync {
namespace {

constexpr std::size_t page_documents = 1000;
constexpr std::size_t scope_chunk_instances = 100;
/// Each round has only what changed during the one before it.
constexpr int rounds_max = 6;

using Stored = std::vector<ValuePtr>;

std::string_view id_of(const Value& document) {
    const Value* id = document.at_path("_id");
    return id ? id->string_or() : std::string_view{};
}

std::string_view instance_of(std::string_view collection, std::string_view id,
                             const Value* document) {
    if (collection == collections::workflow_executions ||
        collection == collections::task_executions)
        return id;
    const Value* owner = document ? document->at_path("processInstanceId") : nullptr;
    return owner ? owner->string_or() : std::string_view{};
}

/// What is to be compared with a later snapshot.
struct Again {
    std::set<std::string> instances;
    bool definitions = false, standalone_tasks = false;

    void add(std::string_view collection, std::string_view instance) {
        if (collection == collections::process_definitions) {
            definitions = true;
        } else if (instance.empty()) {
            standalone_tasks = true;
        } else {
            instances.emplace(instance);
        }
    }
    [[nodiscard]] bool empty() const {
        return instances.empty() && !definitions && !standalone_tasks;
    }
};

class Verifier {
public:
    Verifier(VerifyPorts ports, ProjectionOptions options)
        : ports_(std::move(ports)),
          options_(std::move(options)),
          cache_({limits_.cache_documents_max, limits_.cache_bytes_max}),
          projector_(options_, cache_) {}

    /// What both sides have alike; the rest is left to changed_since(). Both are read at the same
    /// time: what comes first waits for its other half.
    awaitable<result<void>> all() {
        using namespace asio::experimental::awaitable_operators;
        CO_TRY_VOID(co_await take_snapshot());
        auto [engine, model] = co_await (read_engine() && read_model());
        CO_TRY_VOID(std::move(engine));
        CO_TRY_VOID(std::move(model));
        co_return co_await look_for_other_halves();
    }

    /// Process instances by their ids, and what stands beside them.
    awaitable<result<void>> some(std::vector<std::string> ids, bool definitions, bool standalone) {
        CO_TRY_VOID(co_await take_snapshot());
        CO_TRY_VOID(co_await ports_.wait_applied(report_.position));
        if (definitions) {
            CO_TRY(auto chunk, co_await snapshot_->next());
            if (chunk) CO_TRY_VOID(co_await compare(std::move(chunk->rows)));
            CO_TRY_VOID(co_await find_unexpected(collections::process_definitions, {}));
        }
        if (standalone) {
            CO_TRY(auto rows, co_await snapshot_->read({.standalone_tasks = true}));
            CO_TRY_VOID(co_await compare(std::move(rows)));
            CO_TRY_VOID(co_await find_unexpected(collections::tasks, Array{nullptr}));
        }
        for (std::size_t at = 0; at < ids.size(); at += scope_chunk_instances) {
            InstanceSelection selection;
            Array scope;
            for (std::size_t i = at; i < std::min(ids.size(), at + scope_chunk_instances); ++i) {
                scope.emplace_back(ids[i]);
                selection.instances.push_back(ids[i]);
            }
            CO_TRY(auto rows, co_await snapshot_->read(std::move(selection)));
            CO_TRY_VOID(co_await compare(std::move(rows)));
            for (const std::string_view collection :
                 {collections::workflow_executions, collections::task_executions,
                  collections::tasks}) {
                CO_TRY_VOID(co_await find_unexpected(collection, scope));
            }
        }
        co_return result<void>{};
    }

    /// What had changed after the snapshot, or was not alike, with later ones.
    awaitable<result<void>> changed_since() {
        for (int round = 1; round < rounds_max && !again_.empty(); ++round) {
            Again again = std::exchange(again_, {});
            seen_.clear();
            CO_TRY_VOID(co_await some({again.instances.begin(), again.instances.end()},
                                      again.definitions, again.standalone_tasks));
        }
        report_.newer = again_.instances.size();
        report_.retained = retained_documents_.size();
        co_return result<void>{};
    }

    [[nodiscard]] VerifyReport take_report() { return std::move(report_); }

private:
    awaitable<result<void>> take_snapshot() {
        CO_TRY(snapshot_, co_await ports_.snapshot());
        report_.position = snapshot_->position();
        co_return result<void>{};
    }

    /// What rows that are whole for their process instances make.
    awaitable<result<void>> project(const Transaction& rows, ApplyBatch& expected) {
        // Definitions may have left the cache since their chunk: the stored ones were compared
        // then.
        std::set<DocumentKey> missing;
        projector_.collect_missing(rows, true, missing);
        for (const auto& [collection, id] : missing) {
            ValuePtr document;
            if (collection == collections::process_definitions) {
                CO_TRY(const auto found, co_await ports_.store.get(collection, {id}));
                document = found.front();
            }
            cache_.put(collection, id, document);
        }
        CO_TRY_VOID(projector_.project_snapshot(rows));
        cache_.take_dirty(expected);
        co_return result<void>{};
    }

    awaitable<result<void>> read_engine() {
        using namespace asio::experimental::awaitable_operators;
        CO_TRY(auto chunk, co_await snapshot_->next());
        while (chunk) { // the next one comes while this one is projected
            auto [next, expected] = co_await (snapshot_->next() && expect(std::move(chunk->rows)));
            CO_TRY_VOID(std::move(expected));
            CO_TRY(chunk, std::move(next));
        }
        co_return result<void>{};
    }

    awaitable<result<void>> expect(Transaction rows) {
        ApplyBatch expected;
        CO_TRY_VOID(co_await project(rows, expected));
        for (const auto* part : {&expected.parts, &expected.documents}) {
            for (const DocumentWrite& write : *part)
                meet(write.collection, write.id,
                     instance_of(write.collection, write.id, write.body.get()), *write.body,
                     {.stored = false, .newer = false});
        }
        cache_.written(expected);
        co_return result<void>{};
    }

    awaitable<result<void>> read_model() {
        CO_TRY_VOID(co_await ports_.wait_applied(report_.position));
        for (const std::string_view collection :
             {collections::workflow_executions, collections::task_executions, collections::tasks,
              collections::process_definitions}) {
            CO_TRY_VOID(co_await scan(collection, [&](const Value& document) {
                const std::string_view id = id_of(document);
                const std::string_view instance = instance_of(collection, id, &document);
                if (document.at_path("retainedAt")) retained_.insert(hash({}, instance));
                meet(collection, id, instance, document,
                     {.stored = true, .newer = is_newer(collection, instance, document)});
            }));
        }
        co_return result<void>{};
    }

    /// A collection as it is stored; the next page comes while one is looked at.
    template <class Each>
    awaitable<result<void>> scan(std::string_view collection, Each each) {
        using namespace asio::experimental::awaitable_operators;
        const auto look_at = [&](Stored page) -> awaitable<result<void>> {
            for (const ValuePtr& document : page)
                each(*document);
            ports_.on_progress(report_);
            co_return result<void>{};
        };
        const auto pages = ports_.store.scan(collection);
        CO_TRY(auto page, co_await pages->next());
        while (!page.empty()) {
            auto [next, looked] = co_await (pages->next() && look_at(std::move(page)));
            CO_TRY_VOID(std::move(looked));
            CO_TRY(page, std::move(next));
        }
        co_return result<void>{};
    }

    /// A document of the engine or the model. Newer ones have been noted for another look.
    struct Half {
        bool stored, newer;
        std::uint64_t digest = 0, instance = 0;
    };
    void meet(std::string_view collection, std::string_view id, std::string_view instance,
              const Value& document, Half half) {
        half.digest = content_digest(document);
        half.instance = collection == collections::process_definitions ? of_definition
                        : instance.empty()                             ? of_no_instance
                                                                       : hash({}, instance);
        const auto [found, first] = unmet_.try_emplace(hash(collection, id), half);
        if (first) return;
        const Half other = std::exchange(found->second, half);
        if (other.stored == half.stored) return;
        unmet_.erase(found);
        if (other.newer || half.newer) return;
        if (other.digest == half.digest) {
            ++report_.documents;
        } else {
            again_.add(collection, instance);
        }
    }

    /// What only one side has. Digests are kept, no names: process instances have to be found anew.
    awaitable<result<void>> look_for_other_halves() {
        std::unordered_set<std::uint64_t> missing, unexpected;
        for (const auto& [document, half] : unmet_) {
            if (half.newer) continue;
            if (half.stored && half.instance != of_definition &&
                retained_.contains(half.instance)) {
                retained_documents_.insert(document);
            } else if (half.instance == of_definition) {
                again_.definitions = true;
            } else if (half.instance == of_no_instance) {
                again_.standalone_tasks = true;
            } else {
                (half.stored ? unexpected : missing).insert(half.instance);
            }
        }
        unmet_.clear();
        if (!missing.empty()) {
            CO_TRY(auto snapshot, co_await ports_.snapshot());
            CO_TRY(auto chunk, co_await snapshot->next());
            while (chunk) {
                for (std::size_t i = 0; i < chunk->rows.size(); ++i) {
                    const Row row = chunk->rows.row(i);
                    if (row.table != camunda::Table::hi_procinst) continue;
                    const std::string_view id = row.text(camunda::hi_procinst::proc_inst_id);
                    if (missing.contains(hash({}, id))) again_.instances.emplace(id);
                }
                CO_TRY(chunk, co_await snapshot->next());
            }
        }
        if (unexpected.empty()) co_return result<void>{};
        for (const std::string_view collection :
             {collections::workflow_executions, collections::task_executions, collections::tasks}) {
            CO_TRY_VOID(co_await scan(collection, [&](const Value& document) {
                const auto instance = instance_of(collection, id_of(document), &document);
                if (unexpected.contains(hash({}, instance))) again_.instances.emplace(instance);
            }));
        }
        co_return result<void>{};
    }

    /// The same rows and what is stored, member by member.
    awaitable<result<void>> compare(Transaction rows) {
        ApplyBatch expected;
        CO_TRY_VOID(co_await project(rows, expected));
        std::map<std::string_view, std::vector<const DocumentWrite*>> writes;
        for (const auto* part : {&expected.parts, &expected.documents}) {
            for (const DocumentWrite& write : *part)
                writes[write.collection].push_back(&write);
        }
        for (const auto& [collection, wanted] : writes) {
            std::vector<std::string> ids;
            for (const DocumentWrite* write : wanted)
                ids.push_back(write->id);
            CO_TRY(const Stored found, co_await ports_.store.get(collection, std::move(ids)));
            for (std::size_t i = 0; i < wanted.size(); ++i)
                compare_one(*wanted[i], found[i]);
        }
        cache_.written(expected);
        ports_.on_progress(report_);
        co_return result<void>{};
    }

    /// What is stored and was not in the snapshot; `scope`: of these process instances.
    awaitable<result<void>> find_unexpected(std::string_view collection, Array scope) {
        Query query;
        query.collection = collection;
        query.limit = page_documents;
        query.without = {"variables", "activeActivities", "activeTasks", "bpmnXml",
                         "jobs",      "incidents",        "forms",       "candidates"};
        if (!scope.empty()) {
            query.filter.all.push_back(
                {collection == collections::tasks ? "processInstanceId" : "_id",
                 Condition::Operator::in, std::move(scope)});
        }
        while (true) {
            CO_TRY(const auto page, co_await ports_.store.find(query));
            for (const ValuePtr& document : page)
                unexpected(collection, *document);
            if (page.size() < page_documents) co_return result<void>{};
            query.after = {*page.back()->at_path("_id")};
        }
    }

    void unexpected(std::string_view collection, const Value& document) {
        const std::string id(id_of(document));
        const std::string instance(instance_of(collection, id, &document));
        if (document.at_path("retainedAt")) retained_.insert(hash({}, instance));
        if (seen_.contains(hash(collection, id)) || is_newer(collection, instance, document))
            return;
        if (collection != collections::process_definitions &&
            retained_.contains(hash({}, instance))) {
            retained_documents_.insert(hash(collection, id));
        } else {
            add({collection, id, {}, {}, "a document"}, instance);
        }
    }

    static std::uint64_t hash(std::string_view collection, std::string_view id) {
        const std::hash<std::string_view> of;
        return of(id) * 0x9E3779B97F4A7C15u ^ of(collection);
    }

    bool is_newer(std::string_view collection, std::string_view instance, const Value& document) {
        const Value* lsn = document.at_path("sync.lsn");
        if (!lsn || static_cast<std::uint64_t>(lsn->integer_or()) <= report_.position.number)
            return false;
        again_.add(collection, instance);
        return true;
    }

    void add(Difference difference, std::string_view instance) {
        ++report_.difference_count;
        if (difference.collection == collections::process_definitions) {
            report_.load_definitions = true;
        } else if (instance.empty()) {
            report_.load_standalone_tasks = true;
        } else {
            report_.instances_to_load.emplace(instance);
        }
        if (report_.differences.size() < VerifyReport::differences_max)
            report_.differences.push_back(std::move(difference));
    }

    void compare_one(const DocumentWrite& expected, const ValuePtr& found) {
        seen_.insert(hash(expected.collection, expected.id));
        ++report_.documents;
        const auto instance = instance_of(expected.collection, expected.id, expected.body.get());
        if (!found) return add({expected.collection, expected.id, {}, "a document", {}}, instance);
        if (is_newer(expected.collection, instance, *found)) return;
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
                     text(other)},
                    instance);
            }
        }
        for (const auto& member : *stored.get_if<Object>()) {
            if (!wanted.at_path(member.key))
                add({expected.collection, expected.id, member.key, {}, to_json(member.value)},
                    instance);
        }
    }

    VerifyPorts ports_;
    ProjectionOptions options_;
    PipelineOptions limits_;
    DocumentCache cache_;
    Projector projector_;
    std::unique_ptr<EngineSnapshot> snapshot_;
    VerifyReport report_;
    std::unordered_set<std::uint64_t> seen_, retained_, retained_documents_;
    static constexpr std::uint64_t of_definition = 1, of_no_instance = 2;
    std::unordered_map<std::uint64_t, Half> unmet_;
    Again again_;
};

} // namespace

awaitable<result<VerifyReport>> verify(VerifyPorts ports, ProjectionOptions options) {
    Verifier verifier(std::move(ports), std::move(options));
    CO_TRY_VOID(co_await verifier.all());
    CO_TRY_VOID(co_await verifier.changed_since());
    co_return verifier.take_report();
}

awaitable<result<VerifyReport>> verify_again(VerifyPorts ports, ProjectionOptions options,
                                             VerifyReport former) {
    Verifier verifier(std::move(ports), std::move(options));
    CO_TRY_VOID(
        co_await verifier.some({former.instances_to_load.begin(), former.instances_to_load.end()},
                               former.load_definitions, former.load_standalone_tasks));
    CO_TRY_VOID(co_await verifier.changed_since());
    co_return verifier.take_report();
}

} // namespace netbuild::sync
