#!/bin/sh
# Runs the AVX2 set on an emulated CPU that has AVX2 and no AVX-512: code that strayed there from a newer set would be an
# illegal instruction. The kernels must agree with `generic` there, and a whole run of the demo model must come to the
# same numbers as the generic set does on this machine.
#
#   emulator_test.sh TEST_KERNELS PUNA MODEL
set -eu
test_kernels=$1 puna=$2 model=$3

fail() {
    echo "emulator_test: $1" >&2
    exit 1
}

unset PUNA_ISA
emulate() { qemu-x86_64 -cpu max "$@"; }

# One pass over everything: all types at random shapes, and one type at every size of batch.
emulate "$test_kernels" --gtest_brief=1 \
    --gtest_filter='KernelSets.*:PrepareActivations.*:ElementWise.*:Attention.*:*Matmul*.RandomShapes/*:*Matmul*.EveryCount*/Q4_1' ||
    fail "the AVX2 kernels differ from the generic ones"

complete() { "$@" run -m "$model" -p "The capital of France is" -n 2 --temp 0 --logprobs 3 --json; }
numbers() { sed -n 's/.*\("ids":.*\),"seed".*/\1/p'; }
emulated=$(complete emulate "$puna")
case $emulated in
    *'"kernels":"avx2"'*) ;;
    *) fail "a CPU with AVX2 and without AVX-512 got other kernels than avx2: $emulated" ;;
esac
expected=$(PUNA_ISA=generic complete "$puna" | numbers)
[ -n "$expected" ] || fail "the generic set gave no answer"
actual=$(echo "$emulated" | numbers)
[ "$actual" = "$expected" ] || fail "the emulated AVX2 set came to $actual, the generic set to $expected"
