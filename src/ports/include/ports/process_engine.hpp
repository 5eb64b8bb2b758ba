// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/position.hpp"
#include "model/value.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// How a process instance is asked for.
struct InstanceKey {
    enum class Kind : unsigned char { business_key, process_instance_id };
    Kind kind = Kind::business_key;
    std::string value;
};

/// One process instance as the engine says it is now, in the shapes of Camunda's REST API
/// (https://docs.camunda.org/rest/camunda-bpm-platform/7.24/): field names, order and formats.
struct EngineExecution {
    std::string process_instance_id;
    std::string business_key; // empty: null
    /// ProcessInstanceDto, `links` included.
    Object process_state;
    /// TaskDto each, in the order of GET /task?processInstanceId=…&sortBy=created&sortOrder=asc.
    Array active_tasks;
};

/// The live engine: process state and tasks. Contract:
/// `tests/contract/process_engine_contract.hpp`.
class ProcessEngine {
public:
    virtual ~ProcessEngine() = default;
    virtual awaitable<result<void>> ping() = 0;
    /// Running instances only, newest first; empty if there is none of that key.
    /// unavailable, deadline_exceeded.
    virtual awaitable<result<std::vector<EngineExecution>>> executions(InstanceKey key) = 0;
};

/// Where the engine's database is now: what `X-NetBuild-Min-Position: now` waits for.
class EngineClock {
public:
    virtual ~EngineClock() = default;
    /// pg_current_wal_flush_lsn().
    virtual awaitable<result<Lsn>> flushed() = 0;
    /// Writes a transactional logical message, so that an idle stream passes this point.
    virtual awaitable<result<void>> nudge() = 0;
};

} // namespace netbuild
