#!/bin/sh
# Runs ctest in a build folder. Fails on a failed test, on a skipped or disabled one, and when there is none.
#
#   tools/run_tests.sh BUILD_FOLDER JOBS [CTEST_OPTION]...
#
# The whole output is kept in BUILD_FOLDER/ctest.log, or, with a kernel set forced by PUNA_ISA, in ctest.SET.log.
set -eu

build=$1
jobs=$2
shift 2

log=$build/ctest${PUNA_ISA:+.$PUNA_ISA}.log
status=0
ctest --test-dir "$build" --parallel "$jobs" --output-on-failure --no-tests=error --timeout 900 --output-log "$log" "$@" ||
    status=$?
if [ "$status" -eq 0 ] && grep -qE '\*\*\*(Skipped|Not Run)|^The following tests did not run:' "$log"; then
    echo "run_tests: a test did not run, and that counts as a failure" >&2
    status=1
fi
exit "$status"
