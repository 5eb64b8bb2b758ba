// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "order_plan.hpp"
#include "order_values.hpp"
#include "rows.hpp"
#include "runtime/random.hpp"

namespace netbuild::simulator {

/// order.bpmn as a bytea's text; made at build time.
extern const std::string_view order_bpmn_bytea;

/// Ids in the form of Camunda's (UUIDs of version 1), unique in a simulation.
class IdMaker {
public:
    IdMaker(std::uint64_t seed, std::uint64_t number) : seed_(seed), number_(number) {}
    std::string next();

private:
    std::uint64_t seed_;
    std::uint64_t number_;
    std::uint32_t count_ = 0;
};

/// What one deployment of order.bpmn made.
struct Deployed {
    std::string tenant;
    std::string order_definition;
    std::string parent_definition;
    std::string timer_job_definition;
    std::string async_job_definition;
};

/// Drafts the deployment's transaction; its rows go to `rows`.
[[nodiscard]] Deployed deploy(Draft& draft, std::deque<SimRow>& rows, IdMaker ids,
                              std::string tenant, std::int64_t now_ms);

/// One order from its start to the end of its history: a step is a transaction.
class OrderProcess {
public:
    OrderProcess(std::uint64_t seed, std::uint64_t number, const Deployed& deployed);

    /// Drafts the next transaction, committed at `now_ms`. Simulated milliseconds until the next
    /// one; nullopt: it was the last.
    std::optional<std::int64_t> step(Draft& draft, std::int64_t now_ms);

private:
    struct Variable {
        std::string id;
        SimRow* history = nullptr;
        SimRow* runtime = nullptr;
        SimRow* runtime_bytes = nullptr;
        SimRow* history_bytes = nullptr;
        bool of_task = false;
    };
    struct Task {
        SimRow* runtime = nullptr;
        SimRow* history = nullptr;
        SimRow* activity = nullptr;
        std::string candidate_group;
    };

    void run(Step step, Draft& draft);
    // order_process.cpp: the instance
    void start(Draft& draft);
    void start_parent(Draft& draft);
    SimRow& add_instance(Draft& draft, const std::string& id, std::string_view key,
                         const std::string& definition);
    void end_instance(Draft& draft, SimRow& process, std::string_view state);
    void set_suspended(Draft& draft, bool suspended);
    void finish(Draft& draft, std::string_view end_activity);
    void terminate(Draft& draft, std::string_view reason);
    void erase_runtime(Draft& draft);
    void rewrite_history(Draft& draft);
    void delete_history(Draft& draft);
    // order_tasks.cpp: user tasks and variables
    void open_task(Draft& draft, std::string_view key, std::string_view name,
                   const std::string& execution, std::string_view candidate_group);
    void close_task(Draft& draft, bool completed);
    void assign(Draft& draft, std::optional<std::string> assignee);
    void delegate(Draft& draft);
    void resolve(Draft& draft);
    void add_candidate(Draft& draft);
    void edit_task(Draft& draft);
    void touch_task(Draft& draft);
    void add_link(Draft& draft, std::string_view type, std::string_view user,
                  std::string_view group, std::string_view operation);
    void set_variable(Draft& draft, const std::string& name, const VariableValue& value,
                      bool of_task = false);
    void set_value(Draft& draft, Variable& variable, const std::string& name,
                   const VariableValue& value);
    void add_detail(Draft& draft, const Variable& variable, const std::string& name,
                    std::string_view type);
    void delete_variable(Draft& draft, const std::string& name);
    SimRow& add_bytes(Draft& draft, const std::string& name, std::string_view bytes);
    // order_jobs.cpp: what happens between the tasks
    SimRow& open_activity(Draft& draft, std::string_view id, std::string_view name,
                          std::string_view type, const std::string& execution);
    void close_activity(Draft& draft, SimRow& activity, std::string_view state);
    void pass_activity(Draft& draft, std::string_view id, std::string_view type,
                       std::string_view state = "4");
    void leave_review(Draft& draft);
    void enter_ship(Draft& draft);
    void open_execution(Draft& draft);
    void close_execution(Draft& draft);
    void log_external(Draft& draft, std::string_view state, std::string_view error = {});
    void fail_external(Draft& draft, bool last);
    void resolve_external(Draft& draft);
    void complete_external(Draft& draft);
    void correlate(Draft& draft);
    void add_job(Draft& draft, bool timer);
    void log_job(Draft& draft, std::string_view state, std::string_view error = {});
    void fail_job(Draft& draft, bool last);
    void retry_job(Draft& draft);
    void modify(Draft& draft);
    void move_timer(Draft& draft);
    void open_incident(Draft& draft, std::string_view type, std::string_view message,
                       const std::string& configuration);
    void close_incident(Draft& draft, std::string_view state);

    SimRow& add(Draft& draft, camunda::Table table, std::string id);
    [[nodiscard]] std::string now() const { return timestamp_text(now_ms_); }
    [[nodiscard]] std::string duration_of(const SimRow& row) const {
        return std::to_string(now_ms_ - row.began_ms);
    }

    IdMaker ids_;
    Random random_;
    const Deployed& deployed_;
    OrderPlan plan_;
    std::size_t next_step_ = 0;
    std::uint64_t number_;

    std::int64_t now_ms_ = 0;
    std::string instance_;
    std::string business_key_;
    std::deque<SimRow> rows_; // a deque: the rows keep their addresses
    std::map<std::string, Variable> variables_;
    SimRow* process_ = nullptr;
    SimRow* execution_ = nullptr; // the instance's own
    SimRow* parent_process_ = nullptr;
    SimRow* call_activity_ = nullptr;
    Task task_;
    SimRow* waiting_ = nullptr; // the activity of charge or waitPaid
    SimRow* child_execution_ = nullptr;
    SimRow* job_ = nullptr;
    std::string job_activity_;
    std::string external_task_;
    int external_retries_ = -1;
    SimRow* external_error_ = nullptr;
    SimRow* incident_ = nullptr;
};

} // namespace netbuild::simulator
