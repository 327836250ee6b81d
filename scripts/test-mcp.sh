#!/usr/bin/env bash
# The official Python client of the Model Context Protocol calls an agent, over standard input and
# output and over HTTP. Usage: scripts/test-mcp.sh MIXER
set -euo pipefail
mixer=$(realpath "$1")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" -q install mcp==2.3.0

at=(--ws-dir "$scratch/ws" --ws local --app movies)
"$mixer" install examples/movies "${at[@]}"
cat > "$scratch/tools.json" <<'JSON'
[{"_rmx_type": "mcp_tool", "name": "best_movies", "description": "The best films", "agent": "report",
  "inputSchema": {"type": "object", "properties": {"top": {"type": "integer", "minimum": 1}}}}]
JSON
"$mixer" db save "$scratch/tools.json" "${at[@]}" > /dev/null

"$mixer" serve --ws-dir "$scratch/ws" --port 0 > "$scratch/serve.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    grep -q '^listening on ' "$scratch/serve.log" && break
    kill -0 "$server" || { cat "$scratch/serve.log"; exit 1; }
    sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$scratch/serve.log")
"$scratch/venv/bin/python" tests/mcp/client.py http "$url/v1/ws/local/mcp"
kill "$server"; wait "$server" || true; server=
"$scratch/venv/bin/python" tests/mcp/client.py stdio "$mixer" mcp --ws-dir "$scratch/ws"
