//! A component that has interfaces and gives nothing of what they promise.
//!
//! Its functions answer with constants: a list without items, no value, or the error that stands
//! for a refusal in the interface itself; what has none of these traps. Variables are the exception:
//! those that are named are passed on from the host.

use anyhow::{Result, bail};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, ImportSection, InstructionSink, MemArg, MemorySection, MemoryType,
    Module, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, FlatTypes, WasmType};
use wit_parser::{
    Function as Described, Handle, InterfaceId, Resolve, SizeAlign, Type, TypeDefKind, TypeOwner,
    WorldId, WorldItem, WorldKey,
};

/// How an interface is kept from whoever imports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Altogether.
    All,
    /// But for some variables.
    Variables,
}

/// Cases that say *you may not*, in the order in which they are looked for.
const REFUSALS: [&str; 4] = [
    "HTTP-request-denied",
    "access-denied",
    "not-permitted",
    "access",
];

/// The function of variables, in both generations of WASI.
const VARIABLES: &str = "get-environment";

/// Where a list of variables is given back: place and length.
const LIST: u32 = 8;
/// Where constants begin.
const CONSTANTS: u32 = 16;
/// Bytes of an item of the list: places and lengths of name and value.
const ITEM: u32 = 16;
const PAGE: u32 = 64 * 1024;

/// The component of a world: what it exports is refused, but for these variables.
pub fn component(resolve: &Resolve, world: WorldId, variables: &[String]) -> Result<Vec<u8>> {
    let mut module = Front::of(resolve, world, variables)?.module();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .encode()
}

/// What a function does.
enum Body {
    /// Gives the place of a constant.
    Constant(u32),
    /// Passes the named variables of a function of the host on.
    Variables(u32),
    /// Ends the instance.
    Trap,
}

/// A function that is exported.
struct Export {
    name: String,
    params: Vec<ValType>,
    results: Vec<ValType>,
    /// Handles that it is given and lets go.
    handles: Vec<Dropped>,
    body: Body,
}

/// A handle among the arguments: what is borrowed must be given back, what is given is kept by nobody.
struct Dropped {
    /// Which argument.
    at: u32,
    /// The argument that says whether there is a handle at all.
    only_if: Option<u32>,
    /// The imported function that lets it go.
    function: u32,
}

/// The core module, before it is written.
struct Front {
    exports: Vec<Export>,
    /// Interface and name of what the host is asked for, all with one number and no result.
    imports: Vec<(String, String)>,
    /// Interfaces whose resources are those of this component.
    own: Vec<InterfaceId>,
    /// Place and length of the names of the variables.
    names: Vec<(u32, u32)>,
    /// What lies in the memory from `CONSTANTS` on.
    data: Vec<u8>,
}

impl Front {
    fn of(resolve: &Resolve, world: WorldId, variables: &[String]) -> Result<Front> {
        let mut sizes = SizeAlign::default();
        sizes.fill(resolve);
        let mut front = Front {
            exports: Vec::new(),
            imports: Vec::new(),
            own: Vec::new(),
            names: Vec::new(),
            data: Vec::new(),
        };
        for variable in variables {
            let place = front.put(variable.as_bytes(), 1);
            front.names.push((place, variable.len() as u32));
        }
        let exports = resolve.worlds[world].exports.values();
        front.own = exports
            .filter_map(|item| match item {
                WorldItem::Interface { id, .. } => Some(*id),
                _ => None,
            })
            .collect();
        for (key, item) in &resolve.worlds[world].exports {
            let WorldItem::Interface { id, .. } = item else {
                bail!("{} is no interface", resolve.name_world_key(key));
            };
            for function in resolve.interfaces[*id].functions.values() {
                let export = front.export(resolve, &sizes, key, function);
                front.exports.push(export);
            }
        }
        Ok(front)
    }

