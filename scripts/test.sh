#!/usr/bin/env bash
# Every check of the project. The components are built by the Makefile before this starts.
# Everything native is built by one cargo call, so that the engine is compiled a single time;
# the programs that the system tests start (`mixer`, `stock-wasmtime`) come with it.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s (%s)\n' "$1" "$(date +%T)"; }

step "format"
cargo fmt --all --check
step "components for tests"
cargo build --locked --profile guest --target wasm32-wasip2 -p mix-test-plugin-hostile -p mix-test-plugin-escapes -p mix-test-plugin-needy -p mix-example-words
step "tests"
cargo test --locked --release --workspace --no-fail-fast
step "lints"
cargo clippy --locked --release --workspace --all-targets -- -D warnings
