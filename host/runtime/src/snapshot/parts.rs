//! The VM's component taken apart: code, memory, and all else, which imports both.

use super::loading::{LOAD_LINKED, Loader, MEMORY_FROM};
use super::sections::{self, Section};
use super::shape::{Shape, exports};
use anyhow::{Context, Result, bail, ensure};
use std::convert::Infallible;
use wasm_encoder::reencode::{Reencode, ReencodeComponent};
use wasm_encoder::{
    ComponentAliasSection, ComponentImportSection, ComponentSection, ComponentTypeRef,
    CoreTypeSection, InstanceSection, ModuleArg,
};
use wasmparser::{
    BinaryReader, ComponentAlias, ComponentAliasSectionReader, ComponentExternalKind,
    ComponentImportSectionReader, ComponentOuterAliasKind, Instance, InstanceSectionReader,
    InstantiationArgKind,
};

/// Name of the import of the VM's code.
pub const CODE: &str = "vm-code";

/// Name of the import of the VM's memory.
pub const MEMORY: &str = MEMORY_FROM;

/// Ids of the sections of a component that are looked into.
const CORE_INSTANCES: u8 = 2;
const CORE_TYPES: u8 = 3;
const ALIASES: u8 = 6;
const IMPORTS: u8 = 10;

/// A core module in a component.
pub struct Found {
    /// How many come before it.
    pub number: u32,
    /// Where it is.
    pub section: Section,
}

/// The core module that exports this function.
pub fn main_module(component: &[u8], export: &str) -> Result<Found> {
    let mut number = 0;
    for section in sections::of(component)? {
        if section.id != sections::CORE_MODULE {
            continue;
        }
        let exports = exports(&component[section.content.clone()])?;
        if exports.iter().any(|(name, ..)| *name == export) {
            return Ok(Found { number, section });
        }
        number += 1;
    }
    bail!("the VM has no {export}");
}

/// A VM in parts.
pub struct Parts<'a> {
    /// The core module.
    pub shape: Shape<'a>,
    /// The component without it. It imports [`CODE`] and [`MEMORY`].
    pub rest: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// Takes a VM apart. An error says what stands against it; such a VM has to stay whole.
    pub fn of(vm: &'a [u8]) -> Result<Parts<'a>> {
        let Loader { export, .. } = LOAD_LINKED;
        let found = main_module(vm, export)?;
        let shape = Shape::of(&vm[found.section.content.clone()])?;
        ensure!(
            shape.initialize.is_none(),
            "instances of the VM need a call before their first one"
        );
        let rest = rest(vm, &found, &shape)?;
        Ok(Parts { shape, rest })
    }
}

/// The component with two modules among its imports. The memory is instantiated first of all, so
/// that all numbers of core modules and core instances are one higher than before.
fn rest(vm: &[u8], main: &Found, shape: &Shape) -> Result<Vec<u8>> {
    let mut types = CoreTypeSection::new();
    types.ty().module(&shape.holder_type());
    types.ty().module(&shape.code_type(MEMORY)?);
    let mut memory = InstanceSection::new();
    memory.instantiate::<_, &str>(0, []);

    let mut out = Vec::new();
    let mut all = sections::of(vm)?.into_iter().peekable();
    let head = all.peek().context("the VM is empty")?.whole.start;
    out.extend(&vm[..head]);
    types.append_to_component(&mut out);
    import(MEMORY, 0).append_to_component(&mut out);
    memory.append_to_component(&mut out);
    for section in all {
        let content = &vm[section.content.clone()];
        let reader = BinaryReader::new(content, section.content.start);
        match section.id {
            sections::CORE_MODULE if section.whole == main.section.whole => {
                import(CODE, 1).append_to_component(&mut out);
            }
            CORE_INSTANCES => {
                let mut instances = InstanceSection::new();
                for instance in InstanceSectionReader::new(reader)? {
                    add_instance(&mut instances, instance?, main.number)?;
                }
                instances.append_to_component(&mut out);
            }
            ALIASES => {
                let mut aliases = ComponentAliasSection::new();
                for alias in ComponentAliasSectionReader::new(reader)? {
                    let alias = alias?;
                    ensure!(!is_of_core(&alias), "the VM has aliases of core modules");
                    aliases.alias(Shifted.component_alias(alias)?);
                }
                aliases.append_to_component(&mut out);
            }
            CORE_TYPES => bail!("the VM has types of core modules"),
            IMPORTS => {
                for import in ComponentImportSectionReader::new(reader)? {
                    ensure!(
                        !matches!(import?.ty, wasmparser::ComponentTypeRef::Module(_)),
                        "the VM imports core modules"
                    );
                }
                out.extend(&vm[section.whole]);
            }
            // Names are those of other numbers now.
            sections::CUSTOM => {}
            _ => out.extend(&vm[section.whole]),
        }
    }
    Ok(out)
}

fn import(name: &str, of: u32) -> ComponentImportSection {
    let mut imports = ComponentImportSection::new();
    imports.import(name, ComponentTypeRef::Module(of));
    imports
}

/// True if modules or their types are meant, of which there are others now.
fn is_of_core(alias: &ComponentAlias) -> bool {
    matches!(
        alias,
        ComponentAlias::InstanceExport {
            kind: ComponentExternalKind::Module,
            ..
        } | ComponentAlias::Outer {
            kind: ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::CoreType,
            ..
        }
    )
}

fn add_instance(instances: &mut InstanceSection, instance: Instance, main: u32) -> Result<()> {
    match instance {
        Instance::Instantiate { module_index, args } if module_index == main => {
            let mut all: Vec<(&str, ModuleArg)> = Vec::new();
            for arg in &args {
                let InstantiationArgKind::Instance = arg.kind;
                all.push((arg.name, ModuleArg::Instance(arg.index + 1)));
            }
            all.push((MEMORY, ModuleArg::Instance(0)));
            instances.instantiate(module_index + 1, all);
        }
        other => Shifted.parse_instance(instances, other)?,
    }
    Ok(())
}

/// Numbers of core modules and core instances after one more of each.
struct Shifted;

impl Reencode for Shifted {
    type Error = Infallible;
}

impl ReencodeComponent for Shifted {
    fn module_index(&mut self, module: u32) -> u32 {
        module + 1
    }

    fn instance_index(&mut self, instance: u32) -> u32 {
        instance + 1
    }
}