    fn export(
        &mut self,
        resolve: &Resolve,
        sizes: &SizeAlign,
        key: &WorldKey,
        function: &Described,
    ) -> Export {
        let interface = resolve.name_world_key(key);
        let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
        let is_passed_on = function.name == VARIABLES && !self.names.is_empty();
        let constant = function
            .result
            .as_ref()
            .filter(|_| signature.retptr)
            .and_then(|result| refusal(resolve, sizes, result));
        let body = match (constant, &function.result) {
            _ if is_passed_on => Body::Variables(self.import(&interface, VARIABLES)),
            (Some(bytes), Some(result)) => {
                let align = sizes.align(result).align_wasm32();
                Body::Constant(self.put(&bytes, align))
            }
            _ => Body::Trap,
        };
        let types = |types: &[WasmType]| types.iter().copied().map(value_type).collect();
        let handles = match signature.indirect_params {
            true => Vec::new(),
            false => self.handles(resolve, function),
        };
        Export {
            handles,
            name: format!("{interface}#{}", function.name),
            params: types(&signature.params),
            results: types(&signature.results),
            body,
        }
    }

    /// The handles among the arguments.
    fn handles(&mut self, resolve: &Resolve, function: &Described) -> Vec<Dropped> {
        let (mut handles, mut at) = (Vec::new(), 0);
        for param in &function.params {
            let (kind, only_if) = match definition(resolve, &param.ty) {
                Some(TypeDefKind::Option(kind)) => (kind, Some(at)),
                _ => (&param.ty, None),
            };
            if let Some(TypeDefKind::Handle(handle)) = definition(resolve, kind)
                && let Some(function) = self.drop_of(resolve, *handle)
            {
                handles.push(Dropped {
                    at: at + u32::from(only_if.is_some()),
                    only_if,
                    function,
                });
            }
            let mut storage = [WasmType::I32; Resolve::MAX_FLAT_PARAMS];
            let mut flat = FlatTypes::new(&mut storage);
            resolve.push_flat(&param.ty, &mut flat);
            at += flat.to_vec().len() as u32;
        }
        handles
    }

    /// The function that lets a handle of the host go; none for a resource of this component,
    /// of which there is none.
    fn drop_of(&mut self, resolve: &Resolve, handle: Handle) -> Option<u32> {
        let (Handle::Own(mut id) | Handle::Borrow(mut id)) = handle;
        while let TypeDefKind::Type(Type::Id(other)) = resolve.types[id].kind {
            id = other;
        }
        let TypeOwner::Interface(owner) = resolve.types[id].owner else {
            return None;
        };
        if self.own.contains(&owner) {
            return None;
        }
        let name = resolve.types[id].name.as_deref()?;
        let interface = resolve.id_of(owner)?;
        Some(self.import(&interface, &format!("[resource-drop]{name}")))
    }

    /// The number of an imported function.
    fn import(&mut self, interface: &str, name: &str) -> u32 {
        let same = |(from, known): &(String, String)| from == interface && known == name;
        let number = self.imports.iter().position(same).unwrap_or_else(|| {
            self.imports.push((interface.to_owned(), name.to_owned()));
            self.imports.len() - 1
        });
        number as u32
    }

    /// The place of new data.
    fn put(&mut self, bytes: &[u8], align: usize) -> u32 {
        let used = self.data.len().next_multiple_of(align.max(1));
        self.data.resize(used, 0);
        self.data.extend_from_slice(bytes);
        CONSTANTS + used as u32
    }

