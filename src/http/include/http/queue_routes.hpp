// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/routes.hpp"
#include "ports/job_queue.hpp"

namespace netbuild::http {

/// /v1/queues: other services add jobs and work them off; operators look and mend. Queues whose
/// name begins with `netbuild:` are NetBuild's own: admins may add to them, and only the server
/// works on them.
class QueueRoutes {
public:
    explicit QueueRoutes(JobQueue& queue) : queue_(queue) {}
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> queues(Call& call);
    awaitable<result<Reply>> stats(Call& call);
    awaitable<result<Reply>> add(Call& call);
    awaitable<result<Reply>> list(Call& call);
    awaitable<result<Reply>> show(Call& call);
    awaitable<result<Reply>> cancel(Call& call);
    awaitable<result<Reply>> claim(Call& call);
    awaitable<result<Reply>> complete(Call& call);
    awaitable<result<Reply>> fail_run(Call& call);
    awaitable<result<Reply>> heartbeat(Call& call);
    awaitable<result<Reply>> pause(Call& call, bool paused);
    awaitable<result<Reply>> drain(Call& call);
    awaitable<result<Reply>> retry(Call& call);

    JobQueue& queue_;
};

} // namespace netbuild::http
