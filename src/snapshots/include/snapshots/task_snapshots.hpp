// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "data/idempotency.hpp"
#include "model/caller.hpp"
#include "ports/document_store.hpp"

namespace netbuild::snapshots {

/// A snapshot as clients see it, with its content as an object.
[[nodiscard]] Value shown_snapshot(const Value& record);

/// Takes snapshots of tasks and binds each to the one before it. Any number of processes may: a
/// snapshot's place is a unique index, and whoever loses a race plans anew.
class TaskSnapshots {
public:
    struct Ports {
        RecordStore& records;
        DocumentStore& documents;
        Clock& clock;
        Random& random;
        /// Whose checkpoint says what is durable.
        std::string engine = "engine";
    };
    explicit TaskSnapshots(Ports ports)
        : ports_(std::move(ports)), idempotency_(ports_.records, ports_.clock, ports_.random) {}

    /// Turns what the pipeline wrote down of completed tasks, up to its checkpoint, into snapshots;
    /// how many it looked at, 0 if none is left. A crash at any point loses none and takes none
    /// twice: a snapshot has the id of its event, and what was written down goes afterwards.
    awaitable<result<std::size_t>> take_completed();

    /// A task's domain, for who may what; empty: it has none. not_found.
    awaitable<result<std::string>> domain_of(std::string task_id);
    /// A snapshot of the task as the read model has it. not_found; and see
    /// data::Idempotency::once(). The answer's body is shown_snapshot() as JSON.
    awaitable<result<data::KeptAnswer>> take(data::KeyedRequest request, std::string task_id);

    /// not_found.
    awaitable<result<ValuePtr>> one(std::string snapshot_id);
    struct Wish {
        std::string task_id, execution_id, process_instance_id, domain_id; // empty: any
        std::size_t limit = 50;
        std::string cursor;
    };
    /// The newest first.
    awaitable<result<RecordPage>> list(Wish wish, Scope scope);

    static constexpr std::size_t batch_max = 64, batch_bytes_max = 4 * 1024 * 1024;
    static constexpr int attempts_max = 40;

private:
    /// What a snapshot is made of, before it has a place.
    struct Material {
        std::string id;
        Object content;
    };
    using Decision = data::Idempotency::Decision;
    [[nodiscard]] static Material material_of(const Value& completion);
    awaitable<result<void>> append(std::vector<Material> materials);
    awaitable<result<std::vector<Material>>> not_taken(std::vector<Material> materials);
    /// The writes that give them the next places.
    awaitable<result<std::vector<RecordWrite>>> plan(const std::vector<Material>& materials);
    awaitable<result<Decision>> decide(const std::string& by, const std::string& task_id);

    Ports ports_;
    data::Idempotency idempotency_;
};

} // namespace netbuild::snapshots
