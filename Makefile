# What can be done here; `make help` lists it. CMake does the building (CMakePresets.json), this file only knows the way.

export PROMPT ?= Once upon a time, high in the Andes,
# What `make bench` measures: a shape, and those of the microbenchmarks whose names match.
SHAPE ?= 1b:Q4_0
KERNELS ?= ^(matmul/.*/Q4_|attend|rms_norm|silu|rope)
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

# Warnings fail the build where it is checked, not on a stranger's compiler.
WERROR := $(if $(CI),ON,OFF)

# GCC 12's sanitizer runtimes give up on kernels that randomize addresses widely; a fixed layout suits them all.
FIXED_LAYOUT := $(shell setarch -R true 2>/dev/null && echo setarch -R)

# The parsers and tokenizers, and what they stand on.
ASAN_ROOMS := base;quant;text;formats
# Death tests that run their own program again, which the system cannot start without its emulator.
NOT_EMULATED := ^base\.ForeignFaultDeathTest\.
# The thread pool and the engine, and what lies between.
TSAN_ROOMS := base;quant;text;formats;kernels;nn;models;sampling;engine

.DEFAULT_GOAL := help
.PHONY: help deps model build demo test test-isa neon bench lint format asan tsan install clean

help:  ## list what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps:  ## install the Debian packages that are missing (packages.txt)
	@tools/install_packages.sh

model:  ## fetch the demo model, once, and print its path
	@tools/install_packages.sh build
	@tools/fetch_demo_model.sh

build:  ## build build/release/puna
	@tools/install_packages.sh build
	@cmake --preset release -DPUNA_WERROR=$(WERROR) >&2
	@cmake --build --preset release --parallel $(JOBS) --target puna_binary >&2

demo: build  ## a completion from a real model; PROMPT="..." asks for another
	@model=$$(tools/fetch_demo_model.sh) && build/release/puna run -m "$$model" -p "$$PROMPT" -n 72 --temp 0 \
	    --repeat-penalty 1.1 --echo

test:  ## build and run all tests
	@tools/install_packages.sh build test
	@model=$$(tools/fetch_demo_model.sh) && \
	    cmake --preset release -DPUNA_WERROR=$(WERROR) -DPUNA_DEMO_MODEL="$$model"
	@cmake --build --preset release --parallel $(JOBS)
	@tools/run_tests.sh build/release $(JOBS)

test-isa: neon  ## all tests with the kernel sets that `make test` leaves out; neon in an emulator
	@tools/install_packages.sh build test
	@model=$$(tools/fetch_demo_model.sh) && \
	    cmake --preset release -DPUNA_WERROR=$(WERROR) -DPUNA_DEMO_MODEL="$$model"
	@cmake --build --preset release --parallel $(JOBS) --target puna_binary test_nn test_models test_engine
	@tools/test_isa.sh build/release $(JOBS)

neon:  ## cross-compile the kernels for AArch64, and run their tests in an emulator
	@tools/install_packages.sh build neon
	@cmake --preset neon -DPUNA_WERROR=$(WERROR)
	@cmake --build --preset neon --parallel $(JOBS)
	@tools/run_tests.sh build/neon $(JOBS) --exclude-regex '$(NOT_EMULATED)'

bench: build  ## measure the machine, every type of weights, and a model; SHAPE=8b:Q4_K_M asks for another
	@tools/install_packages.sh bench
	@cmake --preset release -DPUNA_BUILD_BENCHMARKS=ON >&2
	@cmake --build --preset release --parallel $(JOBS) --target kernel_benchmarks >&2
	@build/release/puna bench --limits
	@build/release/puna bench --types all
	@build/release/puna bench --shape $(SHAPE)
	@build/release/kernel_benchmarks --benchmark_filter="$(KERNELS)"

lint:  ## check format, layout and a small set of clang-tidy rules
	@tools/install_packages.sh build lint
	@cmake --preset release >&2
	@tools/lint.sh build/release $(JOBS)

format:  ## put all sources into the project's format
	@tools/install_packages.sh lint
	@tools/source_files.sh | xargs clang-format-19 -i

asan:  ## tests of the parsers and tokenizers under the address and undefined behaviour sanitizers
	@tools/install_packages.sh build
	@model=$$(tools/fetch_demo_model.sh) && \
	    cmake --preset asan -DPUNA_ROOMS="$(ASAN_ROOMS)" -DPUNA_DEMO_MODEL="$$model"
	@$(FIXED_LAYOUT) cmake --build --preset asan --parallel $(JOBS)
	@$(FIXED_LAYOUT) tools/run_tests.sh build/asan $(JOBS)

tsan:  ## tests of the thread pool and the engine under the thread sanitizer
	@tools/install_packages.sh build
	@model=$$(tools/fetch_demo_model.sh) && \
	    cmake --preset tsan -DPUNA_ROOMS="$(TSAN_ROOMS)" -DPUNA_DEMO_MODEL="$$model"
	@$(FIXED_LAYOUT) cmake --build --preset tsan --parallel $(JOBS) --target test_base test_engine
	@$(FIXED_LAYOUT) tools/run_tests.sh build/tsan $(JOBS) --label-regex '^(base|engine)$$'

install: build  ## install under PREFIX (/usr/local), DESTDIR before it
	@cmake --install build/release --prefix "$(PREFIX)"

clean:  ## remove what was built; the model stays
	rm -rf build
