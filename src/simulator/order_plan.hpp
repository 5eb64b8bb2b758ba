// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>
#include <vector>

#include "runtime/random.hpp"

namespace netbuild::simulator {

/// What a step does; each is one transaction.
enum class Step : unsigned char {
    start,
    assign,
    unclaim,
    claim,
    delegate,
    resolve,
    add_candidate,
    edit_task,
    set_task_variable,
    update_variable,
    put_same_value,
    update_json,
    change_type,
    create_variable,
    delete_variable,
    suspend,
    activate,
    complete_review,
    fail_external,
    fail_external_for_good,
    retry_external,
    complete_external,
    correlate,
    lock_job,
    fail_job,
    fail_job_for_good,
    retry_job,
    modify,
    claim_ship,
    move_timer,
    fire_timer,
    complete_ship,
    withdraw,
    delete_history,
};

enum class Route : unsigned char { charge, wait, bad, none };
[[nodiscard]] std::string_view route_text(Route route);

/// The life of one order, drawn before it starts.
struct OrderPlan {
    std::vector<Step> steps;
    Route route = Route::none;
    /// Started by a parent process through a call activity.
    bool called = false;
    /// Variables of rare types: Object, Bytes, File, a long text.
    bool rich = false;
};
[[nodiscard]] OrderPlan draw_plan(Random& random);

/// How long a step makes the next one wait, in simulated milliseconds.
[[nodiscard]] double mean_delay_ms(Step step);

} // namespace netbuild::simulator
