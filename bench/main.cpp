// SPDX-License-Identifier: Apache-2.0
#include "bench.hpp"

int main(int count, char** values) {
    using namespace netbuild::bench;
    const std::string_view command = count > 1 ? values[1] : "";
    const Arguments arguments(count, values);
    if (command == "capture") return run_capture(arguments);
    if (command == "apply") return run_apply(arguments);
    if (command == "load") return run_load(arguments);
    if (command == "latency") return run_latency(arguments);
    if (command == "find-loop") return run_find_loop(arguments);
    if (command == "scan") return run_scan(arguments);
    if (command == "upsert-loop") return run_upsert_loop(arguments);
    if (command == "messages") return run_messages(arguments);
    if (command == "ai-context") return run_ai_context(arguments);
    if (command == "ratelimit") return run_ratelimit(arguments);
    if (command == "ratelimit-local") return run_ratelimit_local(arguments);
    if (command == "drop-database") return run_drop_database(arguments);
    if (command == "session") return run_session(arguments);
    die("usage: netbuild_bench capture|apply|load|latency|find-loop|scan|upsert-loop|messages|"
        "ai-context|ratelimit|ratelimit-local|drop-database|session "
        "[--name value]…");
}
