// SPDX-License-Identifier: Apache-2.0
#include "fault_plan.hpp"

namespace netbuild::sim {
namespace {

void draw_pipeline(Random& random, sync::PipelineOptions& options) {
    options.batch_documents_max = 6 + random.below(60);
    options.cache_documents_max = 8 + random.below(60);
    options.publish_events_max = 3 + random.below(30);
    options.projection.retention =
        random.below(3) == 0 ? sync::Retention::follow : sync::Retention::keep;
}

} // namespace

Plan plan_one_death(std::uint64_t seed) {
    Random random(seed * 2 + 1);
    Plan plan;
    plan.seed = seed;
    plan.instances = 2 + random.below(2);
    plan.committed_before = random.below(8);
    plan.commit_gap_max = std::chrono::milliseconds(1 + random.below(8));
    draw_pipeline(random, plan.pipeline);
    plan.batch_transactions_max = 1 + random.below(7);
    return plan;
}

Plan plan_chaos(std::uint64_t seed) {
    Random random(seed * 2);
    Plan plan;
    plan.seed = seed;
    plan.instances = 3 + random.below(5);
    plan.committed_before = random.below(40);
    constexpr std::uint64_t gaps_ms[] = {2, 20, 120};
    plan.commit_gap_max = std::chrono::milliseconds(gaps_ms[random.below(3)]);
    draw_pipeline(random, plan.pipeline);
    plan.batch_transactions_max = 1 + random.below(12);
    plan.dies_again = random.below(4) != 0;
    if (random.below(2) == 0) plan.trouble = 0.05 * random.unit();
    if (random.below(2) == 0) plan.break_probability = 0.1 * random.unit();
    // Commits go on for gap/2 each; faults come before, among and a little after them.
    constexpr std::uint64_t transactions_an_instance = 14;
    const auto span = plan.commit_gap_max / 2 * (plan.instances * transactions_an_instance) +
                      std::chrono::seconds(3);
    for (std::uint64_t i = random.below(8); i > 0; --i) {
        Fault fault;
        fault.kind =
            static_cast<Fault::Kind>(random.below(static_cast<std::uint64_t>(Fault::Kind::count_)));
        fault.at = Clock::duration(random.below(static_cast<std::uint64_t>(span.count())));
        fault.draw = random.next();
        plan.faults.push_back(fault);
    }
    return plan;
}

} // namespace netbuild::sim
