//! One component out of the front, the VM, the families and the programs of an app.
//!
//! ```text
//! Recipe ─► families asked for their functions ─► those chosen that are needed
//!              │                                        │
//!              └─► program linked and loaded (snapshot) ┴─► composition ─► validated component
//! ```
//!
//! * [`build`]: all of it; [`build_sync`]: one for hosts without async; [`precompile`]: native code for a stock host;
//! * [`chosen`]: which families become part of it;
//! * [`confine`], [`refusal`]: what plugins are kept from that they were not granted;
//! * [`description`]: what such a component says about itself.

mod chosen;
mod confine;
pub mod description;
mod refusal;

use crate::bindings::{
    AGENTS, BINDING, BUILT_IN, COMMAND, CONTENTS, DESCRIPTIONS, FAMILY, HANDLER, Link, PROGRAM,
    SESSION,
};
use crate::carrier::carrier;
use crate::compose::{Composition, PACKER, SLOTS, Switchboard, slot_function};
use crate::contract;
use crate::guests;
use crate::manifest::Grant;
use crate::programs::Executable;
use crate::signature::Parameter;
use crate::snapshot::{component, loading};
use anyhow::{Context, Result, anyhow, bail};
use chosen::{Chosen, MAIN_DATABASE, REQUESTS, STORE, families};
use description::{Agent, Description};
use mix_sandbox::engine;
use wasmparser::{Validator, WasmFeatures};
use wasmtime::{Config, Engine};

/// Families that are one switchboard away from the VM; those after them are two away.
const DIRECT: usize = SLOTS - 1;

/// Plugins at most: what two switchboards hold beside the families that ship.
const MAX_FAMILIES: usize = DIRECT + SLOTS;

/// What a component is made of.
#[derive(Default)]
pub struct Recipe {
    /// Name of the app in addresses.
    pub app: String,
    /// Names and linked executables.
    pub programs: Vec<(String, Executable)>,
    /// Names and components of further families.
    pub plugins: Vec<(String, Vec<u8>)>,
    /// What they are granted.
    pub grants: Vec<Grant>,
    /// Components in the place of families, by the name of the family.
    pub replaced: Vec<(String, Vec<u8>)>,
    /// True if the embedding program brings a family too.
    pub open_family: bool,
}

/// Composes everything. Imports that no stock host offers are named in the error.
pub async fn build(recipe: &Recipe) -> Result<Vec<u8>> {
    let chosen = families(recipe).await?;
    let engine = engine::engine()?;
    let prepared = match recipe.programs.as_slice() {
        [(name, program)] => {
            all_links(recipe, &chosen, program)?.map(|links| (name, program, links))
        }
        _ => None,
    };
    let vm = match prepared {
        Some((name, program, links)) => {
            let vm = guests::VM_COMPOSED;
            match component::with_program(
                &engine,
                vm,
                &loading::LOAD_LINKED,
                &program.bytes,
                &links,
            ) {
                Ok(Ok(made)) => Some(made),
                Ok(Err(refused)) => bail!("program {name}: {refused}"),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(%error, "the program is loaded when an instance starts, not beforehand");
                    None
                }
            }
        }
        _ => None,
    };
    let (mut component, mut parts) = compose(recipe, &chosen, vm.as_deref())?;
    parts.push(carry(&mut component, &recipe.programs));
    let description = Description {
        mixer: env!("CARGO_PKG_VERSION").to_owned(),
        app: recipe.app.clone(),
        preinitialized: vm.is_some(),
        agents: agents(&recipe.programs),
        families: chosen.into_iter().map(|family| family.about).collect(),
        parts,
    };
    description.embed(&mut component)?;
    validate(&component)?;
    Ok(component)
}

/// A component for hosts without async: the program in the VM that never waits. It is one
/// component, nothing is composed.
pub fn build_sync(app: &str, program: &(String, Executable)) -> Result<Vec<u8>> {
    let (name, executable) = program;
    let engine = engine::engine()?;
    let imports = mix_bytecode::decode(&executable.bytes)?.imports;
    let links: Vec<Link> = imports
        .iter()
        .filter(|import| import.arms.iter().all(|(place, _)| &**place != ENVIRONMENT))
        .map(|import| Link {
            name: import.name.to_string(),
            number: 0,
            params: import.params,
            waits: false,
        })
        .collect();
    let loader = &loading::PREPARE;
    let vm = guests::EMBEDDED;
    let made = component::with_program(&engine, vm, loader, &executable.bytes, &links)
        .with_context(|| format!("program {name} cannot be loaded beforehand"))?;
    let mut component = made.map_err(|refused| anyhow!("program {name}: {refused}"))?;
    let vm = "vm with core, crypto and the program".to_owned();
    let vm = (vm, component.len());
    let carried = carry(&mut component, std::slice::from_ref(program));
    let description = Description {
        mixer: env!("CARGO_PKG_VERSION").to_owned(),
        app: app.to_owned(),
        preinitialized: true,
        agents: agents(std::slice::from_ref(program)),
        families: Vec::new(),
        parts: vec![vm, carried],
    };
    description.embed(&mut component)?;
    validate(&component)?;
    Ok(component)
}

