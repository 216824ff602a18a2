#!/bin/sh
# Installs the build into a fresh prefix, builds examples/hello.cc against it by find_package and by pkg-config, and runs
# both on the demo model: install_test.sh SOURCE_DIR BUILD_DIR MODEL CXX [CXX_FLAGS]
set -eu
source_dir=$1 build_dir=$2 model=$3 cxx=$4 cxx_flags=${5:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "install_test: $1" >&2
    exit 1
}

cmake --install "$build_dir" --prefix "$work/first" >"$work/log" 2>&1 || { cat "$work/log"; fail "cmake --install"; }
# Nothing in the tree may remember where it was first installed.
mv "$work/first" "$work/prefix"

cmake -S "$source_dir/tests/api/install" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_CXX_FLAGS="$cxx_flags" -DHELLO_SOURCE="$source_dir/examples/hello.cc" >"$work/log" 2>&1 &&
    cmake --build "$work/cmake" >>"$work/log" 2>&1 || { cat "$work/log"; fail "find_package(puna)"; }

config=$(find "$work/prefix" -name puna.pc)
[ -n "$config" ] || fail "puna.pc is missing"
PKG_CONFIG_PATH=$(dirname "$config")
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags --libs puna) || fail "pkg-config"
# shellcheck disable=SC2086 # flags are several words
"$cxx" -std=c++20 $cxx_flags "$source_dir/examples/hello.cc" -o "$work/hello" $flags || fail "build with pkg-config"

library_path=$(dirname "$(dirname "$config")")
for program in "$work/cmake/hello" "$work/hello"; do
    answer=$(LD_LIBRARY_PATH=$library_path "$program" "$model" "The capital of France is") || fail "$program failed"
    case $answer in
        *Paris*) ;;
        *) fail "$program answered: $answer" ;;
    esac
done

# A file that is missing is an error for people, not an exception or an abort.
status=0
LD_LIBRARY_PATH=$library_path "$work/hello" "$work/no-such-file" hello 2>"$work/log" || status=$?
[ "$status" -eq 1 ] && [ -s "$work/log" ] || fail "hello on a missing file exited with $status"
