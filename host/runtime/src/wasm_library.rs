//! Function libraries: WebAssembly modules whose functions programs call with module `wasm`.
//!
//! A library exports `memory`, `mix_alloc` and each function as `(i32, i32) -> i64`. Its custom section
//! `mix-bindings` says which types the functions have: lines `name : type`, as the language writes them, each
//! after its documentation in lines that begin with `///`. A library without the section has functions of unknown types.

use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::BTreeMap;
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef, ValType, Validator,
    WasmFeatures,
};

/// Name of the section with the types.
const SECTION: &str = "mix-bindings";

/// What a library may import: the rest of WASI is answered with ENOSYS.
const WASI: &str = "wasi_snapshot_preview1";

/// Exports that are no functions of the library.
const GLUE: [&str; 2] = ["mix_alloc", "mix_free"];

/// A function of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryFunction {
    /// Name of its export.
    pub name: String,
    /// Its type in the language; none if the library does not say it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

impl LibraryFunction {
    /// How many arguments it takes; none if its type does not say.
    pub fn arity(&self) -> Option<usize> {
        let kind = self.kind.as_deref()?;
        let mut depth = 0_usize;
        let mut arrows = 0;
        for (place, letter) in kind.char_indices() {
            match letter {
                '(' | '[' | '{' | '<' => depth += 1,
                '-' if kind[place..].starts_with("->") => arrows += usize::from(depth == 0),
                '>' if kind[..place].ends_with('-') => {}
                ')' | ']' | '}' | '>' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        (arrows > 0).then_some(arrows)
    }
}

/// A library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmLibrary {
    /// Its functions: those of the bindings in their order, else all of the right form by name.
    pub functions: Vec<LibraryFunction>,
    /// Module and name of each import.
    pub imports: Vec<(String, String)>,
    /// Pages of memory that it begins with.
    pub memory_pages: u64,
    /// Why programs cannot call it; empty if they can.
    pub flaws: Vec<String>,
}

/// What is found in a module.
#[derive(Default)]
struct Found {
    types: Vec<Option<FuncType>>,
    functions: Vec<u32>,
    exports: BTreeMap<String, (ExternalKind, u32)>,
    imports: Vec<(String, String)>,
    memory_pages: Option<u64>,
    bindings: Option<String>,
}

impl WasmLibrary {
    /// Reads a module; what is no valid one is an error.
    pub fn read(module: &[u8]) -> Result<WasmLibrary> {
        if Parser::is_component(module) {
            bail!("it is a component; a function library is a core module");
        }
        if !Parser::is_core_wasm(module) {
            bail!("it is no WebAssembly module");
        }
        Validator::new_with_features(WasmFeatures::default()).validate_all(module)?;
        let found = Found::of(module)?;
        let mut flaws = Vec::new();
        if !matches!(found.exports.get("memory"), Some((ExternalKind::Memory, _))) {
            flaws.push("it exports no memory called `memory`".to_owned());
        }
        if !found.is_function("mix_alloc", &[ValType::I32], &[ValType::I32]) {
            flaws.push("it exports no function `mix_alloc` of type i32 -> i32".to_owned());
        }
        for (module, name) in &found.imports {
            if module != WASI {
                flaws.push(format!("it imports {module}.{name}, which nobody gives it"));
            }
        }
        let functions = match &found.bindings {
            Some(text) => bound(text)?,
            None => found
                .exports
                .keys()
                .filter(|name| !GLUE.contains(&name.as_str()) && found.is_callable(name))
                .map(|name| LibraryFunction {
                    name: name.clone(),
                    kind: None,
                    doc: String::new(),
                })
                .collect(),
        };
        for function in &functions {
            if !found.is_callable(&function.name) {
                let name = &function.name;
                flaws.push(format!(
                    "it exports no function `{name}` of type (i32, i32) -> i64"
                ));
            }
        }
        if functions.is_empty() {
            flaws.push("it has no function of type (i32, i32) -> i64".to_owned());
        }
        Ok(WasmLibrary {
            functions,
            imports: found.imports,
            memory_pages: found.memory_pages.unwrap_or_default(),
            flaws,
        })
    }

