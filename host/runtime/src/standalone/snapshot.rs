//! A VM that has its program from the start.
//!
//! The program is loaded and linked once, when the component is built, in an instance of the
//! VM's core module whose imports all refuse. What memory and globals hold then becomes the
//! initial state of the module, and the module takes its old place in the VM's component. As
//! nothing could be asked before, no random number, time or variable is part of that state.

use super::sections::{self, Section};
use crate::bindings::Link;
use anyhow::{Context, Result, anyhow, bail, ensure};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ExportKind, ExportSection, Function,
    GlobalSection, MemorySection, Module, RawSection, SectionId,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, ValType};
use wasmtime::{Engine, Instance, Linker, Memory, Store, TypedFunc, Val};

/// Ticks of the engine's clock until loading is given up: half a minute.
const PATIENCE: u64 = 3_000;

/// Zeros in a row that are left out of the image; a segment costs about as much as a few of them.
const GAP: usize = 16;

/// Segments of an image at most; engines allow 100,000.
const SEGMENTS: usize = 20_000;

/// Name of an export that shows a global.
fn shown(global: u32) -> String {
    format!("snapshot-global-{global}")
}

/// A function that takes an executable and foreign functions.
pub struct Loader {
    /// Name of the export of the core module.
    pub export: &'static str,
    /// Where in its result the texts of a refusal are.
    pub texts: &'static [usize],
}

/// `linking.load-linked` of the VM: code, class and message are the beginning of an issue.
pub const LOAD_LINKED: Loader = Loader {
    export: "mix:vm/linking@0.1.0#load-linked",
    texts: &[4, 20],
};

/// `preparation.load` of the VM for hosts without async.
pub const PREPARE: Loader = Loader {
    export: "mix:embed/preparation@0.1.0#load",
    texts: &[4],
};

/// The component of a VM with this program loaded into it, or why the VM refuses the program.
/// An error says why it cannot be loaded beforehand.
pub fn with_program(
    engine: &Engine,
    vm: &[u8],
    loader: &Loader,
    executable: &[u8],
    links: &[Link],
) -> Result<std::result::Result<Vec<u8>, String>> {
    let mut found = None;
    for section in sections::of(vm)? {
        if section.id == sections::CORE_MODULE {
            let bytes = &vm[section.content.clone()];
            if exports(bytes)?
                .iter()
                .any(|(name, ..)| *name == loader.export)
            {
                found = Some(section);
            }
        }
    }
    let Some(Section { whole, content, .. }) = found else {
        bail!("the VM has no {}", loader.export);
    };
    let module = Shape::of(&vm[content])?;
    let state = match module.run(engine, loader, executable, links)? {
        Ok(state) => state,
        Err(refused) => return Ok(Err(refused)),
    };
    let module = module.beginning_with(&state)?;
    let mut out = vm[..whole.start].to_vec();
    sections::write(&mut out, sections::CORE_MODULE, &module);
    out.extend(&vm[whole.end..]);
    Ok(Ok(out))
}

fn exports(module: &[u8]) -> Result<Vec<(&str, ExternalKind, u32)>> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(reader) = payload? {
            let exports = reader.into_iter().map(|export| {
                let export = export?;
                Ok((export.name, export.kind, export.index))
            });
            return exports.collect();
        }
    }
    Ok(Vec::new())
}

/// What has to be known of a module to take its state out and put it in.
struct Shape<'a> {
    bytes: &'a [u8],
    /// Number of imported functions: those of the module itself come after them.
    imported_functions: u32,
    /// Mutable globals of the module.
    globals: Vec<u32>,
    /// The function that makes ready what is not yet.
    initialize: Option<u32>,
}

/// The state of an instance.
struct State {
    memory: Vec<u8>,
    pages: u64,
    globals: Vec<Val>,
}

