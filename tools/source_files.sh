#!/bin/sh
# Lists the C++ sources, one a line, from the project's root.
set -eu
cd "$(dirname "$0")/.."
for folder in include src tests bench examples fuzz tools; do
    [ ! -d "$folder" ] || find "$folder" -type f \( -name '*.cc' -o -name '*.h' \)
done | sort
