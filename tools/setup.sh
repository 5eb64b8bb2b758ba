#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/setup.sh GROUP... : installs what is missing of the groups build, stack, bench.
#
# Debian packages come from apt, everything else goes into .deps/. Each step looks at what is there
# before it does anything, so a second run costs well under a second and an interrupted one is mended
# by running it again. Called by ./dev; progress goes to stderr.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A linked .deps is one environment: its virtual environment knows its own path.
deps=$(readlink -m .deps)
readonly deps
readonly logs=$deps/log
readonly attempts_max=3 # downloads: a registry that hiccups once must not fail a CI run

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
    printf 'setup: error: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf '       %s\n' "$@" >&2
    exit 1
}

# run_logged NAME COMMAND... : the output goes to .deps/log/NAME.log; a failure shows its end.
run_logged() {
    local log=$logs/$1.log
    shift
    mkdir -p "$logs"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 25 "$log" | sed 's/^/    /' >&2
        say "the whole output is in ${log#"$PWD"/}"
        return 1
    fi
}

retry() {
    local attempt
    for ((attempt = 1; ; ++attempt)); do
        "$@" && return 0
        ((attempt < attempts_max)) || return 1
        say "attempt $attempt of $attempts_max failed; trying again"
    done
}

fingerprint() { cat "$@" | sha256sum | cut -d' ' -f1; }
has_stamp() { [[ -f $1 && $(<"$1") == "$2" ]]; }
size_of() { du -sh "$1" | cut -f1; }

# Debian's own Python: another one earlier on PATH may lack venv or ensurepip.
python() {
    if [[ -x /usr/bin/python3 ]]; then /usr/bin/python3 "$@"; else python3 "$@"; fi
}

# --- Debian packages ------------------------------------------------------------------------------

