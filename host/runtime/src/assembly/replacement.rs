//! Components that an operator puts in the place of families.

use super::BEHIND_HOST;
use crate::bindings::{FAMILY, Function};
use crate::compose::Hostless;
use crate::families::{HostFamily, mqtt, websocket};
use crate::guests;
use crate::plugin::{Access, LARGEST_COMPONENT, Linkers, PluginCode, Standing};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::Engine;

/// What stands in the place of a family.
#[derive(Debug, Clone)]
pub enum Replacement {
    /// The one that keeps everything in memory.
    Memory,
    /// A component.
    File(PathBuf),
}

/// The component that an operator put in the place of a family.
pub(super) async fn replace(
    engine: &Engine,
    linkers: &Linkers,
    name: &str,
    access: Access,
    replacement: &Replacement,
) -> Result<PluginCode> {
    match replacement {
        Replacement::Memory => {
            let bytes = guests::in_memory(name)
                .with_context(|| format!("family {name} has no form that lives in memory"))?;
            let standing = Standing::BuiltIn(Access::Nothing);
            PluginCode::load(engine, linkers, name, bytes, standing).await
        }
        Replacement::File(path) => {
            let label = || path.display().to_string();
            let bytes = mix_input_file::read(path, LARGEST_COMPONENT).with_context(label)?;
            let standing = Standing::InPlaceOf(access);
            PluginCode::load(engine, linkers, name, &bytes, standing)
                .await
                .with_context(label)
        }
    }
}

/// The component that an operator put in the place of a family that is composed with the VM.
/// It is told who calls and given the variables of its run, as the VM is, and nothing else.
pub(super) async fn compose_in_place(
    engine: &Engine,
    linkers: &Linkers,
    hostless: &mut Hostless,
    name: &str,
    replacement: &Replacement,
) -> Result<()> {
    if hostless.iter().all(|(family, _)| family != name) {
        return Err(no_family(name, hostless));
    }
    let path = match replacement {
        Replacement::File(path) => path,
        Replacement::Memory => bail!("family {name} has no form that lives in memory"),
    };
    let label = || path.display().to_string();
    let bytes = mix_input_file::read(path, LARGEST_COMPONENT).with_context(label)?;
    let standing = Standing::InPlaceOf(Access::Nothing);
    let code = PluginCode::load(engine, linkers, name, &bytes, standing)
        .await
        .with_context(label)?;
    if code.is_shared() {
        bail!(
            "{}: family {name} is composed with the VM, so it must export {FAMILY} itself",
            label()
        );
    }
    hostless.replace(name, bytes);
    Ok(())
}

/// The functions of a family as it ships: programs that use one do not start where the component in its place lacks it.
pub async fn functions_of(
    engine: &Engine,
    linkers: &Linkers,
    family: &str,
) -> Result<Vec<Function>> {
    match family {
        "mqtt" => return Ok(mqtt::functions()),
        "websocket" => return Ok(websocket::functions()),
        _ => {}
    }
    let hostless = Hostless::default();
    let mut composed = hostless
        .iter()
        .map(|(name, bytes)| (name, bytes, Access::Nothing));
    let shipped = BEHIND_HOST
        .into_iter()
        .find(|(name, ..)| *name == family)
        .or_else(|| composed.find(|(name, ..)| *name == family));
    let Some((name, bytes, access)) = shipped else {
        return Err(no_family(family, &hostless));
    };
    let code = PluginCode::load(engine, linkers, name, bytes, Standing::BuiltIn(access)).await?;
    Ok(code.functions)
}

fn no_family(name: &str, hostless: &Hostless) -> anyhow::Error {
    let behind = BEHIND_HOST.iter().map(|(name, ..)| *name);
    let names: Vec<&str> = hostless
        .iter()
        .map(|(name, _)| name)
        .chain(behind)
        .chain(["mqtt", "websocket"])
        .collect();
    anyhow!(
        "there is no family {name} to be replaced: {}",
        names.join(", ")
    )
}

/// Two plugins with a function of the same name cannot be linked.
pub(super) async fn refuse_clashes(
    engine: &Engine,
    linkers: &Linkers,
    hostless: &Hostless,
    own: &[Arc<dyn HostFamily>],
    plugins: &[PluginCode],
) -> Result<()> {
    let mut composed = Vec::new();
    for (name, bytes) in hostless.iter() {
        let standing = Standing::InPlaceOf(Access::Nothing);
        composed.push(PluginCode::load(engine, linkers, name, bytes, standing).await?);
    }
    let described: Vec<_> = own
        .iter()
        .map(|family| (family.name(), family.describe()))
        .collect();
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for (name, functions) in &described {
        owners.extend(functions.iter().map(|function| (&*function.name, *name)));
    }
    for plugin in composed.iter().chain(plugins) {
        for function in &plugin.functions {
            if let Some(other) = owners.insert(&function.name, &plugin.name) {
                bail!(
                    "function {} is offered by two plugins: {other} and {}",
                    function.name,
                    plugin.name
                );
            }
        }
    }
    Ok(())
}
