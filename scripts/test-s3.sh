#!/usr/bin/env bash
# Files of apps on an S3 store: a server of its own (moto), `mixer serve` with its files there, and requests
# to both. Usage: scripts/test-s3.sh MIXER
set -euo pipefail
mixer=$(realpath "$1")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" -q install 'moto[server,s3]==5.2.5'
"$scratch/venv/bin/python" tests/s3/check.py "$mixer" "$scratch"
