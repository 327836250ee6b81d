//! The component that carries the programs of a composed app (`mix:app/carrier`).

use anyhow::Result;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../../wit/app/contents.wit");
const READ: &str = "mix:app/contents@0.1.0#read";
const ABOUT: &str = "mix:app/descriptions@0.1.0#about";
const PAGE: usize = 64 * 1024;

/// A component whose `read` gives an app with these executables (name and bytes), and whose `about` gives that text.
pub fn carrier(app: &str, executables: &[(&str, &[u8])], about: &str) -> Result<Vec<u8>> {
    let mut module = core_module(app, executables, about);
    let mut resolve = Resolve::default();
    let package = resolve.push_str("contents.wit", WIT)?;
    let world = resolve.select_world(&[package], Some("described-carrier"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .encode()
}

/// All results lie in the memory from the start; the functions give their places.
fn core_module(app: &str, executables: &[(&str, &[u8])], about: &str) -> Vec<u8> {
    // The record app, the text about it, then the list of executables, then texts and code.
    const APP: usize = 16;
    const TEXT: usize = APP + 16;
    const EXECUTABLE: usize = 16;
    let list = TEXT + 8;
    let mut texts = Vec::new();
    let begin = list + executables.len() * EXECUTABLE;
    let mut put = |bytes: &[u8]| {
        let place = begin + texts.len();
        texts.extend_from_slice(bytes);
        [place as u32, bytes.len() as u32]
    };
    let mut words = Vec::new();
    words.extend(put(app.as_bytes()));
    words.extend([list as u32, executables.len() as u32]);
    words.extend(put(about.as_bytes()));
    for (name, code) in executables {
        words.extend(put(name.as_bytes()));
        words.extend(put(code));
    }
    let mut data: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    data.extend(texts);

    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0).function(0);
    let mut memories = MemorySection::new();
    let pages = (APP + data.len()).div_ceil(PAGE) as u64;
    memories.memory(MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports
        .export("memory", ExportKind::Memory, 0)
        .export(READ, ExportKind::Func, 0)
        .export(ABOUT, ExportKind::Func, 1);
    let mut code = CodeSection::new();
    for place in [APP, TEXT] {
        let mut gives = Function::new([]);
        gives.instructions().i32_const(place as i32).end();
        code.function(&gives);
    }
    let mut segments = DataSection::new();
    segments.active(0, &ConstExpr::i32_const(APP as i32), data);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code)
        .section(&segments);
    module.finish()
}
