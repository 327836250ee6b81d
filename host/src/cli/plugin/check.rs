//! `mixer plugin check`.

use super::bindings::{self, Name};
use super::load;
use crate::cli::Exit;
use crate::cli::output;
use crate::cli::runtime;
use clap::Args;
use mix_runtime::assembly::functions_of;
use mix_runtime::bindings::Function;
use mix_runtime::contract;
use mix_runtime::guests;
use mix_runtime::plugin::{Linkers, PluginCode};
use mix_sandbox::engine;
use std::collections::HashSet;
use std::path::PathBuf;

/// Checks that a plugin can be linked, and lists its functions.
#[derive(Debug, Args)]
pub struct Check {
    /// The component.
    plugin: PathBuf,
    /// The family of the library that it is to stand in the place of (`--family NAME=FILE` of `run` and `serve`):
    /// it has to have all its functions.
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
}

impl Check {
    pub fn execute(self) -> Result<(), Exit> {
        let code = load(&self.plugin)?;
        output::line(format_args!(
            "plugin {} for mix:ffi {}",
            code.name, code.version
        ))?;
        for function in &code.functions {
            output::line(format_args!(
                "  {} {} : {}",
                if function.waits { "start" } else { "call " },
                function.name,
                bindings::type_of(function).0
            ))?;
        }
        let wrong = match &self.family {
            None => faults(&code),
            Some(family) => lacking(&code, &shipped(family)?),
        };
        for fault in &wrong {
            output::messages(&format!("error: {fault}\n"));
        }
        if !wrong.is_empty() {
            return Err(Exit::reported());
        }
        if self.family.is_none() {
            bindings::compiled(&code)?;
        }
        output::line(format_args!("{} functions, ok", code.functions.len()))?;
        Ok(())
    }
}

/// The functions of a family as it ships.
fn shipped(family: &str) -> Result<Vec<Function>, Exit> {
    let functions = runtime()?.block_on(async {
        let engine = engine::engine()?;
        let linkers = Linkers::new(&engine)?;
        functions_of(&engine, &linkers, family).await
    });
    functions.map_err(|error| Exit::usage(format!("{error:#}")))
}

/// What a component lacks that is to stand in the place of a family. Ways of a function are its own affair.
fn lacking(code: &PluginCode, family: &[Function]) -> Vec<String> {
    let mut faults = Vec::new();
    let plain = |function: &&Function| contract::plain(&function.name) == function.name;
    for wanted in family.iter().filter(plain) {
        let (name, params) = (&wanted.name, wanted.params);
        match code.functions.iter().find(|own| own.name == *name) {
            None => faults.push(format!(
                "it has no {name} (arguments: {params}): programs that use it do not start"
            )),
            Some(own) if own.params != params => faults.push(format!(
                "{name} takes {} arguments, that of the library {params}",
                own.params
            )),
            Some(_) => {}
        }
    }
    faults
}

/// What keeps a plugin from being linked or used.
fn faults(code: &PluginCode) -> Vec<String> {
    let mut faults = Vec::new();
    if code.functions.is_empty() {
        faults.push("it has no functions".to_owned());
    }
    let mut seen = HashSet::new();
    for function in &code.functions {
        let whole = contract::whole_of(function, &code.functions);
        let name = &whole.unwrap_or(function).name;
        if Name::of(name).is_none() {
            faults.push(format!("{name:?} is not of the form $family_verb"));
        }
        if !seen.insert(&function.name) {
            faults.push(format!("{} is there twice", function.name));
        }
        if function.doc.trim().is_empty() {
            faults.push(format!("{name} has no documentation"));
        }
        let family = Name::of(name).map(|name| name.family);
        if family.is_some_and(|family| guests::FAMILIES.contains(&family)) {
            faults.push(format!(
                "{name} looks like a function of the library: choose another family name, or --family for a component that replaces one"
            ));
        }
    }
    faults
}
