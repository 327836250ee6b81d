//! What a composed component says about itself, and what its imports say.
//!
//! The description is a custom section `mix-app` of the component: JSON. What the component will
//! ask its host for is read from its imports instead, which cannot be wrong.

use crate::interfaces::Interfaces;
use crate::signature::Parameter;
use crate::snapshot::sections;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasmparser::Parser;

/// Name of the section.
pub const SECTION: &str = "mix-app";

/// A composed component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Version of the program that made it.
    pub mixer: String,
    /// Name of the app in addresses.
    pub app: String,
    /// True if its program is loaded and linked already.
    pub preinitialized: bool,
    /// Agents of all programs, by name.
    pub agents: Vec<Agent>,
    /// Families of foreign functions, plugins among them.
    pub families: Vec<Family>,
    /// Name and bytes of the components that it is made of.
    pub parts: Vec<(String, usize)>,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// What its doc comment says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its parameters.
    pub params: Vec<Param>,
}

/// A parameter of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type, as the language writes it.
    #[serde(rename = "type")]
    pub kind: String,
    /// True if it may be left out.
    pub optional: bool,
}

impl From<&Parameter> for Param {
    fn from(parameter: &Parameter) -> Param {
        Param {
            name: parameter.name.clone(),
            kind: parameter.kind.clone(),
            optional: parameter.optional,
        }
    }
}

/// A family of foreign functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Its version; empty for a plugin that says none.
    pub version: String,
    /// How many functions it has.
    pub functions: usize,
    /// True if it is none of those that ship.
    pub plugin: bool,
    /// What its manifest says that it cannot do without.
    pub needs: Vec<String>,
    /// What it was granted.
    #[serde(default)]
    pub granted: Vec<String>,
    /// Interfaces of the host that it was cut off from, but for what it was granted.
    #[serde(default)]
    pub confined: Vec<String>,
}

impl Description {
    /// Writes it into a component.
    pub fn embed(&self, component: &mut Vec<u8>) -> Result<()> {
        sections::write_custom(component, SECTION, &serde_json::to_vec(self)?);
        Ok(())
    }

    /// That of a component.
    pub fn of(component: &[u8]) -> Result<Description> {
        if component.starts_with(b"\x7fELF") {
            bail!(
                "it is precompiled, native code for one version of wasmtime; give the component that it was made of"
            );
        }
        if !Parser::is_component(component) {
            bail!("it is no WebAssembly component");
        }
        for section in sections::of(component)? {
            if section.id != sections::CUSTOM {
                continue;
            }
            let (name, content) = sections::custom(&component[section.content])?;
            if name == SECTION {
                return serde_json::from_slice(content)
                    .with_context(|| format!("its section {SECTION} is malformed"));
            }
        }
        bail!("it holds no app; `mixer build APP -o app.wasm` makes a component that does")
    }
}

/// What a component asks its host for: capabilities with their interfaces.
pub fn capabilities(component: &[u8]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for import in Interfaces::of(component)?.imports {
        let capability = capability(&import);
        if !capability.is_empty() {
            found.entry(capability.to_owned()).or_default().push(import);
        }
    }
    Ok(found)
}

/// What an imported interface gives access to; empty for shapes of values only.
fn capability(import: &str) -> &str {
    let interface = import.split('@').next().unwrap_or(import);
    match interface.split_once('/') {
        Some(("mix:ffi", "family") | ("mix:embed", "functions")) => {
            "functions of the embedding program"
        }
        Some(("mix:ffi" | "mix:packed" | "mix:vm" | "wasi:io", _))
        | Some(("wasi:http", "types")) => "",
        Some(("wasi:filesystem", _)) => "folders that the host opens",
        Some(("wasi:http", _)) => "outbound HTTP requests",
        Some(("wasi:sockets", _)) => "sockets",
        Some(("wasi:clocks", _)) => "clocks",
        Some(("wasi:random", _)) => "random bytes",
        Some(("wasi:cli", "environment")) => "variables and arguments",
        Some(("wasi:cli", "exit")) => "ending the program",
        Some(("wasi:cli", _)) => "standard streams",
        _ => interface,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> Description {
        Description {
            mixer: "0.1.0".into(),
            app: "movies".into(),
            preinitialized: true,
            agents: vec![Agent {
                name: "report".into(),
                description: "Sums up".into(),
                params: vec![Param {
                    name: "p".into(),
                    kind: "data".into(),
                    optional: true,
                }],
            }],
            families: vec![Family {
                name: "core".into(),
                version: "0.1.0".into(),
                functions: 3,
                plugin: false,
                needs: Vec::new(),
                granted: Vec::new(),
                confined: Vec::new(),
            }],
            parts: vec![("vm".into(), 10)],
        }
    }

    #[test]
    fn a_description_comes_back() {
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        assert!(Description::of(&component).is_err());
        sections::write_custom(&mut component, "other", b"{");
        described().embed(&mut component).unwrap();
        assert_eq!(Description::of(&component).unwrap(), described());
        assert!(capabilities(&component).unwrap().is_empty());
        for length in 0..component.len() {
            assert!(Description::of(&component[..length]).is_err());
        }
        for bad in [&b"\x7fELF"[..], b"", b"text", b"\0asm\x01\0\0\0"] {
            assert!(Description::of(bad).is_err());
        }
    }

    #[test]
    fn imports_name_capabilities() {
        for (import, expected) in [
            ("wasi:filesystem/types@0.2.6", "folders that the host opens"),
            ("wasi:http/client@0.3.0", "outbound HTTP requests"),
            ("wasi:http/types@0.3.0", ""),
            ("mix:ffi/types@0.1.1", ""),
            ("mix:packed/types@0.1.0", ""),
            ("mix:ffi/family@0.1.1", "functions of the embedding program"),
            ("acme:store/records", "acme:store/records"),
        ] {
            assert_eq!(capability(import), expected, "{import}");
        }
    }
}
