// SPDX-License-Identifier: Apache-2.0
#include "command.hpp"

#include <fmt/format.h>

#include "model/collections.hpp"
#include "sync/pipeline.hpp"
#include "wire/rows.hpp"

namespace netbuild::cli {
namespace {

constexpr std::size_t letters_max = 1000;
constexpr std::size_t shown_rows_max = 200;

struct Options {
    std::string id;
    std::string wait = "30s";
};

std::string text(const Value& letter, std::string_view path) {
    const Value* member = letter.at_path(path);
    return cell(member);
}

awaitable<result<ValuePtr>> find_letter(app::Application& application, std::string id) {
    CO_TRY(const auto found, co_await application.store().get(collections::dead_letters, {id}));
    if (!found.front()) co_return fail(ErrorCode::not_found, "dead letter " + id);
    co_return found.front();
}

/// Every command of it may be the first that meets the store.
awaitable<result<void>> reach(app::Application& application) {
    co_return co_await application.store().prepare(sync::read_model_collections());
}

awaitable<result<void>> list(app::Application& application, bool json) {
    CO_TRY_VOID(co_await reach(application));
    Query query;
    query.collection = collections::dead_letters;
    query.limit = letters_max;
    CO_TRY(const auto letters, co_await application.store().find(query));
    if (json) {
        Array items;
        for (const ValuePtr& letter : letters)
            items.push_back(*letter);
        print_json(Object{{"items", std::move(items)}});
        co_return result<void>{};
    }
    std::vector<std::vector<std::string>> rows;
    for (const ValuePtr& letter : letters) {
        rows.push_back({text(*letter, "_id"), text(*letter, "status"), text(*letter, "attempts"),
                        text(*letter, "rows"), text(*letter, "instanceCount"),
                        text(*letter, "reason")});
    }
    print_table({"ID", "STATUS", "ATTEMPTS", "ROWS", "INSTANCES", "REASON"}, rows);
    co_return result<void>{};
}

Value cell_value(const Cell& cell) {
    switch (cell.kind) {
    case Cell::Kind::text:
        return cell.text;
    case Cell::Kind::unchanged:
        return Object{{"unchanged", true}};
    default:
        return {};
    }
}

Object row_object(const Row& row) {
    constexpr std::string_view operations[] = {"insert", "update", "delete", "truncate"};
    const auto& info = camunda::info(row.table);
    Object columns;
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
        if (row.cells[i].kind != Cell::Kind::absent)
            columns.append(std::string(info.columns[i]), cell_value(row.cells[i]));
    }
    return Object{{"table", info.name},
                  {"operation", operations[static_cast<std::size_t>(row.operation)]},
                  {"columns", std::move(columns)}};
}

awaitable<result<std::string>> row_bytes(app::Application& application, const Value& letter) {
    std::string bytes;
    const std::string id(letter.at_path("_id")->string_or());
    const Value* documents = letter.at_path("rowDocuments");
    for (std::int64_t i = 0; i < (documents ? documents->integer_or() : 0); ++i) {
        CO_TRY(const auto found, co_await application.store().get(collections::dead_letter_rows,
                                                                  {fmt::format("{}/{}", id, i)}));
        const Value* part = found.front() ? found.front()->at_path("bytes") : nullptr;
        const Binary* binary = part ? part->get_if<Binary>() : nullptr;
        if (!binary) co_return fail(ErrorCode::corrupt, "rows of dead letter " + id);
        bytes += binary->bytes;
    }
    co_return bytes;
}

awaitable<result<void>> show(app::Application& application, Options options) {
    CO_TRY_VOID(co_await reach(application));
    CO_TRY(const ValuePtr letter, co_await find_letter(application, options.id));
    CO_TRY(const std::string bytes, co_await row_bytes(application, *letter));
    RowReader reader(bytes);
    Array rows;
    while (rows.size() < shown_rows_max) {
        CO_TRY(const auto row, reader.next());
        if (!row) break;
        rows.emplace_back(row_object(*row));
    }
    Object shown = *letter->get_if<Object>();
    shown.set("shownRows", std::move(rows));
    print_json(shown); // rows have no tabular form
    co_return result<void>{};
}

/// Asks the capture, which alone may write: it answers in the letter.
awaitable<result<void>> retry(app::Application& application, Options options, Clock::duration wait,
                              bool json) {
    CO_TRY_VOID(co_await reach(application));
    CO_TRY(ValuePtr letter, co_await find_letter(application, options.id));
    const std::string status = text(*letter, "status");
    if (status == "stopped") {
        co_return fail(ErrorCode::conflict, "capture stands before it: the next `netbuild serve` "
                                            "tries it first, or skips it with sync.poison = skip");
    }
    if (status == "projected") co_return fail(ErrorCode::conflict, "it was projected already");
    Object asked = *letter->get_if<Object>();
    const std::int64_t revision = letter->at_path("sync.lsn")->integer_or() + 1;
    asked.set("status", "retry");
    asked.set("sync", Object{{"lsn", revision}});
    DocumentWrite write;
    write.collection = collections::dead_letters;
    write.id = options.id;
    write.lsn = static_cast<std::uint64_t>(revision);
    write.body = std::make_shared<const Value>(std::move(asked));
    auto batch = std::make_shared<ApplyBatch>();
    batch->documents.push_back(std::move(write));
    CO_TRY_VOID(co_await application.store().apply(batch));
    const Deadline deadline(application.clock(), wait);
    while (text(*letter, "status") != "projected") {
        if (deadline.passed(application.clock())) {
            co_return fail(ErrorCode::deadline_exceeded,
                           "no capture has answered yet: it will when `netbuild serve` runs");
        }
        CO_TRY_VOID(co_await application.clock().sleep(std::chrono::milliseconds(200)));
        CO_TRY(letter, co_await find_letter(application, options.id));
        if (text(*letter, "status") == "skipped")
            co_return fail(ErrorCode::conflict, text(*letter, "answer"));
    }
    if (json) {
        print_json(*letter);
    } else {
        fmt::print("dead letter {}: projected, {}\n", options.id, text(*letter, "answer"));
    }
    co_return result<void>{};
}

} // namespace

void add_deadletter(Registry registry) {
    CLI::App* command = registry.app.add_subcommand(
        "deadletter", "transactions that could not be projected: list, show, retry");
    command->require_subcommand(1);
    Registry nested{*command, registry.common, registry.chosen};
    auto options = std::make_shared<Options>();
    nested.add("list", "all of them")->callback([registry] {
        registry.chosen = [registry] {
            const bool json = registry.common.json;
            return run(registry.common,
                       [json](app::Application& application) { return list(application, json); });
        };
    });
    CLI::App* one = nested.add("show", "one of them with its rows, as JSON");
    one->add_option("id", options->id, "as `list` names it")->required();
    one->callback([registry, options] {
        registry.chosen = [registry, options] {
            return run(registry.common,
                       [=](app::Application& application) { return show(application, *options); });
        };
    });
    CLI::App* again =
        nested.add("retry", "project a skipped one after all; the running capture does it");
    again->add_option("id", options->id, "as `list` names it")->required();
    again->add_option("--wait", options->wait, "for the capture's answer")->capture_default_str();
    again->callback([registry, options] {
        registry.chosen = [registry, options]() -> result<void> {
            auto wait = app::parse_duration(options->wait);
            if (!wait) return fail(ErrorCode::invalid_argument, "--wait: such as 30s");
            const bool json = registry.common.json;
            return run(registry.common, [=, wait = *wait](app::Application& application) {
                return retry(application, *options, wait, json);
            });
        };
    });
}

} // namespace netbuild::cli
