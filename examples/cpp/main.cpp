// SPDX-License-Identifier: Apache-2.0
// The library without the program: a recording of Camunda's write-ahead log goes through the
// pipeline into an SQLite file, and the unified query answers from it.
//
//     build/release/examples/cpp/netbuild_example demo/camunda.nbrec /tmp/example.sqlite
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fmt/format.h>

#include "memory/memory_bus.hpp"
#include "query/query_service.hpp"
#include "recording/recording_source.hpp"
#include "sqlite/sqlite_store.hpp"
#include "sync/pipeline.hpp"

namespace {

using namespace netbuild;

/// Everything is in the store once the recording has ended: no answer waits.
class ReplayedClock final : public ReadModelClock {
public:
    explicit ReplayedClock(sync::Progress& progress) : progress_(progress) {}
    [[nodiscard]] Position applied() const override { return progress_.readable(); }
    [[nodiscard]] std::int64_t lag_ms() const override { return 0; }
    awaitable<result<void>> wait_applied(Position position, Clock::duration wait) override {
        return progress_.wait_applied(position, wait);
    }

private:
    sync::Progress& progress_;
};

std::string_view text(const Value& document, std::string_view path) {
    const Value* value = document.at_path(path);
    return value ? value->string_or("-") : "-";
}

/// The executions of a status, and what the first of them waits for.
awaitable<result<void>> show(query::QueryService& queries, std::string status) {
    CO_TRY(const auto page, co_await queries.executions({{"status", status}, {"limit", "500"}}));
    const Value* found = page.body.at_path("items");
    const Array* items = found ? found->get_if<Array>() : nullptr;
    fmt::print("{} {} executions\n", items ? items->size() : 0, status);
    if (!items || items->empty()) co_return result<void>{};
    const std::string id(text(items->front(), "processInstanceId"));
    CO_TRY(const auto one, co_await queries.execution(id, {{"by", "processInstanceId"}}));
    fmt::print("  {} of {}\n", text(one.body, "executionId"), text(one.body, "definition.key"));
    if (const Value* tasks = one.body.at_path("activeTasks"); tasks && tasks->is<Array>()) {
        for (const Value& task : *tasks->get_if<Array>())
            fmt::print("  waits for {} ({})\n", text(task, "name"), text(task, "assignee"));
    }
    co_return result<void>{};
}

/// A file that has it already goes on after its checkpoint: the answers are the same.
awaitable<result<void>> replay(std::string recording, std::string file) {
    SystemClock clock;
    Random random(1);
    const auto executor = co_await asio::this_coro::executor;
    RecordingSource source({.path = std::move(recording)});
    SqliteStore store({.path = std::move(file)});
    MemoryBus bus(executor, clock, {});
    sync::Progress progress(executor, clock);
    {
        const sync::PipelineOptions options;
        sync::Pipeline pipeline(options, {source, store, bus, clock, random, executor}, progress);
        CO_TRY_VOID(co_await pipeline.run());
    }
    fmt::print("complete up to {}\n", to_string(progress.readable()));
    ReplayedClock model(progress);
    query::QueryService queries({store, model, clock});
    for (const char* status : {"active", "suspended", "completed", "terminated"})
        CO_TRY_VOID(co_await show(queries, status));
    co_return result<void>{};
}

} // namespace

int main(int count, char** words) {
    if (count != 3) {
        fmt::print(stderr, "usage: netbuild_example RECORDING SQLITE_FILE\n");
        return 2;
    }
    asio::io_context context;
    std::optional<result<void>> outcome;
    asio::co_spawn(context, replay(words[1], words[2]),
                   [&outcome](std::exception_ptr escaped, result<void> replayed) {
                       if (escaped) std::rethrow_exception(escaped);
                       outcome = std::move(replayed);
                   });
    while (!outcome && context.run_one() > 0) {
    }
    if (outcome && *outcome) return EXIT_SUCCESS;
    fmt::print(stderr, "error: {}\n",
               outcome ? outcome->error().message() : "the replay never ended");
    return EXIT_FAILURE;
}
