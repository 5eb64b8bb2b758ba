// SPDX-License-Identifier: Apache-2.0
#include "order_plan.hpp"

namespace netbuild::simulator {
namespace {

class Drawing {
public:
    Drawing(Random& random, std::vector<Step>& steps) : random_(random), steps_(steps) {}
    [[nodiscard]] bool chance(double probability) { return random_.unit() < probability; }
    void add(std::initializer_list<Step> steps) { steps_.insert(steps_.end(), steps); }
    void maybe(double probability, std::initializer_list<Step> steps) {
        if (chance(probability)) add(steps);
    }

    void review() {
        if (chance(0.75)) {
            add({chance(0.5) ? Step::assign : Step::claim});
            maybe(0.15, {Step::unclaim, Step::claim});
            maybe(0.10, {Step::delegate, Step::resolve});
        }
        maybe(0.08, {Step::add_candidate});
        maybe(0.10, {Step::edit_task});
        maybe(0.12, {Step::set_task_variable});
    }
    void variables() {
        maybe(0.20, {Step::update_variable});
        maybe(0.06, {Step::put_same_value});
        maybe(0.12, {Step::update_json});
        maybe(0.04, {Step::change_type});
        maybe(0.08, {Step::create_variable, Step::delete_variable});
    }
    void charge() {
        maybe(0.15, {Step::fail_external});
        maybe(0.06, {Step::fail_external_for_good, Step::retry_external});
        add({Step::complete_external});
    }
    void bad() {
        for (int attempt = 0; attempt < 2; ++attempt)
            add({Step::lock_job, Step::fail_job});
        add({Step::lock_job, Step::fail_job_for_good});
        maybe(0.3, {Step::retry_job, Step::lock_job, Step::fail_job_for_good});
        add({Step::modify});
    }
    void ship() {
        maybe(0.6, {Step::claim_ship});
        maybe(0.03, {Step::suspend, Step::activate});
        if (chance(0.03)) {
            add({Step::withdraw});
        } else if (chance(0.06)) {
            add({Step::move_timer, Step::fire_timer});
        } else {
            add({Step::complete_ship});
        }
    }

private:
    Random& random_;
    std::vector<Step>& steps_;
};

Route draw_route(Random& random) {
    const double drawn = random.unit();
    if (drawn < 0.60) return Route::charge;
    if (drawn < 0.75) return Route::wait;
    if (drawn < 0.80) return Route::bad;
    return Route::none;
}

} // namespace

std::string_view route_text(Route route) {
    switch (route) {
    case Route::charge:
        return "charge";
    case Route::wait:
        return "wait";
    case Route::bad:
        return "bad";
    case Route::none:
        break;
    }
    return "none";
}

OrderPlan draw_plan(Random& random) {
    OrderPlan plan;
    Drawing draw(random, plan.steps);
    plan.route = draw_route(random);
    plan.called = draw.chance(0.10);
    plan.rich = draw.chance(0.15);
    draw.add({Step::start});
    draw.review();
    draw.variables();
    draw.maybe(0.04, {Step::suspend, Step::activate});
    if (draw.chance(0.02)) {
        draw.add({Step::withdraw});
    } else {
        draw.add({Step::complete_review});
        if (plan.route == Route::charge) draw.charge();
        if (plan.route == Route::wait) draw.add({Step::correlate});
        if (plan.route == Route::bad) draw.bad();
        draw.ship();
    }
    draw.maybe(0.03, {Step::delete_history});
    return plan;
}

double mean_delay_ms(Step step) {
    switch (step) {
    case Step::lock_job:
    case Step::fail_job:
        return 40; // the job executor goes on by itself
    case Step::complete_review:
    case Step::suspend:
        return 800;
    case Step::start:
        return 2500; // people
    default:
        return 1200;
    }
}

} // namespace netbuild::simulator
