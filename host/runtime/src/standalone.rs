//! One component out of the HTTP front, the VM, the families and the programs of an app.

use crate::bindings::{BINDING, FAMILY, PROGRAM, SESSION};
use crate::carrier::carrier;
use crate::compose::{Composition, SLOTS, Switchboard};
use crate::contract;
use crate::guests;
use anyhow::{Context, Result, bail};

/// Programs that a composed component carries.
const CONTENTS: &str = "mix:app/contents@0.1.0";

/// Families that are one switchboard away from the VM; those after them are two away.
const DIRECT: usize = SLOTS - 1;

/// What a stock host calls.
const HANDLER: &str = "wasi:http/handler@0.3.0";

/// Composes everything. `programs` are names and executables, `plugins` names and components,
/// `replaced` components in the place of families; imports that no stock host offers are named in
/// the error.
pub fn compose(
    app: &str,
    programs: &[(String, Vec<u8>)],
    plugins: &[(String, Vec<u8>)],
    replaced: &[(String, Vec<u8>)],
) -> Result<Vec<u8>> {
    let mut composition = Composition::new();
    let mut switchboard = Switchboard::new(&mut composition)?;
    // Families beyond the first stand behind a switchboard of their own: it is a family too.
    let mut further_switchboard = Switchboard::within(&mut composition, &switchboard);
    let built_in = [
        ("core", guests::CORE),
        ("crypto", guests::CRYPTO),
        ("files", guests::FILES),
        ("http", guests::HTTP),
        ("db", guests::DB),
        ("secrets", guests::SECRETS),
        ("wasm", guests::WASM),
    ];
    if let Some((name, _)) = replaced
        .iter()
        .find(|(name, _)| built_in.iter().all(|(own, _)| own != name))
    {
        let names: Vec<&str> = built_in.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no family {name} to be replaced: {}",
            names.join(", ")
        );
    }
    let built_in = built_in.map(|(name, bytes)| {
        let other = replaced.iter().find(|(family, _)| family == name);
        (name, other.map_or(bytes, |(_, other)| other.as_slice()))
    });
    let further = plugins
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let mut unresolved = Vec::new();
    let mut families = Vec::new();
    for (number, (name, bytes)) in built_in.into_iter().chain(further).enumerate() {
        // Names of parts are package names; the file of a plugin is named in its errors.
        let family = composition
            .add(&format!("family{number}"), bytes)
            .with_context(|| format!("plugin {name}"))?;
        let exports = composition.exported(&family);
        if contract::compatible(FAMILY, exports.iter().map(String::as_str)).is_none() {
            bail!("plugin {name}: {}", contract::missing(FAMILY, &exports));
        }
        for import in composition.imports(&family) {
            if !import.starts_with("wasi:") && !import.starts_with("mix:ffi/types@") {
                unresolved.push(format!(
                    "plugin {name} imports {import}: no part offers it, leave the plugin out or compose it first"
                ));
            }
        }
        if number < DIRECT {
            switchboard.plug(&mut composition, &family)?;
        } else {
            further_switchboard.plug(&mut composition, &family)?;
        }
        families.push(family);
    }
    further_switchboard.close(&mut composition)?;
    switchboard.plug(&mut composition, &further_switchboard.part)?;
    if !unresolved.is_empty() {
        bail!("{}", unresolved.join("\n"));
    }
    switchboard.close(&mut composition)?;
    let vm = composition.add("vm", guests::VM_COMPOSED)?;
    switchboard.link(&mut composition, &vm, &families)?;
    let programs: Vec<(&str, &[u8])> = programs
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let contents = composition.add("contents", &carrier(app, &programs)?)?;
    let front = composition.add("front", guests::STANDALONE)?;
    composition.connect(&vm, PROGRAM, &front, PROGRAM)?;
    composition.connect(&vm, SESSION, &front, SESSION)?;
    composition.connect(&switchboard.part, FAMILY, &front, FAMILY)?;
    composition.connect(&switchboard.part, BINDING, &front, BINDING)?;
    composition.connect(&contents, CONTENTS, &front, CONTENTS)?;
    composition.export(&front, HANDLER)?;
    composition.encode()
}
