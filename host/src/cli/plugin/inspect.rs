//! `mixer plugin inspect`.

use super::load;
use crate::cli::Exit;
use crate::cli::output;
use crate::cli::units;
use clap::Args;
use mix_runtime::manifest::{Allowance, Grant, Manifest, allow};
use serde_json::json;
use std::path::PathBuf;

/// Shows what a plugin needs and what it is given.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The component.
    plugin: PathBuf,
    /// What it is granted, as for `run` and `serve`; may be repeated.
    #[arg(long = "grant", value_name = "GRANT", env = "MIXER_GRANT", value_delimiter = ';', value_parser = grant)]
    grants: Vec<Grant>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

fn grant(text: &str) -> Result<Grant, String> {
    Grant::parse(text, units::size, units::duration)
}

impl Inspect {
    pub fn execute(self) -> Result<(), Exit> {
        let code = load(&self.plugin)?;
        if let Some(other) = self.grants.iter().find(|grant| grant.plugin != code.name) {
            return Err(Exit::usage(format!(
                "there is no plugin {} to grant anything to: this one is {}",
                other.plugin, code.name
            )));
        }
        // Each need by itself, so that all that is missing is shown, not only the first.
        let needs: Vec<(String, Result<Allowance, String>)> = code
            .manifest
            .needs
            .iter()
            .map(|need| {
                let alone = Manifest {
                    needs: vec![need.clone()],
                    ..Manifest::default()
                };
                let given = allow(&code.name, &alone, &self.grants);
                (need.to_string(), given.map_err(|error| error.to_string()))
            })
            .collect();
        let limits = allow(&code.name, &Manifest::default(), &self.grants)?.limits;
        let waits = code
            .functions
            .iter()
            .filter(|function| function.waits)
            .count();
        if self.json {
            let needs: Vec<_> = needs
                .iter()
                .map(|(need, given)| json!({"need": need, "granted": given.is_ok()}))
                .collect();
            let functions: Vec<_> = code
                .functions
                .iter()
                .map(|function| {
                    json!({
                        "name": function.name,
                        "params": function.params,
                        "waits": function.waits,
                        "doc": function.doc.trim(),
                    })
                })
                .collect();
            let about = json!({
                "name": code.name,
                "version": code.manifest.version,
                "contract": code.version,
                "shared": code.is_shared(),
                "needs": needs,
                "limits": {
                    "memory": limits.memory,
                    "callMs": limits.time.as_millis() as u64,
                    "inFlight": limits.calls,
                },
                "functions": functions,
            });
            output::line(&about)?;
            return Ok(());
        }
        let version = code.manifest.version.as_deref().unwrap_or("");
        output::line(format!("plugin {} {version}", code.name).trim_end())?;
        output::line(format_args!("contract mix:ffi {}", code.version))?;
        output::line(format_args!(
            "functions {}, {waits} of them may wait",
            code.functions.len()
        ))?;
        if needs.is_empty() {
            output::line("needs nothing: no files, no network, no variables")?;
        }
        for (need, given) in &needs {
            match given {
                Ok(_) => output::line(format_args!("needs {need}: granted"))?,
                Err(reason) => output::line(format_args!("needs {need}: refused, {reason}"))?,
            }
        }
        output::line(format_args!(
            "limits memory {} MiB, {} ms for a call that never waits, {} in flight",
            limits.memory >> 20,
            limits.time.as_millis(),
            limits.calls
        ))?;
        Ok(())
    }
}
