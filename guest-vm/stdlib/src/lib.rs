//! The standard library, written in Mix.
//!
//! Each module is one file below `mix/`, compiled into this crate as text.
//! The compiler asks for a module by name ([`source`]) when a program names
//! it, compiles it like any other module and keeps the functions that are
//! reachable, so an executable carries only what it uses.
//!
//! Library modules may declare two kinds of foreign functions: builtins of the
//! VM, whose names start with `#` (their table is `mix_bytecode::builtins`),
//! and functions of plugin families, whose names start with `$`.
//!
//! Functions with callbacks are Mix code over builtins, because a callback may
//! suspend. They stay linear by means of builders: mutable arrays and maps
//! that never leave the function that made them.
//!
//! A few modules are others with their types fixed ([`fixed`]).

mod fixed;

use std::sync::LazyLock;

/// A module of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// Its name, as programs write it.
    pub name: &'static str,
    /// Its Mix source text.
    pub source: &'static str,
}

macro_rules! library {
    ($($name:literal),* $(,)?) => {
        &[$(Module { name: $name, source: include_str!(concat!("../mix/", $name, ".mix")) }),*]
    };
}

/// The modules that are written out, ascending by name. `prelude` holds the predefined functions.
const WRITTEN: &[Module] = library![
    "agent",
    "array",
    "auth",
    "binary",
    "bitset",
    "bool",
    "calendar",
    "circuitarray",
    "co",
    "color",
    "command",
    "container",
    "crypto",
    "csv",
    "db",
    "dbRemote",
    "dom",
    "domUtil",
    "embed",
    "env",
    "file",
    "gset",
    "http",
    "loader",
    "logging",
    "map",
    "memo",
    "messaging",
    "metrics",
    "mime",
    "minidb",
    "number",
    "option",
    "passThrough",
    "prelude",
    "query",
    "random",
    "reflect",
    "reflectComponent",
    "regex",
    "registry",
    "resource",
    "result",
    "secrets",
    "set",
    "stream",
    "string",
    "track",
    "uniqArray",
    "util",
    "viewstack",
    "wasm",
    "websocket",
    "xml",
];

/// All modules, ascending by name.
static MODULES: LazyLock<Vec<Module>> = LazyLock::new(|| {
    let mut all = WRITTEN.to_vec();
    for (name, of) in fixed::FIXED {
        let written = WRITTEN.iter().find(|module| module.name == of);
        all.extend(written.map(|module| Module {
            name,
            // Made once in a process.
            source: fixed::source(name, of, module.source).leak(),
        }));
    }
    all.sort_by_key(|module| module.name);
    all
});

/// The source text of a module, `None` if the library has none of this name.
pub fn source(name: &str) -> Option<&'static str> {
    MODULES
        .binary_search_by(|module| module.name.cmp(name))
        .ok()
        .map(|index| MODULES[index].source)
}

/// Modules of the builder and its editor, which this library does not have.
const OF_THE_BUILDER: &[&str] = &[
    "codegenDriver",
    "codegenUtil",
    "compiler",
    "compilerBuild",
    "compilerClean",
    "compilerDriver",
    "compilerExe",
    "compilerFile",
    "compilerLib",
    "compilerREPL",
    "compilerRule",
    "debugger",
    "editorNode",
    "editorScreen",
    "editorTypes",
    "jwk",
    "jws",
    "jwt",
    "remixFile",
    "remixRecipe",
    "slateComponent",
    "slateDef",
    "slateDyn",
    "slateGen",
    "testing",
    "vm",
];

/// Why the library lacks a module that other hosts have; `None` for other names.
pub fn why_absent(name: &str) -> Option<&'static str> {
    OF_THE_BUILDER
        .contains(&name)
        .then_some("this module belongs to the builder; agents do without it")
}

/// All modules, ascending by name.
pub fn modules() -> &'static [Module] {
    &MODULES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_found_and_named_as_its_file() {
        for module in modules() {
            assert_eq!(source(module.name), Some(module.source));
            let head = format!("\nmodule {}", module.name);
            let rest = module.source.split_once(&head).map(|(_, rest)| rest);
            assert!(rest.is_some_and(|rest| rest.starts_with(['\n', '('])));
        }
        assert_eq!(source("nosuch"), None);
        assert_eq!(why_absent("nosuch"), None);
        for name in OF_THE_BUILDER {
            assert_eq!(source(name), None, "{name}");
            assert!(why_absent(name).is_some());
        }
    }

    #[test]
    fn every_public_function_is_described() {
        for module in modules() {
            let mut described = false;
            for line in module.source.lines() {
                if line.starts_with("///") {
                    described = true;
                } else if line.starts_with("def ") || line.starts_with("foreign def ") {
                    let definition = line.starts_with("def ") && !line.contains(" : ");
                    assert!(described || definition, "{}: {line}", module.name);
                } else if line.is_empty() {
                    described = false;
                }
            }
        }
    }
}
