//! The components that are part of this program.

// Written by build.rs: one `pub const NAME: &[u8]` per component.
#![allow(missing_docs)]

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The form of a family that keeps everything in memory, if it has one.
pub fn in_memory(family: &str) -> Option<&'static [u8]> {
    (family == "files").then_some(FILES_MEMORY)
}

/// Families of the library: a plugin cannot use their names.
pub const FAMILIES: [&str; 13] = [
    "core",
    "db",
    "http",
    "crypto",
    "file",
    "mqtt",
    "websocket",
    "wasm",
    "wasi",
    "secrets",
    "token",
    "xml",
    "binary",
];
