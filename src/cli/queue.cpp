// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>

#include "running_server.hpp"
#include "wire/json.hpp"
#include "wire/percent.hpp"

namespace netbuild::cli {
namespace {

constexpr std::size_t items_max = 10'000;
constexpr std::chrono::milliseconds look_interval{200};

struct Options {
    std::string queue, id, payload = "{}", state, wait = "0s";
    std::vector<std::string> ids;
};

std::string path_of(const Options& options, std::string_view rest = {}) {
    return fmt::format("/v1/queues/{}{}", percent_encode(options.queue), rest);
}

awaitable<result<void>> list(app::Application& application, Options options, bool json) {
    const bool jobs = !options.queue.empty();
    const std::string base = jobs ? path_of(options, "/jobs?state=" + options.state + "&limit=500")
                                  : std::string("/v1/queues?limit=500");
    CO_TRY(const Array items, co_await ask_for_items(application, base, items_max));
    if (json) {
        print_json(Object{{"items", items}});
        co_return result<void>{};
    }
    std::vector<std::string> header{"QUEUE", "READY",     "DELAYED",   "RUNNING",
                                    "DEAD",  "COMPLETED", "OLDEST MS", "PAUSED"};
    std::vector<std::string> members{"queue", "ready",     "delayed",       "running",
                                     "dead",  "completed", "oldestReadyMs", "paused"};
    if (jobs) {
        header = {"ID", "STATE", "ATTEMPTS", "ADDED", "DUE", "WORKER", "ERROR"};
        members = {"id", "state", "attempts", "addedAt", "dueAt", "worker", "error"};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& item : items) {
        auto& row = rows.emplace_back();
        for (const auto& member : members)
            row.push_back(cell(item.at_path(member)).substr(0, 60));
    }
    print_table(header, rows);
    co_return result<void>{};
}

awaitable<result<void>> show(app::Application& application, Options options) {
    const std::string path = options.id.empty()
                                 ? path_of(options)
                                 : path_of(options, "/jobs/" + percent_encode(options.id));
    CO_TRY(const Value found, co_await ask_as_admin(application, "GET", path));
    print_json(found); // payload and result have no tabular form
    co_return result<void>{};
}

/// Adds a job and, with --wait, waits for its end.
awaitable<result<void>> add(app::Application& application, Options options, Clock::duration wait) {
    auto payload = parse_json(options.payload);
    if (!payload)
        co_return fail(ErrorCode::invalid_argument, "the payload: " + payload.error().detail());
    Array jobs;
    jobs.emplace_back(Object{{"payload", std::move(*payload)}});
    const std::string body = to_json(Object{{"jobs", std::move(jobs)}});
    CO_TRY(const Value added,
           co_await ask_as_admin(application, "POST", path_of(options, "/jobs"), body));
    const Value* list = added.at_path("jobs");
    const auto* items = list ? list->get_if<Array>() : nullptr;
    const Value* id = items && !items->empty() ? items->front().at_path("id") : nullptr;
    if (!id) co_return fail(ErrorCode::unavailable, "the server's answer has no job");
    options.id = id->string_or();
    const Deadline deadline(application.clock(), wait);
    while (true) {
        CO_TRY(const Value job,
               co_await ask_as_admin(application, "GET", path_of(options, "/jobs/" + options.id)));
        const std::string state = cell(job.at_path("state"));
        const bool ended = state == "completed" || state == "cancelled" || state == "dead";
        if (ended || deadline.passed(application.clock())) {
            print_json(job);
            if (state == "dead") co_return fail(ErrorCode::internal, cell(job.at_path("error")));
            if (!ended && wait > Clock::duration::zero())
                co_return fail(ErrorCode::deadline_exceeded, "the job has not ended");
            co_return result<void>{};
        }
        CO_TRY_VOID(co_await application.clock().sleep(look_interval));
    }
}

/// A verb of the queue, with its answer.
awaitable<result<void>> act(app::Application& application, Options options, std::string verb,
                            bool json) {
    std::string body;
    if (!options.ids.empty())
        body = to_json(Object{{"ids", Array(options.ids.begin(), options.ids.end())}});
    CO_TRY(const Value answer,
           co_await ask_as_admin(application, "POST", path_of(options, ":" + verb), body));
    if (json) {
        print_json(answer.is_null() ? Value(Object{}) : answer);
        co_return result<void>{};
    }
    for (const char* count : {"removed", "retried"}) {
        if (const Value* number = answer.at_path(count))
            fmt::print("{}: {} jobs {}\n", options.queue, number->integer_or(), count);
    }
    co_return result<void>{};
}

} // namespace

void add_queue(Registry registry) {
    CLI::App* command = registry.app.add_subcommand(
        "queue", "jobs of the running server: list, show, add, retry, pause, resume, drain");
    command->require_subcommand(1);
    Registry nested{*command, registry.common, registry.chosen};
    auto options = std::make_shared<Options>();
    options->state = "ready";
    using Runner = std::function<awaitable<result<void>>(app::Application&, Options, bool)>;
    const auto chosen = [registry, options](CLI::App* one, Runner runner) {
        one->callback([registry, options, runner] {
            registry.chosen = [registry, options, runner] {
                return run(registry.common,
                           [=, json = registry.common.json](app::Application& application) {
                               return runner(application, *options, json);
                           });
            };
        });
    };
    CLI::App* one = nested.add("list", "all queues, or jobs of one");
    one->add_option("queue", options->queue, "its jobs");
    one->add_option("--state", options->state,
                    "of ready, delayed, running, dead, completed, cancelled")
        ->capture_default_str();
    chosen(one, list);
    one = nested.add("show", "a queue, or a job of it, as JSON");
    one->add_option("queue", options->queue, "as `list` names it")->required();
    one->add_option("id", options->id, "a job's id");
    chosen(one, [](app::Application& application, Options given, bool) {
        return show(application, std::move(given));
    });
    one = nested.add("add", "add a job, such as netbuild:verify; prints it as JSON");
    one->add_option("queue", options->queue, "where to")->required();
    one->add_option("payload", options->payload, "JSON")->capture_default_str();
    one->add_option("--wait", options->wait, "for its end")->capture_default_str();
    chosen(one, [](app::Application& application, Options given, bool) -> awaitable<result<void>> {
        const auto wait = app::parse_duration(given.wait);
        if (!wait) co_return fail(ErrorCode::invalid_argument, "--wait: such as 30s");
        co_return co_await add(application, std::move(given), *wait);
    });
    for (const auto& [verb, help] :
         {std::pair{"retry", "make dead letters ready again: all, or those of the ids"},
          std::pair{"pause", "give out no more jobs; adds go on"},
          std::pair{"resume", "give out jobs again"},
          std::pair{"drain", "remove what is ready or delayed"}}) {
        one = nested.add(verb, help);
        one->add_option("queue", options->queue, "as `list` names it")->required();
        if (verb == std::string_view("retry"))
            one->add_option("ids", options->ids, "of dead letters");
        chosen(one,
               [verb = std::string(verb)](app::Application& application, Options given, bool json) {
                   return act(application, std::move(given), verb, json);
               });
    }
}

} // namespace netbuild::cli
