//! An executable with the names that it offers.

use crate::embedding::EmbeddingCode;
use crate::libraries::{self, LibraryFile};
use crate::schema::input_schema;
use crate::signature::{Parameter, arguments, parameters};
use anyhow::{Result, bail};
use mix_bytecode::reach::Reach;
use mix_bytecode::{Constant, ModuleId, Program};
use mix_value::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

/// Largest executable that is loaded for a server.
pub(super) const MAX_EXECUTABLE: u64 = 16 << 20;

/// Ending of executables.
pub(super) const EXECUTABLE: &str = "mixexe";
/// Ending of components.
pub(super) const COMPONENT: &str = "wasm";

/// The variable with the debug data of a program.
pub const ERROR_INFO: &str = "errorInfo";

/// What an agent takes.
pub(super) struct Interface {
    /// What its doc comment says.
    description: String,
    /// Parameters of its module.
    params: Vec<Parameter>,
    /// What callers send.
    arguments: Vec<Parameter>,
    /// The same as a JSON Schema.
    schema: serde_json::Value,
    /// Places of the foreign functions that it can reach.
    foreign: Box<[usize]>,
}

/// SHA-256 of an executable.
pub type Digest = [u8; 32];

/// An executable with the names that it offers.
pub struct Executable {
    /// The bytes of the `.mixexe`.
    pub bytes: Vec<u8>,
    /// Modules and whether they are agents.
    pub modules: Vec<(String, bool)>,
    /// Names of the foreign functions that it uses.
    pub foreign: Vec<String>,
    /// Debug data that lie beside it, if its program has a use for them.
    pub debug_data: Option<Value>,
    /// Whether the program names what it knows debug data by.
    pub(super) wants_debug_data: bool,
    /// Interfaces of the agents.
    pub(super) agents: HashMap<String, Interface>,
    digest: OnceLock<Digest>,
    /// Set for a component that is run as it is; there is no program then.
    component: Option<EmbeddingCode>,
}

impl Executable {
    /// Reads the names; the VM verifies the rest when it loads the program.
    pub fn read(bytes: Vec<u8>) -> Result<Executable> {
        Executable::linked(bytes, &mut |_| Vec::new())
    }

    /// The same for a program that may use libraries, which `find` gives if there are any.
    pub fn linked(
        bytes: Vec<u8>,
        find: &mut dyn FnMut(&Program) -> Vec<LibraryFile>,
    ) -> Result<Executable> {
        let mut program = mix_bytecode::decode(&bytes)?;
        let mut bytes = bytes;
        if !program.externals.libraries.is_empty() {
            let libraries = find(&program);
            program = libraries::linked(program, &libraries)?;
            bytes = mix_bytecode::encode(&program);
        }
        mix_bytecode::verify(&program)?;
        let mut reach = Reach::new(&program);
        Ok(Executable {
            modules: modules(&program),
            foreign: foreign(&program),
            debug_data: None,
            wants_debug_data: names(&program, ERROR_INFO),
            agents: program
                .modules
                .iter()
                .zip(0..)
                .filter(|(module, _)| module.is_agent())
                .map(|(module, number)| {
                    let reached = reach.imports(ModuleId(number));
                    let interface = Interface {
                        description: description(&program, &module.name),
                        foreign: reached.iter().map(|import| import.index()).collect(),
                        params: parameters(&program, module),
                        arguments: arguments(&program, module),
                        schema: input_schema(&program, module),
                    };
                    (module.name.to_string(), interface)
                })
                .collect(),
            digest: OnceLock::new(),
            component: None,
            bytes,
        })
    }

    /// A component of the embedding world that carries no program; `None` for any other component.
    pub fn of_component(bytes: &[u8]) -> Result<Option<Executable>> {
        let Some(code) = EmbeddingCode::load(bytes)? else {
            return Ok(None);
        };
        let agents = code.agents.iter().map(|name| {
            // It does not say what they take.
            let interface = Interface {
                description: String::new(),
                params: Vec::new(),
                arguments: Vec::new(),
                schema: serde_json::json!({"type": "object"}),
                foreign: Box::default(),
            };
            (name.clone(), interface)
        });
        Ok(Some(Executable {
            bytes: Vec::new(),
            modules: code
                .agents
                .iter()
                .map(|name| (name.clone(), true))
                .collect(),
            foreign: Vec::new(),
            debug_data: None,
            wants_debug_data: false,
            agents: agents.collect(),
            digest: OnceLock::from(Digest::from(Sha256::digest(bytes))),
            component: Some(code),
        }))
    }

    /// The component, if it is one that is run as it is.
    pub fn component(&self) -> Option<&EmbeddingCode> {
        self.component.as_ref()
    }

