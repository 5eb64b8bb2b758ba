// SPDX-License-Identifier: Apache-2.0
#include "sync/load_request.hpp"

#include "wire/json.hpp"

namespace netbuild::sync {

std::string to_text(const LoadRequest& request) {
    Value load("all");
    if (!request.load.all) {
        load = Object{{"instances", Array(request.load.scope.begin(), request.load.scope.end())},
                      {"definitions", request.load.definitions},
                      {"standaloneTasks", request.load.standalone_tasks}};
    }
    return to_json(
        Object{{"slot", request.slot}, {"id", request.load.id}, {"load", std::move(load)}});
}

result<LoadRequest> parse_load_request(std::string_view text) {
    TRY(const Value parsed, parse_json(text));
    const auto wrong = [](std::string_view what) {
        return fail(ErrorCode::invalid_argument, "a load request: " + std::string(what));
    };
    const Value* slot = parsed.at_path("slot");
    const Value* id = parsed.at_path("id");
    const Value* load = parsed.at_path("load");
    if (!slot || !id || !load) return wrong("slot, id or load is missing");
    LoadRequest request;
    request.slot = slot->string_or();
    request.load.kind = LoadState::Kind::request;
    request.load.id = id->string_or();
    if (request.load.id.empty() || request.load.id.size() > 64) return wrong("id");
    if (load->string_or() == "all") return request;
    request.load.all = false;
    const Value* instances = load->at_path("instances");
    const Array* ids = instances ? instances->get_if<Array>() : nullptr;
    if (!ids || ids->size() > LoadState::scope_max) return wrong("instances");
    for (const Value& one : *ids)
        request.load.scope.emplace_back(one.string_or());
    const auto flag = [&](std::string_view key) {
        const Value* value = load->at_path(key);
        const bool* set = value ? value->get_if<bool>() : nullptr;
        return set && *set;
    };
    request.load.definitions = flag("definitions");
    request.load.standalone_tasks = flag("standaloneTasks");
    return request;
}

} // namespace netbuild::sync