impl<'a> Shape<'a> {
    fn of(bytes: &'a [u8]) -> Result<Shape<'a>> {
        let mut shape = Shape {
            bytes,
            imported_functions: 0,
            globals: Vec::new(),
            initialize: None,
        };
        let mut memories = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(reader) => {
                    for import in reader.into_imports() {
                        let import = import?;
                        ensure!(
                            matches!(import.ty, TypeRef::Func(_)),
                            "the VM imports {}, which is no function",
                            import.name
                        );
                        shape.imported_functions += 1;
                    }
                }
                Payload::MemorySection(reader) => memories = reader.count(),
                Payload::GlobalSection(reader) => {
                    for (number, global) in (0..).zip(reader) {
                        let global = global?.ty;
                        if !global.mutable {
                            continue;
                        }
                        ensure!(
                            !matches!(global.content_type, ValType::Ref(_)),
                            "a global of the VM holds a reference"
                        );
                        shape.globals.push(number);
                    }
                }
                Payload::ExportSection(reader) => {
                    for export in reader {
                        let export = export?;
                        if export.name == "_initialize" {
                            shape.initialize = Some(export.index);
                        }
                    }
                }
                Payload::StartSection { .. } => bail!("the VM has a start function"),
                Payload::DataSection(reader) => {
                    for segment in reader {
                        ensure!(
                            matches!(segment?.kind, wasmparser::DataKind::Active { .. }),
                            "the VM has passive data"
                        );
                    }
                }
                _ => {}
            }
        }
        ensure!(memories == 1, "the VM has {memories} memories");
        Ok(shape)
    }

    /// The module with its globals among the exports.
    fn instrumented(&self) -> Result<Vec<u8>> {
        let mut module = Module::new();
        for section in sections::of(self.bytes)? {
            if section.id != SectionId::Export as u8 {
                module.section(&self.raw(&section));
                continue;
            }
            let mut all = ExportSection::new();
            for (name, kind, index) in exports(self.bytes)? {
                all.export(name, RoundtripReencoder.export_kind(kind)?, index);
            }
            for global in &self.globals {
                all.export(&shown(*global), ExportKind::Global, *global);
            }
            module.section(&all);
        }
        Ok(module.finish())
    }

    fn raw(&self, section: &Section) -> RawSection<'a> {
        RawSection {
            id: section.id,
            data: &self.bytes[section.content.clone()],
        }
    }

    /// Loads the program in an instance that reaches nothing.
    fn run(
        &self,
        engine: &Engine,
        loader: &Loader,
        executable: &[u8],
        links: &[Link],
    ) -> Result<std::result::Result<State, String>> {
        let module = wasmtime::Module::new(engine, self.instrumented()?)?;
        let mut linker = Linker::new(engine);
        linker.define_unknown_imports_as_traps(&module)?;
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(PATIENCE);
        let instance = linker.instantiate(&mut store, &module)?;
        let mut loading = Loading::new(store, instance)?;
        if self.initialize.is_some() {
            let initialize: TypedFunc<(), ()> =
                instance.get_typed_func(&mut loading.store, "_initialize")?;
            initialize.call(&mut loading.store, ())?;
        }
        if let Some(refused) = loading.load(loader, executable, links)? {
            return Ok(Err(refused));
        }
        let globals = self.globals.iter().map(|global| {
            instance
                .get_global(&mut loading.store, &shown(*global))
                .map(|global| global.get(&mut loading.store))
                .ok_or_else(|| anyhow!("global {global} is not shown"))
        });
        let globals = globals.collect::<Result<_>>()?;
        Ok(Ok(State {
            globals,
            pages: loading.memory.size(&loading.store),
            memory: loading.memory.data(&loading.store).to_vec(),
        }))
    }

    /// The module whose instances begin with that state.
    fn beginning_with(&self, state: &State) -> Result<Vec<u8>> {
        let segments = segments(&state.memory);
        let mut module = Module::new();
        let mut named = None;
        for section in sections::of(self.bytes)? {
            match section.id {
                id if id == SectionId::Memory as u8 => module.section(&self.memories(state)?),
                id if id == SectionId::Global as u8 => module.section(&self.globals(state)?),
                id if id == SectionId::Code as u8 => module.section(&self.code()?),
                id if id == SectionId::DataCount as u8 => module.section(&DataCountSection {
                    // As many as `SEGMENTS`.
                    count: segments.len() as u32,
                }),
                id if id == SectionId::Data as u8 => {
                    let mut data = DataSection::new();
                    for segment in &segments {
                        // A memory has less than 4 GiB, as its addresses say.
                        let place = ConstExpr::i32_const(segment.start as u32 as i32);
                        let bytes = state.memory[segment.clone()].iter().copied();
                        data.active(0, &place, bytes);
                    }
                    module.section(&data)
                }
                id if id == sections::CUSTOM && self.is_names(&section) => {
                    named = Some(section);
                    continue;
                }
                _ => module.section(&self.raw(&section)),
            };
        }
        // Names come after the data.
        if let Some(section) = named {
            module.section(&self.raw(&section));
        }
        Ok(module.finish())
    }

    fn is_names(&self, section: &Section) -> bool {
        let custom = sections::custom(&self.bytes[section.content.clone()]);
        custom.is_ok_and(|(name, _)| name == "name")
    }

    fn memories(&self, state: &State) -> Result<MemorySection> {
        let mut memories = MemorySection::new();
        for payload in Parser::new(0).parse_all(self.bytes) {
            if let Payload::MemorySection(reader) = payload? {
                for memory in reader {
                    let mut memory = RoundtripReencoder.memory_type(memory?)?;
                    memory.minimum = state.pages;
                    memories.memory(memory);
                }
            }
        }
        Ok(memories)
    }

    fn globals(&self, state: &State) -> Result<GlobalSection> {
        let mut globals = GlobalSection::new();
        let mut values = state.globals.iter();
        for payload in Parser::new(0).parse_all(self.bytes) {
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
    fn code(&self) -> Result<CodeSection> {
        let done = self
            .initialize
            .map(|index| index.wrapping_sub(self.imported_functions));
        let mut code = CodeSection::new();
        for payload in Parser::new(0).parse_all(self.bytes) {
            if let Payload::CodeSectionEntry(body) = payload? {
                if done == Some(code.len()) {
                    let mut nothing = Function::new([]);
                    nothing.instructions().end();
                    code.function(&nothing);
                } else {
                    code.raw(&self.bytes[body.range()]);
                }
            }
        }
        Ok(code)
    }
}

/// The parts of a memory that are not zero.
fn segments(memory: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut gap = GAP;
    loop {
        let found = segments_apart(memory, gap);
        if found.len() <= SEGMENTS {
            return found;
        }
        gap *= 2;
    }
}

fn segments_apart(memory: &[u8], gap: usize) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(zeros) = memory[at..].iter().position(|byte| *byte != 0) {
        let start = at + zeros;
        let length = memory[start..].iter().position(|byte| *byte == 0);
        at = length.map_or(memory.len(), |length| start + length);
        match found.last_mut() {
            Some(last) if start - last.end <= gap => last.end = at,
            _ => found.push(start..at),
        }
    }
    found
}

