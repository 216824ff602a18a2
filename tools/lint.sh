#!/bin/sh
# Checks the format (clang-format), the layout of the house (tests/layout_test.py) and the code (clang-tidy).
#
#   tools/lint.sh BUILD_FOLDER JOBS [FILE]...
#
# BUILD_FOLDER holds compile_commands.json. With files named, clang-tidy looks at those alone.
set -eu
cd "$(dirname "$0")/.."

build=$1
jobs=$2
shift 2

echo "lint: format" >&2
tools/source_files.sh | xargs clang-format-19 --dry-run -Werror

echo "lint: layout" >&2
python3 tests/layout_test.py

if [ $# -eq 0 ]; then
    # Only what is compiled: a file's flags are those of compile_commands.json.
    # shellcheck disable=SC2046  # a list of words
    set -- $(tools/source_files.sh | grep '^src/.*\.cc$')
fi
echo "lint: clang-tidy on $# files" >&2
printf '%s\n' "$@" | xargs -P "$jobs" -n 1 clang-tidy-19 -p "$build" --quiet \
    --extra-arg=-Wno-unknown-warning-option --warnings-as-errors='*'
