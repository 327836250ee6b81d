//! `mixer plugin check`.

use super::bindings::{self, Name};
use super::load;
use crate::cli::Exit;
use crate::cli::output;
use clap::Args;
use mix_runtime::contract;
use mix_runtime::guests;
use mix_runtime::plugin::PluginCode;
use std::collections::HashSet;
use std::path::PathBuf;

/// Checks that a plugin can be linked, and lists its functions.
#[derive(Debug, Args)]
pub struct Check {
    /// The component.
    plugin: PathBuf,
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
        let wrong = faults(&code);
        for fault in &wrong {
            output::messages(&format!("error: {fault}\n"));
        }
        if !wrong.is_empty() {
            return Err(Exit::reported());
        }
        bindings::compiled(&code)?;
        output::line(format_args!("{} functions, ok", code.functions.len()))?;
        Ok(())
    }
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
                "{name} looks like a function of the library: choose another family name"
            ));
        }
    }
    faults
}
