//! Compiled libraries as the compiler meets them: their interfaces, their versions, and whether
//! a library that was just built can be used.

use crate::check::Linked;
use crate::core::Instancing;
use crate::issue::{Code, Issue};
use crate::pipeline::{CompileOptions, SourceFile};
use crate::syntax::parser::{self, NodeIds};
use crate::syntax::source::SourceMap;
use crate::syntax::span::Span;
use mix_bytecode::ModuleKind;
use mix_bytecode::library::{self, Library};
use std::fmt::Write;

/// The interfaces of libraries, in their order.
pub(crate) fn interfaces(
    libraries: &[Library],
    sources: &mut SourceMap,
    ids: &mut NodeIds,
) -> Vec<Linked> {
    libraries
        .iter()
        .map(|library| {
            let texts = library.interfaces.iter().map(|(_, text)| &**text);
            let text: String = texts.collect();
            let source = sources.add(format!("<library>/{}", library.id), text);
            // What is broken shows when a module is used; a module that is not read is unknown.
            let (unit, _) = parser::parse_unit(sources, source, ids);
            let program = &library.program;
            let uses = &program.externals.libraries;
            Linked {
                name: library.id.to_string(),
                version: version(&library.id.version),
                unit,
                instancing: program
                    .entries
                    .iter()
                    .filter_map(|id| program.modules.get(id.index()))
                    .map(|module| (module.name.to_string(), instancing(module.kind)))
                    .collect(),
                uses: (0..libraries.len())
                    .filter(|index| uses.contains(&libraries[*index].id))
                    .collect(),
            }
        })
        .collect()
}

fn instancing(kind: ModuleKind) -> Instancing {
    match kind {
        ModuleKind::Stateless => Instancing::Shared,
        ModuleKind::Instance => Instancing::PerImport,
        ModuleKind::Static => Instancing::PerView,
    }
}

/// The numbers of a version: `1.10` is above `1.9`.
fn version(text: &str) -> Vec<u64> {
    text.split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

/// What the standard library is, as text: libraries and programs must agree on it.
pub(crate) fn standard_library() -> String {
    let modules = mix_stdlib::modules().iter();
    let parts = modules.flat_map(|module| [module.name.as_bytes(), module.source.as_bytes()]);
    let mut text = String::new();
    for byte in &library::hash(parts)[..16] {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Why a library that was just built cannot be used: an interface that its own compiler does
/// not read is a defect that must not wait for the users of the library.
pub(crate) fn defect(file: &[u8], mut libraries: Vec<Library>) -> Option<Issue> {
    let defect =
        |detail: String| Issue::new(Code::CompilerInternal, Span::default()).with("detail", detail);
    let library = match library::decode(file) {
        Ok(library) => library,
        Err(error) => return Some(defect(error.to_string())),
    };
    let mut imports = String::from("module check_of_library\n");
    for module in library.program.entries.iter() {
        let name = &library.program.modules[module.index()].name;
        imports.push_str(&format!("import {name}\n"));
    }
    libraries.push(library);
    let source = SourceFile::new("<check>", imports);
    let options = CompileOptions {
        libraries,
        ..CompileOptions::default()
    };
    let checked = crate::pipeline::check_here(&[source], &options);
    checked
        .errors
        .into_iter()
        .find(|issue| issue.code == Code::CompilerInternal)
}