/// Adds the executables, for hosts that have the VM themselves.
fn carry(component: &mut Vec<u8>, programs: &[(String, Executable)]) -> Part {
    let before = component.len();
    for (_, program) in programs {
        mix_bytecode::component::carry(component, &program.bytes);
    }
    let name = "executables, for mixer itself".to_owned();
    (name, component.len() - before)
}

/// Which arm replaces a foreign function that is nowhere.
const ENVIRONMENT: &str = "agentServerEnvironment";

/// The agents of all programs; of several with one name the last one counts.
fn agents(programs: &[(String, Executable)]) -> Vec<Agent> {
    listed(programs, |program, name| program.params(name))
}

/// The same with what callers send, which is what the component tells its own callers.
fn told(programs: &[(String, Executable)]) -> Vec<Agent> {
    listed(programs, |program, name| program.arguments(name))
}

fn listed(
    programs: &[(String, Executable)],
    params: impl for<'a> Fn(&'a Executable, &str) -> Option<&'a [Parameter]>,
) -> Vec<Agent> {
    let mut agents: Vec<Agent> = Vec::new();
    for (_, program) in programs {
        for (name, _) in program.modules.iter().filter(|(_, is_agent)| *is_agent) {
            agents.retain(|agent| agent.name != *name);
            let params = params(program, name).unwrap_or_default();
            agents.push(Agent {
                name: name.clone(),
                description: program.description(name).to_owned(),
                params: params.iter().map(Into::into).collect(),
            });
        }
    }
    agents.sort_by(|a, b| a.name.cmp(&b.name));
    agents
}

fn validate(component: &[u8]) -> Result<()> {
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(component)
        .map(drop)
        .context("the component that was made is not valid")
}

/// Native code of a component for `wasmtime` of this version, with its own settings, on machines
/// of this kind (`--allow-precompiled`).
pub fn precompile(component: &[u8]) -> Result<Vec<u8>> {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    engine
        .precompile_component(component)
        .map_err(anyhow::Error::from)
        .context("the component cannot be compiled")
}

/// Where the VM finds the functions that a program uses: in its slots, then behind the switchboard.
fn links(chosen: &[Chosen], foreign: &[String]) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    // The switchboard counts the functions of all families, one after another.
    let mut before = 0;
    for (place, family) in chosen.iter().enumerate() {
        for (function, number) in family.functions.iter().zip(0..) {
            let known = links.iter().any(|link| link.name == function.name);
            // What stands beside a function comes with it, and is of the same family.
            let whole = contract::whole_of(function, &family.functions);
            if whole.is_some() && !function.waits && !family.has_short_ways {
                continue;
            }
            let name = &whole.unwrap_or(function).name;
            if known || !foreign.contains(name) {
                continue;
            }
            links.push(Link {
                name: function.name.clone(),
                number: match place < SLOTS {
                    true => slot_function(place, number),
                    false => before + number,
                },
                params: function.params,
                waits: function.waits,
            });
        }
        before += family.functions.len() as u32;
    }
    links
}

/// The same with the functions that the program around the component may bring: they are found by name
/// when they are called first. None if it depends on that program what is linked.
fn all_links(
    recipe: &Recipe,
    chosen: &[Chosen],
    program: &Executable,
) -> Result<Option<Vec<Link>>> {
    let mut links = links(chosen, &program.foreign);
    if !recipe.open_family {
        return Ok(Some(links));
    }
    let imports = mix_bytecode::decode(&program.bytes)?.imports;
    let unknown = imports
        .iter()
        .filter(|import| !links.iter().any(|link| *link.name == *import.name));
    let mut later = Vec::new();
    for (number, import) in (LATER..).zip(unknown) {
        if import.arms.iter().any(|(place, _)| &**place == ENVIRONMENT) {
            return Ok(None);
        }
        later.push(Link {
            name: import.name.to_string(),
            number,
            params: import.params,
            waits: true,
        });
    }
    links.extend(later);
    Ok(Some(links))
}