/// An instance of the module, called as the component around it would.
struct Loading {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    allocate: TypedFunc<(i32, i32, i32, i32), i32>,
}

impl Loading {
    fn new(mut store: Store<()>, instance: Instance) -> Result<Loading> {
        let memory = instance
            .get_memory(&mut store, "memory")
            .context("the VM shows no memory")?;
        let allocate = instance.get_typed_func(&mut store, "cabi_realloc")?;
        Ok(Loading {
            store,
            instance,
            memory,
            allocate,
        })
    }

    /// Puts bytes into the memory; the callee frees them.
    fn put(&mut self, bytes: &[u8], align: i32) -> Result<i32> {
        let length = i32::try_from(bytes.len())?;
        let place = self.allocate.call(&mut self.store, (0, 0, align, length))?;
        self.memory
            .write(&mut self.store, place as u32 as usize, bytes)?;
        Ok(place)
    }

    /// Calls the loader; says why it refuses the program, if it does.
    fn load(
        &mut self,
        loader: &Loader,
        executable: &[u8],
        links: &[Link],
    ) -> Result<Option<String>> {
        let code = self.put(executable, 1)?;
        // A record of name, number, number of arguments and whether it waits.
        let mut records = Vec::new();
        for link in links {
            let name = self.put(link.name.as_bytes(), 1)?;
            records.extend(name.to_le_bytes());
            records.extend((link.name.len() as u32).to_le_bytes());
            records.extend(link.number.to_le_bytes());
            records.extend([link.params, u8::from(link.waits), 0, 0]);
        }
        let records = self.put(&records, 4)?;
        let function: TypedFunc<(i32, i32, i32, i32), i32> = self
            .instance
            .get_typed_func(&mut self.store, loader.export)?;
        let arguments = (
            code,
            i32::try_from(executable.len())?,
            records,
            i32::try_from(links.len())?,
        );
        let result = function.call(&mut self.store, arguments)?;
        let refused = self.refusal(loader, result as u32 as usize)?;
        let free: TypedFunc<i32, ()> = self
            .instance
            .get_typed_func(&mut self.store, &format!("cabi_post_{}", loader.export))?;
        free.call(&mut self.store, result)?;
        Ok(refused)
    }

    /// The texts of a refusal, if that is what the result is.
    fn refusal(&self, loader: &Loader, result: usize) -> Result<Option<String>> {
        let word = |place: usize| -> Result<usize> {
            let mut bytes = [0; 4];
            self.memory.read(&self.store, place, &mut bytes)?;
            Ok(u32::from_le_bytes(bytes) as usize)
        };
        let text = |place: usize| -> Result<String> {
            let mut bytes = vec![0; word(place + 4)?.min(64 << 10)];
            self.memory.read(&self.store, word(place)?, &mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        if word(result)? & 0xff == 0 {
            return Ok(None);
        }
        let texts = loader.texts.iter().map(|place| text(result + place));
        Ok(Some(texts.collect::<Result<Vec<_>>>()?.join(": ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_hold_what_is_not_zero() {
        let mut memory = vec![0; 1000];
        assert!(segments(&memory).is_empty());
        for place in [0, 1, 40, 999] {
            memory[place] = 1;
        }
        assert_eq!(segments(&memory), [0..2, 40..41, 999..1000]);
        memory[10] = 1;
        assert_eq!(segments(&memory)[0], 0..11);
        // However scattered it is, there are not too many of them.
        let scattered: Vec<u8> = (0..2_000_000).map(|n| u8::from(n % 20 == 0)).collect();
        let found = segments(&scattered);
        assert!(found.len() <= SEGMENTS);
        let held: usize = found.iter().map(|range| range.len()).sum();
        assert!(held >= 100_000);
    }
}
