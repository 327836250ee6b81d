#!/usr/bin/env bash
# Runs all measurements that have a peer and prints them as one table. A ratio above 1 says how many times
# as fast as its peer Mix is. What each of them says besides is written to standard error as it comes.
# usage: scripts/bench-all.sh TARGET_DIR (after `make bench-all` has built everything)
set -euo pipefail
target=$(realpath "$1")
cargo=${CARGO:-cargo}
# Where traces are on, the engine makes one for each file that a guest does not find, which takes 45 µs.
unset RUST_BACKTRACE RUST_LIB_BACKTRACE
# Records of the store's measurements; a million take some minutes more.
records=${BENCH_RECORDS:-100000}
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
# Passes lines on, and writes them to standard error, whatever that is.
show() { tee >(cat >&2); }

# Programs in the component: name, then a time for each engine, then ratios.
"$target/release/mix-bench-vm" | show | awk '
    $1 == "program" || /^geometric/ { next }
    {
        # name, native, component, QuickJS, Lua: times are two words, what is missing is "-".
        field = 2
        for (engine = 1; engine <= 4; engine++) {
            time[engine] = $field
            field += $field == "-" ? 1 : 2
        }
        for (peer = 3; peer <= 4; peer++) {
            if (time[peer] == "-") continue
            printf "program %s|%s ms|%s|%s ms|%.2f\n", $1, time[2], peer == 3 ? "QuickJS" : "Lua 5.4", time[peer], time[peer] / time[2]
        }
    }' >>"$rows"

# Library functions on a million elements, in the native VM. Names have blanks in them. The time of making the elements is
# taken off, and differs by 20 ms from run to run: what takes hardly more has no ratio.
"$target/release/mix-bench-vm" library | show | awk '
    $(NF - 1) == "ms" && $(NF - 3) == "ms" {
        ours = $(NF - 4); theirs = $(NF - 2)
        name = $1
        for (field = 2; field < NF - 4; field++) name = name " " $field
        printf "function %s|%s ms|QuickJS|%s ms|%s\n", name, ours, theirs, ours < 25 ? "-" : sprintf("%.2f", theirs / ours)
    }' >>"$rows"

# The record store: | question | store | SQLite | unit | ratio | goal |
$cargo bench --locked -p mix-store --features sqlite --bench store -- "$records" | show | awk -F ' *\\| *' '
    NF == 8 && $3 + 0 > 0 { printf "record store, %s|%s %s|SQLite|%s %s|%s\n", $2, $3, $5, $4, $5, $6 }' >>"$rows"

# The store through its component beside the store itself.
$cargo bench --locked --workspace --bench records -- "$records" | show | awk -F ' *\\| *' '
    NF == 8 && $3 + 0 > 0 {
        printf "record store through its component, %s|%s us|native store|%s us|%s\n", $2, $4, $3, $5
    }' >>"$rows"

# Serving: rows of fixed width, Node.js last.
$cargo bench --locked --workspace --bench mixer | show | awk '
    {
        what = substr($0, 1, 64); value = substr($0, 65, 13)
        gsub(/^ +| +$/, "", what); gsub(/^ +| +$/, "", value)
    }
    what == "" || value == "" || what == "what" || /^-/ || /^\(/ { next }
    what ~ /^requests\/s: trivial/ { rate = value; next }
    what == "p99" { next }
    what ~ /^requests\/s: Node/ { printf "requests/s of a trivial agent|%s|Node.js http|%s|%.2f\n", rate, value, rate / value; next }
    { printf "%s|%s|||\n", what, value }' >>"$rows"

echo "| what | Mix | peer | its figure | ratio |"
echo "|---|---:|---|---:|---:|"
sed -e 's/^/| /' -e 's/|/ | /2g' -e 's/$/ |/' "$rows"
