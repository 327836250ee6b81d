# Sourced by the scripts that ask a server. They have a folder $scratch, and call `stop_server` when they end.

# Starts one on a free port, with these options, and waits for it: its address is $url then, its log $scratch/serve.log.
# Usage: start_server MIXER OPTION...
start_server() {
    local mixer=$1
    shift
    "$mixer" serve --port 0 "$@" > "$scratch/serve.log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        grep -q '^listening on ' "$scratch/serve.log" && break
        kill -0 "$server" || { cat "$scratch/serve.log"; exit 1; }
        sleep 0.1
    done
    url=$(sed -n 's/^listening on //p' "$scratch/serve.log")
    [ -n "$url" ] || { echo "the server does not listen after 30 seconds" >&2; exit 1; }
}

server=
stop_server() {
    [ -n "$server" ] || return 0
    kill "$server" && wait "$server" || true
    server=
}
