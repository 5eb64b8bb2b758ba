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

    /// What both sides have alike; the rest is left to changed_since().
    awaitable<result<void>> all() {
        using namespace asio::experimental::awaitable_operators;
        CO_TRY_VOID(co_await take_snapshot());
        CO_TRY(auto chunk, co_await snapshot_->next());
        while (chunk) {
            // Meanwhile the model comes to the snapshot's Position. The next chunk comes while this
            // one is projected.
            auto [next, expected] = co_await (snapshot_->next() && expect(std::move(chunk->rows)));
            CO_TRY_VOID(std::move(expected));
            CO_TRY(chunk, std::move(next));
        }
        CO_TRY_VOID(co_await ports_.wait_applied(report_.position));
        // Executions first: they say what is retained.
        for (const std::string_view collection :
             {collections::workflow_executions, collections::task_executions, collections::tasks,
              collections::process_definitions}) {
            CO_TRY_VOID(co_await match(collection));
        }
        co_return co_await look_for_missing();
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

    awaitable<result<void>> expect(Transaction rows) {
        ApplyBatch expected;
        CO_TRY_VOID(co_await project(rows, expected));
        for (const auto* part : {&expected.parts, &expected.documents}) {
            for (const DocumentWrite& write : *part) {
                const auto instance = instance_of(write.collection, write.id, write.body.get());
                expected_[hash(write.collection, write.id)] = {
                    content_digest(*write.body),
                    write.collection == collections::process_definitions ? of_definition
                    : instance.empty()                                   ? of_no_instance
                                                                         : hash({}, instance)};
            }
        }
        cache_.written(expected);
        co_return result<void>{};
    }

    /// The collection as it is stored, page by page; the next one comes while one is compared.
    awaitable<result<void>> match(std::string_view collection) {
        using namespace asio::experimental::awaitable_operators;
        const auto scan = ports_.store.scan(collection);
        CO_TRY(auto page, co_await scan->next());
        while (!page.empty()) {
            auto [next, matched] =
                co_await (scan->next() && match_page(collection, std::move(page)));
            CO_TRY_VOID(std::move(matched));
            CO_TRY(page, std::move(next));
        }
        co_return result<void>{};
    }

    awaitable<result<void>> match_page(std::string_view collection, Stored page) {
        for (const ValuePtr& document : page)
            match_one(collection, *document);
        ports_.on_progress(report_);
        co_return result<void>{};
    }

    void match_one(std::string_view collection, const Value& document) {
        const Value* own_id = document.at_path("_id");
        const std::string_view id = own_id ? own_id->string_or() : std::string_view{};
        const std::string_view instance = instance_of(collection, id, &document);
        if (document.at_path("retainedAt")) retained_.insert(hash({}, instance));
        const auto wanted = expected_.find(hash(collection, id));
        if (wanted != expected_.end()) {
            const bool alike = wanted->second.digest == content_digest(document);
            expected_.erase(wanted);
            if (alike) {
                ++report_.documents;
            } else { // a newer one too
                again_.add(collection, instance);
            }
        } else if (!is_newer(collection, instance, document)) {
            if (collection != collections::process_definitions &&
                retained_.contains(hash({}, instance))) {
                retained_documents_.insert(hash(collection, id));
            } else {
                again_.add(collection, instance);
            }
        }
    }

    /// What the snapshot has and no collection: its process instances have to be found again, for
    /// only digests are kept of them.
    awaitable<result<void>> look_for_missing() {
        std::unordered_set<std::uint64_t> missing;
        for (const auto& [key, expected] : expected_) {
            again_.definitions |= expected.instance == of_definition;
            again_.standalone_tasks |= expected.instance == of_no_instance;
            missing.insert(expected.instance);
        }
        expected_.clear();
        missing.erase(of_definition);
        missing.erase(of_no_instance);
        if (missing.empty()) co_return result<void>{};
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
        const Value* own_id = document.at_path("_id");
        const std::string id(own_id ? own_id->string_or() : std::string_view{});
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
    /// Of the whole engine: what a document must be like, and whose it is.
    struct Expected {
        std::uint64_t digest, instance;
    };
    static constexpr std::uint64_t of_definition = 1, of_no_instance = 2;
    std::unordered_map<std::uint64_t, Expected> expected_;
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
