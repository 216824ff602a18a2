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
    echo "lint: that clang-tidy finds what it should" >&2
    python3 tests/tidy_test.py
fi
tools/tidy.py "$build" "$jobs" "$@"
