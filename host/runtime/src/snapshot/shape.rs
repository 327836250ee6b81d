//! What has to be known of the VM's core module to take its state out and put it in.

use super::sections::{self, Section};
use anyhow::{Result, bail, ensure};
use std::ops::Range;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, DataSection, EntityType, ExportKind, ExportSection, ImportSection, MemorySection,
    MemoryType, Module, ModuleType, RawSection, SectionId,
};
use wasmparser::{DataKind, ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

/// Name under which a memory leaves the module that holds it, and the VM.
pub const MEMORY: &str = "memory";

/// Segments of an image at most; engines allow 100,000.
const SEGMENTS: usize = 20_000;

/// Name of an export that shows a global.
pub fn shown(global: u32) -> String {
    format!("snapshot-global-{global}")
}

/// An export: name, kind and index.
pub type Export<'a> = (&'a str, ExternalKind, u32);

/// A core module with one memory and nothing but functions among its imports.
pub struct Shape<'a> {
    /// The module.
    pub bytes: &'a [u8],
    /// Mutable globals of the module.
    pub globals: Vec<u32>,
    /// The function that makes ready what is not yet.
    pub initialize: Option<u32>,
    /// Types of functions.
    types: Vec<FuncType>,
    /// Module, name and type of the imported functions.
    imports: Vec<(&'a str, &'a str, u32)>,
    /// Types of the functions of the module itself, which come after the imported ones.
    functions: Vec<u32>,
    memory: MemoryType,
    exports: Vec<Export<'a>>,
}

/// Exports of a core module.
pub fn exports(module: &[u8]) -> Result<Vec<Export<'_>>> {
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

impl<'a> Shape<'a> {
    /// Reads a module; an error says what it has that a snapshot cannot hold.
    pub fn of(bytes: &'a [u8]) -> Result<Shape<'a>> {
        let mut shape = Shape {
            bytes,
            globals: Vec::new(),
            initialize: None,
            types: Vec::new(),
            imports: Vec::new(),
            functions: Vec::new(),
            memory: MemoryType {
                minimum: 0,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: None,
            },
            exports: exports(bytes)?,
        };
        let mut memories = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(reader) => {
                    let types = reader.into_iter_err_on_gc_types();
                    shape.types = types.collect::<Result<_, _>>()?;
                }
                Payload::ImportSection(reader) => {
                    for import in reader.into_imports() {
                        let import = import?;
                        let TypeRef::Func(of) = import.ty else {
                            bail!("the VM imports {}, which is no function", import.name);
                        };
                        shape.imports.push((import.module, import.name, of));
                    }
                }
                Payload::FunctionSection(reader) => {
                    shape.functions = reader.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::MemorySection(reader) => {
                    for memory in reader {
                        memories += 1;
                        shape.memory = RoundtripReencoder.memory_type(memory?)?;
                    }
                }
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
                Payload::StartSection { .. } => bail!("the VM has a start function"),
                Payload::DataSection(reader) => {
                    for segment in reader {
                        ensure!(
                            matches!(segment?.kind, DataKind::Active { .. }),
                            "the VM has passive data"
                        );
                    }
                }
                _ => {}
            }
        }
        ensure!(memories == 1, "the VM has {memories} memories");
        ensure!(
            shape.exports.contains(&(MEMORY, ExternalKind::Memory, 0)),
            "the VM shows no memory"
        );
        let initialize = shape
            .exports
            .iter()
            .find(|(name, ..)| *name == "_initialize");
        shape.initialize = initialize.map(|(_, _, index)| *index);
        Ok(shape)
    }

    /// Number of imported functions: those of the module itself come after them.
    pub fn imported_functions(&self) -> u32 {
        // Fewer than a module may have.
        self.imports.len() as u32
    }

