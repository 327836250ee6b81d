#!/usr/bin/env bash
# Makes a plugin in every language from its scaffold, builds it with the tools of the language, and calls it
# from Mix in both assemblies: `mixer` with --plugin, and one composed component under a stock WASI host.
# Tools that are missing are fetched into the work folder (npm, PyPI, crates) or installed from Debian (clang).
# usage: scripts/test-plugins.sh MIXER STOCK_WASMTIME [language…]
set -euo pipefail
mixer=$(realpath "$1")
stock=$(realpath "$2")
shift 2
languages=("${@:-rust js python c}")
read -ra languages <<<"${languages[*]}"
work=${MIX_PLUGIN_WORK:-$(mktemp -d)}
mkdir -p "$work"

step() { printf '\n== %s (%s)\n' "$1" "$(date +%T)"; }

build() {
    case $1 in
    rust)
        CARGO_TARGET_DIR="$work/target" cargo build --quiet --release
        component=$work/target/wasm32-wasip2/release/demo.wasm
        ;;
    js)
        npm install --silent --no-fund --no-audit
        npm run --silent build
        component=$PWD/demo.wasm
        ;;
    python)
        [ -x "$work/python/bin/componentize-py" ] || {
            python3 -m venv "$work/python"
            "$work/python/bin/pip" install --quiet --requirement requirements.txt
        }
        PATH="$work/python/bin:$PATH" componentize-py -d wit -w plugin componentize plugin -o demo.wasm
        component=$PWD/demo.wasm
        ;;
    c)
        [ -x "$(command -v clang)" ] && [ -f /usr/include/wasm32-wasi/stdlib.h ] || {
            as_root=$([ "$(id -u)" = 0 ] || echo sudo)
            $as_root apt-get update -qq
            $as_root apt-get install -y -qq --no-install-recommends clang lld wasi-libc libclang-rt-dev-wasm32 >/dev/null
        }
        [ -x "$(command -v wit-bindgen)" ] || [ -x "$work/tools/bin/wit-bindgen" ] ||
            cargo install --quiet --locked --root "$work/tools" wit-bindgen-cli
        PATH="$PATH:$work/tools/bin" make --silent
        component=$PWD/demo.wasm
        ;;
    esac
}

# The agent that both assemblies run.
agent() {
    "$mixer" plugin bindings "$component" -o "$1/demo.mix"
    cat >"$1/agent.mix" <<'MIX'
module greets(p:data)
  import demo
  var cell m_params = p
  cell output = {shout: demo.shout(m_params.text), twice: demo.twice(21), words: stream.toArray(demo.words("a b c"))}
module end
MIX
}

expected='{"shout":"HELLO!","twice":42,"words":["a","b","c"]}'

same() {
    if [ "$2" != "$expected" ]; then
        echo "$1 answers $2, not $expected" >&2
        exit 1
    fi
    echo "$1: $2"
}

for language in "${languages[@]}"; do
    step "$language"
    folder=$work/$language
    rm -rf "$folder"
    "$mixer" plugin new demo --lang "$language" --dir "$folder"
    cd "$folder"
    build "$language"
    "$mixer" plugin check "$component"
    "$mixer" plugin test "$component" tests.mix --timeout 60s

    program=$work/$language-app
    rm -rf "$program"
    mkdir -p "$program"
    agent "$program"
    same "mixer run" "$("$mixer" run "$program" greets --plugin "$component" --params '{"text":"hello"}' --timeout 60s)"

    "$mixer" compose "$program" --app demo --plugin "$component" -o "$work/$language.wasm"
    mkdir -p "$work/$language-data"
    "$stock" serve -S cli --addr 127.0.0.1:0 --dir "$work/$language-data::/ws" "$work/$language.wasm" 2>"$work/$language.log" &
    server=$!
    trap 'kill $server 2>/dev/null' EXIT
    url=
    for _ in $(seq 600); do
        url=$(grep -o 'http://127.0.0.1:[0-9]*' "$work/$language.log" | head -1 || true)
        [ -n "$url" ] && break
        sleep 0.5
    done
    same "composed component" "$(curl -sS -d '{"text":"hello"}' -H 'content-type: application/json' "$url/run-agent/local/demo/greets")"
    kill $server
    trap - EXIT
done
