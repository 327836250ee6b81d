#!/usr/bin/env bash
# Follows the tutorial of every language word by word (docs/plugins/*.md), then calls the plugin that was made
# from Mix in both assemblies: `mixer` with --plugin, and one composed component under a stock WASI host.
# Tools come with the tutorials (npm, PyPI); those of C are installed from Debian where they are missing.
# usage: scripts/test-plugins.sh MIXER STOCK_WASMTIME [language…]
set -euo pipefail
mixer=$(realpath "$1")
stock=$(realpath "$2")
shift 2
languages=("${@:-rust js python c}")
read -ra languages <<<"${languages[*]}"
tutorials=$(realpath "$(dirname "$0")/../docs/plugins")
answers=$(realpath "$(dirname "$0")/../tests/plugins/answers")
work=${MIX_PLUGIN_WORK:-$(mktemp -d)}
mkdir -p "$work/bin"
ln -sf "$mixer" "$work/bin/mixer"
export PATH=$work/bin:$PATH
# A project has its own target folder, whatever this checkout has.
unset CARGO_TARGET_DIR

step() { printf '\n== %s (%s)\n' "$1" "$(date +%T)"; }

fail() {
    echo "$1" >&2
    exit 1
}

# The tools that the tutorial of C begins with, where they are not there yet.
tools_of_c() {
    [ -x "$(command -v clang)" ] && [ -f /usr/include/wasm32-wasi/stdlib.h ] && [ -x "$(command -v make)" ] && return
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq --no-install-recommends clang lld wasi-libc libclang-rt-dev-wasm32 make >/dev/null
}

# The commands of a tutorial: its indented lines, but for those that install tools.
commands() {
    awk '/^```/ { code = !code; next } !code && /^    / { print substr($0, 5) }' "$tutorials/$1.md" |
        grep -v '^apt install '
}

# The lines of a tutorial that build the component.
build() {
    commands "$1" | grep -E '^(cargo build|npm run build|\. \.venv|componentize-py|make$)'
}

# The plugin cannot do without a variable any more.
need_variable() {
    case $1 in
    rust) sed -i 's/#\[plugin\]/#[plugin(needs("env:DEMO_REGION"))]/' src/lib.rs ;;
    js) sed -i 's/needs: () => \[\]/needs: () => ["env:DEMO_REGION"]/' plugin.js ;;
    python) sed -i 's/^Needs = needs()/Needs = needs("env:DEMO_REGION")/' plugin.py ;;
    c) sed -i 's/mix_needs\[\] = {NULL}/mix_needs[] = {"env:DEMO_REGION", NULL}/' plugin.c ;;
    esac
}

# The plugin answers at the edge of what a value can be, in languages whose projects carry that with them.
answers() {
    case $1 in
    js) cp "$answers/plugin.js" . ;;
    python) cp "$answers/plugin.py" . ;;
    c) cp "$answers/plugin.c" . ;;
    *) return 0 ;;
    esac
    bash -euo pipefail -c "$(build "$1")"
    mixer plugin check "$component"
    mixer plugin test "$component" "$answers/all.mix" "$answers/$1.mix"
}

# A block of the section about requests of a tutorial: its sources in that language.
requests_of() {
    awk -v fence="\`\`\`$2" '/^## / { here = /[Rr]equests/ } /^```/ { code = here && $0 == fence; next } code' "$tutorials/$1.md"
}

# The plugin that a tutorial shows under requests, of plain HTTP.
asking() {
    case $1 in
    rust) requests_of rust rust | sed 's/Scheme::Https/Scheme::Http/' >src/lib.rs ;;
    python)
        {
            echo 'from mix import Failure, needs, plugin'
            requests_of python python | sed 's/Scheme_Https/Scheme_Http/'
            echo 'Needs = needs("http")'
            echo 'Family = plugin("demo", nap, page)'
        } >plugin.py
        ;;
    c) requests_of c c | sed 's/SCHEME_HTTPS/SCHEME_HTTP/' >plugin.c ;;
    esac
    [ "$1" = rust ] || sed -i "/include mix:ffi/r "<(requests_of "$1" wit) wit/plugin.wit
    bash -euo pipefail -c "$(build "$1")"
}

