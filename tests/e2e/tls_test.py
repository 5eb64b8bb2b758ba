#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL (verify-full, scram), Redis (rediss://, ACL user) and MongoDB (tls=true, SCRAM-SHA-256), all
with certificates of a private CA: `serve` runs through traffic; a wrong CA, a wrong host name, a wrong
password and a plain connection are refused, each with its message and exit code; no secret is printed."""
import os
import pathlib
import subprocess
import time

from evidence import catch_up, check_documents, check_stream
from harness import NETBUILD, Failed, Netbuild, say, stack_up
from kill_test import generate, scratch_database
from servers import PrivateServers

SECONDS_MAX = 60
CONFIGURATION, UNAVAILABLE = 3, 4


def secured(stack, name):
    """The environment that says how to reach the three servers."""
    ca = f"{stack['tls']}/ca.pem"
    p = stack["postgres"]
    return {"POSTGRES_HOST": p["host"], "POSTGRES_PASSWORD": p["password"], "NETBUILD_POSTGRES_SSLMODE": "verify-full",
            "NETBUILD_POSTGRES_SSLROOTCERT": ca, "MONGODB_URI": stack["mongodb"].replace("/netbuild?", f"/{name}?"),
            "REDIS_URL": stack["redis"], "NETBUILD_REDIS_CA_FILE": ca}


def secrets(stack):
    password = stack["postgres"]["password"]
    return [password, stack["redis"].split(":")[2].split("@")[0], "wrong-secret"]


def check_no_secret(stack, text, where):
    for secret in secrets(stack):
        if secret in text:
            raise Failed(f"{where} shows a secret")


def traffic(stack, name):
    with Netbuild(stack, name, mongodb=True, redis=True, environment=secured(stack, name)) as netbuild:
        netbuild.start()
        if generate(stack, 1, 60).wait() != 0:
            raise Failed("the traffic failed")
        catch_up(netbuild)
        documents = check_documents(netbuild)
        events = check_stream(stack, netbuild)
        code, status = netbuild.cli("status")
        if code != 0 or any(server["status"] != "up" for server in status["servers"].values()):
            raise Failed(f"status: exit {code} {status}")
        shown = subprocess.run([NETBUILD, "config", "--config", str(netbuild.config)], capture_output=True, text=True,
                               env=netbuild.environment)
        check_no_secret(stack, shown.stdout + shown.stderr, "netbuild config")
        check_no_secret(stack, (netbuild.folder / "log").read_text(), "the log")
        say(f"  all encrypted and authenticated: {documents} documents equal, {events} events, the same in Redis")
        return netbuild.config


def cases(stack, name):
    """(what, environment, exit code, words of the message)"""
    good = secured(stack, name)
    other = f"{stack['tls']}/other.pem"
    uri, url = good["MONGODB_URI"], stack["redis"]
    secret = url.split(":")[2].split("@")[0]
    plain_uri = uri.replace(f"tls=true&tlsCAFile={stack['tls']}/ca.pem&", "")
    return [
        ("PostgreSQL, wrong CA", {"NETBUILD_POSTGRES_SSLROOTCERT": other}, UNAVAILABLE, "certificate verify failed"),
        ("PostgreSQL, wrong host", {"POSTGRES_HOST": "127.0.0.1"}, UNAVAILABLE, "does not match host name"),
        ("PostgreSQL, wrong password", {"POSTGRES_PASSWORD": "wrong-secret"}, CONFIGURATION, "password authentication failed"),
        ("PostgreSQL, plain", {"NETBUILD_POSTGRES_SSLMODE": "disable"}, CONFIGURATION, "no encryption"),
        ("PostgreSQL, no such CA file", {"NETBUILD_POSTGRES_SSLROOTCERT": "/nowhere/ca.pem"}, CONFIGURATION, "/nowhere/ca.pem"),
        ("Redis, wrong CA", {"NETBUILD_REDIS_CA_FILE": other}, UNAVAILABLE, "is not trusted"),
        ("Redis, wrong host", {"REDIS_URL": url.replace("localhost", "127.0.0.1")}, UNAVAILABLE, "is not for 127.0.0.1"),
        ("Redis, wrong password", {"REDIS_URL": url.replace(secret, "wrong-secret")}, CONFIGURATION, "WRONGPASS"),
        ("Redis, plain", {"REDIS_URL": url.replace("rediss:", "redis:")}, UNAVAILABLE, "Redis localhost"),
        ("Redis, no such CA file", {"NETBUILD_REDIS_CA_FILE": "/nowhere/ca.pem"}, CONFIGURATION, "/nowhere/ca.pem"),
        ("MongoDB, wrong CA", {"MONGODB_URI": uri.replace("ca.pem", "other.pem")}, UNAVAILABLE, "certificate verify failed"),
        ("MongoDB, wrong host", {"MONGODB_URI": uri.replace("localhost", "127.0.0.1")}, UNAVAILABLE, "TLS handshake failed"),
        ("MongoDB, wrong password", {"MONGODB_URI": uri.replace(secret, "wrong-secret")}, CONFIGURATION, "authentication failed"),
        ("MongoDB, plain", {"MONGODB_URI": plain_uri}, UNAVAILABLE, "MongoDB: "),
    ]


def refusals(stack, name, config):
    problems = []
    for what, change, code, words in cases(stack, name):
        started = time.monotonic()
        out = subprocess.run([NETBUILD, "serve", "--config", str(config)], capture_output=True, text=True,
                             timeout=SECONDS_MAX, env={**os.environ, **secured(stack, name), **change})
        text = out.stdout + out.stderr
        check_no_secret(stack, text, what)
        line = text.strip().splitlines()[-1] if text.strip() else ""
        say(f"  {what}: exit {out.returncode} after {time.monotonic() - started:.1f} s: {line[:220]}")
        if out.returncode != code or words not in text:
            problems.append(f"{what}: exit {out.returncode}, {code} expected with \"{words}\"")
    if problems:
        raise Failed("\n".join(problems))


def main():
    source = stack_up()
    name = f"tls_{time.time_ns() // 1000000}"
    with PrivateServers("secure", "--secure") as servers:
        stack = servers.status()
        if not pathlib.Path(stack["tls"], "ca.pem").exists():
            raise Failed("the servers have no certificates")
        stack = scratch_database(source, name, stack)
        config = traffic(stack, name)
        refusals(stack, name, config)


if __name__ == "__main__":
    main()
