//! Puts components together.
//!
//! Inside `mixer` the VM is composed with the families that keep no state over
//! runs ([`runtime`]); the host stands behind the last slot of the switchboard for the others.

use crate::bindings::{
    BINDING, FAMILY, LINKING, PACKED_FAMILY, PROGRAM, SESSION, SHORT, UNUSED_BINDING,
    UNUSED_FAMILY, UNUSED_PACKED_FAMILY,
};
use crate::contract;
use crate::guests;
use crate::snapshot::parts;
use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

/// Slots of the switchboard.
pub const SLOTS: usize = 8;

/// A graph that names its parts in errors.
pub struct Composition {
    graph: CompositionGraph,
}

impl Default for Composition {
    fn default() -> Self {
        Self::new()
    }
}

impl Composition {
    /// An empty composition.
    pub fn new() -> Self {
        Composition {
            graph: CompositionGraph::new(),
        }
    }

    /// Adds an instance of a component.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<Part> {
        let key = format!("mixer:{name}");
        let package = Package::from_bytes(&key, None, bytes.to_vec(), self.graph.types_mut())
            .map_err(|error| {
                anyhow!("{name} is not a component that can be composed: {error:#}")
            })?;
        let package = self
            .graph
            .register_package(package)
            .map_err(|error| anyhow!("{name}: {error}"))?;
        let node = self.graph.instantiate(package);
        Ok(Part {
            name: name.to_owned(),
            package,
            node,
        })
    }

    /// Adds an instance of a component of which there may be others under this name.
    fn add_one_more(&mut self, name: &str, bytes: &[u8]) -> Result<Part> {
        match self.package(name) {
            None => self.add(name, bytes),
            Some(package) => Ok(Part {
                name: name.to_owned(),
                package,
                node: self.graph.instantiate(package),
            }),
        }
    }

    /// Adds another instance of a component that is there already.
    pub fn add_again(&mut self, name: &str, part: &Part) -> Part {
        Part {
            name: name.to_owned(),
            package: part.package,
            node: self.graph.instantiate(part.package),
        }
    }

    /// Names of everything that the part exports.
    pub fn exported(&self, part: &Part) -> Vec<String> {
        let world = self.graph[part.package].ty();
        self.graph.types()[world].exports.keys().cloned().collect()
    }

    /// True if the part exports that interface.
    pub fn exports(&self, part: &Part, interface: &str) -> bool {
        let world = self.graph[part.package].ty();
        self.graph.types()[world].exports.contains_key(interface)
    }

    /// Names of everything that the part imports.
    pub fn imports(&self, part: &Part) -> Vec<String> {
        let world = self.graph[part.package].ty();
        self.graph.types()[world].imports.keys().cloned().collect()
    }

    /// Gives an export of one part to an import of another.
    pub fn connect(&mut self, from: &Part, export: &str, to: &Part, import: &str) -> Result<()> {
        let alias = self
            .graph
            .alias_instance_export(from.node, export)
            .map_err(|error| anyhow!("{} does not export {export}: {error}", from.name))?;
        self.graph
            .set_instantiation_argument(to.node, import, alias)
            .map_err(|error| {
                anyhow!(
                    "{export} of {} does not fit {import} of {}: {error}",
                    from.name,
                    to.name
                )
            })
    }

    /// Turns an import of a part into an import of the whole, under a name of its own.
    pub fn import(&mut self, part: &Part, import: &str, name: &str) -> Result<()> {
        let node = self.open(part, import, name)?;
        self.feed(node, part, import)
    }

    /// An import of the whole, shaped as an import of a part.
    fn open(&mut self, part: &Part, import: &str, name: &str) -> Result<NodeId> {
        let world = self.graph[part.package].ty();
        let kind = *self.graph.types()[world]
            .imports
            .get(import)
            .with_context(|| format!("{} does not import {import}", part.name))?;
        self.graph
            .import(name, kind)
            .map_err(|error| anyhow!("{import} of {}: {error}", part.name))
    }

    fn feed(&mut self, node: NodeId, part: &Part, import: &str) -> Result<()> {
        self.graph
            .set_instantiation_argument(part.node, import, node)
            .map_err(|error| anyhow!("{import} of {}: {error}", part.name))
    }

    /// Exports an export of a part.
    pub fn export(&mut self, part: &Part, export: &str) -> Result<()> {
        self.export_as(part, export, export)
    }

    /// Exports an export of a part under another name.
    pub fn export_as(&mut self, part: &Part, export: &str, name: &str) -> Result<()> {
        let alias = self
            .graph
            .alias_instance_export(part.node, export)
            .map_err(|error| anyhow!("{} does not export {export}: {error}", part.name))?;
        self.graph
            .export(alias, name)
            .map_err(|error| anyhow!("{export} of {}: {error}", part.name))?;
        Ok(())
    }

    /// The composed component.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let options = EncodeOptions {
            define_components: true,
            validate: false,
            ..EncodeOptions::default()
        };
        self.graph
            .encode(options)
            .map_err(|error| anyhow!("composing failed: {error:#}"))
    }

    /// True if a part of that name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.package(name).is_some()
    }

    fn package(&self, name: &str) -> Option<PackageId> {
        let found = self
            .graph
            .get_package_by_name(&format!("mixer:{name}"), None);
        found.map(|(package, _)| package)
    }
}

