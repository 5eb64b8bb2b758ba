// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ports/job_queue.hpp"
#include "redis/redis_client.hpp"

// What a queue does in Redis, each operation one script and so one step.
//
// All keys of a queue have its hash tag, `netbuild:queue:{NAME}:` before each of these:
//   meta     hash: counters, `sequence` of ids, `paused`; `large`: it had jobs of over 16 KB, of
//            which a claim takes few at a time
//   jobs     hash: id -> record, of every job that has not ended; and of a running one
//            "r" id -> "TOKEN CLAIMED UNTIL ATTEMPT MAX KEEP WORKER"; UNTIL 0: no time-out
//   ready    stream, group `workers`: an entry (field j: the id) for each ready or running job;
//            an entry's id is the token of the run that was given it
//   leases   sorted set: id by when its lease ends, of running ones
//   delayed  sorted set: id by when it is due
//   dead     sorted set: id by when it died
//   results  hash: id -> "c|x TOKEN ENDED ATTEMPT MAX\nRESULT", completed or cancelled
//   done     sorted set: id by until when its outcome is kept
//   wake     shard channel: something has become ready, or will earlier than was known
//   once:KEY string: the id of the first job with the idempotency key, until its window ends
//
// A record is "ATTEMPTS TIMEOUT KEEP MAX FIRST CAP ERRORSIZE\nERROR PAYLOAD" (no space between
// error and payload): all that changes is its beginning, and what a claim reads is in front. Times
// are milliseconds, those of Redis' clock. A job is in exactly one of ready, delayed, running,
// dead, or has ended. What is not in `jobs` any more may still have an entry in `ready`: an ended
// run's, behind one that has not ended; or a cancelled job's, which the claim that meets it
// removes.
namespace netbuild::job_scripts {

/// KEYS: the nine above. ARGV: jobs_max; then of each job: the number of its once-key in KEYS or 0,
/// its window, delay in ms (negative: not before that time), record.
/// An id and 1 for a duplicate, of each job; an error "FULL" if the queue is.
[[nodiscard]] const RedisScript& add();
/// ARGV: count, lease, worker. Ms until something becomes ready by itself (-1: nothing will);
/// then id, token, attempt, record of each job.
[[nodiscard]] const RedisScript& claim();
/// ARGV: id, token, result of each. 1 done, 2 repeated, 0 stale.
[[nodiscard]] const RedisScript& complete();
/// ARGV: a number from 0 to 1; then id, token, "retry" | "dead" | "release", delay (-1: the job's
/// backoff), error of each. 1 done, 0 stale.
[[nodiscard]] const RedisScript& give_back();
/// ARGV: lease; then id, token of each. 1 done, 0 stale.
[[nodiscard]] const RedisScript& heartbeat();
/// ARGV: id. 1 done, 0 not found, 2 it has ended.
[[nodiscard]] const RedisScript& cancel();
/// ARGV: 1 or 0.
[[nodiscard]] const RedisScript& pause();
/// ARGV: ids; none: as many as one call does. How many.
[[nodiscard]] const RedisScript& retry_dead();
/// How many; 0: there is nothing left.
[[nodiscard]] const RedisScript& drain();
/// ARGV: id. A description, or null: state, record, running or result, score.
[[nodiscard]] const RedisScript& show();
/// ARGV: ready | delayed | running | dead | ended, cursor, limit. The next cursor; then id and
/// description of each.
[[nodiscard]] const RedisScript& list();
/// paused, ready, delayed, running, dead, kept, age of the oldest ready one; then the members of
/// meta and their values.
[[nodiscard]] const RedisScript& stats();

} // namespace netbuild::job_scripts
