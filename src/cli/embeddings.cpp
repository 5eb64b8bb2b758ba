// SPDX-License-Identifier: Apache-2.0
// verify embeddings; embeddings list, embeddings import FILE.
#include "command.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "data/embedding_records.hpp"
#include "telemetry/progress_bar.hpp"
#include "wire/json.hpp"

namespace netbuild::cli {
namespace {

constexpr const char* actor = "shell";
constexpr std::size_t listed_max = RecordQuery::limit_max;
/// A line of --metadata.
constexpr std::size_t line_bytes_max = 64 * 1024;

std::string text(const Value& record, std::string_view field) {
    const Value* value = record.at_path(field);
    return value ? cell(value) : "-";
}

awaitable<result<std::vector<ValuePtr>>> all_indexes(app::Application& application) {
    std::vector<ValuePtr> indexes;
    std::string after;
    do {
        CO_TRY(const RecordPage page,
               co_await application.embeddings().list(Scope::everything(), listed_max, after));
        indexes.insert(indexes.end(), page.items.begin(), page.items.end());
        after = page.next;
    } while (!after.empty());
    co_return indexes;
}

struct Report {
    std::int64_t indexes = 0, vectors = 0;
    Array differences;
    std::vector<std::string> differing;
};

awaitable<result<Report>> check_all(app::Application& application) {
    CO_TRY(const auto indexes, co_await all_indexes(application));
    Report report;
    ProgressBar bar("verify embeddings", "indexes compared", application.clock().monotonic());
    for (const ValuePtr& index : indexes) {
        CO_TRY(const auto check, co_await application.embeddings().cache().check(index));
        ++report.indexes;
        report.vectors += check.vectors;
        for (const std::string& what : check.differences)
            report.differences.emplace_back(Object{{"indexId", record_id(*index)},
                                                   {"domainId", *index->at_path("domainId")},
                                                   {"name", *index->at_path("name")},
                                                   {"difference", what}});
        if (!check.differences.empty()) report.differing.push_back(record_id(*index));
        bar.update(static_cast<std::uint64_t>(report.indexes), indexes.size(),
                   application.clock().monotonic());
    }
    bar.finish();
    co_return report;
}

void print(const Report& report, const Report* left, bool json) {
    if (json) {
        Object answer{{"indexes", report.indexes},
                      {"vectors", report.vectors},
                      {"differences", report.differences}};
        if (left) answer.append("differencesLeft", left->differences);
        return print_json(answer);
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& one : report.differences)
        rows.push_back({text(one, "domainId"), text(one, "name"), text(one, "difference")});
    if (!rows.empty()) print_table({"DOMAIN", "INDEX", "DIFFERENCE"}, rows);
    fmt::print("{} vectors of {} indexes compared: {} differences\n", report.vectors,
               report.indexes, report.differences.size());
    if (left) fmt::print("repaired: {} differences are left\n", left->differences.size());
}

awaitable<result<void>> verify(app::Application& application, bool json, bool mend) {
    CO_TRY_VOID(co_await application.prepare_records());
    if (mend) CO_TRY_VOID(co_await application.embeddings().cache().own_folder());
    CO_TRY(const Report report, co_await check_all(application));
    if (report.differences.empty() || !mend) {
        print(report, nullptr, json);
        if (report.differences.empty()) co_return result<void>{};
        co_return fail(ErrorCode::difference_found,
                       fmt::format("{} differences", report.differences.size()));
    }
    for (const std::string& index : report.differing)
        CO_TRY_VOID(co_await application.embeddings().mend(index));
    CO_TRY(const Report left, co_await check_all(application));
    print(report, &left, json);
    if (left.differences.empty()) co_return result<void>{};
    co_return fail(ErrorCode::difference_found,
                   fmt::format("{} differences are left", left.differences.size()));
}

awaitable<result<void>> list(app::Application& application, bool json) {
    CO_TRY_VOID(co_await application.prepare_records());
    CO_TRY(const auto indexes, co_await all_indexes(application));
    Array items;
    std::vector<std::vector<std::string>> rows;
    for (const ValuePtr& index : indexes) {
        items.emplace_back(data::shown_index(*index, {}));
        rows.push_back({record_id(*index), text(*index, "domainId"), text(*index, "name"),
                        text(*index, "model"), text(*index, "dimension"), text(*index, "metric"),
                        text(*index, "count"), text(*index, "status"), text(*index, "file")});
    }
    if (json) {
        print_json(Object{{"items", std::move(items)}});
    } else {
        print_table({"INDEX", "DOMAIN", "NAME", "MODEL", "DIMENSION", "METRIC", "VECTORS", "STATUS",
                     "FILE"},
                    rows);
    }
    co_return result<void>{};
}

/// Lines of JSON: {"id": 7, "source": …, "chunk": …, "metadata": {…}}.
result<std::map<std::int64_t, Object>> read_metadata(const std::string& path) {
    std::map<std::int64_t, Object> more;
    std::ifstream file(path);
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
        const std::string place = fmt::format("{}:{}", path, number);
        if (line.size() > line_bytes_max)
            return fail(ErrorCode::invalid_argument, place + ": the line is too long");
        auto parsed = parse_json(line);
        auto* object = parsed ? parsed->get_if<Object>() : nullptr;
        const Value* id = object ? object->find("id") : nullptr;
        if (!id || (!id->is<std::int32_t>() && !id->is<std::int64_t>()))
            return fail(ErrorCode::invalid_argument,
                        place + ": must be an object with the vector's `id`");
        const std::int64_t key = id->integer_or();
        object->erase("id");
        more[key] = std::move(*object);
    }
    return more;
}

struct ImportOptions {
    std::string file, metadata;
    data::Embeddings::Import what;
};

awaitable<result<void>> import(app::Application& application, ImportOptions options, bool json) {
    CO_TRY_VOID(co_await application.prepare_records());
    CO_TRY(ForeignVectors vectors, co_await application.vectors().read_foreign(options.file));
    if (!options.metadata.empty()) {
        CO_TRY(options.what.more, read_metadata(options.metadata));
    }
    if (options.what.source.empty())
        options.what.source = std::filesystem::path(options.file).filename();
    const auto bar =
        std::make_shared<ProgressBar>("import", "vectors", application.clock().monotonic());
    Clock& clock = application.clock();
    options.what.on_progress = [bar, &clock](std::uint64_t done, std::uint64_t of) {
        bar->update(done, of, clock.monotonic());
    };
    CO_TRY(const ValuePtr index, co_await application.embeddings().import(
                                     std::move(vectors), std::move(options.what), actor));
    bar->finish();
    if (json) {
        print_json(data::shown_index(*index, {}));
    } else {
        fmt::print("index {}: {} vectors\n", record_id(*index), text(*index, "count"));
    }
    co_return result<void>{};
}

void add_import(Registry registry) {
    const auto options = std::make_shared<ImportOptions>();
    CLI::App* command =
        registry.add("import", "a FAISS file (IndexFlat, or IndexIDMap2 over one) as an index");
    command->add_option("file", options->file)->required()->check(CLI::ExistingFile);
    command->add_option("--domain", options->what.domain, "the index's domain")->required();
    command->add_option("--name", options->what.name, "the index's name")->required();
    command->add_option("--model", options->what.model, "that made the vectors")->required();
    command->add_option("--source", options->what.source, "their document; default: the file");
    command->add_flag("--cosine", options->what.cosine,
                      "the file's inner products are meant as cosines");
    command
        ->add_option("--metadata", options->metadata,
                     "lines of JSON with `id` and what is known of the vector")
        ->check(CLI::ExistingFile);
    command->callback([registry, options] {
        registry.chosen = [registry, options] {
            const bool json = registry.common.json;
            return run(registry.common, [options, json](app::Application& application) {
                return import(application, *options, json);
            });
        };
    });
}

} // namespace

void add_embeddings(Registry registry) {
    CLI::App* group = registry.app.add_subcommand("embeddings", "indexes of vectors");
    group->require_subcommand(1);
    Registry inner{*group, registry.common, registry.chosen};
    inner.add("list", "all indexes")->callback([registry] {
        registry.chosen = [registry] {
            const bool json = registry.common.json;
            return run(registry.common,
                       [json](app::Application& application) { return list(application, json); });
        };
    });
    add_import(inner);
}

void add_verify_embeddings(Registry registry) {
    const auto mend = std::make_shared<bool>(false);
    CLI::App* command = registry.add(
        "embeddings", "compare the indexes' files with their records; exit 5 if they differ");
    command->add_flag("--repair", *mend,
                      "write the files anew from the records; no server may run");
    command->callback([registry, mend] {
        registry.chosen = [registry, mend] {
            const bool json = registry.common.json;
            return run(registry.common, [json, mend](app::Application& application) {
                return verify(application, json, *mend);
            });
        };
    });
}

} // namespace netbuild::cli
