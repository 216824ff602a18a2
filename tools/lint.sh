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
    # Only what is compiled here, so no kernel set of another architecture: a file's flags are those of
    # compile_commands.json.
    # shellcheck disable=SC2046  # a list of words
    set -- $(tools/source_files.sh | grep '^src/.*\.cc$' | while read -r file; do
        ! grep -qF "/$file\"" "$build/compile_commands.json" || echo "$file"
    done)
fi
echo "lint: clang-tidy on $# files" >&2
# What clang-tidy writes to stderr (counts of suppressed warnings) matters only if it fails. The compiler's own warnings
# are g++'s to judge.
# shellcheck disable=SC2016  # expanded by the inner shell
printf '%s\n' "$@" | xargs -P "$jobs" -n 1 sh -c '
    talk=$(clang-tidy-19 -p "$0" --quiet --extra-arg=-Wno-error --warnings-as-errors="*" "$1" 2>&1 >&3) ||
        { echo "$talk" >&2; exit 1; }' "$build" 3>&1
