// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/routes.hpp"
#include "snapshots/task_snapshots.hpp"

namespace netbuild::http {

/// /v1/snapshots and POST /v1/tasks/{taskId}/snapshots. There is no route that changes one.
class SnapshotRoutes {
public:
    explicit SnapshotRoutes(snapshots::TaskSnapshots& snapshots) : snapshots_(snapshots) {}
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> take(Call& call);
    awaitable<result<Reply>> list(Call& call);
    awaitable<result<Reply>> get(Call& call);

    snapshots::TaskSnapshots& snapshots_;
};

} // namespace netbuild::http