    /// Parameters of an agent; `None` for a module that is none.
    pub fn params(&self, agent: &str) -> Option<&[Parameter]> {
        self.agents
            .get(agent)
            .map(|interface| interface.params.as_slice())
    }

    /// What the doc comment of an agent says.
    pub fn description(&self, agent: &str) -> &str {
        self.agents
            .get(agent)
            .map_or("", |interface| &interface.description)
    }

    /// What callers of an agent send.
    pub fn arguments(&self, agent: &str) -> Option<&[Parameter]> {
        self.agents
            .get(agent)
            .map(|interface| interface.arguments.as_slice())
    }

    /// The same as a JSON Schema of an object.
    pub fn input_schema(&self, agent: &str) -> Option<&serde_json::Value> {
        self.agents.get(agent).map(|interface| &interface.schema)
    }

    /// Names of the foreign functions that an agent can reach.
    pub fn foreign_of(&self, agent: &str) -> impl Iterator<Item = &str> {
        let places = self.agents.get(agent).map(|interface| &*interface.foreign);
        let names = places.unwrap_or_default().iter();
        names.filter_map(|place| self.foreign.get(*place).map(String::as_str))
    }

    /// What it is known by.
    pub fn digest(&self) -> Digest {
        *self
            .digest
            .get_or_init(|| Sha256::digest(&self.bytes).into())
    }

    /// Whether the module of that name is an agent, if there is one.
    pub(super) fn offers(&self, agent: &str) -> Option<bool> {
        self.modules
            .iter()
            .find(|(name, _)| name == agent)
            .map(|(_, agent)| *agent)
    }
}

fn modules(program: &Program) -> Vec<(String, bool)> {
    program
        .modules
        .iter()
        .map(|module| (module.name.to_string(), module.is_agent()))
        .collect()
}

fn description(program: &Program, name: &str) -> String {
    let of = |described: &&mix_bytecode::Described| {
        &*program.modules[described.module.index()].name == name
    };
    let found = program.descriptions.iter().find(of);
    found.map_or_else(String::new, |described| described.text.to_string())
}

/// Whether a text stands in a program.
fn names(program: &Program, name: &str) -> bool {
    let mut constants = program.constants.iter();
    constants.any(|constant| matches!(constant, Constant::String(text) if **text == *name))
}

fn foreign(program: &Program) -> Vec<String> {
    let names = program.imports.iter().map(|import| import.name.to_string());
    names.collect()
}

/// The executables that a component carries; if it carries none, the component itself if it is one of the embedding world.
pub fn carried(component: &[u8]) -> Result<Vec<Executable>> {
    let found = mix_bytecode::component::carried(component)?;
    if found.is_empty() {
        return Ok(Executable::of_component(component)?.into_iter().collect());
    }
    let read = found.into_iter().map(|bytes| {
        if bytes.len() as u64 > MAX_EXECUTABLE {
            bail!("it carries an executable that is larger than {MAX_EXECUTABLE} bytes");
        }
        Executable::read(bytes.to_vec())
    });
    read.collect()
}

/// True for the name of a component.
pub fn is_component(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == COMPONENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::compile;
    use mix_compiler::{CompileOptions, SourceFile};

    #[test]
    fn agents_reach_what_their_code_leads_to() {
        let text = r#"
            module plain() cell output = 1 module end
            module own() def f(x) = env.get(x) cell output = f("user") module end
            module later() def g(x) = co.sleep(x) cell output = (x -> g(x))(1) module end
            module within() import part() cell output = contents(part.slept) module end
            module part() cell slept = co.sleep(1) module end
            module acting() cell act = action { co.sleep(1) } cell output = 1 module end
            module watching()
              var cell n = 1
              var cell output : data = 1
              on n do { co.sleep(1) }
            module end
            module calling() cell output = agent.call(agent.localAgent("plain"), null, 1) module end
        "#;
        let file = SourceFile::new("a.mix", text.to_owned());
        let compiled = compile(&[file], &CompileOptions::default()).unwrap();
        let program = compiled.executable.expect(&compiled.text);
        let program = Executable::read(program).unwrap();
        let reached = |agent: &str| {
            let mut names: Vec<&str> = program.foreign_of(agent).collect();
            names.sort_unstable();
            names
        };
        let mut all: Vec<&str> = program.foreign.iter().map(String::as_str).collect();
        all.sort_unstable();
        assert!(all.len() > 1, "{all:?}");
        assert!(reached("plain").is_empty());
        assert_eq!(reached("own").len(), 1);
        assert_ne!(reached("own"), ["$core_sleep"]);
        for agent in ["later", "within", "acting", "watching"] {
            assert_eq!(reached(agent), ["$core_sleep"], "{agent}");
        }
        // It can be any agent.
        assert_eq!(reached("calling"), all);
        assert!(reached("none").is_empty());
    }
}
