// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>

#include "app/loads.hpp"
#include "sync/content_hash.hpp"
#include "telemetry/progress_bar.hpp"

namespace netbuild::cli {
namespace {

/// More than these are mended by a load of everything.
constexpr std::size_t repair_instances_max = 10'000;

struct Options {
    bool mend = false;
    bool hash = false;
};

/// `left` is what a repair left over; null without one.
void print(const sync::VerifyReport& report, const sync::VerifyReport* left,
           const std::string& content_hash, bool json) {
    if (json) {
        Array differences;
        for (const auto& one : report.differences) {
            differences.emplace_back(Object{{"collection", one.collection},
                                            {"id", one.id},
                                            {"field", one.field},
                                            {"expected", one.expected},
                                            {"found", one.found}});
        }
        Object answer{{"position", to_string(report.position)},
                      {"documents", static_cast<std::int64_t>(report.documents)},
                      {"differenceCount", static_cast<std::int64_t>(report.difference_count)},
                      {"newer", static_cast<std::int64_t>(report.newer)},
                      {"retained", static_cast<std::int64_t>(report.retained)},
                      {"differences", std::move(differences)}};
        if (left)
            answer.append("differencesLeft", static_cast<std::int64_t>(left->difference_count));
        if (!content_hash.empty()) answer.append("contentHash", content_hash);
        print_json(answer);
        return;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& one : report.differences) {
        rows.push_back({std::string(one.collection), one.id, one.field.empty() ? "-" : one.field,
                        one.expected.substr(0, 60), one.found.substr(0, 60)});
    }
    if (!rows.empty()) print_table({"COLLECTION", "ID", "FIELD", "ENGINE", "STORED"}, rows);
    fmt::print("{} documents compared at {}: {} differences, {} process instances kept changing, "
               "{} documents outlived their history\n",
               report.documents, to_string(report.position), report.difference_count, report.newer,
               report.retained);
    if (left) fmt::print("repaired: {} differences are left\n", left->difference_count);
    if (!content_hash.empty()) fmt::print("content hash {}\n", content_hash);
}

awaitable<result<sync::VerifyPorts>> ports_with_progress(app::Application& application,
                                                         std::shared_ptr<ProgressBar> bar) {
    CO_TRY(auto ports, co_await application.verify_ports());
    Clock& clock = application.clock();
    ports.on_progress = [bar, &clock](const sync::VerifyReport& so_far) {
        bar->update(so_far.documents, 0, clock.monotonic());
    };
    co_return std::move(ports);
}

/// Loads what differs, through the worker that captures, and compares that again.
awaitable<result<sync::VerifyReport>>
repair(app::Application& application, sync::ProjectionOptions options, sync::VerifyReport report) {
    app::LoadWish wish;
    wish.all = report.instances_to_load.size() > repair_instances_max;
    if (!wish.all) {
        wish.instances.assign(report.instances_to_load.begin(), report.instances_to_load.end());
        wish.definitions = report.load_definitions;
        wish.standalone_tasks = report.load_standalone_tasks;
    }
    CO_TRY_VOID(co_await app::load_and_wait(application, std::move(wish)));
    CO_TRY(auto ports, co_await application.verify_ports());
    co_return co_await sync::verify_again(std::move(ports), std::move(options), std::move(report));
}

/// Of the stored documents, or empty if nobody wants it.
awaitable<result<std::string>> hash_of_content(app::Application& application, bool wanted) {
    if (!wanted) co_return std::string();
    CO_TRY(auto content, co_await sync::content_hash(application.store()));
    co_return std::move(content.sha256);
}

awaitable<result<void>> verify(app::Application& application, bool json, Options chosen) {
    CO_TRY_VOID(co_await application.connect(false, {}));
    CO_TRY(const auto options, app::pipeline_options(application.configuration()));
    auto bar = std::make_shared<ProgressBar>("verify", "documents compared",
                                             application.clock().monotonic());
    CO_TRY(auto ports, co_await ports_with_progress(application, bar));
    CO_TRY(auto report, co_await sync::verify(std::move(ports), options.projection));
    bar->finish();
    if (report.difference_count == 0 || !chosen.mend) {
        CO_TRY(const auto hash, co_await hash_of_content(application, chosen.hash));
        print(report, nullptr, hash, json);
        if (report.difference_count == 0) co_return result<void>{};
        co_return fail(ErrorCode::difference_found,
                       fmt::format("{} differences", report.difference_count));
    }
    CO_TRY(const auto left, co_await repair(application, options.projection, report));
    CO_TRY(const auto hash, co_await hash_of_content(application, chosen.hash));
    print(report, &left, hash, json);
    if (left.difference_count == 0) co_return result<void>{};
    co_return fail(ErrorCode::difference_found,
                   fmt::format("{} differences are left after the repair", left.difference_count));
}

} // namespace

void add_verify(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* command =
        registry.add("verify", "compare every document with the engine's tables at one Position");
    command->add_flag("--repair", options->mend,
                      "load what differs anew, through the worker that captures");
    command->add_flag("--content-hash", options->hash,
                      "also the SHA-256 over all documents: equal for equal models in any store");
    add_verify_data({*command, registry.common, registry.chosen});
    add_verify_embeddings({*command, registry.common, registry.chosen});
    command->callback([registry, options, command] {
        if (!command->get_subcommands().empty()) return;
        registry.chosen = [registry, options] {
            const bool json = registry.common.json;
            return run(registry.common, [json, options](app::Application& application) {
                return verify(application, json, *options);
            });
        };
    });
}

} // namespace netbuild::cli
