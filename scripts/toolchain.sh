#!/usr/bin/env bash
# Gives the Rust toolchain in use the standard library for wasm32-wasip2, which
# the components need. Silent when it is there already.
#
# 1. `rustup target add`, where rustup can download.
# 2. Otherwise the same files are made from two Debian packages: the library's
#    sources (rust-src) and the WASI C library (wasi-libc). They come from the
#    Debian mirror that apt is set up with, are checked against the sums below,
#    and nothing is installed in the system. Works without root if the
#    toolchain's folder is writable.
#
# MIX_TOOLCHAIN_SOURCE=rustup|debian|auto (default auto) picks the way.
# MIX_DEBIAN_MIRROR=URL replaces the mirror found in apt's settings.
set -euo pipefail

readonly TARGET=wasm32-wasip2
readonly SUITE=trixie-backports

# The Debian way builds the library with the compiler it belongs to, so the
# version of the sources must be the version of rustc.
readonly RUST_VERSION=1.95.0
readonly RUST_SRC_VERSION='1.95.0+dfsg1-2~bpo13+1'
readonly RUST_SRC_SHA256=7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b
readonly LIBC_VERSION='0.0~git20260129.ec0effd-3~bpo13+1'
readonly LIBC_SHA256=45eb80a2d4dcf7fe54c8e5c5d6a3cd165a3682fccc124c46f7abc6255c9b1bce

readonly SOURCE=${MIX_TOOLCHAIN_SOURCE:-auto}
readonly RUSTUP_SECONDS=${MIX_RUSTUP_SECONDS:-90}

work=''

say() { printf 'toolchain: %s\n' "$*" >&2; }
die() { printf 'toolchain: error: %s\n' "$*" >&2; exit 1; }

cleanup() { if [[ -n $work ]]; then rm -rf -- "$work"; fi; }
trap cleanup EXIT

command -v rustc >/dev/null || die "rustc is not installed; get Rust $RUST_VERSION with rustup"
command -v cargo >/dev/null || die "cargo is not installed; get Rust $RUST_VERSION with rustup"

sysroot=$(rustc --print sysroot)
installed=$sysroot/lib/rustlib/$TARGET

# The target is complete when std and the C library are both in place.
is_there() {
    local dir=$1/lib
    compgen -G "$dir/libstd-*.rlib" >/dev/null &&
        [[ -f $dir/self-contained/libc.a && -f $dir/self-contained/crt1-command.o ]]
}

is_there "$installed" && exit 0

# One at a time: a second caller waits and then finds the work done.
lock_dir=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}
lock=$lock_dir/mix-toolchain-$(id -u).lock
if command -v flock >/dev/null; then
    exec 9>"$lock"
    flock 9
    is_there "$installed" && exit 0
fi

version=$(rustc --version | cut -d' ' -f2)

# ---------------------------------------------------------------- 1. rustup

