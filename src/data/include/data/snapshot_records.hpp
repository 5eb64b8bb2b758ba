// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/collection.hpp"

namespace netbuild::data {

inline constexpr std::size_t snapshot_content_bytes_max = 12 * 1024 * 1024;

inline constexpr Field task_snapshot_fields[] = {
    {.name = "sequence", .type = FieldType::integer, .required = true, .help = "of all: 1, 2, 3 …"},
    {.name = "chain",
     .required = true,
     .help = "the process instance, or the task that belongs to none"},
    {.name = "number", .type = FieldType::integer, .required = true, .help = "in its chain"},
    {.name = "previousHash", .required = true, .help = "64 zeros in front of a chain's first"},
    {.name = "previousInAll", .required = true, .help = "the hash of sequence - 1"},
    {.name = "contentHash", .required = true},
    {.name = "hash", .required = true},
    {.name = "content",
     .required = true,
     .size_max = snapshot_content_bytes_max,
     .help = "canonical JSON (RFC 8785)"},
    {.name = "taskId", .required = true, .help = "as in the content, like those below"},
    {.name = "processInstanceId"},
    {.name = "executionId"},
    {.name = "domainId"},
};
inline constexpr RecordIndex task_snapshot_indexes[] = {
    {.fields = {"sequence"}, .unique = true, .reason = "none is missing; the newest first"},
    {.fields = {"chain", "number"}, .unique = true, .reason = "a chain in order"},
    {.fields = {"taskId", "sequence"}, .reason = "a task's snapshots"},
    {.fields = {"executionId", "sequence"}, .reason = "an execution's snapshots"},
    {.fields = {"processInstanceId", "sequence"}, .reason = "a process instance's snapshots"},
    {.fields = {"domainId", "sequence"}, .reason = "a domain's snapshots"},
};
/// docs/formats/snapshots.md.
inline constexpr Collection task_snapshots{.name = "task_snapshots",
                                           .holds = "a task as it once was, in a chain of hashes",
                                           .fields = task_snapshot_fields,
                                           .indexes = task_snapshot_indexes,
                                           .append_only = true,
                                           .bytes_max = snapshot_content_bytes_max + 64 * 1024,
                                           .shared = true};

inline constexpr Field snapshot_head_fields[] = {
    {.name = "sequence", .type = FieldType::integer, .required = true},
    {.name = "hash", .required = true},
};
/// One record, "head": with it, the removal of the newest snapshots shows.
inline constexpr Collection snapshot_heads{.name = "task_snapshot_heads",
                                           .holds = "the newest snapshot's sequence and hash",
                                           .fields = snapshot_head_fields};

} // namespace netbuild::data
