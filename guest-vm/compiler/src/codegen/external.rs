//! Modules and functions of compiled libraries, and what a library offers to others.

use super::link::Linker;
use crate::core::{self, Instancing, SlotKind};
use crate::syntax::span::Span;
use mix_bytecode::library::Export;
use mix_bytecode::{
    self as bytecode, Base, Dst, ExternalFunction, ExternalModule, FuncId, FunctionBuilder,
    ModuleId, ModuleKind, Op, SlotId,
};

impl Linker<'_> {
    /// A stub for a module of a library.
    pub(super) fn external_module(&mut self, module: core::ModuleId, id: ModuleId, library: usize) {
        let number = self.library(library);
        let core = self.program.module(module);
        self.externals.modules.push(ExternalModule {
            module: id,
            library: number,
            name: (&*core.name).into(),
        });
        let stub = bytecode::Module {
            name: (&*core.name).into(),
            kind: match core.instancing {
                Instancing::Shared => ModuleKind::Stateless,
                Instancing::PerImport => ModuleKind::Instance,
                Instancing::PerView => ModuleKind::Static,
            },
            params: Vec::new(),
            slots: Vec::new(),
            steps: Vec::new(),
            observers: Vec::new(),
            initializer: None,
        };
        self.out.define_module(id, stub);
    }

    /// The number of a library among those that the program uses.
    fn library(&mut self, library: usize) -> u32 {
        let id = &self.libraries[library].id;
        let known = self
            .externals
            .libraries
            .iter()
            .position(|other| other == id);
        let index = known.unwrap_or_else(|| {
            self.externals.libraries.push(id.clone());
            self.externals.libraries.len() - 1
        });
        index as u32
    }

    /// Importing a module links its library, even if nothing of it is used.
    pub(super) fn use_libraries(&mut self) {
        let imported: Vec<usize> = self
            .program
            .modules
            .iter()
            .filter_map(|module| module.external)
            .collect();
        for library in imported {
            self.library(library);
        }
        if let Some(id) = self.externals.libraries.first() {
            let library = self.libraries.iter().find(|library| library.id == *id);
            if let Some(library) = library {
                self.externals.standard_library = library.standard_library.clone();
            }
        }
    }

    /// The place of a value or cell in the instances of a module of a library: by its name.
    pub(super) fn external_slot(
        &mut self,
        module: core::ModuleId,
        slot: core::SlotId,
        library: usize,
    ) -> SlotId {
        let name = self.program.slot(module, slot).name.clone();
        let found = self
            .compiled(module, library)
            .and_then(|compiled| compiled.slots.iter().rposition(|slot| *slot.name == *name));
        match found {
            Some(index) => SlotId(index as u32),
            None => {
                self.internal(Span::default(), format!("the library has no {name}"));
                SlotId(0)
            }
        }
    }

    fn compiled(&self, module: core::ModuleId, library: usize) -> Option<&bytecode::Module> {
        let library = &self.libraries[library];
        let id = library.module(&self.program.module(module).name)?;
        library.program.modules.get(id.index())
    }

    /// A stub for a function of a module of a library.
    pub(super) fn external_function(
        &mut self,
        module: core::ModuleId,
        slot: core::SlotId,
    ) -> FuncId {
        let home = self.module(module).id;
        let id = self.out.declare_function();
        let name: Box<str> = (&*self.program.slot(module, slot).name).into();
        self.externals.functions.push(ExternalFunction {
            function: id,
            module: home,
            name: name.clone(),
        });
        let stub = bytecode::Function {
            name,
            module: home,
            params: 0,
            captures: 0,
            registers: 0,
            action: None,
            code: Vec::new(),
            lines: Vec::new(),
        };
        self.out.define_function(id, stub);
        id
    }
}

impl<'a> Linker<'a> {
    /// Numbers all public functions of a module of the library that is built.
    pub(super) fn export(&mut self, module: core::ModuleId) {
        let program = self.program;
        let core = program.module(module);
        for (index, slot) in core.slots.iter().enumerate() {
            let id = core::SlotId(index as u32);
            if slot.private || core.find(&slot.name) != Some(id) {
                continue;
            }
            let function = match &slot.kind {
                SlotKind::Function(_) => self.function_of(module, id),
                SlotKind::Foreign(foreign) if !foreign.arms.is_empty() => {
                    self.foreign_body(module, slot, foreign)
                }
                _ => None,
            };
            if let Some(function) = function {
                let module = self.module(module).id;
                self.exports.push(Export {
                    module,
                    name: (&*slot.name).into(),
                    function,
                });
            }
        }
    }

    /// A foreign function with replacements as a function of its module: the replacements are
    /// code of the module, which others cannot have.
    fn foreign_body(
        &mut self,
        module: core::ModuleId,
        slot: &'a core::Slot,
        foreign: &'a core::ForeignFunction,
    ) -> Option<FuncId> {
        let import = match self.host(module, foreign, module, slot.span)? {
            super::link::Host::Import(import) => import,
            super::link::Host::Builtin(_) => return None,
        };
        let home = self.module(module).id;
        let params = u8::try_from(foreign.arity).ok()?;
        let count = super::link::wire_arity(foreign) as u8;
        let mut builder = FunctionBuilder::new(&*slot.name, home, params, 0);
        let base = builder.fresh_range(u16::from(count));
        for index in 0..count {
            builder.copy(Dst(base.0 + u16::from(index)), builder.param(index));
        }
        let result = builder.fresh();
        let dst = Dst(result.0);
        let base = Base(base.0);
        builder.emit(Op::CallForeign {
            count,
            dst,
            base,
            import,
        });
        builder.emit(Op::Return { src: result });
        match builder.finish() {
            Ok(function) => Some(self.out.function(function)),
            Err(error) => {
                self.internal(slot.span, error);
                None
            }
        }
    }
}