with_rustup() {
    command -v rustup >/dev/null || { say 'rustup is not installed'; return 1; }
    # rustup may manage another toolchain than the rustc that is first in PATH.
    local managed
    managed=$(rustup which rustc 2>/dev/null) || { say 'rustup has no toolchain'; return 1; }
    [[ $managed == "$sysroot"/* ]] || { say "rustc of $sysroot is not managed by rustup"; return 1; }
    say "rustup target add $TARGET (at most $RUSTUP_SECONDS s)"
    local limit=()
    if command -v timeout >/dev/null; then limit=(timeout "$RUSTUP_SECONDS"); fi
    if ! RUSTUP_MAX_RETRIES=1 "${limit[@]}" rustup target add "$TARGET" >"$work/rustup.log" 2>&1; then
        say 'rustup cannot download now'
        return 1
    fi
    is_there "$installed"
}

# ---------------------------------------------------------------- 2. Debian

# Mirrors that apt uses for Debian itself, one URL a line. Before the first
# `apt-get update` origin and label are unknown and empty.
mirrors() {
    if [[ -n ${MIX_DEBIAN_MIRROR:-} ]]; then
        printf '%s\n' "$MIX_DEBIAN_MIRROR"
        return
    fi
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk -F'|' '($1 == "Debian" && $2 == "Debian") || ($1 == "" && $3 !~ /security/) { print $3 }' |
        awk '!seen[$0]++'
}

# apt with a state of its own: neither the system's package lists nor its
# sources are read or changed; its proxy settings are.
private_apt() {
    local program=$1
    shift
    "$program" -q \
        -o "Dir::State=$work/apt/state" -o "Dir::State::status=$work/apt/status" \
        -o "Dir::Cache=$work/apt/cache" \
        -o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=- \
        -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
        "$@"
}

download() {
    local mirror=$1 keyring option=''
    for keyring in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
        if [[ -f $keyring ]]; then option="[signed-by=$keyring] "; break; fi
    done
    # Without Debian's keys the sums below still decide what is accepted.
    if [[ -z $option ]]; then option='[trusted=yes] '; fi
    rm -rf "$work/apt"
    mkdir -p "$work"/apt/{state/lists/partial,cache/archives/partial}
    : >"$work/apt/status"
    printf 'deb %s%s %s main\n' "$option" "$mirror" "$SUITE" >"$work/apt/sources.list"
    private_apt apt-get update >"$work/apt.log" 2>&1 || return 1
    (cd "$work" && private_apt apt-get download \
        "rust-src=$RUST_SRC_VERSION" "wasi-libc=$LIBC_VERSION" >>"$work/apt.log" 2>&1)
}

verify() {
    local sum=$1 file
    file=$(compgen -G "$2") || die "the download of $2 left no file"
    printf '%s  %s\n' "$sum" "$file" | sha256sum --check --status ||
        die "checksum of ${file##*/} is not the expected one; nothing was changed"
    printf '%s\n' "$file"
}

with_debian() {
    local program mirror found='' sources libc
    for program in apt-get dpkg-deb sha256sum tar; do
        command -v "$program" >/dev/null || { say "$program is not installed"; return 1; }
    done
    if [[ $version != "$RUST_VERSION" ]]; then
        say "the Debian packages belong to rustc $RUST_VERSION, but rustc here is $version: use that version (rustup default $RUST_VERSION)"
        return 1
    fi
    [[ -w $sysroot/lib/rustlib ]] || { say "cannot write to $sysroot/lib/rustlib: run as the user who owns it"; return 1; }

    say "fetching rust-src and wasi-libc ($SUITE) from apt's Debian mirror"
    while read -r mirror; do
        if download "$mirror"; then found=yes; break; fi
    done < <(mirrors)
    if [[ -z $found ]]; then
        if [[ -f $work/apt.log ]]; then sed 's/^/    /' "$work/apt.log" >&2; fi
        say 'no Debian mirror of apt has the packages; MIX_DEBIAN_MIRROR=URL names another'
        return 1
    fi
    sources=$(verify "$RUST_SRC_SHA256" "$work/rust-src_*.deb")
    libc=$(verify "$LIBC_SHA256" "$work/wasi-libc_*.deb")

    # A sysroot of its own for the build: links to the real one plus the sources.
    local shadow=$work/sysroot rustlib=$work/sysroot/lib/rustlib entry
    mkdir -p "$rustlib/src/rust"
    for entry in "$sysroot"/lib/*; do
        if [[ ${entry##*/} != rustlib ]]; then ln -s "$entry" "$shadow/lib/"; fi
    done
    for entry in "$sysroot"/lib/rustlib/*; do
        case ${entry##*/} in src | "$TARGET") ;; *) ln -s "$entry" "$rustlib/" ;; esac
    done
    dpkg-deb --fsys-tarfile "$sources" |
        tar -x -C "$rustlib/src/rust" --strip-components=4 "./usr/src/rustc-$RUST_VERSION/library"
    mkdir -p "$work/libc"
    dpkg-deb -x "$libc" "$work/libc"
    mkdir -p "$rustlib/$TARGET/lib/self-contained"
    for entry in crt1-command.o crt1-reactor.o libc.a; do
        cp "$work/libc/usr/lib/$TARGET/$entry" "$rustlib/$TARGET/lib/self-contained/"
    done

    printf '#!/bin/sh\nexec "%s" --sysroot "%s" "$@"\n' "$sysroot/bin/rustc" "$shadow" >"$work/rustc"
    chmod +x "$work/rustc"
    mkdir -p "$work/seed/src"
    printf '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n' >"$work/seed/Cargo.toml"
    : >"$work/seed/src/lib.rs"
    say 'building the standard library (about a minute)'
    # The crates std needs come from the sources' own vendor folder, if complete, else from crates.io.
    if ! (cd "$work/seed" && env -u CARGO_TARGET_DIR -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET \
        -u CARGO_BUILD_RUSTFLAGS -u CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS -u RUSTC_WRAPPER -u RUSTC_WORKSPACE_WRAPPER \
        RUSTC="$work/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
        "$sysroot/bin/cargo" build --release --target "$TARGET" -Zbuild-std=std,panic_abort) >"$work/build.log" 2>&1; then
        tail -n 30 "$work/build.log" | sed 's/^/    /' >&2
        say 'building the standard library failed'
        return 1
    fi
    cp "$work/seed/target/$TARGET"/release/deps/*.rlib "$rustlib/$TARGET/lib/"
    rm -f "$rustlib/$TARGET"/lib/libseed-*.rlib
    is_there "$rustlib/$TARGET" || { say 'the build left no libstd'; return 1; }

    # Into place in one step, so that no other build ever sees half a target.
    local staged=$sysroot/lib/rustlib/.$TARGET.$$
    rm -rf "$staged"
    cp -r "$rustlib/$TARGET" "$staged"
    if [[ -e $installed ]]; then mv "$installed" "$work/broken-target"; fi
    mv -T "$staged" "$installed"
}

# ----------------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/mix-toolchain.XXXXXX")
case $SOURCE in
auto) with_rustup || with_debian ;;
rustup) with_rustup ;;
debian) with_debian ;;
*) die "MIX_TOOLCHAIN_SOURCE is '$SOURCE', expected auto, rustup or debian" ;;
esac || die "$TARGET could not be installed for rustc $version; with a network: rustup target add $TARGET"
say "$TARGET is ready in $sysroot"
