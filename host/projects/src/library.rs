//! Projects of function libraries (`mixer wasm`).

use crate::project::Project;

const FILES: [(&str, &str); 5] = [
    (
        "Cargo.toml",
        include_str!("../scaffold/wasm/Cargo.toml.txt"),
    ),
    ("src/lib.rs", include_str!("../scaffold/wasm/lib.rs.txt")),
    ("src/mix.rs", include_str!("../scaffold/wasm/mix.rs.txt")),
    ("README.md", include_str!("../scaffold/wasm/README.md")),
    (".gitignore", "target/\n"),
];

/// A library in Rust.
pub fn project(name: &str) -> Project {
    Project::of(name, &FILES)
}