/// An instance in a composition.
#[derive(Clone)]
pub struct Part {
    name: String,
    package: PackageId,
    node: NodeId,
}

/// Families behind a switchboard, in the order of its slots.
pub struct Switchboard {
    /// The switchboard itself.
    pub part: Part,
    spare: Spare,
    used: usize,
}

/// What stands behind slots and bindings that no family fills.
#[derive(Clone)]
enum Spare {
    /// A component.
    Component(Part),
    /// The host: one instance less in every run.
    Host { family: NodeId, binding: NodeId },
}

impl Switchboard {
    /// A switchboard with free slots only, for any host; `empty` is the family without functions.
    pub fn new(composition: &mut Composition, empty: &Part) -> Result<Self> {
        Ok(Switchboard {
            part: composition.add("switchboard", guests::SWITCHBOARD)?,
            spare: Spare::Component(empty.clone()),
            used: 0,
        })
    }

    /// A further switchboard, to be plugged into `outer` as a family.
    pub fn within(composition: &mut Composition, outer: &Switchboard) -> Self {
        Switchboard {
            part: composition.add_again("further-switchboard", &outer.part),
            spare: outer.spare.clone(),
            used: 0,
        }
    }

    /// A switchboard with free slots only, for this program.
    fn of_mixer(composition: &mut Composition) -> Result<Self> {
        let part = composition.add("switchboard", guests::SWITCHBOARD)?;
        let spare = Spare::Host {
            family: composition.open(&part, "slot0", UNUSED_FAMILY)?,
            binding: composition.open(&part, "binding0", UNUSED_BINDING)?,
        };
        Ok(Switchboard {
            part,
            spare,
            used: 0,
        })
    }

    /// Puts a family into the next free slot.
    pub fn plug(&mut self, composition: &mut Composition, family: &Part) -> Result<()> {
        let slot = self.next(&family.name)?;
        // A compatible version of an interface serves as well as this one.
        let exports = composition.exported(family);
        let named =
            |wanted: &'static str| contract::compatible(wanted, exports.iter().map(String::as_str));
        let family_export = named(FAMILY).unwrap_or(FAMILY);
        composition.connect(family, family_export, &self.part, &format!("slot{slot}"))?;
        if let Some(binding) = named(BINDING) {
            composition.connect(family, binding, &self.part, &format!("binding{slot}"))
        } else {
            self.leave_unbound(composition, slot)
        }
    }

    /// Leaves the next free slot to whoever instantiates the composition.
    pub fn leave_open(&mut self, composition: &mut Composition) -> Result<()> {
        let slot = self.next("the host")?;
        composition.import(&self.part, &format!("slot{slot}"), FAMILY)?;
        self.leave_unbound(composition, slot)
    }

    /// Fills what is free.
    pub fn close(&mut self, composition: &mut Composition) -> Result<()> {
        self.fill(composition, SLOTS)
    }

    /// Fills what is free of the first slots.
    pub fn fill(&mut self, composition: &mut Composition, slots: usize) -> Result<()> {
        while self.used < slots {
            let slot = self.used;
            self.used += 1;
            self.leave_free(composition, &self.part, &format!("slot{slot}"))?;
            self.leave_unbound(composition, slot)?;
        }
        Ok(())
    }

    /// Links a VM to the families: the first ones fill its own slots, so that calls to them do
    /// not pass here, and what is free has the `empty` family. The switchboard stands behind its import if
    /// there are `more` than these.
    pub fn link(
        &self,
        composition: &mut Composition,
        vm: &Part,
        families: &[Part],
        empty: &Part,
        more: bool,
    ) -> Result<()> {
        for number in 0..SLOTS {
            match families.get(number) {
                Some(family) => fill_slot(composition, vm, number, family)?,
                None => composition.connect(empty, PACKED_FAMILY, vm, &slot(number))?,
            }
        }
        if takes_short(composition, vm) {
            composition.connect(empty, SHORT, vm, SHORT)?;
        }
        if more || families.len() > SLOTS {
            composition.connect(&self.part, FAMILY, vm, FAMILY)
        } else {
            composition.connect(empty, FAMILY, vm, FAMILY)
        }
    }

