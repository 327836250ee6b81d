//! Projects of plugins.

use crate::project::Project;

/// Sources of the SDK, which a Rust project carries with it.
mod sdk {
    include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
}

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Cargo and the SDK.
    Rust,
    /// npm, jco and componentize-qjs.
    JavaScript,
    /// pip and componentize-py.
    Python,
    /// clang and make.
    C,
}

/// What all languages have.
const TESTS: (&str, &str) = ("tests.mix", include_str!("../scaffold/tests.mix"));

/// The contract, for languages whose tools read it.
const WIT: [(&str, &str); 2] = [
    ("wit/deps/ffi.wit", include_str!("../../../wit/ffi/ffi.wit")),
    ("wit/plugin.wit", include_str!("../scaffold/plugin.wit")),
];

/// Interfaces of WASI that a plugin in such a language may import, with those that they name.
const WASI: [(&str, &str); 6] = [
    (
        "wit/deps/cli.wit",
        include_str!("../../../wit/deps/cli.wit"),
    ),
    (
        "wit/deps/clocks.wit",
        include_str!("../../../wit/deps/clocks.wit"),
    ),
    (
        "wit/deps/filesystem.wit",
        include_str!("../../../wit/deps/filesystem.wit"),
    ),
    (
        "wit/deps/http.wit",
        include_str!("../../../wit/deps/http.wit"),
    ),
    (
        "wit/deps/random.wit",
        include_str!("../../../wit/deps/random.wit"),
    ),
    (
        "wit/deps/sockets.wit",
        include_str!("../../../wit/deps/sockets.wit"),
    ),
];

const RUST: [(&str, &str); 5] = [
    (
        "Cargo.toml",
        include_str!("../scaffold/rust/Cargo.toml.txt"),
    ),
    (
        ".cargo/config.toml",
        include_str!("../scaffold/rust/config.toml"),
    ),
    (".gitignore", "target/\n"),
    ("src/lib.rs", include_str!("../scaffold/rust/lib.rs.txt")),
    ("README.md", include_str!("../scaffold/rust/README.md")),
];

const JAVASCRIPT: [(&str, &str); 5] = [
    ("package.json", include_str!("../scaffold/js/package.json")),
    ("plugin.js", include_str!("../scaffold/js/plugin.js")),
    ("mix.js", include_str!("../scaffold/js/mix.js")),
    (".gitignore", "node_modules/\n*.wasm\n"),
    ("README.md", include_str!("../scaffold/js/README.md")),
];

const PYTHON: [(&str, &str); 5] = [
    ("plugin.py", include_str!("../scaffold/python/plugin.py")),
    ("mix.py", include_str!("../scaffold/python/mix.py")),
    (
        "requirements.txt",
        include_str!("../scaffold/python/requirements.txt"),
    ),
    (".gitignore", "__pycache__/\n.venv/\n*.wasm\n"),
    ("README.md", include_str!("../scaffold/python/README.md")),
];

const C: [(&str, &str); 8] = [
    ("plugin.c", include_str!("../scaffold/c/plugin.c")),
    ("mix.h", include_str!("../scaffold/c/mix.h")),
    ("wire.h", include_str!("../scaffold/c/wire.h")),
    ("wire.c", include_str!("../scaffold/c/wire.c")),
    ("family.c", include_str!("../scaffold/c/family.c")),
    ("Makefile", include_str!("../scaffold/c/Makefile")),
    (".gitignore", "bindings/\n*.wasm\n"),
    ("README.md", include_str!("../scaffold/c/README.md")),
];

/// A plugin in that language.
pub fn project(language: Language, name: &str) -> Project {
    let own: &[(&str, &str)] = match language {
        Language::Rust => &RUST,
        Language::JavaScript => &JAVASCRIPT,
        Language::Python => &PYTHON,
        Language::C => &C,
    };
    let wit = match language {
        Language::Rust => Vec::new(),
        Language::C | Language::JavaScript | Language::Python => [&WIT[..], &WASI].concat(),
    };
    let mut project = Project::of(name, &[own, &[TESTS], &wit].concat());
    if language == Language::Rust {
        let sdk = sdk::SDK.iter();
        let files = sdk.map(|(path, text)| (format!("sdk/{path}"), for_others(path, text)));
        project.files.extend(files);
    }
    project
}

/// A file of the SDK outside of its repository: its own tests need what is not there.
fn for_others(path: &str, text: &str) -> String {
    match text.split_once("\n[dev-dependencies]") {
        Some((kept, _)) if path.ends_with("Cargo.toml") => format!("{kept}\n"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_project_carries_the_whole_sdk() {
        let project = project(Language::Rust, "demo");
        let carries = |path: &str| project.files.iter().any(|(carried, _)| carried == path);
        assert!(carries("sdk/ffi-plugins/sdk/src/lib.rs") && carries("sdk/wit/ffi/ffi.wit"));
        assert!(carries("sdk/store/value/src/msgpack/reader.rs") && carries("tests.mix"));
        let text = for_others("x/Cargo.toml", "[a]\n\n[dev-dependencies]\nb = 1\n");
        assert_eq!(text, "[a]\n\n");
    }
}
