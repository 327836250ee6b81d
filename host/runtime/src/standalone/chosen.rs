//! Which families become part of a component: those that ship as far as they are needed, and all plugins.

use super::confine::{self, Front};
use super::description::Family;
use super::{MAX_FAMILIES, Recipe};
use crate::bindings::{FAMILY, Function};
use crate::compose::Composition;
use crate::contract;
use crate::guests;
use crate::manifest::{Grant, Manifest};
use crate::plugin::{Linkers, PluginCode, Standing, named_twice};
use anyhow::{Context, Result, bail};
use mix_sandbox::engine;
use std::borrow::Cow;
use wasmparser::Parser;
use wasmtime::Engine;

/// The families that ship.
const BUILT_IN_FAMILIES: [(&str, &[u8]); 7] = [
    ("core", guests::CORE),
    ("crypto", guests::CRYPTO),
    ("files", guests::FILES),
    ("http", guests::HTTP),
    ("db", guests::DB),
    ("secrets", guests::SECRETS),
    ("wasm", guests::WASM),
];

/// Those that are there even if no program uses them: the front answers with them too.
const ALWAYS: [&str; 3] = ["core", "files", "db"];

/// What stands before the record store where a program uses it ([`mix_remote_database`]), and the families behind it.
pub(super) const MAIN_DATABASE: &str = "main-database";
pub(super) const STORE: &str = "db";
pub(super) const REQUESTS: &str = "http";

/// A family that becomes part of the component.
pub(super) struct Chosen<'a> {
    pub(super) name: String,
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) functions: Vec<Function>,
    pub(super) about: Family,
    /// What stands between it and the host.
    pub(super) front: Option<Front>,
    /// False if its short ways are those of a family behind it, which are called there.
    pub(super) has_short_ways: bool,
}

/// The families that ship as far as they are needed, and all plugins.
pub(super) async fn families(recipe: &Recipe) -> Result<Vec<Chosen<'_>>> {
    let known = |name: &String| BUILT_IN_FAMILIES.iter().any(|(own, _)| own == name);
    if let Some((name, _)) = recipe.replaced.iter().find(|(name, _)| !known(name)) {
        let names: Vec<&str> = BUILT_IN_FAMILIES.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no family {name} to be replaced: {}",
            names.join(", ")
        );
    }
    let engine = engine::engine()?;
    let linkers = Linkers::new(&engine)?;
    let mut shipped = Vec::new();
    for (name, bytes) in BUILT_IN_FAMILIES {
        let other = recipe.replaced.iter().find(|(family, _)| family == name);
        let bytes = other.map_or(Cow::Borrowed(bytes), |(_, other)| Cow::Borrowed(other));
        let family = ask(&engine, &linkers, name, bytes, other.is_some(), None).await?;
        shipped.push((other.is_some(), family));
    }
    let uses = |name: &str| {
        let programs = recipe.programs.iter();
        let mut foreign = programs.flat_map(|(_, program)| &program.foreign);
        foreign.any(|foreign| foreign == name)
    };
    let store = shipped.iter().find(|(_, family)| family.name == STORE);
    let asks_elsewhere = store.is_some_and(|(_, store)| {
        let mut functions = store.functions.iter().map(|function| &*function.name);
        functions.any(|name| mix_remote_database::concerns(name) && uses(name))
    });
    let mut chosen = Vec::new();
    for (replaced, family) in shipped {
        let name = &*family.name;
        let used = || family.functions.iter().any(|one| uses(&one.name));
        if name == STORE && asks_elsewhere {
            chosen.push(before_store(&family, replaced));
        }
        if replaced || ALWAYS.contains(&name) || used() || name == REQUESTS && asks_elsewhere {
            chosen.push(family);
        }
    }
    for (name, bytes) in &recipe.plugins {
        let bytes = Cow::Borrowed(bytes.as_slice());
        let grants = Some(recipe.grants.as_slice());
        let family = ask(&engine, &linkers, name, bytes, true, grants).await?;
        let taken = |function: &&Function| {
            let others = chosen.iter().flat_map(|family: &Chosen| &family.functions);
            others.into_iter().any(|other| other.name == function.name)
        };
        if let Some(function) = family.functions.iter().find(taken) {
            bail!(
                "plugin {name}: another family has a function {} already",
                function.name
            );
        }
        if chosen
            .iter()
            .any(|other| other.about.name == family.about.name)
        {
            return Err(named_twice(&family.about.name));
        }
        chosen.push(family);
    }
    let is_there = |grant: &&Grant| {
        let mut plugins = chosen.iter().filter(|family| family.about.plugin);
        plugins.any(|family| family.about.name == grant.plugin)
    };
    if let Some(grant) = recipe.grants.iter().find(|grant| !is_there(grant)) {
        bail!("there is no plugin {} to grant anything to", grant.plugin);
    }
    let most = MAX_FAMILIES - usize::from(recipe.open_family);
    if chosen.len() > most {
        bail!(
            "there are {} families, and a component holds {most}: leave plugins out",
            chosen.len()
        );
    }
    Ok(chosen)
}

