#!/usr/bin/env bash
# The official Python client of the Model Context Protocol calls an agent, over standard input and
# output and over HTTP. Usage: scripts/test-mcp.sh MIXER
set -euo pipefail
mixer=$(realpath "$1")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
. scripts/server.sh
trap 'stop_server; rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" -q install mcp==2.3.0

at=(--ws-dir "$scratch/ws" --ws local --app movies)
"$mixer" install examples/movies "${at[@]}"
cat > "$scratch/tools.json" <<'JSON'
[{"_rmx_type": "mcp_tool", "name": "best_movies", "description": "The best films", "agent": "report",
  "inputSchema": {"type": "object", "properties": {"top": {"type": "integer", "minimum": 1}}}}]
JSON
"$mixer" db save "$scratch/tools.json" "${at[@]}" > /dev/null

start_server "$mixer" --ws-dir "$scratch/ws"
"$scratch/venv/bin/python" tests/mcp/client.py http "$url/v1/ws/local/mcp"
stop_server
"$scratch/venv/bin/python" tests/mcp/client.py stdio "$mixer" mcp --ws-dir "$scratch/ws"
