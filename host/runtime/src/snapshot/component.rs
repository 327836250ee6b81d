//! A state becomes the initial state of the VM's core module, which takes its old place in the VM's component.

use super::loading::{Bounds, Loader, Machine, State};
use super::parts;
use super::sections;
use super::shape::{Shape, data, segments};
use crate::bindings::Link;
use anyhow::{Result, bail};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, Function, GlobalSection, MemorySection, Module,
    SectionId,
};
use wasmparser::{Parser, Payload};
use wasmtime::{Engine, Val};

/// What loading may take: as much memory as any guest gets, and half a minute.
const BOUNDS: Bounds = Bounds {
    memory: mix_sandbox::engine::MAX_MEMORY,
    ticks: 3_000,
};

/// Zeros in a row that are left out of the data; a segment costs about as much as a few of them.
const GAP: usize = 16;

/// The component of a VM with this program loaded into it, or why the VM refuses the program.
/// An error says why it cannot be loaded beforehand.
pub fn with_program(
    engine: &Engine,
    vm: &[u8],
    loader: &Loader,
    executable: &[u8],
    links: &[Link],
) -> Result<std::result::Result<Vec<u8>, String>> {
    let found = parts::main_module(vm, loader.export)?;
    let shape = Shape::of(&vm[found.section.content.clone()])?;
    let machine = Machine::compile(engine, &shape)?;
    let state = match machine.load(engine, loader, executable, links, BOUNDS)? {
        Ok(state) => state,
        Err(refused) => return Ok(Err(refused)),
    };
    let module = beginning_with(&shape, &state)?;
    let mut out = vm[..found.section.whole.start].to_vec();
    sections::write(&mut out, sections::CORE_MODULE, &module);
    out.extend(&vm[found.section.whole.end..]);
    Ok(Ok(out))
}

/// The module whose instances begin with that state.
fn beginning_with(shape: &Shape, state: &State) -> Result<Vec<u8>> {
    let segments = segments(&state.memory, GAP);
    let mut module = Module::new();
    let mut named = None;
    for section in sections::of(shape.bytes)? {
        match section.id {
            id if id == SectionId::Memory as u8 => {
                let mut memories = MemorySection::new();
                memories.memory(state.memory_type(shape.memory_type()));
                module.section(&memories)
            }
            id if id == SectionId::Global as u8 => module.section(&globals(shape, state)?),
            id if id == SectionId::Code as u8 => module.section(&code(shape)?),
            id if id == SectionId::DataCount as u8 => module.section(&DataCountSection {
                // There are thousands at most.
                count: segments.len() as u32,
            }),
            id if id == SectionId::Data as u8 => module.section(&data(&state.memory, &segments)),
            id if id == sections::CUSTOM && is_names(&shape.bytes[section.content.clone()]) => {
                named = Some(section);
                continue;
            }
            _ => module.section(&shape.raw(&section)),
        };
    }
    // Names come after the data.
    if let Some(section) = named {
        module.section(&shape.raw(&section));
    }
    Ok(module.finish())
}

fn is_names(content: &[u8]) -> bool {
    sections::custom(content).is_ok_and(|(name, _)| name == "name")
}

fn globals(shape: &Shape, state: &State) -> Result<GlobalSection> {
    let mut globals = GlobalSection::new();
    let mut values = state.globals.iter();
    for payload in Parser::new(0).parse_all(shape.bytes) {
        let Payload::GlobalSection(reader) = payload? else {
            continue;
        };
        for global in reader {
            let global = global?;
            if !global.ty.mutable {
                RoundtripReencoder.parse_global(&mut globals, global)?;
                continue;
            }
            let value = match values.next() {
                Some(Val::I32(value)) => ConstExpr::i32_const(*value),
                Some(Val::I64(value)) => ConstExpr::i64_const(*value),
                Some(Val::F32(bits)) => ConstExpr::f32_const(wasm_encoder::Ieee32::new(*bits)),
                Some(Val::F64(bits)) => ConstExpr::f64_const(wasm_encoder::Ieee64::new(*bits)),
                _ => bail!("a global of the VM has a kind of value that cannot be kept"),
            };
            globals.global(RoundtripReencoder.global_type(global.ty)?, &value);
        }
    }
    Ok(globals)
}

/// The same functions; the one that makes ready has nothing left to do.
fn code(shape: &Shape) -> Result<CodeSection> {
    let done = shape
        .initialize
        .map(|index| index.wrapping_sub(shape.imported_functions()));
    let mut code = CodeSection::new();
    for payload in Parser::new(0).parse_all(shape.bytes) {
        if let Payload::CodeSectionEntry(body) = payload? {
            if done == Some(code.len()) {
                let mut nothing = Function::new([]);
                nothing.instructions().end();
                code.function(&nothing);
            } else {
                code.raw(&shape.bytes[body.range()]);
            }
        }
    }
    Ok(code)
}