    /// The manifest of a library of that name: JSON.
    pub fn manifest(&self, name: &str) -> serde_json::Value {
        serde_json::json!({ "name": name, "functions": self.functions })
    }
}

impl Found {
    fn of(module: &[u8]) -> Result<Found> {
        let mut found = Found::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(types) => {
                    for group in types {
                        for kind in group?.into_types() {
                            found.types.push(match kind.composite_type.inner {
                                CompositeInnerType::Func(kind) => Some(kind),
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        if let TypeRef::Func(kind) = import.ty {
                            found.functions.push(kind);
                        }
                        let names = (import.module.to_owned(), import.name.to_owned());
                        found.imports.push(names);
                    }
                }
                Payload::FunctionSection(functions) => {
                    for kind in functions {
                        found.functions.push(kind?);
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        found.memory_pages.get_or_insert(memory?.initial);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        let place = (export.kind, export.index);
                        found.exports.insert(export.name.to_owned(), place);
                    }
                }
                Payload::CustomSection(section) if section.name() == SECTION => {
                    let text = String::from_utf8_lossy(section.data());
                    found.bindings.get_or_insert_default().push_str(&text);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn is_function(&self, name: &str, params: &[ValType], results: &[ValType]) -> bool {
        let Some((ExternalKind::Func, index)) = self.exports.get(name) else {
            return false;
        };
        let kind = self.functions.get(*index as usize);
        let kind = kind.and_then(|kind| self.types.get(*kind as usize)?.as_ref());
        kind.is_some_and(|kind| kind.params() == params && kind.results() == results)
    }

    fn is_callable(&self, name: &str) -> bool {
        self.is_function(name, &[ValType::I32, ValType::I32], &[ValType::I64])
    }
}

/// The lines of a section.
fn bound(text: &str) -> Result<Vec<LibraryFunction>> {
    let mut functions: Vec<LibraryFunction> = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            continue;
        }
        if let Some(said) = line.strip_prefix("///") {
            doc.push(said.trim());
            continue;
        }
        let Some((name, kind)) = line.split_once(':') else {
            bail!("section {SECTION}: {line:?} is no `name : type`");
        };
        let (name, kind) = (name.trim(), kind.trim());
        if name.is_empty() || kind.is_empty() || functions.iter().any(|other| other.name == name) {
            bail!("section {SECTION}: {line:?} is no `name : type` of another function");
        }
        functions.push(LibraryFunction {
            name: name.to_owned(),
            kind: Some(kind.to_owned()),
            doc: std::mem::take(&mut doc).join(" "),
        });
    }
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTIONS: &str = r#"
        (memory (export "memory") 3)
        (func (export "mix_alloc") (param i32) (result i32) (i32.const 0))
        (func (export "mix_free") (param i32 i32))
        (func (export "two") (param i32 i32) (result i64) (i64.const 0))
        (func (export "one") (param i32 i32) (result i64) (i64.const 0))
        (func (export "other") (param i32) (result i64) (i64.const 0))"#;

    fn library(more: &str) -> Result<WasmLibrary> {
        let module = wat::parse_str(format!("(module {more} {FUNCTIONS})")).expect("a module");
        WasmLibrary::read(&module)
    }

    #[test]
    fn functions_are_those_of_the_right_form() {
        let found = library("").expect("a library");
        let names: Vec<&str> = found.functions.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!((found.memory_pages, found.flaws.len()), (3, 0));
    }

    #[test]
    fn bindings_give_them_types_and_order() {
        let section = r#"(@custom "mix-bindings" "/// Doubles.\n/// Twice.\ntwo : number -> number\n\none : data -> data\n")"#;
        let found = library(section).expect("a library");
        assert_eq!(
            found.manifest("n").to_string(),
            serde_json::json!({
                "name": "n",
                "functions": [
                    { "name": "two", "type": "number -> number", "doc": "Doubles. Twice." },
                    { "name": "one", "type": "data -> data" },
                ],
            })
            .to_string()
        );
        let flaws = |text: &str| {
            let section = format!(r#"(@custom "mix-bindings" "{text}")"#);
            library(&section).map(|found| found.flaws)
        };
        assert_eq!(flaws("other : data -> data").expect("read").len(), 1);
        assert_eq!(flaws("").expect("read").len(), 1);
        assert!(flaws("no type").is_err());
        assert!(flaws("one : data\\none : data").is_err());
    }

    #[test]
    fn a_type_says_how_many_arguments_there_are() {
        let arity = |kind: &str| {
            let section = format!(r#"(@custom "mix-bindings" "one : {kind}")"#);
            library(&section).expect("a library").functions[0].arity()
        };
        assert_eq!(arity("number -> number"), Some(1));
        assert_eq!(
            arity("[number, (string -> A)] -> map(data) -> {f: A -> A} -> (A -> A)"),
            Some(3)
        );
        assert_eq!(arity("<(A -> B)> -> B"), Some(1));
        assert_eq!(arity("handler"), None);
        assert_eq!(library("").expect("a library").functions[0].arity(), None);
    }

    #[test]
    fn what_cannot_be_called_says_why() {
        let found = library(r#"(import "env" "f" (func))"#).expect("a module");
        assert_eq!(found.flaws, ["it imports env.f, which nobody gives it"]);
        let empty = wat::parse_str("(module)").expect("a module");
        let found = WasmLibrary::read(&empty).expect("a module");
        assert_eq!(found.flaws.len(), 3, "{:?}", found.flaws);
        for bad in [&b""[..], b"\0asm", b"text", b"\0asm\x0d\0\x01\0"] {
            assert!(WasmLibrary::read(bad).is_err());
        }
    }
}
