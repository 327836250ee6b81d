#!/usr/bin/env bash
# Every check of the project. The components are built by the Makefile before this starts; their
# packages are the arguments.
# Everything native is built by one cargo call, so that the engine is compiled a single time;
# the programs that the system tests start (`mixer`, `stock-wasmtime`) come with it.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s (%s)\n' "$1" "$(date +%T)"; }

lints=$(mktemp)
trap 'rm -f "$lints"' EXIT
# Begins when nothing is compiled any more, and takes only the time that the tests leave.
lint() {
    sleep 15
    nice -n 19 cargo clippy --locked --workspace --all-targets -- -D warnings
}

step "format"
cargo fmt --all --check
step "components for tests"
# All packages are selected, so that their dependencies have the features that they were compiled with.
packages=("$@" mix-test-plugin-hostile mix-test-plugin-forger mix-test-plugin-escapes mix-test-plugin-needy mix-test-stranger mix-example-words)
cargo build --locked --profile guest --target wasm32-wasip2 "${packages[@]/#/--package=}"
step "programs and tests"
cargo test --locked --workspace --no-run
step "tests"
lint >"$lints" 2>&1 &
cargo test --locked --workspace --no-fail-fast && passed=true || passed=false
step "lints"
wait $! && clean=true || clean=false
cat "$lints"
step "done"
$passed && $clean
