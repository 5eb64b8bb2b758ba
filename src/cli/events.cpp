// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>

#include "base/position_header.hpp"
#include "ports/stored_events.hpp"
#include "wire/json.hpp"

namespace netbuild::cli {
namespace {

struct Options {
    std::string from;
    bool follow = false;
    std::size_t limit = 0;
};

void print_event(const StreamEvent& event, bool json) {
    if (json) {
        std::string line = "{\"type\":";
        append_json_string(line, event.type);
        line += ",\"source\":\"engine\"," + event.payload.substr(1);
        fmt::print("{}\n", line);
    } else {
        fmt::print("{:<18} {:<20} {}\n", to_string(event.position), event.type, event.payload);
    }
}

/// From the store's durable events, which have all that the stream has and more.
awaitable<result<void>> events(app::Application& application, Options options, bool json) {
    CO_TRY_VOID(co_await application.connect(false, {}));
    Position after;
    if (!options.from.empty()) {
        auto parsed = parse_position_header(options.from);
        if (!parsed)
            co_return fail(ErrorCode::invalid_argument,
                           "--from: must be a Position, such as 23803720-12");
        after = *parsed;
        CO_TRY(const Position removed_upto, co_await application.queries().event_horizon());
        if (after < removed_upto) {
            print_event(*gap_event(after, removed_upto, "retention"), json);
            after = removed_upto;
        }
    }
    constexpr std::size_t page = 500;
    std::size_t printed = 0;
    while (true) {
        CO_TRY(const auto documents, co_await application.queries().stored_events(after, page));
        bool any = false;
        for (const ValuePtr& document : documents) {
            for (const auto& event : stream_events(*document)) {
                if (event->position <= after) continue;
                after = event->position;
                any = true;
                print_event(*event, json);
                if (++printed == options.limit) co_return result<void>{};
            }
        }
        std::fflush(stdout);
        if (any && documents.size() == page) continue;
        if (!options.follow) co_return result<void>{};
        CO_TRY_VOID(co_await application.clock().sleep(std::chrono::milliseconds(100)));
    }
}

} // namespace

void add_events(Registry registry) {
    auto options = std::make_shared<Options>();
    CLI::App* command = registry.add("events", "the event stream; with --json one object a line");
    command->add_option("--from", options->from, "events after this Position");
    command->add_flag("--follow", options->follow, "wait for more");
    command->add_option("--limit", options->limit, "at most so many; 0: all")
        ->capture_default_str();
    command->callback([registry, options] {
        registry.chosen = [registry, options] {
            const bool json = registry.common.json;
            return run(registry.common, [=](app::Application& application) {
                return events(application, *options, json);
            });
        };
    });
}

} // namespace netbuild::cli
