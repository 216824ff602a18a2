#!/bin/sh
# Writes an importance matrix of one run in both formats of llama-imatrix, for tests/formats/imatrix_test.cc.
# usage: tools/make_imatrix_fixtures.sh LLAMA_IMATRIX
set -eu
tool=$1
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cp "$root/tests/models/data/tiny_llama1.gguf" "$work"
head -c 3000 /usr/share/common-licenses/GPL-3 > "$work/t.txt"  # every Debian has it
cd "$work"
for format in dat gguf; do
    "$tool" -m tiny_llama1.gguf -f t.txt -o "imatrix.$format" --output-format "$format" -c 64 --chunks 3 -t 1
    cp "imatrix.$format" "$root/tests/formats/data/imatrix/llama_imatrix.$format"
done
