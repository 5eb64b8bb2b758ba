// SPDX-License-Identifier: Apache-2.0
#include "ports/checkpoint_document.hpp"

#include <fmt/format.h>

namespace netbuild {
namespace {

constexpr std::string_view kind_names[] = {"first", "reconcile", "request"};

Object load_object(const LoadState& load) {
    Object object{{"id", load.id},
                  {"kind", kind_names[static_cast<std::size_t>(load.kind)]},
                  {"base", static_cast<std::int64_t>(load.base)},
                  {"after", load.after},
                  {"instances", static_cast<std::int64_t>(load.instances)},
                  {"estimate", static_cast<std::int64_t>(load.instances_estimate)}};
    if (load.same_history) object.append("sameHistory", true);
    if (!load.all) {
        object.append("scope", Object{{"instances", Array(load.scope.begin(), load.scope.end())},
                                      {"definitions", load.definitions},
                                      {"standaloneTasks", load.standalone_tasks}});
    }
    return object;
}

std::uint64_t number_at(const Value& document, std::string_view path) {
    const Value* value = document.at_path(path);
    return static_cast<std::uint64_t>(value ? value->integer_or() : 0);
}
bool flag_at(const Value& document, std::string_view path) {
    const Value* value = document.at_path(path);
    const bool* flag = value ? value->get_if<bool>() : nullptr;
    return flag && *flag;
}
const Array& array_at(const Value& document, std::string_view path) {
    static const Array none;
    const Value* value = document.at_path(path);
    const Array* array = value ? value->get_if<Array>() : nullptr;
    return array ? *array : none;
}

LoadState parse_load(const Value& value) {
    LoadState load;
    load.id = std::string(value.text_at("id"));
    const std::string kind = std::string(value.text_at("kind"));
    load.kind = kind == "request"     ? LoadState::Kind::request
                : kind == "reconcile" ? LoadState::Kind::reconcile
                                      : LoadState::Kind::first;
    load.base = number_at(value, "base");
    load.after = std::string(value.text_at("after"));
    load.instances = number_at(value, "instances");
    load.instances_estimate = number_at(value, "estimate");
    load.same_history = flag_at(value, "sameHistory");
    load.all = value.at_path("scope") == nullptr;
    for (const Value& id : array_at(value, "scope.instances"))
        load.scope.emplace_back(id.string_or());
    load.definitions = flag_at(value, "scope.definitions");
    load.standalone_tasks = flag_at(value, "scope.standaloneTasks");
    return load;
}

} // namespace

Object checkpoint_document(const Checkpoint& checkpoint) {
    Array loads;
    for (const LoadState& load : checkpoint.loads)
        loads.emplace_back(load_object(load));
    return Object{{"_id", checkpoint.engine},
                  {"slot", checkpoint.slot},
                  {"generation", static_cast<std::int64_t>(checkpoint.generation)},
                  {"position", to_string(checkpoint.position)},
                  {"number", static_cast<std::int64_t>(checkpoint.position.number)},
                  {"lsn", to_string(checkpoint.position.lsn())},
                  {"epoch", static_cast<std::int32_t>(checkpoint.position.epoch())},
                  {"source", checkpoint.source.kind},
                  {"systemIdentifier", checkpoint.source.system_identifier},
                  {"timeline", static_cast<std::int32_t>(checkpoint.source.timeline)},
                  {"loading", !checkpoint.model_complete()},
                  {"loads", std::move(loads)},
                  {"loadsDone", Array(checkpoint.loads_done.begin(), checkpoint.loads_done.end())},
                  {"definitionsVersion", static_cast<std::int64_t>(checkpoint.definitions_version)},
                  {"at", Date{checkpoint.at_us / 1000}}};
}

std::uint64_t claimed_generation(const ValuePtr& document) {
    const Value* generation = document ? document->at_path("generation") : nullptr;
    return static_cast<std::uint64_t>(generation ? generation->integer_or() : 0);
}

Object claim_document(const std::string& engine, const ValuePtr& stored, std::uint64_t generation) {
    Object document = stored ? *stored->get_if<Object>() : Object{{"_id", engine}};
    document.set("generation", static_cast<std::int64_t>(generation));
    return document;
}

Error fenced_off(const std::string& engine, std::uint64_t generation, std::uint64_t claimed) {
    return fail(ErrorCode::conflict,
                fmt::format("another worker has taken {} over (claim {}, ours is {})", engine,
                            claimed, generation));
}

result<std::optional<Checkpoint>> parse_checkpoint(const ValuePtr& stored) {
    if (!stored) return std::optional<Checkpoint>();
    const Value& document = *stored;
    Checkpoint checkpoint;
    checkpoint.generation = claimed_generation(stored);
    if (!document.at_path("position") && checkpoint.generation > 0)
        return std::optional<Checkpoint>(); // claimed, and nothing written since
    const auto text = [&](std::string_view key) { return std::string(document.text_at(key)); };
    checkpoint.engine = text("_id");
    checkpoint.slot = text("slot");
    auto position = parse_position(text("position"));
    if (!position)
        return fail(ErrorCode::corrupt,
                    "the checkpoint of " + checkpoint.engine + " has no position");
    checkpoint.position = *position;
    checkpoint.source.kind = text("source");
    checkpoint.source.system_identifier = text("systemIdentifier");
    checkpoint.source.timeline = static_cast<std::uint32_t>(number_at(document, "timeline"));
    for (const Value& load : array_at(document, "loads"))
        checkpoint.loads.push_back(parse_load(load));
    for (const Value& id : array_at(document, "loadsDone"))
        checkpoint.loads_done.emplace_back(id.string_or());
    checkpoint.definitions_version =
        static_cast<std::uint64_t>(document.integer_at("definitionsVersion"));
    const Value* at = document.at_path("at");
    if (const Date* date = at ? at->get_if<Date>() : nullptr)
        checkpoint.at_us = date->milliseconds * 1000;
    return std::optional(std::move(checkpoint));
}

} // namespace netbuild
