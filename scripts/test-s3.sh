#!/usr/bin/env bash
# Files of apps on an S3 store: a server of its own (moto), `mixer serve` with its files there, and requests
# to both. Usage: scripts/test-s3.sh MIXER
set -euo pipefail
mixer=$(realpath "$1")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step() { printf '== %s (%s)\n' "$1" "$(date +%T)"; }

# A network that swallows packets ends this with an error, not with silence.
step "installing moto"
python3 -m venv "$scratch/venv"
timeout 600 "$scratch/venv/bin/pip" -q --timeout 30 --retries 2 install 'moto[server,s3]==5.2.5' || {
    echo "moto cannot be installed from PyPI (exit $?)" >&2
    exit 1
}
step "comparing the server with its store"
"$scratch/venv/bin/python" tests/s3/check.py "$mixer" "$scratch"