    fn module(&self) -> Vec<u8> {
        let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
        let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
        let mut imports = ImportSection::new();
        let imported = self.imports.len() as u32;
        types.ty().function([ValType::I32], []);
        for (interface, name) in &self.imports {
            imports.import(interface, name, EntityType::Function(0));
        }
        let mut add = |params: &[ValType], results: &[ValType], body: &Function| {
            let number = types.len();
            types
                .ty()
                .function(params.iter().copied(), results.iter().copied());
            functions.function(number);
            code.function(body);
            imported + functions.len() - 1
        };
        // Arguments, and what the host gives back, lie here until the next question.
        let heap = (CONSTANTS + self.data.len() as u32).next_multiple_of(16);
        let realloc = add(&[ValType::I32; 4], &[ValType::I32], &realloc());
        let same = add(&[ValType::I32; 3], &[ValType::I32], &same());
        exports.export("cabi_realloc", ExportKind::Func, realloc);
        exports.export("memory", ExportKind::Memory, 0);
        for export in &self.exports {
            let body = match export.body {
                Body::Constant(place) => constant(&export.handles, place, heap),
                Body::Variables(host) => variables(host, &self.names, heap, same),
                Body::Trap => trap(),
            };
            let number = add(&export.params, &export.results, &body);
            exports.export(&export.name, ExportKind::Func, number);
        }
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: u64::from((heap + PAGE).div_ceil(PAGE)),
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut data = DataSection::new();
        data.active(
            0,
            &ConstExpr::i32_const(CONSTANTS as i32),
            self.data.iter().copied(),
        );
        // Where the heap goes on lies in the first word.
        data.active(0, &ConstExpr::i32_const(0), heap.to_le_bytes());
        let mut module = Module::new();
        module
            .section(&types)
            .section(&imports)
            .section(&functions)
            .section(&memories)
            .section(&exports)
            .section(&code)
            .section(&data);
        module.finish()
    }
}

fn value_type(kind: WasmType) -> ValType {
    match kind {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
    }
}

/// The value of a type that says no, as it lies in memory; none if the type has no such value.
fn refusal(resolve: &Resolve, sizes: &SizeAlign, kind: &Type) -> Option<Vec<u8>> {
    let mut bytes = vec![0; sizes.size(kind).size_wasm32()];
    match definition(resolve, kind)? {
        // A list without items, no value.
        TypeDefKind::List(_) | TypeDefKind::Option(_) => {}
        TypeDefKind::Result(result) => {
            let error = result.err.as_ref()?;
            let cases = [result.ok.as_ref(), Some(error)];
            let payload = sizes.payload_offset(wit_parser::Int::U8, cases);
            bytes[0] = 1;
            let number = match definition(resolve, error)? {
                TypeDefKind::Enum(cases) => {
                    named(cases.cases.iter().map(|case| (case.name.as_str(), true)))
                }
                TypeDefKind::Variant(cases) => {
                    let cases = cases.cases.iter();
                    named(cases.map(|case| (case.name.as_str(), case.ty.is_none())))
                }
                _ => None,
            };
            bytes[payload.size_wasm32()] = u8::try_from(number?).ok()?;
        }
        _ => return None,
    }
    Some(bytes)
}

/// What a type is, behind its other names.
fn definition<'a>(resolve: &'a Resolve, kind: &Type) -> Option<&'a TypeDefKind> {
    let Type::Id(mut id) = *kind else {
        return None;
    };
    while let TypeDefKind::Type(Type::Id(other)) = resolve.types[id].kind {
        id = other;
    }
    Some(&resolve.types[id].kind)
}

/// The number of the case that refuses, of those without a payload.
fn named<'a>(cases: impl Iterator<Item = (&'a str, bool)> + Clone) -> Option<usize> {
    REFUSALS.iter().find_map(|refusal| {
        cases
            .clone()
            .position(|(name, is_bare)| is_bare && name == *refusal)
    })
}

fn constant(handles: &[Dropped], place: u32, heap: u32) -> Function {
    let mut body = Function::new([]);
    let mut code = body.instructions();
    for handle in handles {
        if let Some(condition) = handle.only_if {
            code.local_get(condition).if_(BlockType::Empty);
        }
        code.local_get(handle.at).call(handle.function);
        if handle.only_if.is_some() {
            code.end();
        }
    }
    // What else is given is not looked at.
    code.i32_const(0)
        .i32_const(heap as i32)
        .i32_store(word(0))
        .i32_const(place as i32)
        .end();
    body
}

fn trap() -> Function {
    let mut body = Function::new([]);
    body.instructions().unreachable().end();
    body
}

fn word(offset: u32) -> MemArg {
    MemArg {
        offset: u64::from(offset),
        align: 2,
        memory_index: 0,
    }
}