# The packages of the given groups that are neither installed nor replaced by a command on PATH.
missing_packages() {
    local -A wanted=() installed=()
    local group package command status name
    for group in "$@"; do wanted[$group]=1; done
    if command -v dpkg-query >/dev/null; then
        while read -r status name; do
            [[ $status == ii ]] && installed[$name]=1
        done < <(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' 2>/dev/null)
    fi
    while read -r group package command; do
        [[ -z $group || $group == \#* || -z ${wanted[$group]:-} ]] && continue
        [[ -n ${installed[$package]:-} ]] && continue
        [[ -n $command ]] && command -v "$command" >/dev/null && continue
        printf '%s\n' "$package"
    done <tools/packages.txt
}

is_debian_12() {
    [[ -r /etc/os-release && $(uname -m) == x86_64 ]] &&
        (. /etc/os-release && [[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]])
}

# Debian starts a server as soon as its package is there; ours run on ports of their own, started by
# ./dev stack, so the packages' services stay off. policy-rc.d is Debian's switch for that.
policy=
forbid_service_start() {
    [[ -e /usr/sbin/policy-rc.d ]] && return
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
    "${as_root[@]}" chmod 755 /usr/sbin/policy-rc.d
    policy=/usr/sbin/policy-rc.d
}
allow_service_start() {
    [[ -z $policy ]] || "${as_root[@]}" rm -f "$policy"
    policy=
}

install_packages() {
    local -a missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0

    is_debian_12 || die "this is not Debian 12 on x86-64, and these of its packages are missing:" \
        "${missing[*]}" \
        "Install what your system calls them (clang 19, CMake 3.25 or later, …; see" \
        "docs/dependencies.md), then run with NETBUILD_SKIP_PACKAGES=1."
    as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "these Debian packages are missing: ${missing[*]}" \
            "Run as root, install sudo, or ask your administrator for:" \
            "apt-get install --no-install-recommends ${missing[*]}"
        as_root=(sudo)
    fi
    local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
        apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)

    say "${#missing[@]} Debian packages are missing: ${missing[*]}"
    say "refreshing Debian's package lists"
    run_logged apt-update "${apt[@]}" update ||
        die "apt-get update failed" "Mend the package sources in /etc/apt, then run again."
    "${apt[@]}" install --assume-no --no-install-recommends "${missing[@]}" 2>/dev/null </dev/null |
        grep -E '^(Need to get|After this)' | sed 's/^/setup: /' >&2 || true

    trap allow_service_start EXIT
    forbid_service_start
    say "installing (the output is in .deps/log/apt-install.log)"
    retry run_logged apt-install "${apt[@]}" install -y --no-install-recommends "${missing[@]}" ||
        die "apt-get install failed" "Mend what it says above, then run again."
    allow_service_start
}

# --- Boost ----------------------------------------------------------------------------------------

install_boost() {
    local stamp=$deps/boost.stamp wanted
    wanted=$(fingerprint tools/requirements-boost.txt)
    has_stamp "$stamp" "$wanted" && [[ -f $deps/boost/include/boost/version.hpp ]] && return 0

    say "Boost 1.90: fetching (36 MB, 212 MB unpacked)"
    local work=$deps/boost.new
    rm -rf "$work"
    mkdir -p "$work"
    # The wheel is taken for what is in it, whatever Python runs here.
    retry run_logged boost python -m pip download --quiet --no-deps --only-binary=:all: \
        --implementation cp --python-version 3.11 --abi cp311 --platform manylinux_2_28_x86_64 \
        --require-hashes -r tools/requirements-boost.txt -d "$work" ||
        die "Boost could not be fetched" "Check the network and pip's configuration, then run again."
    python - "$work" <<'PYTHON'
import pathlib, sys, zipfile
work = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
    for info in wheel.infolist():
        if info.filename.startswith("cmeel.prefix/"):
            path = pathlib.Path(wheel.extract(info, work))
            if not info.is_dir():
                path.chmod(info.external_attr >> 16 & 0o777 or 0o644)
PYTHON
    rm -rf "$deps/boost"
    mv "$work/cmeel.prefix" "$deps/boost"
    rm -rf "$work"
    printf '%s\n' "$wanted" >"$stamp"
    say "Boost 1.90: ready ($(size_of "$deps/boost"))"
}

# --- the MongoDB-wire server, the API's linter and fuzzer ------------------------------------------

venv_has_all_pins() {
    [[ -x $deps/venv/bin/secantusd-py ]] && "$deps/venv/bin/python" - tools/requirements.txt <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version
try:
    lines = (line.strip() for line in open(sys.argv[1]))
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    sys.exit(any(version(name) != pinned for name, pinned in pins))
except PackageNotFoundError:
    sys.exit(1)
PYTHON
}

install_venv() {
    local stamp=$deps/venv.stamp wanted
    wanted=$(fingerprint tools/requirements.txt)
    # The path is part of the stamp: a virtual environment does not survive a move of the tree.
    wanted+=" $deps"
    has_stamp "$stamp" "$wanted" && [[ -x $deps/venv/bin/secantusd-py ]] && return 0
    say "MongoDB-wire server, API linter and fuzzer: fetching into .deps/venv (230 MB unpacked)"
    rm -rf "$deps/venv" "$stamp"
    run_logged venv python -m venv "$deps/venv" ||
        die "no Python virtual environment could be made" "It needs Python 3.11 with the module venv."
    retry run_logged venv-pip "$deps/venv/bin/python" -m pip install --quiet \
        --disable-pip-version-check --no-deps -r tools/requirements.txt ||
        die "what tools/requirements.txt pins could not be fetched" \
            "Check the network and pip's configuration, then run again."
    venv_has_all_pins || die ".deps/venv does not hold what tools/requirements.txt pins" \
        "Remove .deps/venv and run again."
    printf '%s\n' "$wanted" >"$stamp"
    say "MongoDB-wire server, linter and fuzzer: ready ($(size_of "$deps/venv"))"
}

# --- npm's packages -------------------------------------------------------------------------------

# As the folders' lock files pin them; what needs them needs no network afterwards.
install_npm() {
    local folder stamp wanted
    for folder in "$@"; do
        stamp=$folder/node_modules/.stamp
        wanted=$(fingerprint "$folder/package-lock.json")
        has_stamp "$stamp" "$wanted" && continue
        say "$folder: fetching npm packages"
        retry run_logged "npm-${folder%%/*}" npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund ||
            die "npm packages of $folder could not be fetched" "Check the network and npm's configuration, then run again."
        printf '%s\n' "$wanted" >"$stamp"
    done
}

# --- Camunda --------------------------------------------------------------------------------------

install_camunda() {
    local folder=$deps/camunda wanted
    local -a sources
    mapfile -t sources < <(find lab/camunda/pom.xml lab/camunda/src -type f | LC_ALL=C sort)
    wanted=$(fingerprint "${sources[@]}")
    has_stamp "$folder/stamp" "$wanted" && [[ -f $folder/camunda-lab.jar ]] && return 0

    say "Camunda 7.24: building (fetches about 60 MB of Maven artifacts the first time)"
    mkdir -p "$folder"
    retry run_logged camunda mvn -B -q -ntp -f lab/camunda/pom.xml \
        -Dlab.target="$folder/target" package ||
        die "the Camunda lab could not be built" "Check the network and Maven's settings, run again."
    mv "$folder/target/camunda-lab.jar" "$folder/camunda-lab.jar"
    rm -rf "$folder/target"
    printf '%s\n' "$wanted" >"$folder/stamp"
    say "Camunda 7.24: ready ($(size_of "$folder/camunda-lab.jar"))"
}

# --------------------------------------------------------------------------------------------------

main() {
    (($#)) || set -- build stack
    local group
    for group in "$@"; do
        [[ $group =~ ^(build|stack|bench)$ ]] || die "no group $group" "Groups: build stack bench"
    done
    mkdir -p "$deps"
    # Two ./dev at once in one tree: the second waits, then finds everything done.
    exec {lock}>"$deps/.setup.lock"
    if ! flock --nonblock "$lock"; then
        say "waiting for another setup in this tree"
        flock "$lock"
    fi
    [[ -n ${NETBUILD_SKIP_PACKAGES:-} ]] || install_packages "$@"
    for group in "$@"; do
        case $group in
            build) install_boost ;;
            stack)
                install_venv
                install_npm clients/typescript examples/typescript examples/events-outlet tests/realtime/node \
                    tests/realtime/node-cluster tests/sessions/node
                install_camunda
                ;;
            bench) install_npm bench/realtime-node bench/redis-node ;;
        esac
    done
}

main "$@"
