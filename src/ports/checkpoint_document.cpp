// SPDX-License-Identifier: Apache-2.0
#include "ports/checkpoint_document.hpp"

#include <fmt/format.h>

namespace netbuild {

Object checkpoint_document(const Checkpoint& checkpoint) {
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
                  {"loading", checkpoint.loading},
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
    const auto text = [&](std::string_view key) {
        const Value* value = document.at_path(key);
        return std::string(value ? value->string_or() : std::string_view{});
    };
    checkpoint.engine = text("_id");
    checkpoint.slot = text("slot");
    auto position = parse_position(text("position"));
    if (!position)
        return fail(ErrorCode::corrupt,
                    "the checkpoint of " + checkpoint.engine + " has no position");
    checkpoint.position = *position;
    checkpoint.source.kind = text("source");
    checkpoint.source.system_identifier = text("systemIdentifier");
    const Value* timeline = document.at_path("timeline");
    checkpoint.source.timeline = static_cast<std::uint32_t>(timeline ? timeline->integer_or() : 0);
    const Value* loading = document.at_path("loading");
    const bool* flag = loading ? loading->get_if<bool>() : nullptr;
    if (!flag)
        return fail(ErrorCode::corrupt,
                    "the checkpoint of " + checkpoint.engine + " has no `loading`");
    checkpoint.loading = *flag;
    const Value* at = document.at_path("at");
    if (const Date* date = at ? at->get_if<Date>() : nullptr)
        checkpoint.at_us = date->milliseconds * 1000;
    return std::optional(std::move(checkpoint));
}

} // namespace netbuild
