#!/bin/sh
# Runs the tests whose outcome depends on the kernel set, by PUNA_ISA, once for each set that this machine has besides the
# one that all tests run with (`make test`).
#
#   tools/test_isa.sh BUILD_FOLDER JOBS
#
# The tests of the kernels themselves compare all sets within one process, and those of the command line run the program
# with the set that is chosen without PUNA_ISA: neither is repeated here.
set -eu

build=$1
jobs=$2
labels='^(nn|models|engine)$'
# `generic` is the plain definition, and slow: what needs the demo model would take minutes.
slow='Demo|demo|Fidelity'

for set in $("$build/puna" doctor --json |
    python3 -c 'import json, sys; d = json.load(sys.stdin); print(*(set for set in d["isas"] if set != d["kernels"]))'); do
    echo "== PUNA_ISA=$set"
    if [ "$set" = generic ]; then
        PUNA_ISA=$set tools/run_tests.sh "$build" "$jobs" --label-regex "$labels" --exclude-regex "$slow"
    else
        PUNA_ISA=$set tools/run_tests.sh "$build" "$jobs" --label-regex "$labels"
    fi
done
