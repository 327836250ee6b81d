#!/usr/bin/env bash
# Schemathesis sends requests made from the description of the interface, good and bad ones, and
# compares every answer with the description. Usage: scripts/test-api.sh MIXER [SECONDS]
set -euo pipefail
mixer=$(realpath "$1")
seconds=${2:-120}
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
. scripts/server.sh
trap 'stop_server; rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" -q install schemathesis==4.32.5

RUST_LOG=warn start_server "$mixer" --ws-dir "$scratch/ws" --dev-token ada@example.com
token="Authorization: Bearer $(sed -n 's/^dev token //p' "$scratch/serve.log")"
curl -sf -H "$token" -X POST -H 'content-type: application/json' -d '{"name":"acme"}' "$url/v1/ws" > /dev/null
"$mixer" build examples/movies -o "$scratch/movies.remix"
curl -sf -H "$token" -X POST -H 'content-type: application/octet-stream' \
    --data-binary "@$scratch/movies.remix" "$url/v1/ws/acme/install" > /dev/null

# Requests go to an app that is there, so that they get past the question whether it is.
cat > "$scratch/schemathesis.toml" <<'TOML'
[parameters]
"path.ws" = "acme"
"path.app" = "movies"
"path.agent" = "report"
# What the description allows a caller to ask for, and what then is no defect of the server: a run that
# may take a millisecond, and the plain form of values that have none.
"query.outputEscEnabled" = "true"
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 504]
TOML
# Left out: what never ends, what is no HTTP any more, and what would take the app away.
kept=()
for path in '/v1/ws/{ws}' '/ws/{ws}' '/v0/ws/{ws}' '/v1/ws/{ws}/app/{app}' '/ws/{ws}/{app}' '/v0/ws/{ws}/{app}'; do
    kept+=(--exclude-name "DELETE $path")
done
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
checks=$checks,unsupported_method,allow_header_conformance,negative_data_rejection
"$scratch/venv/bin/schemathesis" --config-file "$scratch/schemathesis.toml" run "$url/v1/_doc/openapi.json" \
    -H "$token" --exclude-path-regex '(subscribe|/session$)' "${kept[@]}" --checks "$checks" \
    --phases coverage,fuzzing --max-time "$seconds" --request-timeout 60 --continue-on-failure --warnings off
