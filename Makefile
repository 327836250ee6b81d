# Everything a user or developer runs. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
GUEST_DIR := $(abspath $(TARGET_DIR))/wasm32-wasip2/guest
MIXER := $(TARGET_DIR)/release/mixer

# Components that are embedded in `mixer`, in one cargo call so that they share their dependencies.
GUEST_PACKAGES := mix-vm-component mix-vm-composed mix-standalone mix-embedded mix-switchboard mix-plugin-empty mix-plugin-packer mix-host-clock mix-plugin-core mix-plugin-crypto mix-plugin-files mix-plugin-files-memory mix-plugin-http mix-plugin-db mix-plugin-main-database mix-plugin-secrets mix-plugin-wasm

export MIXER_GUESTS_DIR := $(GUEST_DIR)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

.PHONY: toolchain
toolchain: ## Install what the components need to build (Rust std for wasm32-wasip2)
	@scripts/toolchain.sh

.PHONY: guests
guests: toolchain ## Build the VM, the switchboard and the plugins as components
	$(CARGO) build --locked --profile guest --target wasm32-wasip2 $(addprefix -p ,$(GUEST_PACKAGES))

# Everything of the workspace is selected wherever `mixer` is built, so that the engine is built
# once, with the same features as for the tests.
.PHONY: mixer
mixer: guests ## Build the `mixer` program (target/release/mixer)
	$(CARGO) build --locked --release --workspace --bin mixer

.PHONY: run
run: mixer ## The main job: install examples/movies and run its agent on real data
	@scripts/run-movies.sh $(MIXER)

.PHONY: test
test: guests ## Format, lints and every test
	scripts/test.sh $(GUEST_PACKAGES)

.PHONY: soak
soak: ## Long random histories of the record store beside its model (MIX_STORE_STEPS, MIX_STORE_SEED)
	MIX_STORE_STEPS=$(or $(MIX_STORE_STEPS),5000000) $(CARGO) test --locked --release -p mix-store --test model

.PHONY: soak-serve
soak-serve: mixer ## A server under mixed load: no growth of memory, files or tasks (SOAK_SECONDS, an hour; 120 is the short form)
	scripts/soak-serve.sh $(MIXER) $(or $(SOAK_SECONDS),3600)

.PHONY: examples
examples: toolchain ## Build the example plugins
	$(CARGO) build --locked --profile guest --target wasm32-wasip2 -p mix-example-words

.PHONY: test-plugins
test-plugins: test-programs ## A plugin in each language, from its scaffold to a call in both assemblies (needs npm, pip, clang or apt, and a network)
	scripts/test-plugins.sh $(TARGET_DIR)/debug/mixer $(TARGET_DIR)/debug/stock-wasmtime

.PHONY: test-full-disk
test-full-disk: test-programs ## A server and a composed component on a disk that is full (needs the right to mount, or user namespaces)
	scripts/test-full-disk.sh $(TARGET_DIR)/debug/mixer $(TARGET_DIR)/debug/stock-wasmtime

.PHONY: test-embed
test-embed: test-programs ## An app embedded in JavaScript (jco) and Python (wasmtime-py) (needs npm, pip and a network)
	scripts/test-embed.sh $(TARGET_DIR)/debug/mixer

# The programs as `make test` builds them.
.PHONY: test-programs
test-programs: guests
	$(CARGO) build --locked --workspace --bin mixer --bin stock-wasmtime

.PHONY: test-mcp
test-mcp: mixer ## The official Python client of the Model Context Protocol calls an agent (needs pip and a network)
	scripts/test-mcp.sh $(MIXER)

.PHONY: test-api
test-api: mixer ## Schemathesis compares the HTTP interface with its description (needs pip and a network; API_SECONDS, 120)
	scripts/test-api.sh $(MIXER) $(or $(API_SECONDS),120)

.PHONY: test-s3
test-s3: mixer ## Files of apps on an S3 store that is started for it (moto; needs pip and a network)
	scripts/test-s3.sh $(MIXER)

# QuickJS and the VM component beside the native VM. Lua is a program of its own, built by itself: with it
# the engine would have other features and be compiled again.
BENCH_FEATURES := mix-bench-vm/peers,mix-bench-vm/component

.PHONY: bench-lua
bench-lua:
	$(CARGO) build --locked --release -p mix-bench-vm --features lua --bin mix-bench-lua

.PHONY: bench
bench: guests bench-lua ## Crossings, starts, requests per second, beside peers, as one table
	$(CARGO) build --locked --profile guest --target wasm32-wasip2 -p mix-test-plugin-hostile -p mix-example-words
	$(CARGO) build --locked --release --workspace --features $(BENCH_FEATURES) --bin mixer --bin stock-wasmtime --bin mix-bench-vm
	$(CARGO) bench --locked --workspace --bench mixer
	$(TARGET_DIR)/release/mix-bench-vm fib

.PHONY: bench-serve
bench-serve: mixer ## Load on `mixer serve`: requests per second beside peers, shares of workspaces, memory, as one table
	$(CARGO) build --locked --profile guest --target wasm32-wasip2 -p mix-test-http-hello
	$(CARGO) build --locked --release --workspace --bin stock-wasmtime
	$(CARGO) bench --locked --workspace --bench serve

.PHONY: bench-compile
bench-compile: ## Lines per second of the compiler
	$(CARGO) bench --locked -p mix-compiler --bench compile

.PHONY: bench-vm
bench-vm: guests bench-lua ## Programs in Mix, native and in the component, beside QuickJS and Lua 5.4; library functions beside QuickJS' own; growth at doubling sizes; what the library costs at the start; values to and from their wire form
	$(CARGO) build --locked --release --workspace --features $(BENCH_FEATURES) --bin mix-bench-vm
	$(TARGET_DIR)/release/mix-bench-vm
	$(TARGET_DIR)/release/mix-bench-vm library
	$(TARGET_DIR)/release/mix-bench-vm growth
	$(TARGET_DIR)/release/mix-bench-vm load
	$(CARGO) bench --locked -p mix-vm --bench wire

.PHONY: bench-store
bench-store: ## The record store beside SQLite on a million records, as one table
	$(CARGO) bench --locked -p mix-store --features sqlite --bench store

# Without traces: where they are on, the engine makes one for each file that a guest does not find, which takes 45 µs.
.PHONY: bench-store-component
bench-store-component: guests ## The record store through its component beside the store itself, as one table
	$(CARGO) build --locked --profile guest --target wasm32-wasip2 -p mix-test-caller
	env -u RUST_BACKTRACE -u RUST_LIB_BACKTRACE $(CARGO) bench --locked --workspace --bench records

.PHONY: bench-all
bench-all: guests bench-lua ## Everything that has a peer, as one table with ratios (BENCH_RECORDS, 100000)
	$(CARGO) build --locked --profile guest --target wasm32-wasip2 -p mix-test-plugin-hostile -p mix-example-words -p mix-test-caller
	$(CARGO) build --locked --release --workspace --features $(BENCH_FEATURES) --bin mixer --bin stock-wasmtime --bin mix-bench-vm
	scripts/bench-all.sh $(TARGET_DIR)

.PHONY: fuzz
fuzz: ## Fuzz lexer, parser, compiler, verifier with VM, values, queries, database files, packages, requests and messages (FUZZ_SECONDS each, 60)
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

.PHONY: lint
lint: ## Format and clippy only
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
