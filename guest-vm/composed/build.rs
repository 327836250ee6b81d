//! The VM begins with enough memory for a small run: to grow it costs a change of the protection of
//! its pages, there and again when the next run gets them.

/// Stack, data and one and a half MiB of heap; what a run does not touch costs nothing.
const BYTES: u32 = 3 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=--initial-memory={BYTES}");
    }
}