# It asks the hosts that it is granted and no other, in both assemblies.
requests() {
    local app=$work/$1-asks host expected='[200,{"_rmx_type":"{tag}bin","_rmx_value":"aGVsbG8K"}]'
    asking "$1"
    rm -rf "$app" "$work/pages"
    mkdir -p "$app" "$work/pages" "$work/$1-asks-data"
    echo hello >"$work/pages/greeting"
    python3 -u -m http.server --bind 127.0.0.1 --directory "$work/pages" 0 >"$work/pages.log" 2>&1 &
    pages=$!
    trap 'kill $pages 2>/dev/null' EXIT
    timeout 60 sh -c "until grep -q ' port ' '$work/pages.log'; do sleep 0.2; done"
    host=127.0.0.1:$(grep -o 'port [0-9]*' "$work/pages.log" | cut -d' ' -f2)
    mixer plugin bindings "$component" -o "$app/demo.mix"
    cat >"$app/asks.mix" <<MIX
module asks
  import demo
  cell output = demo.page("$host", "/greeting")
module end
MIX
    asks() { mixer run "$app" asks --plugin "$component" --timeout 60s "$@"; }
    same "a request" "$(asks --dangerous-http-mode --grant "demo=http:$host")"
    if refused=$(asks --dangerous-http-mode --grant demo=http:example.com 2>&1); then fail "it reaches a host that it is not granted"; fi
    grep -q ERR_NETWORK <<<"$refused" || fail "the refusal is no failure of the request: $refused"
    if asks --grant demo=http >"$work/asks.log" 2>&1; then fail "it reaches a private address"; fi
    mixer compose "$app" --app demo --plugin "$component" --grant demo=http -o "$app.wasm"
    same "a request of the composed component" \
        "$("$stock" run -S cli,http --dir "$work/$1-asks-data::/ws" "$app.wasm" asks)"
    kill $pages
    trap - EXIT
}

# The agent that both assemblies run.
agent() {
    mixer plugin bindings "$component" -o "$1/demo.mix"
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
    [ "$2" = "$expected" ] || fail "$1 answers $2, not $expected"
    echo "$1: $2"
}

for language in "${languages[@]}"; do
    step "$language"
    if [ "$language" = c ]; then tools_of_c; fi
    folder=$work/$language
    rm -rf "$folder"
    mkdir -p "$folder"
    cd "$folder"
    bash -euxo pipefail -c "$(commands "$language")"
    cd demo
    component=$(find "$PWD" -path '*/deps' -prune -o -name demo.wasm -print | head -1)
    [ -n "$component" ] || fail "the tutorial of $language has made no demo.wasm"

    program=$work/$language-app
    rm -rf "$program"
    mkdir -p "$program"
    agent "$program"
    run() { mixer run "$program" greets --plugin "$component" --params '{"text":"hello"}' --timeout 60s "$@"; }
    same "mixer run" "$(run)"

    composed() { mixer compose "$program" --app demo --plugin "$component" -o "$work/$language.wasm" "$@"; }
    composed
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

    need_variable "$language"
    bash -euo pipefail -c "$(build "$language")"
    if refused=$(run 2>&1); then fail "it runs without the grant that it needs"; fi
    grep -qF -- '--grant demo=env:DEMO_REGION' <<<"$refused" || fail "the missing grant is not named: $refused"
    if refused=$(composed 2>&1); then fail "it is composed without the grant that it needs"; fi
    grep -qF -- '--grant demo=env:DEMO_REGION' <<<"$refused" || fail "the missing grant is not named: $refused"
    composed --grant demo=env:DEMO_REGION
    same "with its grant" "$(DEMO_REGION=eu run --grant demo=env:DEMO_REGION)"

    answers "$language"
    # componentize-qjs has no requests.
    [ "$language" = js ] || requests "$language"
done
