#!/usr/bin/env bash
# Keeps a server under mixed load and compares what it uses after a third of the time with what it
# uses at the end: memory, open files and tasks must not grow.
# usage: soak-serve.sh MIXER SECONDS
set -euo pipefail
mixer=$1
seconds=$2
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
server=
workers=()
stop() {
    [ ${#workers[@]} -eq 0 ] || kill "${workers[@]}" 2>/dev/null || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT

"$mixer" install "$root/examples/movies" --ws-dir "$work/ws" --app movies > /dev/null
"$mixer" install "$root/tests/system/programs/callers" --ws-dir "$work/ws" --app callers > /dev/null
"$mixer" install "$root/tests/system/programs/limits" --ws-dir "$work/ws" --app limits > /dev/null
RUST_LOG=error "$mixer" serve --ws-dir "$work/ws" --port 0 --activity-retention 60s > "$work/out" &
server=$!
timeout 120 sh -c "until grep -qs '^listening on ' '$work/out'; do sleep 0.1; done"
url=$(sed -n 's/^listening on //p' "$work/out")
app=$url/v1/ws/local/app

# Each works until it is stopped; one connection serves many requests.
many() {
    while true; do
        curl -s -o /dev/null --globoff "$@" || sleep 0.2
    done
}
requests() {
    local address=$1
    shift
    local all=()
    for number in $(seq 50); do
        all+=(-o /dev/null "$address?n=$number")
    done
    while true; do
        curl -s --globoff "$@" "${all[@]}" || sleep 0.2
    done
}
json='content-type: application/json'
requests "$app/movies/agent/report/run" & workers+=($!)
requests "$app/limits/agent/fine/run" -X POST -H "$json" -d '{"name":"x"}' & workers+=($!)
requests "$app/limits/agent/fails/run" & workers+=($!)
requests "$app/callers/agent/nests/run" -X POST -H "$json" -d '{"n":24}' & workers+=($!)
requests "$app/limits/documents" -X POST -H "$json" -d '{"_rmx_id":"0123456789abcdefABCDEF0123456789","kind":"soak","text":"x"}' & workers+=($!)
many --data-urlencode 'query=kind == "soak" | limit(20)' --get "$app/limits/query" & workers+=($!)
many -X POST -H "$json" -d '{"op":"compact"}' "$app/limits/modify" --next -s -o /dev/null "$url/v1/ws" & workers+=($!)
many -N --max-time 1 -H 'accept: text/event-stream' "$app/movies/agent/report/run" & workers+=($!)
# Callers that leave in the middle.
many --max-time 0.3 "$app/limits/agent/endless/run" & workers+=($!)

value() { sed -n "s/^$1 //p" "$work/metrics"; }
# The least of a few looks: what is under way comes and goes.
look() {
    local memory= files= tasks= one
    for _ in 1 2 3 4 5 6 7 8; do
        curl -s "$url/v1/metrics" > "$work/metrics"
        one=$(value process_resident_memory_bytes); [ -n "$memory" ] && [ "$memory" -le "$one" ] || memory=$one
        one=$(value process_open_fds); [ -n "$files" ] && [ "$files" -le "$one" ] || files=$one
        one=$(value mixer_tasks); [ -n "$tasks" ] && [ "$tasks" -le "$one" ] || tasks=$one
        sleep 1
    done
    echo "$memory $files $tasks"
}

sleep $((seconds / 3))
read -r memory files tasks < <(look)
echo "after a third: memory $((memory >> 20)) MiB, files $files, tasks $tasks"
sleep $((seconds - seconds / 3))
read -r memory_now files_now tasks_now < <(look)
count=$(curl -s "$url/v1/metrics" | sed -n 's/^mixer_http_request_duration_seconds_count{.*} //p' | paste -sd+ | bc)
echo "at the end:    memory $((memory_now >> 20)) MiB, files $files_now, tasks $tasks_now, after $count requests"
drops=$(value mixer_activity_drops)

failed=0
[ "$memory_now" -le $((memory + memory / 5 + (32 << 20))) ] || { echo "memory grows"; failed=1; }
[ "$files_now" -le $((files + 16)) ] || { echo "open files grow"; failed=1; }
[ "$tasks_now" -le $((tasks + 32)) ] || { echo "tasks grow"; failed=1; }
[ "$drops" -eq 0 ] || { echo "$drops entries of the activity log are lost"; failed=1; }
kill -0 "$server" || { echo "the server is gone"; failed=1; }
exit $failed