    /// A section as it is.
    pub fn raw(&self, section: &Section) -> RawSection<'a> {
        RawSection {
            id: section.id,
            data: &self.bytes[section.content.clone()],
        }
    }

    /// The type of the memory.
    pub fn memory_type(&self) -> MemoryType {
        self.memory
    }

    /// The module with its memory among the imports, under this name, and its globals among the exports.
    pub fn code(&self, memory_from: &str) -> Result<Vec<u8>> {
        let mut module = Module::new();
        for section in sections::of(self.bytes)? {
            match section.id {
                id if id == SectionId::Import as u8 => {
                    let mut imports = ImportSection::new();
                    for (from, name, of) in &self.imports {
                        imports.import(from, name, EntityType::Function(*of));
                    }
                    imports.import(memory_from, MEMORY, self.memory);
                    module.section(&imports);
                }
                id if id == SectionId::Export as u8 => {
                    let mut all = ExportSection::new();
                    for (name, kind, index) in &self.exports {
                        all.export(name, RoundtripReencoder.export_kind(*kind)?, *index);
                    }
                    for global in &self.globals {
                        all.export(&shown(*global), ExportKind::Global, *global);
                    }
                    module.section(&all);
                }
                id if [SectionId::Memory, SectionId::DataCount, SectionId::Data]
                    .iter()
                    .any(|left_out| id == *left_out as u8) => {}
                _ => {
                    module.section(&self.raw(&section));
                }
            }
        }
        ensure!(!self.imports.is_empty(), "the VM imports nothing");
        Ok(module.finish())
    }

    /// The type of [`Shape::code`] as far as it is the VM's.
    pub fn code_type(&self, memory_from: &str) -> Result<ModuleType> {
        let mut of = ModuleType::new();
        for (from, name, function) in &self.imports {
            let function = self.function_type(&mut of, *function)?;
            of.import(from, name, function);
        }
        of.import(memory_from, MEMORY, EntityType::Memory(self.memory));
        for (name, kind, index) in &self.exports {
            match kind {
                ExternalKind::Func => {
                    let function = match index.checked_sub(self.imported_functions()) {
                        None => self.imports[*index as usize].2,
                        Some(own) => self.functions[own as usize],
                    };
                    let function = self.function_type(&mut of, function)?;
                    of.export(name, function);
                }
                ExternalKind::Memory => {
                    of.export(name, EntityType::Memory(self.memory));
                }
                _ => {}
            }
        }
        Ok(of)
    }

    fn function_type(&self, of: &mut ModuleType, function: u32) -> Result<EntityType> {
        let Some(function) = self.types.get(function as usize) else {
            bail!("the VM has a function of no type");
        };
        let params = function.params().iter();
        let params = params.map(|param| RoundtripReencoder.val_type(*param));
        let results = function.results().iter();
        let results = results.map(|result| RoundtripReencoder.val_type(*result));
        let (params, results) = (
            params.collect::<Result<Vec<_>, _>>()?,
            results.collect::<Result<Vec<_>, _>>()?,
        );
        let index = of.type_count();
        of.ty().function(params, results);
        Ok(EntityType::Function(index))
    }

    /// A module that holds the memory as it is in the beginning, and nothing else.
    pub fn memory(&self) -> Result<Vec<u8>> {
        let mut module = memory_module(self.memory);
        for section in sections::of(self.bytes)? {
            if section.id == SectionId::Data as u8 {
                module.section(&self.raw(&section));
            }
        }
        Ok(module.finish())
    }

    /// The type of modules that hold the memory.
    pub fn holder_type(&self) -> ModuleType {
        let mut of = ModuleType::new();
        of.export(MEMORY, EntityType::Memory(self.memory));
        of
    }
}

/// A module that holds a memory with this content from the beginning, and nothing else.
pub fn memory_with(memory: MemoryType, content: &[u8]) -> Vec<u8> {
    /// Zeros in a row that are left out: images are made of pages.
    const GAP: usize = 4096;
    let mut module = memory_module(memory);
    module.section(&data(content, &segments(content, GAP)));
    module.finish()
}

fn memory_module(memory: MemoryType) -> Module {
    let mut module = Module::new();
    let mut memories = MemorySection::new();
    memories.memory(memory);
    let mut exports = ExportSection::new();
    exports.export(MEMORY, ExportKind::Memory, 0);
    module.section(&memories);
    module.section(&exports);
    module
}

/// These parts of a memory as its initial content.
pub fn data(memory: &[u8], segments: &[Range<usize>]) -> DataSection {
    let mut data = DataSection::new();
    for segment in segments {
        // A memory has less than 4 GiB, as its addresses say.
        let place = ConstExpr::i32_const(segment.start as u32 as i32);
        data.active(0, &place, memory[segment.clone()].iter().copied());
    }
    data
}

/// The parts of a memory that are not zero; so many zeros in a row belong to none.
pub fn segments(memory: &[u8], gap: usize) -> Vec<Range<usize>> {
    let mut gap = gap;
    loop {
        let found = segments_apart(memory, gap);
        if found.len() <= SEGMENTS {
            return found;
        }
        gap *= 2;
    }
}

fn segments_apart(memory: &[u8], gap: usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_hold_what_is_not_zero() {
        let mut memory = vec![0; 1000];
        assert!(segments(&memory, 16).is_empty());
        for place in [0, 1, 40, 999] {
            memory[place] = 1;
        }
        assert_eq!(segments(&memory, 16), [0..2, 40..41, 999..1000]);
        memory[10] = 1;
        assert_eq!(segments(&memory, 16)[0], 0..11);
        // However scattered it is, there are not too many of them.
        let scattered: Vec<u8> = (0..2_000_000).map(|n| u8::from(n % 20 == 0)).collect();
        let found = segments(&scattered, 16);
        assert!(found.len() <= SEGMENTS);
        let held: usize = found.iter().map(|range| range.len()).sum();
        assert!(held >= 100_000);
    }
}
