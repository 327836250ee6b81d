#!/usr/bin/env bash
# A disk that is full, of a server and of a composed component: records are read, after a restart too, writes are
# refused, and work goes on when there is room. Needs the right to mount, or user namespaces.
# test-full-disk.sh MIXER STOCK_WASMTIME
set -euo pipefail
if [ "${INSIDE_NAMESPACE:-}" != 1 ]; then
    INSIDE_NAMESPACE=1 exec unshare --map-root-user --mount "$0" "$(realpath "$1")" "$(realpath "$2")"
fi
mixer=$1 stock=$2
work=$(mktemp -d)
server=
stop() { [ -z "$server" ] || { kill "$server" && wait "$server" || true; }; server=; }
trap 'stop; umount "$work/disk" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir "$work/disk"
mount -t tmpfs -o size=24m tmpfs "$work/disk"
ws=$work/disk/ws

fail() { echo "failed: $*"; cat "$work/log"; exit 1; }
# ask STATUS CURL_ARGUMENTS: the body, of an answer with that status.
ask() {
    local status=$1 found
    shift
    found=$(curl -s -m 60 -o "$work/body" -w '%{http_code}' "$@") || fail "no answer: $*"
    [ "$found" = "$status" ] || fail "$found, not $status: $* $(cat "$work/body")"
    cat "$work/body"
}
save() { ask "$1" -X POST -H 'content-type: application/json' -d "{\"record\":{\"text\":\"$2\"}}" "$app/save"; }
count() { ask 200 "$app/query?query=exists%20text%20%7C%20count()"; }
is() { [ "$1" = "$2" ] || fail "$1, not $2"; }
fill() { dd if=/dev/zero of="$work/disk/fill" bs=4k status=none 2>/dev/null || true; }
room() { truncate -s "-$1" "$work/disk/fill"; }

start() {
    "$@" > "$work/log" 2>&1 &
    server=$!
    for _ in $(seq 600); do
        curl -s -m 5 -o /dev/null "$url/v1/health" && return
        sleep 0.1
    done
    fail "does not start: $*"
}

# read_and_write: on a disk with room, and the server that was started on it.
read_and_write() {
    local begin=$1 serve=("${@:2}")
    is "$(count)" "[$begin]"
    save 200 first > /dev/null
    stop
    fill
    start "${serve[@]}"
    for _ in 1 2; do
        is "$(count)" "[$((begin + 1))]"
        save 507 refused > /dev/null
    done
    # What is left is enough for a commit or two.
    room 16k
    save 200 second > /dev/null
    for _ in $(seq 9); do
        curl -s -o /dev/null -X POST -H 'content-type: application/json' -d "{\"record\":{\"more\":\"$(head -c 3000 /dev/zero | tr '\0' x)\"}}" "$app/save"
    done
    save 507 "$(head -c 9000 /dev/zero | tr '\0' x)" > /dev/null
    is "$(count)" "[$((begin + 2))]"
    stop
    fill
    start "${serve[@]}"
    is "$(count)" "[$((begin + 2))]"
    rm "$work/disk/fill"
    save 200 third > /dev/null
    is "$(count)" "[$((begin + 3))]"
}

port=$((20000 + RANDOM % 10000))
url=http://127.0.0.1:$port app=$url/v1/ws/local/app/notes
serve=("$mixer" serve --ws-dir "$ws" --port "$port")
start "${serve[@]}"
ask 201 -X POST -d '{"name":"local"}' -H 'content-type: application/json' "$url/v1/ws" > /dev/null
ask 201 -X POST "$app" > /dev/null
ask 200 "$url/v1/health/ready" > /dev/null
mkdir "$ws/local/bare"
fill
# An app without a database has no records, and none is begun.
is "$(app=$url/v1/ws/local/app/bare count)" "[0]"
[ ! -e "$ws/local/bare/v2" ] || fail "a query began a database"
room 64k
ask 503 "$url/v1/health/ready" | grep -q '"disk":"disk_full"' || fail "readiness with 64 KiB"
rm "$work/disk/fill"
ask 200 "$url/v1/health/ready" > /dev/null
read_and_write 0 "${serve[@]}"
stop
# What is there is whole, and nothing else was begun.
"$mixer" db check --ws-dir "$ws" --ws local --app notes
fill
for command in "save $work/record" "import $work/record --format jsonl" "import $work/image --format image"; do
    echo '{"text":"x"}' > "$work/record"
    [ -d "$work/image" ] || "$mixer" db export --format image "$work/image" --ws-dir "$ws" --ws local --app notes > "$work/log" 2>&1
    # shellcheck disable=SC2086 # Words of a command.
    ! "$mixer" db $command --path "$work/disk/new/app" 2> "$work/log" || fail "$command on a full disk"
    grep -q '^error disk_full: ' "$work/log" || fail "$command says something else"
    [ ! -e "$work/disk/new" ] || fail "$command leaves something behind: $(find "$work/disk/new")"
done
rm "$work/disk/fill"

mkdir "$work/src"
printf 'module ping\n  cell output = "pong"\nmodule end\n' > "$work/src/ping.mix"
"$mixer" build "$work/src" -o "$work/app.wasm" --app notes > "$work/log" 2>&1 || fail "does not build"
serve=("$stock" serve -S cli --addr "127.0.0.1:$port" --dir "$ws::/ws" --env MIXER_OPEN_RECORDS=true "$work/app.wasm")
start "${serve[@]}"
read_and_write 3 "${serve[@]}"
stop
"$mixer" db check --ws-dir "$ws" --ws local --app notes
echo "a full disk: ok"
