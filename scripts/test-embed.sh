#!/usr/bin/env bash
# Embeds an app in programs of hosts without async: JavaScript (Node.js, jco) and Python (wasmtime-py).
# The tools are fetched into the work folder (npm, PyPI).
# usage: scripts/test-embed.sh MIXER
set -euo pipefail
mixer=$(realpath "$1")
examples=$(realpath "$(dirname "$0")/../examples/embed")
work=${MIX_EMBED_WORK:-$(mktemp -d)}
cp -r "$examples/." "$work"
cd "$work"

fail() {
    echo "$1" >&2
    exit 1
}

# The output of an agent that asks its host for its stock, then of a session.
expected='{"item":"apples","left":2,"order":true}'
same() {
    [ "$2" = "$3" ] || fail "$1 prints $2, not $3"
    echo "$1: $2"
}

"$mixer" build app --sync -o shop.wasm
"$mixer" inspect shop.wasm

echo '{"type":"module"}' >package.json
[ -d node_modules ] || npm install --silent --no-fund --no-audit @bytecodealliance/jco@1 @bytecodealliance/preview2-shim@0 @msgpack/msgpack@3
npx jco transpile shop.wasm -o shop --instantiation async >/dev/null
same "JavaScript" "$(node node.mjs | tr '\n' ' ')" "$expected 2 "

[ -x python/bin/pip ] || { python3 -m venv python && python/bin/pip install --quiet wasmtime==48.0.0 msgpack==1.1.2; }
same "Python" "$(python/bin/python host.py | tr '\n' ' ')" "$expected 2 "
