// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/documents.hpp"
#include "model/caller.hpp"
#include "ports/document_store.hpp"
#include "ports/event_bus.hpp"
#include "ports/process_engine.hpp"
#include "ports/read_model_clock.hpp"

namespace netbuild::query {

/// Names and values of a request, decoded, in order.
using Parameters = std::vector<std::pair<std::string, std::string>>;

/// What a request gets: the body, and the Position up to which everything is in it.
struct Answer {
    Value body;
    Position position;
};

/// A request's wish for freshness: `X-NetBuild-Min-Position` and `X-NetBuild-Wait`.
struct Freshness {
    enum class Kind : unsigned char { any, position, now };
    Kind kind = Kind::any;
    Position position;
    Clock::duration wait = std::chrono::seconds(1);
};

inline constexpr std::size_t list_limit_default = 50;
inline constexpr std::size_t list_limit_max = 500;
inline constexpr std::size_t batch_ids_max = 500;

/// The unified query: one answer from NetBuild's documents and Camunda's process state and tasks.
/// A parameter that is unknown or unreadable is invalid_argument; the detail begins with its name.
/// What lies outside the scope is not there: not_found, or not in the list. A definition of no
/// domain is everybody's, as it is every tenant's in Camunda.
class QueryService {
public:
    struct Ports {
        DocumentStore& store;
        ReadModelClock& model;
        Clock& clock;
        /// Null where not configured: then that consistency is `unsupported`.
        ProcessEngine* engine = nullptr;
        ProcessEngine* rest = nullptr;
        EngineClock* engine_clock = nullptr;
    };
    explicit QueryService(Ports ports) : ports_(ports) {}

    /// Where definitions that were read are kept while none in the model changes. It outlives the
    /// calls; null: nowhere.
    void keep_definitions(cache::Documents* cache) { definition_cache_ = cache; }

    /// Waits as the request wants; not_yet_consistent.
    awaitable<result<void>> wait(Freshness freshness);

    /// `by` (executionId, processInstanceId), `consistency` (model, engine, rest). not_found.
    awaitable<result<Answer>> execution(std::string id, Parameters parameters,
                                        Scope scope = Scope::everything());
    /// Body {"ids": […], "by"?}: items in the order of the ids, null where there is none.
    awaitable<result<Answer>> batch_get(Value request, Scope scope = Scope::everything());
    awaitable<result<Answer>> executions(Parameters parameters, Scope scope = Scope::everything());
    awaitable<result<Answer>> timeline(std::string id, Parameters parameters,
                                       Scope scope = Scope::everything());
    awaitable<result<Answer>> tasks(Parameters parameters, Scope scope = Scope::everything());
    awaitable<result<Answer>> definitions(Parameters parameters, Scope scope = Scope::everything());
    awaitable<result<Answer>> definition(std::string id, Scope scope = Scope::everything());
    /// The domains of the executions with this business key, or of the process instance with this
    /// id;
    /// "" for none. not_found.
    awaitable<result<std::vector<std::string>>> execution_domains(std::string id, Scope scope);
    /// Stored events after `after`, oldest first, for readers that are behind the stream.
    awaitable<result<std::vector<ValuePtr>>> stored_events(Position after, std::size_t documents);
    /// Events up to it were removed because of their age; zero: none.
    awaitable<result<Position>> event_horizon();

private:
    awaitable<result<std::vector<ValuePtr>>> find_instances(std::string id, std::string by,
                                                            Scope scope);
    awaitable<result<void>> keep_admitted(std::vector<EngineExecution>& running, Scope scope);
    awaitable<result<Answer>> live(std::string id, std::string by, ProcessEngine& engine,
                                   std::string_view source, Scope scope);
    [[nodiscard]] Object rendered(const Value& document, Object state, Array tasks,
                                  Position position, std::string_view source) const;
    /// As of applied() when it is called; null: there is none.
    awaitable<result<ValuePtr>> definition_document(std::string id);
    /// formKey and camundaFormRef of tasks as the engine's database gives them: only the BPMN has
    /// those.
    awaitable<result<void>> add_forms(Array& tasks);
    awaitable<result<Array>> with_variables(std::vector<ValuePtr> tasks, Filter filter);

    Ports ports_;
    cache::Documents* definition_cache_ = nullptr;
};

} // namespace netbuild::query