    fn leave_free(&self, composition: &mut Composition, to: &Part, import: &str) -> Result<()> {
        match &self.spare {
            Spare::Component(empty) => composition.connect(empty, FAMILY, to, import),
            Spare::Host { family, .. } => composition.feed(*family, to, import),
        }
    }

    fn leave_unbound(&self, composition: &mut Composition, slot: usize) -> Result<()> {
        let import = format!("binding{slot}");
        match &self.spare {
            Spare::Component(empty) => composition.connect(empty, BINDING, &self.part, &import),
            Spare::Host { binding, .. } => composition.feed(*binding, &self.part, &import),
        }
    }

    fn next(&mut self, family: &str) -> Result<usize> {
        if self.used == SLOTS {
            return Err(anyhow!(
                "no slot left for {family}: a switchboard takes {SLOTS} families"
            ));
        }
        self.used += 1;
        Ok(self.used - 1)
    }
}

/// The families that need no host, which are composed with the VM.
#[derive(Clone)]
pub struct Hostless {
    families: [(&'static str, Cow<'static, [u8]>); 2],
}

impl Default for Hostless {
    /// Those of this program.
    fn default() -> Hostless {
        Hostless {
            families: [
                ("core", Cow::Borrowed(guests::CORE)),
                ("crypto", Cow::Borrowed(guests::CRYPTO)),
            ],
        }
    }
}

impl Hostless {
    /// Puts another component into the place of a family; false if there is none of that name.
    pub fn replace(&mut self, name: &str, component: Vec<u8>) -> bool {
        let family = self.families.iter_mut().find(|(own, _)| *own == name);
        family
            .map(|(_, bytes)| *bytes = Cow::Owned(component))
            .is_some()
    }

    /// Names and components.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.families.iter().map(|(name, bytes)| (*name, &**bytes))
    }
}

/// Name of the part that stands before families that do not take blocks.
pub const PACKER: &str = "packer";

/// Puts a family into a slot of a VM, with the packer before it if it does not take blocks.
fn fill_slot(composition: &mut Composition, vm: &Part, number: usize, family: &Part) -> Result<()> {
    let exports = composition.exported(family);
    // A compatible version of an interface serves as well as this one.
    let named =
        |wanted: &'static str| contract::compatible(wanted, exports.iter().map(String::as_str));
    if let Some(packed) = named(PACKED_FAMILY) {
        return composition.connect(family, packed, vm, &slot(number));
    }
    let packer = composition.add_one_more(PACKER, guests::PACKER)?;
    composition.connect(family, named(FAMILY).unwrap_or(FAMILY), &packer, FAMILY)?;
    composition.connect(&packer, PACKED_FAMILY, vm, &slot(number))
}

/// True for a VM that has a way of its own for short values. One that was built before there was has none.
fn takes_short(composition: &Composition, vm: &Part) -> bool {
    composition.imports(vm).iter().any(|name| name == SHORT)
}

/// The name under which [`runtime`] exports the family in a slot of the VM.
pub fn slot(number: usize) -> String {
    format!("slot{number}")
}

/// The number of a function of the family in a slot of the VM (`mix:vm/slotted-vm`).
pub fn slot_function(slot: usize, function: u32) -> u32 {
    // A VM has eight slots.
    ((slot as u32 + 1) << 24) + function
}

/// The VM with the families that need no host in its slots, the imported family left to the host.
fn slotted_runtime(
    mut composition: Composition,
    vm: &Part,
    hostless: &Hostless,
) -> Result<Vec<u8>> {
    let unused = composition.open(vm, &slot(0), UNUSED_PACKED_FAMILY)?;
    let mut families = hostless.iter();
    for number in 0..SLOTS {
        let Some((name, bytes)) = families.next() else {
            composition.feed(unused, vm, &slot(number))?;
            continue;
        };
        let family = composition.add(name, bytes)?;
        fill_slot(&mut composition, vm, number, &family)?;
        let exports = composition.exported(&family);
        let named =
            |wanted: &'static str| contract::compatible(wanted, exports.iter().map(String::as_str));
        composition.export_as(&family, named(FAMILY).unwrap_or(FAMILY), &slot(number))?;
        if let Some(bind) = named(BINDING) {
            composition.export_as(&family, bind, &binding(number))?;
        }
    }
    composition.import(vm, FAMILY, FAMILY)?;
    if takes_short(&composition, vm) {
        composition.import(vm, SHORT, SHORT)?;
    }
    leave_modules(&mut composition, vm)?;
    for interface in [PROGRAM, SESSION, LINKING] {
        composition.export(vm, interface)?;
    }
    composition.encode()
}

