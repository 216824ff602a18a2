#!/bin/sh
# Runs all tests, by PUNA_ISA, once for each set that this machine has besides the one that they run with anyway
# (`make test`).
#
#   tools/test_isa.sh BUILD_FOLDER JOBS
set -eu

build=$1
jobs=$2
# `generic` is the plain definition, and slow: what runs the demo model takes minutes for a test.
slow='Demo|demo|Fidelity|PerplexityOracle'

for set in $("$build/puna" doctor --json |
    python3 -c 'import json, sys; d = json.load(sys.stdin); print(*(set for set in d["isas"] if set != d["kernels"]))'); do
    echo "== PUNA_ISA=$set"
    if [ "$set" = generic ]; then
        PUNA_ISA=$set tools/run_tests.sh "$build" "$jobs" --exclude-regex "$slow"
    else
        PUNA_ISA=$set tools/run_tests.sh "$build" "$jobs"
    fi
done
