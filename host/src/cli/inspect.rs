//! `mixer inspect`.

use super::Exit;
use super::output;
use clap::Args;
use mix_runtime::embedding::{self, EmbeddingCode};
use mix_runtime::plugin::LARGEST_COMPONENT;
use mix_runtime::standalone::description::{Description, capabilities};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Shows what is in a component of `mixer build`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The component.
    component: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub fn execute(self) -> Result<(), Exit> {
        let path = self.component.display();
        let bytes = mix_input_file::read(&self.component, LARGEST_COMPONENT)
            .map_err(|error| Exit::io(format!("{path}: {error}")))?;
        let failed = |error: anyhow::Error| Exit::failed(format!("error: {path}: {error:#}"));
        let description = match Description::of(&bytes) {
            Ok(description) => description,
            Err(error) => {
                // It may have agents all the same.
                let has_agents = embedding::export(&bytes).is_ok_and(|export| export.is_some());
                return match EmbeddingCode::load(&bytes) {
                    Ok(Some(code)) => self.embedding(&code, &bytes),
                    Err(why) if has_agents => Err(failed(why)),
                    _ => Err(failed(error)),
                };
            }
        };
        let asks = capabilities(&bytes).map_err(failed)?;
        if self.json {
            let mut about = json!(description);
            about["size"] = json!(bytes.len());
            about["asksFor"] = json!(asks);
            return output::line(about);
        }
        let Description {
            mixer,
            app,
            preinitialized,
            agents,
            families,
            parts,
        } = description;
        line(format_args!("app {app}, made by mixer {mixer}"))?;
        line(match preinitialized {
            true => "its program is loaded and linked already",
            false => "its programs are loaded when an instance starts",
        })?;
        line("agents")?;
        for agent in &agents {
            let params: Vec<String> = agent
                .params
                .iter()
                .map(|param| {
                    let mark = if param.optional { "?" } else { "" };
                    format!("{}{mark}: {}", param.name, param.kind)
                })
                .collect();
            let first = agent.description.lines().next();
            let about = first.map_or_else(String::new, |line| format!(": {line}"));
            let params = params.join(", ");
            line(format_args!("  {}({params}){about}", agent.name))?;
        }
        line("families of functions")?;
        for family in &families {
            let kind = if family.plugin { ", a plugin" } else { "" };
            let needs = match family.needs.is_empty() {
                true => String::new(),
                false => format!(", needs {}", family.needs.join(", ")),
            };
            let version = match family.version.as_str() {
                "" => String::new(),
                version => format!(" {version}"),
            };
            let granted = match family.granted.is_empty() {
                true => String::new(),
                false => format!(", granted {}", family.granted.join(", ")),
            };
            line(format_args!(
                "  {}{version}: {} functions{kind}{needs}{granted}",
                family.name, family.functions
            ))?;
            if !family.confined.is_empty() {
                line(format_args!(
                    "    cut off from the host but for what it was granted: {}",
                    family.confined.join(", ")
                ))?;
            }
        }
        ask(&asks)?;
        line(format_args!("size {}", size(bytes.len())))?;
        for (name, bytes) in parts {
            line(format_args!("  {}  {name}", size(bytes)))?;
        }
        Ok(())
    }
}

impl Inspect {
    /// A component of the embedding world that was made by other means.
    fn embedding(&self, code: &EmbeddingCode, bytes: &[u8]) -> Result<(), Exit> {
        let asks =
            capabilities(bytes).map_err(|error| Exit::failed(format!("error: {error:#}")))?;
        if self.json {
            let agents = code.agents.iter().map(|name| json!({ "name": name }));
            let agents: Vec<_> = agents.collect();
            return output::line(json!({"agents": agents, "size": bytes.len(), "asksFor": asks}));
        }
        line("a component with agents, not made by mixer")?;
        line("agents")?;
        for agent in &code.agents {
            line(format_args!("  {agent}"))?;
        }
        ask(&asks)?;
        line(format_args!("size {}", size(bytes.len())))
    }
}

fn ask(capabilities: &BTreeMap<String, Vec<String>>) -> Result<(), Exit> {
    line("asks its host for")?;
    for (capability, interfaces) in capabilities {
        line(format_args!("  {capability}: {}", interfaces.join(", ")))?;
    }
    Ok(())
}

/// A line for people: the component may be anybody's, and what it says shall not steer a terminal.
fn line(text: impl fmt::Display) -> Result<(), Exit> {
    output::line(printable(&text.to_string()))
}

fn printable(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).collect()
}

fn size(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes:>6} B"),
        _ => format!("{:>6} KiB", bytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_component_says_does_not_steer_a_terminal() {
        assert_eq!(
            printable("  a(b: data): \u{1b}[2Jk\u{e4}se\r\u{9b}"),
            "  a(b: data): [2Jk\u{e4}se"
        );
    }
}
