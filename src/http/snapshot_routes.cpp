// SPDX-License-Identifier: Apache-2.0
#include "http/snapshot_routes.hpp"

#include "keyed_write.hpp"
#include "page_reply.hpp"

namespace netbuild::http {

void SnapshotRoutes::add_to(Routes& routes) {
    routes.add("POST", "/v1/tasks/{taskId}/snapshots", [this](Call& call) { return take(call); });
    routes.add("GET", "/v1/snapshots", [this](Call& call) { return list(call); });
    routes.add("GET", "/v1/snapshots/{snapshotId}", [this](Call& call) { return get(call); });
}

awaitable<result<Reply>> SnapshotRoutes::take(Call& call) {
    const std::string& task = call.segment("taskId");
    CO_TRY(const std::string domain, co_await snapshots_.domain_of(task));
    CO_TRY_VOID(call.admit(domain, "task " + task));
    CO_TRY(const Value sent, call.json_or_empty());
    CO_TRY_VOID(read_body({}, sent));
    CO_TRY(auto request, keyed_request(call, sent));
    CO_TRY(auto answer, co_await snapshots_.take(std::move(request), task));
    co_return reply_of(std::move(answer));
}

awaitable<result<Reply>> SnapshotRoutes::list(Call& call) {
    CO_TRY_VOID(
        call.only({"limit", "cursor", "taskId", "executionId", "processInstanceId", "domainId"}));
    snapshots::TaskSnapshots::Wish wish;
    CO_TRY(wish.limit, call.limit());
    wish.cursor = call.parameter("cursor");
    wish.task_id = call.parameter("taskId");
    wish.execution_id = call.parameter("executionId");
    wish.process_instance_id = call.parameter("processInstanceId");
    wish.domain_id = call.parameter("domainId");
    CO_TRY(const RecordPage page, co_await snapshots_.list(std::move(wish), call.scope()));
    co_return page_reply(page, snapshots::shown_snapshot);
}

awaitable<result<Reply>> SnapshotRoutes::get(Call& call) {
    CO_TRY_VOID(call.only({}));
    const std::string& id = call.segment("snapshotId");
    CO_TRY(const ValuePtr record, co_await snapshots_.one(id));
    const Value* domain = record->at_path("domainId");
    CO_TRY_VOID(call.admit(domain ? domain->string_or() : std::string_view{}, "snapshot " + id));
    co_return Reply{.body = snapshots::shown_snapshot(*record)};
}

} // namespace netbuild::http
