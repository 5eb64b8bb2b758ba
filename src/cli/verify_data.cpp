// SPDX-License-Identifier: Apache-2.0
// verify payments, verify snapshots: what NetBuild's own data says against what it is made of.
#include "command.hpp"

#include <fmt/format.h>

#include "data/schema.hpp"
#include "payments/verify_payments.hpp"
#include "snapshots/verify_snapshots.hpp"
#include "telemetry/progress_bar.hpp"

namespace netbuild::cli {
namespace {

/// A store that never had such records gets what is missing, so that there is something to read;
/// one that has them is looked at as it is, whatever became of its indexes.
awaitable<result<void>> make_readable(app::Application& application) {
    CO_TRY(const auto changes,
           co_await application.records().schema_changes(data::own_collections()));
    for (const SchemaChange& change : changes) {
        if (change.kind != SchemaChange::Kind::create_collection) continue;
        CO_TRY_VOID(co_await application.prepare_records());
        break;
    }
    co_return result<void>{};
}

awaitable<result<void>> verify_payments(app::Application& application, bool json) {
    CO_TRY_VOID(co_await make_readable(application));
    Clock& clock = application.clock();
    ProgressBar bar("verify payments", "payments", clock.monotonic());
    CO_TRY(const auto report,
           co_await payments::verify_payments(application.records(), [&](const auto& so_far) {
               bar.update(so_far.payments, 0, clock.monotonic());
           }));
    bar.finish();
    if (json) {
        Array faults;
        for (const auto& one : report.faults)
            faults.emplace_back(Object{{"paymentId", one.payment_id}, {"what", one.what}});
        print_json(Object{{"payments", static_cast<std::int64_t>(report.payments)},
                          {"events", static_cast<std::int64_t>(report.events)},
                          {"busy", static_cast<std::int64_t>(report.busy)},
                          {"faultCount", static_cast<std::int64_t>(report.fault_count)},
                          {"faults", std::move(faults)}});
    } else {
        std::vector<std::vector<std::string>> rows;
        for (const auto& one : report.faults)
            rows.push_back({one.payment_id, one.what});
        if (!rows.empty()) print_table({"PAYMENT", "WHAT"}, rows);
        fmt::print("{} payments with {} events: {} differ, {} kept changing\n", report.payments,
                   report.events, report.fault_count, report.busy);
    }
    if (report.fault_count == 0) co_return result<void>{};
    co_return fail(
        ErrorCode::difference_found,
        fmt::format("{} payments are not what their events come to", report.fault_count));
}

awaitable<result<void>> verify_snapshots(app::Application& application, bool json,
                                         std::string head) {
    CO_TRY_VOID(co_await make_readable(application));
    Clock& clock = application.clock();
    ProgressBar bar("verify snapshots", "snapshots", clock.monotonic());
    CO_TRY(const auto report, co_await snapshots::verify_snapshots(
                                  application.records(), std::move(head), [&](const auto& so_far) {
                                      bar.update(so_far.snapshots, 0, clock.monotonic());
                                  }));
    bar.finish();
    const std::string newest = fmt::format("{}:{}", report.head_sequence, report.head_hash);
    if (json) {
        Value first;
        if (report.first)
            first = Object{{"id", report.first->id},
                           {"sequence", report.first->sequence},
                           {"chain", report.first->chain},
                           {"number", report.first->number},
                           {"what", report.first->what}};
        print_json(Object{{"snapshots", static_cast<std::int64_t>(report.snapshots)},
                          {"chains", static_cast<std::int64_t>(report.chains)},
                          {"head", newest},
                          {"brokenCount", static_cast<std::int64_t>(report.broken_count)},
                          {"firstBroken", std::move(first)}});
    } else {
        fmt::print("{} snapshots in {} chains: {} broken links\nhead {}\n", report.snapshots,
                   report.chains, report.broken_count, newest);
        if (report.first)
            fmt::print("the first broken link is snapshot {} ({}, number {} of chain {}): {}\n",
                       report.first->sequence, report.first->id.empty() ? "-" : report.first->id,
                       report.first->number,
                       report.first->chain.empty() ? "-" : report.first->chain, report.first->what);
    }
    if (!report.first) co_return result<void>{};
    co_return fail(ErrorCode::difference_found,
                   fmt::format("snapshot {}: {}", report.first->sequence, report.first->what));
}

} // namespace

void add_verify_data(Registry registry) {
    CLI::App* payments =
        registry.add("payments", "every payment against the events that it is made of");
    payments->callback([registry] {
        registry.chosen = [registry] {
            const bool json = registry.common.json;
            return run(registry.common, [json](app::Application& application) {
                return verify_payments(application, json);
            });
        };
    });
    auto head = std::make_shared<std::string>();
    CLI::App* snapshots = registry.add("snapshots", "every link of the task snapshots' chains");
    snapshots->add_option("--head", *head,
                          "SEQUENCE:HASH that an earlier run printed and that was kept elsewhere");
    snapshots->callback([registry, head] {
        registry.chosen = [registry, head] {
            const bool json = registry.common.json;
            return run(registry.common, [json, head](app::Application& application) {
                return verify_snapshots(application, json, *head);
            });
        };
    });
}

} // namespace netbuild::cli
