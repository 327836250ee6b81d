#!/usr/bin/env bash
# Runs every fuzz target for a while, one after another, with libFuzzer and coverage
# feedback on the stable toolchain. usage: scripts/fuzz.sh [SECONDS] [TARGET]...
# Inputs that fail are left in fuzz/artifacts/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(lexer parser compiler vm values query tree database package request message)

# The flags of cargo-fuzz but for the sanitizer: the project is safe Rust, a finding is a panic.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
# With a target named, build scripts and macros are not instrumented.
RUSTFLAGS="$flags" cargo build --manifest-path fuzz/Cargo.toml --locked --release --target "$host" --bins
bin="$CARGO_TARGET_DIR/$host/release"
"$bin/seeds" fuzz/corpus tests/conformance/*/*.mix tests/bench-vm/programs/*.mix

failed=()
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    seeds=()
    [ -d "fuzz/seeds/$target" ] && seeds+=("fuzz/seeds/$target")
    case $target in
        lexer | parser | compiler) seeds+=(fuzz/corpus/sources) ;;
        vm) seeds+=(fuzz/corpus/executables) ;;
        database) seeds+=(fuzz/corpus/databases) ;;
        request) seeds+=(fuzz/corpus/requests) ;;
    esac
    echo "== $target: $seconds s"
    "$bin/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=16384 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="fuzz/artifacts/$target/" \
        "fuzz/corpus/$target" "${seeds[@]}" || failed+=("$target")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "findings in: ${failed[*]} (fuzz/artifacts)"
    exit 1
fi
echo "no findings"