/// The name under which [`runtime`] exports the binding of the family in a slot of the VM.
pub fn binding(number: usize) -> String {
    format!("binding{number}")
}

/// The VM with the families that need no host, the last family left to the host. A VM without
/// slots is given a switchboard.
pub fn runtime(vm: &[u8], hostless: &Hostless) -> Result<Vec<u8>> {
    let mut composition = Composition::new();
    let vm = composition.add("vm", vm)?;
    if composition.imports(&vm).contains(&slot(0)) {
        return slotted_runtime(composition, &vm, hostless);
    }
    let mut switchboard = Switchboard::of_mixer(&mut composition)?;
    for (name, bytes) in hostless.iter() {
        let family = composition.add(name, bytes)?;
        switchboard.plug(&mut composition, &family)?;
    }
    switchboard.leave_open(&mut composition)?;
    switchboard.close(&mut composition)?;
    composition.connect(&switchboard.part, FAMILY, &vm, FAMILY)?;
    if takes_short(&composition, &vm) {
        // The numbers of a switchboard are its own, so the host cannot answer.
        let empty = composition.add("empty", guests::EMPTY)?;
        composition.connect(&empty, SHORT, &vm, SHORT)?;
    }
    leave_modules(&mut composition, &vm)?;
    composition.export(&vm, PROGRAM)?;
    composition.export(&vm, SESSION)?;
    if composition.exports(&vm, LINKING) {
        composition.export(&vm, LINKING)?;
    }
    composition.export(&switchboard.part, BINDING)?;
    composition.export(&switchboard.part, FAMILY)?;
    composition.encode()
}

/// Code and memory of a VM in parts are brought by whoever instantiates the composition.
fn leave_modules(composition: &mut Composition, vm: &Part) -> Result<()> {
    let imports = composition.imports(vm);
    for module in [parts::CODE, parts::MEMORY] {
        if imports.iter().any(|import| import == module) {
            composition.import(vm, module, module)?;
        }
    }
    Ok(())
}

/// The interface by which a component waits for time to pass.
const CLOCK: &str = "wasi:clocks/monotonic-clock@0.3.0";

/// A component with the clock of this program in front of it: it imports no function that waits
/// ([`mix_sandbox::blocking`]).
pub fn clocked(component: &[u8]) -> Result<Vec<u8>> {
    let mut composition = Composition::new();
    let clock = composition.add("clock", guests::HOST_CLOCK)?;
    let clocked = composition.add("clocked", component)?;
    composition.connect(&clock, CLOCK, &clocked, CLOCK)?;
    for interface in composition.exported(&clocked) {
        composition.export(&clocked, &interface)?;
    }
    composition.encode()
}

/// [`clocked`] of a component of this program, kept in the cache folder.
pub fn cached_clocked(name: &str, component: &[u8]) -> Result<Vec<u8>> {
    let parts = [guests::HOST_CLOCK, component];
    cached(&format!("mixer-{name}"), &parts, || clocked(component))
}

/// [`runtime`] of a VM, kept in the cache folder under the hash of its parts.
pub fn cached_runtime(vm: &[u8], hostless: &Hostless) -> Result<Vec<u8>> {
    let families = hostless.iter().map(|(_, bytes)| bytes);
    let parts: Vec<&[u8]> = [vm, guests::PACKER].into_iter().chain(families).collect();
    cached("mixer-runtime", &parts, || runtime(vm, hostless))
}

/// A composed component from the cache folder, made when it is not there.
fn cached(name: &str, parts: &[&[u8]], make: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let Some(folder) = mix_sandbox::engine::cache_folder() else {
        return make();
    };
    let mut hasher = Sha256::new();
    hasher.update(env!("CARGO_PKG_VERSION"));
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let key: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = folder.join("composed").join(format!("{name}-{key}.wasm"));
    if let Ok(found) = std::fs::read(&path)
        && found.starts_with(b"\0asm")
    {
        return Ok(found);
    }
    let made = make()?;
    // A cache that cannot be written costs time, nothing else.
    if let Err(error) = crate::workspace::write_atomically(&path, &made) {
        tracing::debug!(error = %format!("{error:#}"), "the composed component is not cached");
    }
    Ok(made)
}