/// The number of the first function that is found by its name (`mix:vm/slotted-vm`).
const LATER: u32 = 255 << 24;

/// Name and size of a part of a component.
type Part = (String, usize);

/// The component, with its parts.
fn compose(recipe: &Recipe, chosen: &[Chosen], vm: Option<&[u8]>) -> Result<(Vec<u8>, Vec<Part>)> {
    let mut parts = Vec::new();
    let mut composition = Composition::new();
    let empty = composition.add("empty", guests::EMPTY)?;
    let mut switchboard = Switchboard::new(&mut composition, &empty)?;
    parts.push(("switchboard".to_owned(), guests::SWITCHBOARD.len()));
    parts.push(("empty".to_owned(), guests::EMPTY.len()));
    // Families beyond the first stand behind a switchboard of their own: it is a family too.
    let mut further_switchboard = Switchboard::within(&mut composition, &switchboard);
    let mut families = Vec::new();
    for (number, family) in chosen.iter().enumerate() {
        let part = composition
            .add(&format!("family{number}"), &family.bytes)
            .with_context(|| format!("plugin {}", family.name))?;
        if let Some(front) = &family.front {
            let guard = composition.add(&format!("front{number}"), &front.component)?;
            for interface in &front.interfaces {
                composition.connect(&guard, interface, &part, interface)?;
            }
            parts.push((
                format!("front of {}", family.about.name),
                front.component.len(),
            ));
        }
        if number < DIRECT {
            switchboard.plug(&mut composition, &part)?;
        } else {
            further_switchboard.plug(&mut composition, &part)?;
        }
        parts.push((format!("family {}", family.about.name), family.bytes.len()));
        families.push(part);
    }
    let placed = |name: &str| chosen.iter().position(|family| family.name == name);
    if let (Some(front), Some(store), Some(requests)) =
        (placed(MAIN_DATABASE), placed(STORE), placed(REQUESTS))
    {
        for (behind, import) in [(store, "store"), (requests, "requests")] {
            let exports = composition.exported(&families[behind]);
            let exports = exports.iter().map(String::as_str);
            let export = contract::compatible(FAMILY, exports).unwrap_or(FAMILY);
            composition.connect(&families[behind], export, &families[front], import)?;
        }
    }
    if recipe.open_family {
        if chosen.len() < DIRECT {
            switchboard.leave_open(&mut composition)?;
        } else {
            further_switchboard.leave_open(&mut composition)?;
        }
    }
    switchboard.fill(&mut composition, DIRECT)?;
    further_switchboard.close(&mut composition)?;
    switchboard.plug(&mut composition, &further_switchboard.part)?;
    switchboard.close(&mut composition)?;
    let preinitialized = vm.is_some();
    let vm_bytes = vm.unwrap_or(guests::VM_COMPOSED);
    let vm = composition.add("vm", vm_bytes)?;
    parts.push(("vm".to_owned(), guests::VM_COMPOSED.len()));
    if preinitialized {
        let more = vm_bytes.len().saturating_sub(guests::VM_COMPOSED.len());
        parts.push(("program, loaded".to_owned(), more));
    }
    switchboard.link(&mut composition, &vm, &families, &empty, recipe.open_family)?;
    if composition.contains(PACKER) {
        parts.push((PACKER.to_owned(), guests::PACKER.len()));
    }
    let programs: Vec<(&str, &[u8])> = match preinitialized {
        true => Vec::new(),
        false => {
            let programs = recipe.programs.iter();
            programs
                .map(|(name, program)| (name.as_str(), program.bytes.as_slice()))
                .collect()
        }
    };
    let about = serde_json::to_string(&told(&recipe.programs))?;
    let carrier = carrier(&recipe.app, &programs, &about)?;
    let contents = composition.add("contents", &carrier)?;
    parts.push(("programs".to_owned(), carrier.len()));
    let front = composition.add("front", guests::STANDALONE)?;
    parts.push(("front".to_owned(), guests::STANDALONE.len()));
    for interface in [PROGRAM, SESSION, BUILT_IN] {
        composition.connect(&vm, interface, &front, interface)?;
    }
    composition.connect(&switchboard.part, FAMILY, &front, FAMILY)?;
    composition.connect(&switchboard.part, BINDING, &front, BINDING)?;
    for interface in [CONTENTS, DESCRIPTIONS] {
        composition.connect(&contents, interface, &front, interface)?;
    }
    for interface in [HANDLER, COMMAND, AGENTS] {
        composition.export(&front, interface)?;
    }
    let component = composition.encode().map_err(|error| anyhow!(error))?;
    Ok((component, parts))
}