/// `(old, old_size, align, size)`: a place of that size behind what was given out last. Nothing is
/// ever given back; the next question begins anew.
fn realloc() -> Function {
    const SIZE: u32 = 3;
    let (place, end) = (4, 5);
    let mut body = Function::new([(2, ValType::I32)]);
    body.instructions()
        // The place, on a multiple of eight.
        .i32_const(0)
        .i32_load(word(0))
        .i32_const(7)
        .i32_add()
        .i32_const(-8)
        .i32_and()
        .local_tee(place)
        .local_get(SIZE)
        .i32_add()
        .local_tee(end)
        // Around the end of the address space there is no room.
        .local_get(place)
        .i32_lt_u()
        .if_(BlockType::Empty)
        .unreachable()
        .end()
        .local_get(end)
        .memory_size(0)
        .i32_const(16)
        .i32_shl()
        .i32_gt_u()
        .if_(BlockType::Empty)
        .local_get(end)
        .memory_size(0)
        .i32_const(16)
        .i32_shl()
        .i32_sub()
        .i32_const(16)
        .i32_shr_u()
        .i32_const(1)
        .i32_add()
        .memory_grow(0)
        .i32_const(-1)
        .i32_eq()
        .if_(BlockType::Empty)
        .unreachable()
        .end()
        .end()
        .i32_const(0)
        .local_get(end)
        .i32_store(word(0))
        .local_get(place)
        .end();
    body
}

/// `(a, b, length)`: whether these bytes are the same.
fn same() -> Function {
    let (a, b, length) = (0, 1, 2);
    let byte = MemArg {
        offset: 0,
        align: 0,
        memory_index: 0,
    };
    let mut body = Function::new([]);
    let mut code = body.instructions();
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(length).i32_eqz().br_if(1);
    code.local_get(a).i32_load8_u(byte);
    code.local_get(b).i32_load8_u(byte);
    code.i32_ne()
        .if_(BlockType::Empty)
        .i32_const(0)
        .return_()
        .end();
    for place in [a, b] {
        code.local_get(place)
            .i32_const(1)
            .i32_add()
            .local_set(place);
    }
    code.local_get(length)
        .i32_const(1)
        .i32_sub()
        .local_set(length);
    code.br(0).end().end().i32_const(1).end();
    body
}

/// Asks the host for its variables and keeps those with one of the names.
fn variables(host: u32, names: &[(u32, u32)], heap: u32, same: u32) -> Function {
    let (item, left, kept) = (0, 1, 2);
    let mut body = Function::new([(3, ValType::I32)]);
    let mut code = body.instructions();
    code.i32_const(0).i32_const(heap as i32).i32_store(word(0));
    code.i32_const(LIST as i32).call(host);
    code.i32_const(LIST as i32)
        .i32_load(word(0))
        .local_tee(item)
        .local_set(kept);
    code.i32_const(LIST as i32)
        .i32_load(word(4))
        .local_set(left);
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(left).i32_eqz().br_if(1);
    for (place, length) in names {
        code.local_get(item).i32_load(word(4));
        code.i32_const(*length as i32)
            .i32_eq()
            .if_(BlockType::Empty);
        code.local_get(item).i32_load(word(0));
        code.i32_const(*place as i32)
            .i32_const(*length as i32)
            .call(same)
            .if_(BlockType::Empty);
        keep(&mut code, item, kept);
        code.end().end();
    }
    code.local_get(item)
        .i32_const(ITEM as i32)
        .i32_add()
        .local_set(item);
    code.local_get(left).i32_const(1).i32_sub().local_set(left);
    code.br(0).end().end();
    // As many as were kept, where the list began.
    code.i32_const(LIST as i32).local_get(kept);
    code.i32_const(LIST as i32).i32_load(word(0)).i32_sub();
    code.i32_const(ITEM as i32).i32_div_u().i32_store(word(4));
    code.i32_const(LIST as i32).end();
    body
}

/// Moves an item behind those that are kept.
fn keep(code: &mut InstructionSink<'_>, item: u32, kept: u32) {
    for part in 0..ITEM / 4 {
        code.local_get(kept)
            .local_get(item)
            .i32_load(word(4 * part))
            .i32_store(word(4 * part));
    }
    code.local_get(kept)
        .i32_const(ITEM as i32)
        .i32_add()
        .local_set(kept);
}
