#!/usr/bin/env bash
# The main job: installs examples/movies into a scratch workspace, runs its agent
# through the real components and prints how to repeat it by hand.
# Usage: scripts/run-movies.sh MIXER [URL to post the report to]
set -euo pipefail
mixer=$1
url=${2:-}
repository=$(cd "$(dirname "$0")/.." && pwd)
workspaces=${MIXER_SCRATCH:-$(mktemp -d "${TMPDIR:-/tmp}/mixer-movies.XXXXXX")}

parameters='{"key":"demo-key"}'
options=()
if [ -n "$url" ]; then
  parameters="{\"key\":\"demo-key\",\"url\":\"$url\"}"
  # The server given is the user's own; loopback is refused otherwise.
  options=(--dangerous-http-mode)
fi

echo "Installing examples/movies into $workspaces and running its agent ..." >&2
"$mixer" install "$repository/examples/movies" --ws-dir "$workspaces" --ws local --app movies
"$mixer" run report --ws-dir "$workspaces" --ws local --app movies --params "$parameters" "${options[@]}"

cat >&2 <<TXT

Again by hand:
  $mixer install examples/movies --ws-dir $workspaces --ws local --app movies
  $mixer run report --ws-dir $workspaces --ws local --app movies --params '$parameters' ${options[*]:-}
Ask the database:
  $mixer db query 'Title like "Star" | {Title, IMDB_Rating}' --ws-dir $workspaces --ws local --app movies
Over HTTP:
  $mixer serve --ws-dir $workspaces --port 8000
  curl 'http://127.0.0.1:8000/v1/ws/local/app/movies/agent/report/run?key=demo-key'
TXT
