# SPDX-License-Identifier: Apache-2.0
"""One transaction of very many row changes on a real PostgreSQL, as an engine's batch operation makes
it (process instances are suspended, a variable of each is set), through the real binary within a
bounded memory.

  large_transaction_test.py [--instances 100000] [--memory-max-mb 256] [--transaction-memory-max BYTES]
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import time

from harness import NETBUILD, ROOT, Failed, Netbuild, say, stack_up, until

sys.path.insert(0, str(ROOT / "bench"))
import common  # noqa: E402

# Ids that are no neighbours, as Camunda's are.
P, T, V = "md5('p'||i)", "md5('t'||i)", "md5('v'||k||'-'||i)"
SEED = [
    f"insert into act_hi_procinst(id_,proc_inst_id_,business_key_,proc_def_key_,proc_def_id_,start_time_,start_act_id_,"
    f"root_proc_inst_id_,tenant_id_,state_) select {P},{P},'exec-'||i,'order','order:1:def',now(),'start',{P},"
    f"'domain-'||(i%50),'ACTIVE' from generate_series(1,%d) i",
    f"insert into act_ru_execution(id_,rev_,root_proc_inst_id_,proc_inst_id_,business_key_,is_active_,is_concurrent_,"
    f"is_scope_,is_event_scope_,suspension_state_,cached_ent_state_,sequence_counter_) select {P},1,{P},{P},'exec-'||i,"
    f"true,false,true,false,1,18,1 from generate_series(1,%d) i",
    f"insert into act_hi_varinst(id_,proc_def_key_,proc_def_id_,root_proc_inst_id_,proc_inst_id_,execution_id_,act_inst_id_,"
    f"name_,var_type_,create_time_,rev_,text_,state_) select {V},'order','order:1:def',{P},{P},{P},{P},'var'||k,'string',"
    f"now(),0,'customer value '||i,'CREATED' from generate_series(1,%d) i, generate_series(1,2) k",
    f"insert into act_ru_variable(id_,rev_,type_,name_,execution_id_,proc_inst_id_,text_,var_scope_,sequence_counter_,"
    f"is_concurrent_local_) select {V},1,'string','var'||k,{P},{P},'customer value '||i,{P},1,false "
    f"from generate_series(1,%d) i, generate_series(1,2) k",
    f"insert into act_ru_task(id_,rev_,execution_id_,proc_inst_id_,name_,task_def_key_,priority_,create_time_,"
    f"suspension_state_,task_state_) select {T},1,{P},{P},'Review order','review',50,now(),1,'Created' "
    f"from generate_series(1,%d) i",
    f"insert into act_hi_taskinst(id_,task_def_key_,proc_def_key_,proc_def_id_,root_proc_inst_id_,proc_inst_id_,execution_id_,"
    f"name_,start_time_,priority_,task_state_) select {T},'review','order','order:1:def',{P},{P},{P},'Review order',now(),50,"
    f"'Created' from generate_series(1,%d) i",
]
# Ten row changes of each instance, table by table as Camunda flushes; those of act_ru_variable do not
# say whose they are.
BATCH = [
    f"insert into act_hi_detail(id_,type_,proc_def_key_,proc_def_id_,root_proc_inst_id_,proc_inst_id_,execution_id_,"
    f"act_inst_id_,var_inst_id_,name_,var_type_,rev_,time_,text_,sequence_counter_,initial_) select md5('d'||k||'-'||i),"
    f"'VariableUpdate','order','order:1:def',{P},{P},{P},{P},{V},'var'||k,'string',1,now(),'set by a batch',2,false "
    f"from generate_series(1,%d) i, generate_series(1,2) k",
    "update act_ru_variable set rev_=2, text_='set by a batch'",
    "update act_ru_execution set rev_=2, suspension_state_=2",
    "update act_ru_task set rev_=2, suspension_state_=2",
    "update act_hi_varinst set rev_=1, text_='set by a batch'",
    "update act_hi_procinst set state_='SUSPENDED'",
    "update act_hi_taskinst set priority_=60",
]
CHANGES_PER_INSTANCE = 10


def peak_kb(netbuild):
    status = pathlib.Path(f"/proc/{netbuild.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))


def sync(netbuild):
    return netbuild.api.get("/v1/sync")


def events_after(netbuild, position):
    """Counts by type; every Position is greater than the one before."""
    process = subprocess.Popen([NETBUILD, "events", "--from", position, "--config", str(netbuild.config), "--json"],
                               stdout=subprocess.PIPE, text=True)
    counts, last = {}, (0, 0)
    for line in process.stdout:
        event = json.loads(line)
        at = tuple(int(part) for part in event["position"].split("-"))
        if at <= last:
            raise Failed(f"event {at} after {last}")
        last = at
        counts[event["type"]] = counts.get(event["type"], 0) + 1
    if process.wait() != 0:
        raise Failed("netbuild events failed")
    return counts, last


def redis_is_in_order(stack, name, count):
    port, stream = stack["redis"].rsplit(":", 1)[1], f"netbuild:events:{name}"
    out = subprocess.run(["redis-cli", "-p", port, "XLEN", stream], check=True, capture_output=True, text=True)
    if int(out.stdout) != count:  # a stream's ids ascend, or Redis refuses them
        raise Failed(f"{out.stdout.strip()} events in Redis, {count} stored")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--memory-max-mb", type=int, default=256)
    parser.add_argument("--transaction-memory-max", default="8388608")
    arguments = parser.parse_args()
    size, name = arguments.instances, "nb_large"
    servers = stack_up()
    with common.scratch_database(servers, name) as database:
        stack = {**servers, "postgres": {**servers["postgres"], "dbname": name}}
        database.run(*(["begin"] + [sql.replace("%d", str(size)) for sql in SEED] + ["commit"]))
        environment = {"NETBUILD_CAPTURE_TRANSACTION_MEMORY_MAX": arguments.transaction_memory_max}
        with Netbuild(stack, name, redis=True, environment=environment) as netbuild:
            subprocess.run(["redis-cli", "-p", stack["redis"].rsplit(":", 1)[1], "DEL", f"netbuild:events:{name}"],
                           check=True, capture_output=True)
            started = time.monotonic()
            netbuild.start(wait_ready=False)
            until("the instances are loaded", netbuild.ready, 300)
            before = sync(netbuild)
            say(f"{size} instances loaded in {time.monotonic() - started:.0f} s, peak {peak_kb(netbuild) >> 10} MB")
            started = time.monotonic()
            database.run(*(["begin"] + [sql.replace("%d", str(size)) for sql in BATCH] + ["commit"]))
            committed = time.monotonic()
            wanted = int(database.run("select pg_current_wal_flush_lsn() - '0/0'"))

            def applied():
                netbuild.ready()
                now = sync(netbuild)
                return int(now["published"]["position"].split("-")[0]) >= wanted and now
            after = until("the transaction is applied and published", applied, 400)
            seconds = time.monotonic() - committed
            changes = after["counters"]["rowChanges"] - before["counters"]["rowChanges"]
            peak = peak_kb(netbuild)
            say(f"{changes} row changes of one transaction: committed after {committed - started:.1f} s, applied and published "
                f"{seconds:.1f} s later, peak {peak >> 10} MB")
            if changes < CHANGES_PER_INSTANCE * size:
                raise Failed(f"{changes} row changes came")
            if after["largeTransaction"]["seen"] != 1:
                raise Failed(f"it was not spilled: {after['largeTransaction']}")
            if peak > arguments.memory_max_mb * 1024:
                raise Failed(f"peak memory of {peak} kB")
            if any((netbuild.folder / "data" / "spill").iterdir()):
                raise Failed("something is left in the spill folder")
            code, report = netbuild.cli("verify")
            if code != 0 or report["differenceCount"] != 0 or report["documents"] < 3 * size:
                raise Failed(f"verify: {code} {json.dumps(report)[:2000]}")
            counts, last = events_after(netbuild, before["applied"]["position"])
            if counts != {"process:suspended": size, "variable:updated": 2 * size, "task:updated": size}:
                raise Failed(f"events: {counts}")
            if last[1] + 1 != sum(counts.values()):
                raise Failed(f"ordinals end at {last[1]} with {counts}")
            redis_is_in_order(stack, name, sum(counts.values()))
            say(f"verified {report['documents']} documents; {sum(counts.values())} events, in order")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        say(f"FAILED: {failure}")
        sys.exit(1)