/// What stands before the record store: it has those of its functions that another server may answer.
fn before_store(store: &Chosen, replaced: bool) -> Chosen<'static> {
    let functions = store.functions.iter();
    let functions: Vec<Function> = functions
        .filter(|function| mix_remote_database::concerns(&function.name))
        .cloned()
        .collect();
    let about = Family {
        name: MAIN_DATABASE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        functions: functions.len(),
        plugin: false,
        needs: Vec::new(),
        granted: Vec::new(),
        confined: Vec::new(),
    };
    Chosen {
        name: MAIN_DATABASE.to_owned(),
        bytes: Cow::Borrowed(guests::MAIN_DATABASE),
        functions,
        about,
        front: None,
        has_short_ways: replaced,
    }
}

/// Takes a family in. `grants`: what plugins are given; `None` for a family of the library, or what
/// stands in the place of one, which gets what that one gets.
async fn ask<'a>(
    engine: &Engine,
    linkers: &Linkers,
    name: &str,
    bytes: Cow<'a, [u8]>,
    plugin: bool,
    grants: Option<&[Grant]>,
) -> Result<Chosen<'a>> {
    refuse_imports(name, &bytes)?;
    let code = PluginCode::load(engine, linkers, name, &bytes, Standing::Inspected).await?;
    let (mut granted, mut front) = (Vec::new(), None);
    if let Some(grants) = grants {
        let label = || format!("plugin {}", code.name);
        let needs = &code.manifest.needs;
        let given = confine::given(&code.name, needs, grants).with_context(label)?;
        front = confine::front(&bytes, &given).with_context(label)?;
        granted = given.to_texts();
    }
    let own_version = || env!("CARGO_PKG_VERSION").to_owned();
    let manifest = Manifest::of(&bytes)?;
    let version = match manifest.version {
        None if !plugin => own_version(),
        version => version.unwrap_or_default(),
    };
    let about = Family {
        name: manifest.name.unwrap_or_else(|| code.name.clone()),
        version,
        functions: code.functions.len(),
        plugin,
        needs: code
            .manifest
            .needs
            .iter()
            .map(ToString::to_string)
            .collect(),
        granted,
        confined: front
            .as_ref()
            .map_or_else(Vec::new, |front| front.interfaces.clone()),
    };
    Ok(Chosen {
        name: name.to_owned(),
        bytes,
        functions: code.functions,
        about,
        front,
        has_short_ways: true,
    })
}

/// What imports of plugins begin with that any host offers: WASI, and shapes that have no functions.
const OFFERED: [&str; 3] = ["wasi:", "mix:ffi/types@", "mix:packed/types@"];

/// A plugin may import what a stock host offers, nothing else.
fn refuse_imports(name: &str, bytes: &[u8]) -> Result<()> {
    if !Parser::is_component(bytes) {
        bail!("plugin {name}: it is no WebAssembly component");
    }
    let mut composition = Composition::new();
    // Names of parts are package names; the file of a plugin is named in its errors.
    let family = composition
        .add("family", bytes)
        .with_context(|| format!("plugin {name}"))?;
    let exports = composition.exported(&family);
    if contract::compatible(FAMILY, exports.iter().map(String::as_str)).is_none() {
        bail!("plugin {name}: {}", contract::missing(FAMILY, &exports));
    }
    let unresolved: Vec<String> = composition
        .imports(&family)
        .into_iter()
        .filter(|import| !OFFERED.iter().any(|offered| import.starts_with(offered)))
        .map(|import| {
            format!(
                "plugin {name} imports {import}: no part offers it, leave the plugin out or compose it first"
            )
        })
        .collect();
    if !unresolved.is_empty() {
        bail!("{}", unresolved.join("\n"));
    }
    Ok(())
}
